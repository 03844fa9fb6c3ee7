"""A PyTorch Dataset over a level A export. This file needs nothing but numpy, pyarrow and torch: it goes with the data.

from torch.utils.data import DataLoader
from torch_dataset import LevelA

training = LevelA("path/to/export", split="train", size=(320, 256))
for pictures, densities in DataLoader(training, batch_size=32, shuffle=True, num_workers=2):
    ...  # float32 (32, 1, 320, 256) in 0...1, air being 0; int64 (32,), 0 to 3 for BI-RADS density A to D
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch.utils.data import Dataset

DENSITIES = ("A", "B", "C", "D")
"""The classes, in the order of their numbers: BI-RADS breast composition a to d."""

SPLITS = ("train", "validation", "test")
GRAY = 4095
"""White; pictures are uint16, 0 (air) to 4095."""

_READ_AT_ONCE = 65536


class LevelA(Dataset[tuple[torch.Tensor, int]]):
    """The images of one split (or of all, for ``split=None``) at one size, with their densities.

    ``size`` is rows and columns: a size that the export's pyramid holds, or None for the full pictures. An item is the
    picture, float32 (1, rows, columns) in 0…1, through ``transform`` where given, and its density's number, 0 to 3.
    Items come in the order of the index, ``dataset.parquet``. Memory holds a few bytes an image, and no picture but
    those that are asked for. Pickled as its arguments: workers open maps of their own.

    Raises ValueError for an unknown split or a size that the export does not hold, FileNotFoundError where the folder
    is no export.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str | None = "train",
        size: tuple[int, int] | None = None,
        transform: Callable[[torch.Tensor], Any] | None = None,
    ) -> None:
        if split not in (*SPLITS, None):
            raise ValueError(f"a split is one of {', '.join(SPLITS)}, or None for all images")
        self.folder, self.split, self.size, self.transform = Path(folder), split, size, transform
        self._rows, self._place, self._shard, self._density = self._read_index()
        self._names, self._starts = self._find_files()
        self._files: dict[int, tuple[pa.ipc.RecordBatchFileReader, int]] = {}

    def __reduce__(self) -> tuple[type["LevelA"], tuple[Any, ...]]:
        return type(self), (self.folder, self.split, self.size, self.transform)

    def __len__(self) -> int:
        return len(self._density)

    def __getitem__(self, item: int) -> tuple[Any, int]:
        picture = torch.from_numpy(self.gray(item).astype(np.float32) / GRAY)[None]
        return (picture if self.transform is None else self.transform(picture)), int(self._density[item])

    def gray(self, item: int) -> np.ndarray:
        """The picture of an item as it is stored: uint16 (rows, columns), 0…4095. Raises IndexError."""
        if not -len(self) <= item < len(self):
            raise IndexError(f"item {item} of {len(self)}")
        number, row = self._where(item)
        if number not in self._files:
            self._files[number] = _open(self._names[number])
        file, each = self._files[number]
        batch, within = divmod(row, each)
        pixels = file.get_batch(batch).column("pixels")
        rows, columns = pixels.type.shape
        values = pixels.storage.slice(within, 1).flatten()
        return np.array(values.to_numpy(zero_copy_only=True).reshape(rows, columns))

    @property
    def index(self) -> pa.Table:
        """All that the index says of the items, in their order: image_id, patient, view, vendor_group, confidence …"""
        return pq.ParquetFile(self.folder / "dataset.parquet").read().take(pa.array(self._rows))

    @property
    def targets(self) -> torch.Tensor:
        """The density of every item, int64 (n,)."""
        return torch.from_numpy(self._density.astype(np.int64))

    @property
    def class_counts(self) -> torch.Tensor:
        """Items of each density, int64 (4,)."""
        return torch.bincount(self.targets, minlength=len(DENSITIES))

    @property
    def class_weights(self) -> torch.Tensor:
        """A weight for each density, float32 (4,), as losses take it: n / (classes present × items of the class).

        The items' weights have a mean of 1; a density without items has the weight 0.
        """
        counts = self.class_counts.to(torch.float32)
        present = int((counts > 0).sum())
        return torch.where(counts > 0, len(self) / (max(1, present) * counts.clamp(min=1)), torch.zeros(()))

    @property
    def sample_weights(self) -> torch.Tensor:
        """Each item's class weight, float32 (n,): what a WeightedRandomSampler takes to draw all densities alike."""
        return self.class_weights[self.targets]

    def _read_index(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of each item: its row in the index, its row in the shards, its shard's number, its density's number."""
        parts, first = [], 0
        classes = pa.array(DENSITIES)
        where = "shard_row" if self.size is None else "pyramid_row"
        names = ["split", "density", "shard", where]
        for batch in pq.ParquetFile(self.folder / "dataset.parquet").iter_batches(_READ_AT_ONCE, columns=names):
            chosen = np.ones(len(batch), bool)
            if self.split is not None:
                chosen = pc.equal(batch["split"], self.split).to_numpy(zero_copy_only=False)
            shards = pc.utf8_slice_codeunits(batch["shard"], len("shard-"), len("shard-") + 5).cast(pa.int32())
            parts.append(
                (
                    (first + np.flatnonzero(chosen)).astype(np.int64),
                    batch[where].to_numpy()[chosen].astype(np.int32),
                    shards.to_numpy()[chosen],
                    pc.index_in(batch["density"], classes).to_numpy()[chosen].astype(np.int8),
                )
            )
            first += len(batch)
        kinds = (np.int64, np.int32, np.int32, np.int8)
        rows, place, shard, density = (
            np.concatenate([np.empty(0, kind), *(part[i] for part in parts)]) for i, kind in enumerate(kinds)
        )
        return rows, place, shard, density

    def _find_files(self) -> tuple[list[Path], np.ndarray]:
        """The files that hold the pictures at the size; of the pyramid's, the row that each begins with."""
        if self.size is None:
            return sorted(self.folder.glob("shard-*.arrow")), np.zeros(0, np.int64)
        stem = f"{self.size[0]:04d}x{self.size[1]:04d}"
        files = sorted((self.folder / "pyramid").glob(f"{stem}-*.arrow"))
        if not files and len(self):
            held = sorted({p.name.split("-")[0] for p in (self.folder / "pyramid").glob("*.arrow")})
            raise ValueError(f"the export holds no pictures of {stem}; its pyramid has {', '.join(held)}")
        counts = []
        for file in files:
            reader, each = _open(file)
            last = reader.num_record_batches - 1
            counts.append(each * last + reader.get_batch(last).num_rows)
        return files, np.cumsum([0, *counts])

    def _where(self, item: int) -> tuple[int, int]:
        """The number of the file that holds an item's picture, and its row there."""
        row = int(self._place[item])
        if self.size is None:
            return int(self._shard[item]), row
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return number, int(row - self._starts[number])


def _open(path: Path) -> tuple[pa.ipc.RecordBatchFileReader, int]:
    """A file of pictures and how many a batch of it holds: all hold equally many, but for the last."""
    file = pa.ipc.open_file(pa.memory_map(str(path)), options=pa.ipc.IpcReadOptions(use_threads=False))
    return file, file.get_batch(0).num_rows

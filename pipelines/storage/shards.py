"""Image shards: pictures as fixed-shape tensors in Arrow IPC files, one or many pictures to a record batch.

Compressed shards (LZ4, one picture a batch) are read picture by picture; uncompressed ones are memory-mapped and
seen as one array per batch without a copy. Columns: ``image_id`` (string), ``pixels`` (fixed_shape_tensor).
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from pipelines.storage.atomic import flush

MAX_BYTES = 2 * 1024**3
"""A shard holds at most this many bytes of pictures, before compression."""


class ShardError(ValueError):
    """A shard is damaged, or a picture does not fit it."""


class ShardWriter:
    """Writes pictures of one shape into numbered shards of a folder: ``<stem>-00000.arrow``, ``<stem>-00001.arrow`` …

    Memory holds at most ``rows_per_batch`` pictures. The files are final when the context ends; write into a staging
    folder, since a shard under way cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        shape: tuple[int, int],
        *,
        dtype: type[np.generic] = np.uint16,
        compression: str | None = "lz4",
        rows_per_batch: int = 1,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.folder, self.stem, self.shape, self.dtype = folder, stem, tuple(shape), np.dtype(dtype)
        self._type = pa.fixed_shape_tensor(pa.from_numpy_dtype(self.dtype), self.shape)
        self._schema = pa.schema([("image_id", pa.string()), ("pixels", self._type)])
        self._options = pa.ipc.IpcWriteOptions(compression=compression)
        self._rows_per_batch = rows_per_batch
        picture_bytes = self.dtype.itemsize * int(np.prod(self.shape))
        self._rows_per_shard = max(rows_per_batch, max_bytes // picture_bytes // rows_per_batch * rows_per_batch)
        self._shard = -1
        self._row = 0
        self._ids: list[str] = []
        self._pictures: list[np.ndarray] = []
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def append(self, image_id: str, picture: np.ndarray) -> tuple[str, int]:
        """Add a picture; returns the shard's file name and its row. Raises ShardError for a wrong shape or type."""
        if picture.shape != self.shape or picture.dtype != self.dtype:
            raise ShardError(f"a picture of {picture.dtype} {picture.shape} in a shard of {self.dtype} {self.shape}")
        if self._writer is None or self._row >= self._rows_per_shard:
            self._close_shard()
            self._shard += 1
            self._row = 0
            self._writer = pa.ipc.new_file(self.folder / self._name, self._schema, options=self._options)
        self._ids.append(image_id)
        self._pictures.append(np.ascontiguousarray(picture))
        place = (self._name, self._row)
        self._row += 1
        if len(self._ids) == self._rows_per_batch:
            self._write_batch()
        return place

    @property
    def _name(self) -> str:
        return f"{self.stem}-{self._shard:05d}.arrow"

    def _write_batch(self) -> None:
        if not self._ids or self._writer is None:
            return
        flat = pa.array(np.stack(self._pictures).reshape(-1))
        storage = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(self.shape)))
        pixels = pa.ExtensionArray.from_storage(self._type, storage)
        self._writer.write_batch(pa.record_batch([pa.array(self._ids, pa.string()), pixels], schema=self._schema))
        self._ids, self._pictures = [], []

    def _close_shard(self) -> None:
        self._write_batch()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            flush(self.folder / self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._close_shard()
        elif self._writer is not None:
            self._writer.close()


class Shard:
    """A finished shard, memory-mapped; pickled as its path, so that workers open their own map."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pa.ipc.open_file(pa.memory_map(str(path)))
            batches = [self._file.get_batch(i).num_rows for i in range(self._file.num_record_batches)]
        except pa.ArrowInvalid as error:
            raise ShardError(f"{path.name} is not a whole shard") from error
        self._starts = np.concatenate([[0], np.cumsum(batches)]).astype(int)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __reduce__(self) -> tuple[type["Shard"], tuple[Path]]:
        return Shard, (self.path,)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the pictures."""
        rows, columns = self._file.schema.field("pixels").type.shape
        return rows, columns

    @property
    def ids(self) -> list[str]:
        """The image ids, in row order."""
        columns = (self._file.get_batch(i).column(0).to_pylist() for i in range(self._file.num_record_batches))
        return [image_id for column in columns for image_id in column]

    def __getitem__(self, row: int) -> np.ndarray:
        """The picture in a row (a view of the map where the shard is not compressed). Raises IndexError."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a shard of {len(self)}")
        batch = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._pixels(batch)[row - self._starts[batch]]

    def batches(self) -> list[np.ndarray]:
        """All record batches as arrays (n, rows, columns); views of the map where the shard is not compressed."""
        return [self._pixels(i) for i in range(self._file.num_record_batches)]

    def take(self, rows: Sequence[int]) -> np.ndarray:
        """The pictures in the given rows, as one new array (n, rows, columns)."""
        return np.stack([self[row] for row in rows]) if len(rows) else np.empty((0, *self.shape), np.uint16)

    def _pixels(self, batch: int) -> np.ndarray:
        array = self._file.get_batch(batch).column(1)
        try:
            return array.to_numpy_ndarray()
        except pa.ArrowInvalid as error:
            raise ShardError(f"{self.path.name} is damaged") from error


class ShardReader:
    """Reads pictures from a folder's shards by shard name and row, keeping the maps open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shards: dict[str, Shard] = {}

    def shard(self, name: str) -> Shard:
        """The named shard. Raises ShardError where it is damaged, FileNotFoundError where it is missing."""
        if name not in self._shards:
            self._shards[name] = Shard(self.folder / name)
        return self._shards[name]

    def read(self, name: str, row: int) -> np.ndarray:
        """One picture (rows, columns)."""
        return self.shard(name)[row]

    def __reduce__(self) -> tuple[type["ShardReader"], tuple[Path]]:
        return ShardReader, (self.folder,)

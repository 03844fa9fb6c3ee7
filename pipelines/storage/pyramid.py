"""Level A's pictures at every size: the training shards, and the levels below them, in the folder ``pyramid``.

A level lies in the shards ``<rows>x<columns>-00000.arrow`` …; a picture's row is the same in every level, counted
through the level's shards in the order of their names.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.storage.shards import Shard, ShardError, ShardReader, room

FOLDER = "pyramid"


def level_name(shape: tuple[int, int]) -> str:
    """The stem of a level's shard files, e.g. ``0005x0004`` (rows × columns)."""
    return f"{shape[0]:04d}x{shape[1]:04d}"


class Level:
    """One level's shards as one sequence of pictures. Raises ShardError where there is none, or one is damaged."""

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self.folder, self.shape = folder, shape
        self._shards = [Shard(path) for path in sorted(folder.glob(f"{level_name(shape)}-*.arrow"))]
        if not self._shards:
            raise ShardError(f"the pyramid has no level {level_name(shape)}")
        if any(shard.shape != shape for shard in self._shards):
            raise ShardError(f"pyramid level {level_name(shape)} does not hold pictures of that size")
        self._starts = np.cumsum([0, *map(len, self._shards)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __reduce__(self) -> tuple[type["Level"], tuple[Path, tuple[int, int]]]:
        return Level, (self.folder, self.shape)

    def __getitem__(self, row: int) -> np.ndarray:
        """The picture in a row; a view of the map up to 320×256. Raises IndexError."""
        shard, within = self._place(row)
        return shard[within]

    def take(self, rows: Sequence[int] | np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The pictures in the given rows as one array (n, rows, columns): ``out``, where given, else a new one.

        Raises ShardError where the level has fewer rows, or for another ``out``.
        """
        try:
            if len(self._shards) == 1:
                return self._shards[0].take(rows, out)
            out = room(out, (len(rows), *self.shape))
            for row, place in zip(rows, out, strict=True):
                shard, within = self._place(row)
                shard.read(within, place)
        except IndexError as error:
            raise ShardError("the pyramid has fewer rows than were asked for") from error
        return out

    def _place(self, row: int) -> tuple[Shard, int]:
        """The shard that a row lies in, and its row there. Raises IndexError."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a level of {len(self)}")
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._shards[number], int(row - self._starts[number])


class Pyramid:
    """The pictures of a level A folder at each size, by the rows of its table DATASET; pickled as the folder's path."""

    def __init__(self, dataset_folder: Path) -> None:
        self.folder = dataset_folder
        self._top = ShardReader(dataset_folder)
        self._levels: dict[tuple[int, int], Level] = {}

    def __reduce__(self) -> tuple[type["Pyramid"], tuple[Path]]:
        return Pyramid, (self.folder,)

    def level(self, shape: tuple[int, int]) -> Level:
        """The level of pictures of a size below that of the training shards. Raises ShardError where there is none."""
        if shape not in self._levels:
            self._levels[shape] = Level(self.folder / FOLDER, shape)
        return self._levels[shape]

    def take(self, table: pa.Table, shape: tuple[int, int], out: np.ndarray | None = None) -> np.ndarray:
        """The pictures of DATASET rows at a size, uint16 (n, rows, columns): ``out``, where given, else a new array.

        Raises ShardError where they have no such size, or are damaged.
        """
        if not table.num_rows:  # a set without pictures has no levels
            return room(out, (0, *shape))
        if shape not in self._levels and shape == self._top.shape:
            places = list(zip(table["shard"].to_pylist(), table["shard_row"].to_pylist(), strict=True))
            return self._top.take(places, out=out)
        return self.level(shape).take(table["pyramid_row"].to_numpy(), out)

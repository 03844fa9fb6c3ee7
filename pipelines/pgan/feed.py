"""The data path: level A's training rows, and batches of their pictures at any level straight from the pyramid's maps.

Which image a draw shows is a pure function of the seed and the draw's number, so that a resumed training needs no
more than its position. There is no flip and no turn: breasts lie on the left, and an MLO view has its muscle on top.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.pgan.conditions import codes
from pipelines.pgan.settings import resolution_of
from pipelines.storage.pyramid import Pyramid
from pipelines.storage.tables import DATASET, DENSITIES, read_table

FEWEST_IMAGES = 16
GRAY = 4095
"""Pictures are uint16, 0 (air) … 4095."""


class FeedError(ValueError):
    """A data set cannot be trained on."""


class NotTrainingRows(FeedError):  # noqa: N818 - named for what is wrong
    """Rows of another split were offered for training."""


class NotEnoughImages(FeedError):  # noqa: N818 - named for what is wrong
    """There are too few training images."""


def to_unit(pictures: np.ndarray) -> np.ndarray:
    """Gray values 0…4095 as float32 −1…1, with a channel: (n, h, w) → (n, 1, h, w)."""
    return (pictures.astype(np.float32) / (GRAY / 2) - 1)[:, None]


def to_gray(pictures: np.ndarray) -> np.ndarray:
    """Values about −1…1 as uint16 0…4095, clipped: (n, 1, h, w) → (n, h, w)."""
    return np.clip(np.rint((pictures[:, 0] + 1) * (GRAY / 2)), 0, GRAY).astype(np.uint16)


def read_dataset(dataset_folder: Path) -> pa.Table:
    """The level A table of a folder (``dataset.parquet``), checked against its contract."""
    return read_table(dataset_folder / "dataset.parquet", DATASET)


def rows_of(dataset: pa.Table, split: str) -> pa.Table:
    """The rows of one split, in the table's order."""
    return dataset.filter(pa.compute.equal(dataset["split"], split))


@dataclass(frozen=True)
class Batch:
    """Pictures float32 (n, 1, h, w) in −1…1 and their condition codes float32 (n, 5)."""

    pictures: np.ndarray
    codes: np.ndarray


class Feed:
    """Class-balanced batches of training rows: each draw takes the density classes in turn, whatever their counts.

    Within a class the images come in shuffled rounds, each image once a round; views come as they are. Raises
    NotTrainingRows where a row of another split is among ``table``, NotEnoughImages below 16 rows.
    """

    def __init__(self, dataset_folder: Path, table: pa.Table, seed: int) -> None:
        if set(table["split"].to_pylist()) - {"train"}:
            raise NotTrainingRows("the table holds rows of the validation or test split")
        if table.num_rows < FEWEST_IMAGES:
            raise NotEnoughImages(f"{table.num_rows} training images, at least {FEWEST_IMAGES} are needed")
        self.table, self.seed = table, seed
        self.pyramid = Pyramid(dataset_folder)
        self._places = table.select(["shard", "shard_row", "pyramid_row"]).combine_chunks()
        density = np.array(table["density"].to_pylist())
        members = [np.flatnonzero(density == name) for name in DENSITIES]
        self._classes = [rows for rows in members if rows.size]
        self._codes = codes(table["density"].to_pylist(), table["view"].to_pylist())
        self._order = lru_cache(maxsize=64)(self._shuffled)

    @cached_property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """The (density, view) pairs among the training rows, sorted."""
        return tuple(sorted(set(zip(self.table["density"].to_pylist(), self.table["view"].to_pylist(), strict=True))))

    def rows(self, start: int, count: int) -> np.ndarray:
        """Table rows of draws start … start + count − 1."""
        chosen = np.empty(count, int)
        for i, draw in enumerate(range(start, start + count)):
            turn, kind = divmod(draw, len(self._classes))
            size = self._classes[kind].size
            chosen[i] = self._order(kind, turn // size)[turn % size]
        return chosen

    def _shuffled(self, kind: int, lap: int) -> np.ndarray:
        stream = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, kind, lap]))
        return stream.permutation(self._classes[kind])

    def batch(self, start: int, count: int, level: int) -> Batch:
        """The batch of draws start … start + count − 1 at a level."""
        rows = self.rows(start, count)
        return Batch(self.pictures(self._places.take(pa.array(rows)), level), self._codes[rows])

    def pictures(self, table: pa.Table, level: int) -> np.ndarray:
        """Pictures of DATASET rows at a level 1…9, float32 (n, 1, h, w) in −1…1. Raises ShardError."""
        return to_unit(self.pyramid.take(table, resolution_of(level)))

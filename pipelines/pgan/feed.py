"""The data path: level A's training rows, and batches of their pictures at any level straight from the pyramid's maps.

Which image a draw shows is a pure function of the seed and the draw's number, so that a resumed training needs no
more than its position. There is no flip and no turn: breasts lie on the left, and an MLO view has its muscle on top.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from pipelines.pgan.conditions import codes
from pipelines.pgan.settings import PGANSettings, resolution_of
from pipelines.storage.pyramid import Pyramid
from pipelines.storage.tables import DATASET, DENSITIES, VIEWS, read_table

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
    return _unit(pictures, np.empty(pictures.shape, np.float32))[:, None]


def _unit(pictures: np.ndarray, out: np.ndarray) -> np.ndarray:
    np.copyto(out, pictures)
    out /= GRAY / 2
    out -= 1
    return out


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
    """Pictures float32 (n, 1, h, w) in −1…1, of pairs (n, 2, h, w), and their condition codes float32 (n, code size).

    Of n processes, the r-th has those draws of the batch whose place is r modulo n.
    """

    pictures: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True)
class Draws:
    """How a feed draws: densities in turn or ``natural``, age in the codes or not, single pictures or ``pairs``."""

    natural: bool = False
    ages: bool = False
    pairs: bool = False


class Feed:
    """Batches of training rows: class-balanced, where each draw takes the density classes in turn, or natural.

    Within a class (natural: over all) the images come in shuffled rounds, each image once a round; views come as they
    are. In pairs, CC and MLO of one breast come together; ``table`` is then cut down to the images that have their
    pair. ``share`` is asked for this process' number, and of how many. Batches are read ahead by a thread of the
    feed's own: the one after that asked for last is ready when it is asked for; ``pinned`` for a GPU, so that copies do
    not wait.

    Raises NotTrainingRows where a row of another split is among ``table``, NotEnoughImages below 16 rows.
    """

    def __init__(
        self,
        dataset_folder: Path,
        table: pa.Table,
        seed: int,
        draws: Draws | None = None,
        share: Callable[[], tuple[int, int]] = lambda: (0, 1),
        pinned: bool = False,
    ) -> None:
        draws = draws or Draws()
        if set(table["split"].to_pylist()) - {"train"}:
            raise NotTrainingRows("the table holds rows of the validation or test split")
        units = np.arange(table.num_rows)[:, None]
        if draws.pairs:
            pairs = pairs_of(table)
            table, units = table.take(pa.array(pairs.ravel())), np.arange(pairs.size).reshape(-1, 2)
        if table.num_rows < FEWEST_IMAGES:
            what = "training images in pairs of CC and MLO" if draws.pairs else "training images"
            raise NotEnoughImages(f"{table.num_rows} {what}, at least {FEWEST_IMAGES} are needed")
        self.table, self.seed, self._units = table, seed, units
        self.pyramid = Pyramid(dataset_folder)
        self._places = table.select(["shard", "shard_row", "pyramid_row"]).combine_chunks()
        density = np.array(table["density"].to_pylist())[units[:, 0]]
        members = [np.arange(len(units))] if draws.natural else [np.flatnonzero(density == name) for name in DENSITIES]
        self._classes = [rows for rows in members if rows.size]
        ages = table["patient_age"].to_pylist() if draws.ages else None
        self._codes = codes(table["density"].to_pylist(), table["view"].to_pylist(), ages)
        self._order = lru_cache(maxsize=64)(self._shuffled)
        self._share = share
        self._pinned = pinned
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._ahead: tuple[tuple[int, ...], Future[Batch]] | None = None

    @classmethod
    def of(cls, dataset_folder: Path, table: pa.Table, settings: PGANSettings) -> Self:
        """The feed that a training of these settings is shown, this process' share of it."""
        from pipelines.pgan import distributed

        draws = Draws(settings.sampling == "natural", settings.condition_age, settings.two_views)
        pinned = settings.device.startswith("cuda")
        return cls(dataset_folder, table, settings.seed, draws, distributed.share, pinned)

    @cached_property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """The (density, view) pairs among the training rows, sorted."""
        return tuple(sorted(set(zip(self.table["density"].to_pylist(), self.table["view"].to_pylist(), strict=True))))

    def rows(self, start: int, count: int) -> np.ndarray:
        """Table rows of draws start … start + count − 1; in pairs, of their CC images."""
        return self._units[self._drawn(start, count), 0]

    def _drawn(self, start: int, count: int) -> np.ndarray:
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
        """The batch of draws start … start + count − 1 at a level, or this process' share of it. Raises ShardError."""
        place, ahead = self._share(), self._ahead
        asked = (start, count, level, *place)
        batch = ahead[1].result() if ahead is not None and ahead[0] == asked else self._read(*asked)
        following = (start + count, *asked[1:])
        self._ahead = following, self._thread.submit(self._read, *following)
        return batch

    def _read(self, start: int, count: int, level: int, number: int, processes: int) -> Batch:
        units = self._units[self._drawn(start, count)[number::processes]]
        rows, size = units.ravel(), resolution_of(level)
        pictures = self._room((len(rows), *size))
        _unit(self.pyramid.take(self._places.take(pa.array(rows)), size), pictures)
        asked = self._room((len(units), self._codes.shape[1]))
        asked[:] = self._codes[units[:, 0]]
        return Batch(pictures.reshape(*units.shape, *size), asked)

    def _room(self, shape: tuple[int, ...]) -> np.ndarray:
        if not self._pinned:
            return np.empty(shape, np.float32)
        import torch

        return torch.empty(shape, pin_memory=True).numpy()

    def pictures(self, table: pa.Table, level: int) -> np.ndarray:
        """Pictures of DATASET rows at a level 1…9, float32 (n, 1, h, w) in −1…1. Raises ShardError."""
        return to_unit(self.pyramid.take(table, resolution_of(level)))


def pairs_of(table: pa.Table) -> np.ndarray:
    """Rows (pairs, 2) of CC and MLO of one breast in one study, of one density, in the table's order.

    Of several images of a view the first counts. Rows without study or laterality have no pair.
    """
    breasts: dict[tuple[str, str, str], dict[str, int]] = {}
    columns = ("patient", "study_instance_uid", "laterality", "view", "density")
    keys = list(zip(*(table[name].to_pylist() for name in columns), strict=True))
    for row, (patient, study, laterality, view, _) in enumerate(keys):
        if study is not None and laterality is not None:
            breasts.setdefault((patient, study, laterality), {}).setdefault(view, row)
    found = [tuple(views[view] for view in VIEWS) for views in breasts.values() if len(views) == len(VIEWS)]
    alike = [(cc, mlo) for cc, mlo in found if keys[cc][-1] == keys[mlo][-1]]
    return np.array(alike, int).reshape(-1, len(VIEWS))

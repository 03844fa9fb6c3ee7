"""Women with their pictures, parted so that no woman is in two sets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipelines.synthesize.pictures import PictureSet


@dataclass
class Woman:
    name: str
    pictures: list[np.ndarray]
    densities: list[str]
    views: list[str]


@dataclass(frozen=True)
class Cohort:
    """``training`` and ``held_back`` for calibration; ``unseen``, women whom the screen never saw (a quarter)."""

    training: PictureSet
    held_back: PictureSet
    unseen: PictureSet

    @classmethod
    def of(cls, women: Iterable[Woman]) -> Self:
        parts: tuple[list[Woman], ...] = ([], [], [])
        for i, woman in enumerate(women):
            parts[(0, 2, 0, 0, 1, 0, 2, 0)[i // 4 % 8]].append(woman)
        return cls(*(_set_of(part) for part in parts))


def _set_of(women: list[Woman]) -> PictureSet:
    return PictureSet(
        np.stack([p for w in women for p in w.pictures]),
        [f"{w.name}-{i}" for w in women for i in range(len(w.pictures))],
        [d for w in women for d in w.densities],
        [v for w in women for v in w.views],
    )

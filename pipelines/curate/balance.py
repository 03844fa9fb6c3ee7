"""The deficit plan: how many synthetic images would even out the densities of the training set, view by view."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.storage.tables import DENSITIES, PLAN, VIEWS


@dataclass(frozen=True)
class BalanceSettings:
    """The target is uniform: as many training images of each density in a view as its largest class has.

    ``synthetic_share`` (0 to below 1) bounds the synthetic part of a class' final training images, and ``most`` the
    synthetic images of one density and view. A density and view with fewer than ``fewest`` real training images gets
    none: a generator that saw so few has learned them by heart.
    """

    synthetic_share: float = 0.75
    most: int = 2000
    fewest: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.synthetic_share < 1 or self.most < 0:
            raise ValueError("synthetic_share must lie in 0 to below 1, and most must not be negative")


def plan_balance(rows: Iterable[Mapping[str, Any]], settings: BalanceSettings = BalanceSettings()) -> pa.Table:
    """The table of PLAN, with a row for each of the eight cells of density and view, from rows of the level A set.

    Only training images count. ``deficit`` is what is missing to ``target`` within the bounds.
    """
    real = Counter((row["density"], row["view"]) for row in rows if row["split"] == "train")
    target = {view: max(real[d, view] for d in DENSITIES) for view in VIEWS}
    return PLAN.build(
        {
            "density": density,
            "view": view,
            "real": real[density, view],
            "target": target[view],
            "deficit": _deficit(real[density, view], target[view], settings),
        }
        for density in DENSITIES
        for view in VIEWS
    )


def _deficit(real: int, target: int, settings: BalanceSettings) -> int:
    if real < settings.fewest:
        return 0
    ratio = settings.synthetic_share / (1 - settings.synthetic_share)
    return min(target - real, int(ratio * real + 1e-9), settings.most)

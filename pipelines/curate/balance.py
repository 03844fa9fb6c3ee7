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
    synthetic images of one density and view.
    """

    synthetic_share: float = 0.75
    most: int = 2000

    def __post_init__(self) -> None:
        if not 0 <= self.synthetic_share < 1 or self.most < 0:
            raise ValueError("synthetic_share must lie in 0 to below 1, and most must not be negative")


def plan_balance(rows: Iterable[Mapping[str, Any]], settings: BalanceSettings = BalanceSettings()) -> pa.Table:
    """The table of PLAN, with a row for each of the eight cells of density and view, from rows of the level A set.

    Only training images count. ``deficit`` is what is missing to ``target`` within the bounds. A cell without a real
    image has deficit 0 whatever its target: a generator cannot learn a condition that it never saw.
    """
    real = Counter((row["density"], row["view"]) for row in rows if row["split"] == "train")
    target = {view: max(real[d, view] for d in DENSITIES) for view in VIEWS}
    ratio = settings.synthetic_share / (1 - settings.synthetic_share)
    return PLAN.build(
        {
            "density": density,
            "view": view,
            "real": real[density, view],
            "target": target[view],
            "deficit": min(target[view] - real[density, view], int(ratio * real[density, view] + 1e-9), settings.most),
        }
        for density in DENSITIES
        for view in VIEWS
    )

"""The deficit plan: how many synthetic images would bring the training set to a mix of densities, view by view."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.storage.tables import DENSITIES, PLAN, VIEWS


@dataclass(frozen=True)
class BalanceSettings:
    """The target mix: as many training images of each density in a view as the mix asks for, and none less than real.

    ``prevalence`` has the shares of A, B, C and D in the target; None is uniform. ``synthetic_share`` (0 to below 1)
    bounds the synthetic part of a class' final training images, and ``most`` the synthetic images of one density and
    view. A density and view with fewer than ``fewest`` real training images gets none: a generator that saw so few has
    learned them by heart. Raises ValueError for a share or prevalence that is none.
    """

    synthetic_share: float = 0.75
    most: int = 2000
    fewest: int = 4
    prevalence: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.synthetic_share < 1 or self.most < 0:
            raise ValueError("synthetic_share must lie in 0 to below 1, and most must not be negative")
        if self.prevalence is not None:
            fair = len(self.prevalence) == len(DENSITIES) and all(0 <= share <= 1 for share in self.prevalence)
            if not fair or not math.isclose(sum(self.prevalence), 1.0):
                raise ValueError("the prevalence of A, B, C and D must be four shares that add up to 1")

    @classmethod
    def parse(cls, target: str, synthetic_share: str) -> "BalanceSettings":
        """From ``uniform`` or four shares as in ``0.1,0.4,0.4,0.1``, and a share. ValueError where they are none."""
        try:
            share = float(synthetic_share)
            shares = None if target == "uniform" else tuple(float(part) for part in target.split(","))
        except ValueError:
            raise ValueError("the target is uniform or four shares, and the synthetic share a number") from None
        if shares is not None and len(shares) != len(DENSITIES):
            raise ValueError("the prevalence of A, B, C and D must be four shares that add up to 1")
        return cls(synthetic_share=share, prevalence=shares)

    def targets(self, real: Mapping[str, int]) -> dict[str, int]:
        """Images wanted of each density, from the real ones: the smallest set of the mix that holds all of these.

        A density that the mix has no place for keeps its real images.
        """
        shares = dict(zip(DENSITIES, self.prevalence or (0.25,) * 4, strict=True))
        whole = max((real[d] / shares[d] for d in DENSITIES if shares[d] > 0), default=0.0)
        return {d: max(real[d], math.floor(whole * shares[d] + 0.5)) for d in DENSITIES}


def plan_balance(rows: Iterable[Mapping[str, Any]], settings: BalanceSettings = BalanceSettings()) -> pa.Table:
    """The table of PLAN, with a row for each of the eight cells of density and view, from rows of the level A set.

    Only training images count. ``deficit`` is what is missing to ``target`` within the bounds.
    """
    real = Counter((row["density"], row["view"]) for row in rows if row["split"] == "train")
    target = {view: settings.targets({d: real[d, view] for d in DENSITIES}) for view in VIEWS}
    return PLAN.build(
        {
            "density": density,
            "view": view,
            "real": real[density, view],
            "target": target[view][density],
            "deficit": _deficit(real[density, view], target[view][density], settings),
        }
        for density in DENSITIES
        for view in VIEWS
    )


def _deficit(real: int, target: int, settings: BalanceSettings) -> int:
    if real < settings.fewest:
        return 0
    ratio = settings.synthetic_share / (1 - settings.synthetic_share)
    return min(target - real, int(ratio * real + 1e-9), settings.most)

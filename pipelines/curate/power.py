"""Which classes are too small: the patients that each density would need to show a given difference.

Two proportions (say, the sensitivities of two models in women of one density) are compared at a two-sided level; of n
in each group a difference is detected with the stated power where (Fleiss, Levin & Paik 2003, Statistical Methods for
Rates and Proportions, 3rd ed., eq. 4.14, no continuity correction)

    n ≥ (z(1 − α/2) √(2 p̄ q̄) + z(power) √(p₁q₁ + p₂q₂))² / (p₁ − p₂)²,  p̄ = (p₁ + p₂) / 2,  q = 1 − p.

Patient clusters are counted, not images: a woman's images agree with one another.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import pyarrow as pa

from pipelines.storage.tables import DENSITIES, POWER, SPLITS


@dataclass(frozen=True)
class PowerSettings:
    """The ``difference`` to detect from a proportion ``expected`` downward, at the two-sided level ``alpha``."""

    expected: float = 0.85
    difference: float = 0.10
    alpha: float = 0.05
    power: float = 0.80

    def __post_init__(self) -> None:
        if not (0 < self.difference <= self.expected < 1 and 0 < self.alpha < 1 and 0 < self.power < 1):
            raise ValueError("difference, expected, alpha and power must be shares, the difference within the expected")


def needed(settings: PowerSettings) -> int:
    """Cases in each of two groups that detect the settings' difference."""
    return math.ceil(_needed(settings.expected, settings.difference, settings) - 1e-9)


def _needed(expected: float, difference: float, settings: PowerSettings) -> float:
    first, second = expected, expected - difference
    middle = (first + second) / 2
    level, power = NormalDist().inv_cdf(1 - settings.alpha / 2), NormalDist().inv_cdf(settings.power)
    apart = level * math.sqrt(2 * middle * (1 - middle))
    apart += power * math.sqrt(first * (1 - first) + second * (1 - second))
    return apart**2 / difference**2


def detectable(cases: int, settings: PowerSettings) -> float | None:
    """The smallest difference below ``expected`` that so many cases in each group detect; None where there is none."""
    low, high = 1e-6, settings.expected
    if cases < _needed(settings.expected, high, settings):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if cases >= _needed(settings.expected, middle, settings) else (middle, high)
    return high


def measure_power(rows: Iterable[Mapping[str, Any]], settings: PowerSettings = PowerSettings()) -> pa.Table:
    """The table of POWER, from rows of the level A set; the training split is told too, though nothing is tested."""
    clusters: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        clusters[row["split"], row["density"]].add(row["cluster"])
    wanted = needed(settings)
    found = []
    for split in SPLITS:
        for density in DENSITIES:
            cases = len(clusters[split, density])
            least = detectable(cases, settings)
            figures = {"needed": wanted, "detectable": None if least is None else round(least, 4)}
            found.append({"split": split, "density": density, "patients": cases, "enough": cases >= wanted} | figures)
    return POWER.build(found)

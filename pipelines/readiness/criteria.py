"""The criteria of each level, read from criteria.toml, and their evaluation against measured figures.

A data set stands on the highest level for which all criteria up to it hold; joined from several deliveries, on the
lowest rung of its parts (Lawrence 2017, Data Readiness Levels). The same criteria are the assets' checks.
"""

import math
import operator
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LEVELS = ("D", "C", "B", "A")
"""Medical Imaging Data Readiness, lowest first (Harvey & Glocker 2019)."""

RUNGS = (*LEVELS, "pgan", "synthetic")
"""The levels and the rungs beyond them."""

CRITERIA = Path(__file__).with_name("criteria.toml")

Figures = Mapping[str, float | None]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "<=": operator.le,
    ">=": operator.ge,
    ">": operator.gt,
    "measured": lambda value, threshold: True,
}


@dataclass(frozen=True)
class Level:
    """A rung in words: its short title, and what standing on it means."""

    title: str
    meaning: str


@dataclass(frozen=True)
class Criterion:
    """One demand: ``measure`` must keep to ``operator threshold``; see criteria.toml for each field's meaning."""

    id: str
    level: str
    asset: str
    scope: str
    statement: str
    measure: str
    operator: str
    threshold: float
    gate: bool
    required: bool
    source: str
    how: str = ""

    def __post_init__(self) -> None:
        if self.level not in RUNGS or self.operator not in _OPERATORS or self.scope not in ("delivery", "set"):
            raise ValueError(f"criterion {self.id}: unknown level, operator or scope")

    def measured_by(self, figures: Figures) -> "CriterionResult":
        """What the criterion makes of the figures; a figure that is missing, None or NaN was not measured."""
        value = figures.get(self.measure)
        if value is None or math.isnan(value):
            return CriterionResult(self, None, None)
        return CriterionResult(self, value, _OPERATORS[self.operator](value, self.threshold))


@dataclass(frozen=True)
class CriterionResult:
    """A criterion's figure and whether it holds; both None where it was not measured."""

    criterion: Criterion
    value: float | None
    holds: bool | None

    @property
    def passes(self) -> bool:
        """Does it let the level be reached: it holds, or could not be measured and is not required."""
        return not self.criterion.required if self.holds is None else self.holds


@dataclass(frozen=True)
class Certificate:
    """``level`` D to A, or None below D; ``rung`` the highest rung with pgan and synthetic counted, or None.

    ``results`` holds every criterion, in order; ``deliveries`` the level (at most B) of each delivery, and ``parts``
    the deliveries that the set is joined from.
    """

    level: str | None
    rung: str | None
    results: tuple[CriterionResult, ...]
    deliveries: Mapping[str, str | None]
    parts: tuple[str, ...]


@cache
def load_criteria(path: Path = CRITERIA) -> tuple[Criterion, ...]:
    """All criteria in the order of their rungs. Raises TypeError or ValueError where the file is not sound."""
    criteria = [Criterion(**entry) for entry in tomllib.loads(path.read_text())["criterion"]]
    if len({c.id for c in criteria}) < len(criteria):
        raise ValueError("two criteria have the same id")
    return tuple(sorted(criteria, key=lambda c: RUNGS.index(c.level)))


@cache
def load_levels(path: Path = CRITERIA) -> dict[str, Level]:
    """Each rung of RUNGS in words. Raises KeyError or TypeError where the file lacks one."""
    entries = tomllib.loads(path.read_text())["level"]
    return {rung: Level(**entries[rung]) for rung in RUNGS}


def criteria_of(asset: str) -> tuple[Criterion, ...]:
    """The criteria that measure an asset's output."""
    return tuple(c for c in load_criteria() if c.asset == asset)


def check(asset: str, figures: Figures) -> list[CriterionResult]:
    """The results of the criteria of one asset."""
    return [c.measured_by(figures) for c in criteria_of(asset)]


def evaluate(figures: Figures, deliveries: Mapping[str, Figures] | None = None) -> Certificate:
    """The certificate of a data set: ``figures`` of the set, and the figures of each of its ``deliveries``.

    A criterion of scope ``delivery`` holds for the set where it holds for every part; without ``deliveries`` it is
    taken from the set's own figures. Parts are the deliveries that give the set an image (figure ``b_kept`` above 0),
    or all where none does: a delivery of waste does not pull down a set that has nothing of it.
    """
    deliveries = deliveries or {}
    parts = sorted(d for d, f in deliveries.items() if f.get("b_kept")) or sorted(deliveries)
    results = []
    for criterion in load_criteria():
        if criterion.scope == "delivery" and parts:
            results.append(min((criterion.measured_by(deliveries[d]) for d in parts), key=_goodness))
        else:
            results.append(criterion.measured_by(figures))
    own = {d: [c.measured_by(f) for c in load_criteria() if c.scope == "delivery"] for d, f in deliveries.items()}
    return Certificate(
        level=highest(results, LEVELS),
        rung=highest(results, RUNGS),
        results=tuple(results),
        deliveries={d: highest(own[d], LEVELS[:3]) for d in sorted(own)},
        parts=tuple(parts),
    )


def highest(results: list[CriterionResult], rungs: tuple[str, ...]) -> str | None:
    """The highest of the rungs for which all criteria up to it pass; None where the first does not."""
    reached = None
    for rung in rungs:
        if not all(r.passes for r in results if r.criterion.level == rung):
            break
        reached = rung
    return reached


def _goodness(result: CriterionResult) -> tuple[bool, bool, float]:
    """Orders the results of one criterion from worst to best."""
    return result.passes, result.holds is not None, -abs((result.value or 0) - result.criterion.threshold)

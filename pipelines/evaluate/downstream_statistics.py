"""How good predictions of density are, and how much better those of one training set than of another, with intervals.

A figure is the mean over the repetitions (seeds) of a training. Its interval is a bootstrap over patients and over
repetitions together; two training sets are compared on the same patients and repetitions of every draw.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
CLASSES = 4
_ENDS = (2.5, 97.5)

Reals = NDArray[np.float64]

MEASURES = ("quadratic_kappa", "balanced_accuracy", "recall_A", "recall_B", "recall_C", "recall_D")


def quadratic_kappa(tables: Reals) -> Reals:
    """Quadratic-weighted kappa (Cohen 1968) of confusion tables (…, true, predicted); NaN where there is one class."""
    ranks = np.arange(tables.shape[-1])
    weights = (ranks[:, None] - ranks) ** 2
    n = tables.sum((-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = tables.sum(-1, keepdims=True) * tables.sum(-2, keepdims=True) / n[..., None, None]
        disagreement = (weights * expected).sum((-2, -1))
        return np.where(disagreement > 0, 1 - (weights * tables).sum((-2, -1)) / disagreement, np.nan)


def recalls(tables: Reals) -> Reals:
    """Recall of each class (…, classes); NaN for a class that does not occur."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.diagonal(tables, axis1=-2, axis2=-1) / tables.sum(-1)


def measure(tables: Reals) -> dict[str, Reals]:
    """All MEASURES of confusion tables (…, 4, 4)."""
    found = recalls(tables)
    known = ~np.isnan(found)
    with np.errstate(invalid="ignore"):
        balanced = np.where(known, found, 0).sum(-1) / known.sum(-1)
    figures = {"quadratic_kappa": quadratic_kappa(tables), "balanced_accuracy": balanced}
    return figures | {f"recall_{'ABCD'[number]}": found[..., number] for number in range(CLASSES)}


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95 % interval; None where it cannot be measured."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, value: float, draws: Reals) -> "Estimate":
        """From the figure and its bootstrap draws, rounded."""
        draws = draws[~np.isnan(draws)]
        if np.isnan(value) or not draws.size:
            return cls(None, None, None)
        low, high = np.percentile(draws, _ENDS)
        return cls(*(round(float(number), 6) for number in (value, low, high)))


class Scores:
    """The measures of one training set's predictions, and their bootstrap draws.

    ``true`` (images,) and ``predicted`` (seeds, images) are class numbers; ``patients`` (images,) whose they are.
    Scores over the same images and with as many seeds have draws that belong together.
    """

    def __init__(
        self, true: NDArray[np.int64], predicted: NDArray[np.int64], patients: NDArray[np.object_], draws: int = DRAWS
    ) -> None:
        _, patient = np.unique(patients.astype(str), return_inverse=True)
        seeds, count = len(predicted), int(patient.max(initial=-1)) + 1
        shape = (count, seeds, CLASSES, CLASSES)
        cells = [
            np.ravel_multi_index((patient, np.full_like(true, s), true, row), shape) for s, row in enumerate(predicted)
        ]
        tables = np.bincount(np.concatenate(cells), minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
        self.values = {name: _mean(figure) for name, figure in measure(tables.sum(0)).items()}
        rng = np.random.default_rng(0)
        drawn: dict[str, list[float]] = {name: [] for name in MEASURES}
        for _ in range(draws):
            times = np.bincount(rng.integers(0, count, count), minlength=count)
            chosen = rng.integers(0, seeds, seeds)
            for name, figure in measure(np.tensordot(times, tables, 1)[chosen]).items():
                drawn[name].append(_mean(figure))
        self.draws = {name: np.array(each) for name, each in drawn.items()}

    def estimate(self, name: str) -> Estimate:
        """A measure with its interval."""
        return Estimate.of(self.values[name], self.draws[name])

    def over(self, other: "Scores", name: str) -> Estimate:
        """How much higher a measure is than another training set's, with the interval of the paired difference."""
        return Estimate.of(self.values[name] - other.values[name], self.draws[name] - other.draws[name])


def _mean(figures: Reals) -> float:
    known = figures[~np.isnan(figures)]
    return float(known.mean()) if known.size else float("nan")

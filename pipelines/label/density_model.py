"""From measures of pixels to the probability of each density: ordinal regression with vendor groups, calibrated.

It stands in for LIBRA's support vector machine (Keller et al. 2012), which adds clusters up to one dense area. Vendor
groups have a shift and slopes of their own, drawn towards those of all together: the fewer patients, the closer. What
is chosen (measures, penalties, temperature, cap) is chosen by cross-validation over patients within what it is given.
"""

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from pipelines.label.ordinal import fit_ordinal, log_likelihoods, probabilities
from pipelines.label.percent_density import NAMES
from pipelines.storage.tables import DENSITIES

Floats = NDArray[np.float64]

CEILING = 0.6
"""No vote is more confident than this, whatever cross-validation says: with each other readers agree little more."""

LEAST_PATIENTS = 30
"""Labeled patients below which there is no model."""

MEASURES: tuple[tuple[str, ...], ...] = (
    ("percent_density",),
    ("percent_density", "brightest", "brightness", "spread", "lean"),
    ("percent_density", "brightest", "brightness", "spread", "lean", "compactness", "fine", "coarse"),
)
"""What the regression may rest on: density alone, with the shape of the histogram, with what lies where."""

_RIDGES = (1.0, 3.0, 10.0, 30.0)
"""Penalties tried on standardized slopes."""

LEAST_OF_GROUP = 10
"""Labeled patients below which a vendor group has no part of its own, and should get no votes.

Films judged by a model of digital pictures alone were ranked no better than by chance (-0.08): their gray rises
otherwise.
"""

_GROUP_RIDGES = (0.5, 4.0)
"""Penalties tried on a vendor group's own shift and slopes: deviations of 1.4 or of 0.5 are expected."""

_FOLDS = 5
_HOTTEST = 5.0


@dataclass(frozen=True)
class DensityModel:
    """What is needed to judge a breast; plain values, so that it can be written as JSON.

    ``classes``: in order; ``measures``: names; ``center``, ``scale``: of each measure; ``thresholds``, ``slopes``: of
    all vendors; ``groups``: the shift and slopes on top of each vendor group that has enough patients;
    ``temperature``: what predictors and thresholds are divided by; ``cap``: the most confident that a vote may be;
    ``patients``: learned from.
    """

    classes: tuple[str, ...]
    measures: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    thresholds: tuple[float, ...]
    slopes: tuple[float, ...]
    groups: dict[str, tuple[float, ...]]
    temperature: float
    cap: float
    patients: int

    def predictors(self, x: Floats, groups: Sequence[str | None]) -> Floats:
        """Linear predictors (n,) of measures (n, all of NAMES); a group not learned from has no part of its own."""
        z = (x[:, _columns(self.measures)] - np.array(self.center)) / np.array(self.scale)
        own = np.array([self.groups.get(g or "", (0.0,) * (1 + len(self.measures))) for g in groups])
        own = own.reshape(len(z), 1 + len(self.measures))
        return z @ np.array(self.slopes) + own[:, 0] + (own[:, 1:] * z).sum(1)

    def probabilities(self, x: Floats, groups: Sequence[str | None]) -> Floats:
        """The probability of each class (n, classes), calibrated, before the cap."""
        return self.at(self.predictors(x, groups))

    def at(self, predictors: Floats) -> Floats:
        """The probability of each class (n, classes) at linear predictors."""
        return probabilities(predictors / self.temperature, np.array(self.thresholds) / self.temperature)

    def to_json(self) -> str:
        """The model as JSON, the same bytes for the same model."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> "DensityModel":
        """The model that ``to_json`` wrote."""
        facts = json.loads(text)
        own = {name: tuple(values) for name, values in facts.pop("groups").items()}
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in facts.items()}
        return DensityModel(groups=own, **plain)


@dataclass(frozen=True)
class _Choice:
    """What cross-validation chooses: measures, and the penalties on all vendors' slopes and on a group's own part."""

    measures: tuple[str, ...]
    ridge: float
    group_ridge: float


@dataclass(frozen=True)
class _Cohort:
    """Rows to learn from: measures (n, all of NAMES), classes as ranges, vendor groups, patients, weights."""

    x: Floats
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    groups: NDArray[np.str_]
    patients: NDArray[np.str_]
    weights: Floats

    def of(self, rows: NDArray[np.bool_]) -> "_Cohort":
        return _Cohort(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def fit(
    x: Floats,
    densities: Sequence[str],
    groups: Sequence[str | None],
    patients: Sequence[str],
    classes: Sequence[str] = DENSITIES,
    candidates: Sequence[tuple[str, ...]] = MEASURES,
) -> DensityModel | None:
    """Fit on rows of measures (n, all of NAMES), one for each breast; ``densities`` are classes or ranges of them: BC;
    ``candidates`` are the sets of measures to choose from.

    Each patient counts once, however many rows she has. None with fewer than 30 patients or with fewer than two
    classes known for certain. Raises ValueError for a density that is not of the classes.
    """
    cohort = _cohort(x, densities, groups, patients, "".join(classes))
    certain = np.unique(cohort.first[cohort.first == cohort.last])
    people = len(set(patients))
    if people < LEAST_PATIENTS or certain.size < 2:
        return None
    folds = _folds(cohort.patients)
    best: tuple[float, _Choice, Floats, Floats] | None = None
    group_ridges = _GROUP_RIDGES if len(set(groups)) > 1 else _GROUP_RIDGES[:1]
    for choice in itertools.starmap(_Choice, itertools.product(candidates, _RIDGES, group_ridges)):
        predictors, thresholds = _held_out(cohort, folds, choice, len(classes))
        score = float(cohort.weights @ _log_likelihoods(cohort, predictors, thresholds, 1.0))
        if best is None or score > best[0]:
            best = score, choice, predictors, thresholds
    assert best is not None
    _, choice, predictors, thresholds = best
    temperature = _temperature(cohort, predictors, thresholds)
    cap = min(CEILING, math.floor(1000 * _accuracy(cohort, predictors, thresholds, temperature)) / 1000)
    return _model(cohort, choice, tuple(classes), temperature, cap, people)


def _cohort(
    x: Floats, densities: Sequence[str], groups: Sequence[str | None], patients: Sequence[str], classes: str
) -> _Cohort:
    if any(not d or d not in classes for d in densities):
        raise ValueError(f"a density that is not of {classes}")
    ids = np.array(patients, str)
    _, which, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return _Cohort(
        np.asarray(x, np.float64).reshape(len(ids), len(NAMES)),
        np.array([classes.index(d[0]) for d in densities], np.intp),
        np.array([classes.index(d[-1]) for d in densities], np.intp),
        np.array([g or "" for g in groups], str),
        ids,
        1.0 / counts[which],
    )


def _columns(measures: Sequence[str]) -> list[int]:
    return [NAMES.index(name) for name in measures]


def _folds(patients: NDArray[np.str_]) -> NDArray[np.intp]:
    """The fold of each row: patients in the order of a hash of their ids, dealt out in turn."""
    order = sorted(set(patients.tolist()), key=lambda p: hashlib.sha256(b"folds\0" + p.encode()).digest())
    fold = {patient: i % _FOLDS for i, patient in enumerate(order)}
    return np.array([fold[p] for p in patients.tolist()], np.intp)


def _held_out(cohort: _Cohort, folds: NDArray[np.intp], choice: _Choice, classes: int) -> tuple[Floats, Floats]:
    """Each row's predictor (n,) and thresholds (n, classes − 1) by a model that has not seen its patient."""
    predictors, thresholds = np.zeros(len(folds)), np.zeros((len(folds), classes - 1))
    for fold in range(_FOLDS):
        out = folds == fold
        model = _model(cohort.of(~out), choice, tuple(map(str, range(classes))), 1.0, 1.0, 0)
        predictors[out] = model.predictors(cohort.x[out], cohort.groups[out].tolist())
        thresholds[out] = model.thresholds
    return predictors, thresholds


def _model(
    cohort: _Cohort,
    choice: _Choice,
    classes: tuple[str, ...],
    temperature: float,
    cap: float,
    people: int,
) -> DensityModel:
    """One regression over all vendors: columns for all, then for each group its shift and its slopes.

    A vendor alone has nothing on top: what is of all is its own.
    """
    x = cohort.x[:, _columns(choice.measures)]
    center = np.average(x, axis=0, weights=cohort.weights)
    scale = np.sqrt(np.average((x - center) ** 2, axis=0, weights=cohort.weights))
    scale = np.where(scale > 1e-9, scale, 1.0)
    z = (x - center) / scale
    names = _large_groups(cohort)
    with_own = names if len(set(cohort.groups.tolist())) > 1 else []
    own = np.column_stack([np.ones(len(z)), z])
    columns = [z, *(own * (cohort.groups == name)[:, None] for name in with_own)]
    penalties = np.repeat([choice.ridge, choice.group_ridge], [z.shape[1], len(with_own) * own.shape[1]])
    found = fit_ordinal(np.hstack(columns), cohort.first, cohort.last, cohort.weights, penalties, len(classes))
    parts = found.slopes[z.shape[1] :].reshape(len(with_own), own.shape[1]).tolist()
    parts = parts or [[0.0] * own.shape[1]] * len(names)
    return DensityModel(
        classes,
        choice.measures,
        tuple(center.tolist()),
        tuple(scale.tolist()),
        tuple(found.thresholds.tolist()),
        tuple(found.slopes[: z.shape[1]].tolist()),
        {name: tuple(part) for name, part in zip(names, parts, strict=True)},
        temperature,
        cap,
        people,
    )


def _large_groups(cohort: _Cohort) -> list[str]:
    """The named vendor groups with enough patients, sorted."""
    pairs = set(zip(cohort.groups.tolist(), cohort.patients.tolist(), strict=True))
    sizes = Counter(group for group, _ in pairs)
    return sorted(group for group, size in sizes.items() if group and size >= LEAST_OF_GROUP)


def _each(cohort: _Cohort, thresholds: Floats, judge: Callable[[NDArray[np.bool_], Floats], Floats]) -> Floats:
    """What ``judge`` says of the rows that share thresholds, in the cohort's order."""
    found = np.zeros(len(thresholds))
    for shared in np.unique(thresholds, axis=0):
        rows = (thresholds == shared).all(1)
        found[rows] = judge(rows, shared)
    return found


def _log_likelihoods(cohort: _Cohort, predictors: Floats, thresholds: Floats, temperature: float) -> Floats:
    def judge(rows: NDArray[np.bool_], shared: Floats) -> Floats:
        scaled = predictors[rows] / temperature, shared / temperature
        return log_likelihoods(*scaled, cohort.first[rows], cohort.last[rows])

    return _each(cohort, thresholds, judge)


def _temperature(cohort: _Cohort, predictors: Floats, thresholds: Floats) -> float:
    """What to divide by, 1 at least, for the held-out rows to be most likely."""

    def loss(temperature: float) -> float:
        return -float(cohort.weights @ _log_likelihoods(cohort, predictors, thresholds, temperature))

    return float(minimize_scalar(loss, bounds=(1.0, _HOTTEST), method="bounded").x)


def _accuracy(cohort: _Cohort, predictors: Floats, thresholds: Floats, temperature: float) -> float:
    """Share of patients' held-out rows whose likeliest class is theirs."""

    def judge(rows: NDArray[np.bool_], shared: Floats) -> Floats:
        said = probabilities(predictors[rows] / temperature, shared / temperature).argmax(1)
        return ((said >= cohort.first[rows]) & (said <= cohort.last[rows])).astype(np.float64)

    return float(np.average(_each(cohort, thresholds, judge), weights=cohort.weights))

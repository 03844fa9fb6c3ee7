"""Statistics of harmonization: how well the vendor can be told from grays, how well density be seen, with intervals.

Every interval is a bootstrap over patients, since pictures of one patient are alike; before and after are drawn
together, so that their difference has an interval of its own. All is seeded: the same pictures give the same figures.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LEAST_IMAGES = 30
LEAST_PATIENTS = 8
"""A vendor with fewer pictures or patients is not measured by itself."""

FOLDS = 5
DRAWS = 1000
_AT_ONCE = 100
_ENDS = (2.5, 97.5)

Reals = NDArray[np.float64]
Names = NDArray[np.object_]


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, draws: Reals) -> "Estimate":
        """From the figure and its bootstrap draws; rounded, so that they are the same wherever they are computed."""
        low, high = np.percentile(draws, _ENDS)
        return cls(*(round(float(number), 6) for number in (value, low, high)))


@dataclass(frozen=True)
class Change:
    """A figure before and after the curves, and after less before."""

    before: Estimate
    after: Estimate
    change: Estimate

    @classmethod
    def of(cls, values: Reals, draws: Reals) -> "Change":
        """From the figure before and after (2,), and their draws (2, DRAWS), made together."""
        return cls(
            Estimate.of(values[0], draws[0]),
            Estimate.of(values[1], draws[1]),
            Estimate.of(values[1] - values[0], draws[1] - draws[0]),
        )


def maker_group(vendor_group: str) -> str:
    """All of a maker's vendor groups with one presentation intent, ``maker|*|intent|*``: where groups are small."""
    parts = vendor_group.split("|")
    return f"{parts[0]}|*|{parts[2]}|*" if len(parts) == 4 else vendor_group


def is_enough(frame: pd.DataFrame, vendor: str) -> pd.Series:
    """Whether each row's vendor, named in a column, has pictures and patients enough."""
    by_vendor = frame.groupby(vendor)
    large = (by_vendor.size() >= LEAST_IMAGES) & (by_vendor["patient"].nunique() >= LEAST_PATIENTS)
    return frame[vendor].map(large).fillna(False).astype(bool)


def common_mix(vendors: Names, densities: Names) -> Reals:
    """Weights (n,) that give every vendor one mix of densities: pictures of density d of vendor v weigh m(d) / n(v, d).

    m(d) = 1 / Σ 1 / n(v, d) over the vendors (overlap weights, Li & Li 2019): a density that one of them lacks counts
    for nothing, a rare one for little. ``densities`` holds None where it is not known.
    """
    names = np.unique(vendors)
    weights = np.zeros(len(vendors))
    for density in sorted({d for d in densities if d is not None}):
        members = [(vendors == name) & (densities == density) for name in names]
        counts = np.array([member.sum() for member in members])
        if counts.all():
            for member, count in zip(members, counts, strict=True):
                weights[member] = 1 / np.sum(1 / counts) / count
    return weights


def vendor_accuracy(
    features: tuple[Reals, Reals], vendors: Names, patients: Names, weights: Reals
) -> dict[str, Change]:
    """Recall of each vendor by name, and balanced accuracy as ``*``, of a logistic regression.

    Cross-validated by patient. ``features`` (n, k) before and after; ``weights`` (n,) above 0, as of ``common_mix``.
    """
    told = [_told(part, vendors, patients, weights) for part in features]
    names = sorted(set(vendors))
    values = np.empty((2, len(names)))
    draws = np.empty((2, DRAWS, len(names)))
    rng = np.random.default_rng(0)
    for at, name in enumerate(names):
        own = vendors == name
        patient, drawn = patients_drawn(patients[own], rng)
        total = np.bincount(patient, weights[own])
        for part in (0, 1):
            right = np.bincount(patient, weights[own] * (told[part][own] == name))
            values[part, at] = right.sum() / total.sum()
            draws[part, :, at] = (drawn @ right) / (drawn @ total)
    return _changes(names, values, draws) | {"*": Change.of(values.mean(axis=1), draws.mean(axis=2))}


def _told(features: Reals, vendors: Names, patients: Names, weights: Reals) -> Names:
    """What each picture's vendor is taken for by a model that has seen none of its patient's pictures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    told = np.empty_like(vendors)
    for train, test in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(features, vendors, patients):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, class_weight="balanced"))
        model.fit(features[train], vendors[train].astype(str), logisticregression__sample_weight=weights[train])
        told[test] = model.predict(features[test])
    return told


def density_correlation(grays: tuple[Reals, Reals], ranks: Reals, vendors: Names, patients: Names) -> dict[str, Change]:
    """Spearman's correlation of mean gray (n,), before and after, with the density's rank (n,), among each vendor's
    pictures by name, and the mean of these over pictures as ``*``."""
    names = sorted(set(vendors))
    rng = np.random.default_rng(0)
    values = np.empty((2, len(names)))
    draws = np.empty((2, DRAWS, len(names)))
    for at, name in enumerate(names):
        own = vendors == name
        patient, drawn = patients_drawn(patients[own], rng)
        for part in (0, 1):
            gray, rank = grays[part][own], ranks[own]
            values[part, at] = spearman(gray, rank, np.ones((1, len(gray))))[0]
            for first in range(0, DRAWS, _AT_ONCE):
                some = slice(first, first + _AT_ONCE)
                draws[part, some, at] = spearman(gray, rank, drawn[some][:, patient])
    share = np.array([np.sum(vendors == name) for name in names]) / len(vendors)
    return _changes(names, values, draws) | {"*": Change.of(values @ share, draws @ share)}


def spearman(one: Reals, other: Reals, times: Reals) -> Reals:
    """Spearman's rank correlation (b,) of samples in which each of n pairs stands ``times`` (b, n) times.

    Ties have their mean rank; 0 where either does not vary, and tells nothing.
    """
    total = times.sum(axis=1, keepdims=True)
    x, y = (_ranks(values, times) - total / 2 for values in (one, other))
    product, scale = (times * x * y).sum(axis=1), (times * x * x).sum(axis=1) * (times * y * y).sum(axis=1)
    return np.divide(product, np.sqrt(scale), out=np.zeros(len(times)), where=scale > 0)


def _ranks(values: Reals, times: Reals) -> Reals:
    """Ranks (b, n) from 0 to the sample's size, half of a tie below and half above."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(values[order]) > 0]))
    tied = np.add.reduceat(times[:, order], starts, axis=1)
    middle = tied.cumsum(axis=1) - tied / 2
    return middle[:, np.searchsorted(values[order][starts], values)]


def patients_drawn(patients: Names, rng: np.random.Generator) -> tuple[NDArray[np.intp], Reals]:
    """Each row's patient by number (n,), and how often each patient is in each bootstrap sample (DRAWS, patients)."""
    _, patient = np.unique(patients.astype(str), return_inverse=True)
    count = int(patient.max()) + 1
    return patient, rng.multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float64)


def _changes(names: list[str], values: Reals, draws: Reals) -> dict[str, Change]:
    """Each vendor's figure from values (2, vendors) and draws (2, DRAWS, vendors)."""
    return {name: Change.of(values[:, i], draws[:, :, i]) for i, name in enumerate(names)}

"""Statistics of harmonization: how well the vendor can be told from grays, how well density be seen, with intervals.

Every interval is a bootstrap over patients, since pictures of one patient are alike; before and after are drawn
together, so that their difference has an interval of its own. All is seeded: the same pictures give the same figures.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
DRAWS = 1000
DRAWS_OF_RANKS = 300
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
        """From the figure and its bootstrap draws."""
        low, high = np.percentile(draws, _ENDS)
        return cls(float(value), float(low), float(high))


@dataclass(frozen=True)
class Change:
    """A figure before and after the curves, and after less before."""

    before: Estimate
    after: Estimate
    change: Estimate

    @classmethod
    def of(cls, values: tuple[float, float], draws: tuple[Reals, Reals]) -> "Change":
        """From the figure before and after, and their draws, made together."""
        return cls(
            Estimate.of(values[0], draws[0]),
            Estimate.of(values[1], draws[1]),
            Estimate.of(values[1] - values[0], draws[1] - draws[0]),
        )


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
        _, patient = np.unique(patients[own].astype(str), return_inverse=True)
        count = patient.max() + 1
        drawn = rng.multinomial(count, np.full(count, 1 / count), DRAWS)
        total = np.bincount(patient, weights[own])
        for part in (0, 1):
            right = np.bincount(patient, weights[own] * (told[part][own] == name))
            values[part, at] = right.sum() / total.sum()
            draws[part, :, at] = (drawn @ right) / (drawn @ total)
    found = {
        name: Change.of((values[0, i], values[1, i]), (draws[0, :, i], draws[1, :, i])) for i, name in enumerate(names)
    }
    means = values.mean(axis=1)
    return found | {"*": Change.of((means[0], means[1]), (draws[0].mean(axis=1), draws[1].mean(axis=1)))}


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
    draws = np.empty((2, DRAWS_OF_RANKS, len(names)))
    for at, name in enumerate(names):
        own = vendors == name
        resampled = _resampled(patients[own], rng)
        for part in (0, 1):
            gray, rank = grays[part][own], ranks[own]
            values[part, at] = spearman(gray, rank)
            draws[part, :, at] = [spearman(gray[rows], rank[rows]) for rows in resampled]
    found = {
        name: Change.of((values[0, i], values[1, i]), (draws[0, :, i], draws[1, :, i])) for i, name in enumerate(names)
    }
    share = np.array([np.sum(vendors == name) for name in names]) / len(vendors)
    means = values @ share
    return found | {"*": Change.of((means[0], means[1]), (draws[0] @ share, draws[1] @ share))}


def _resampled(patients: Names, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Row numbers of bootstrap samples: as many patients as there are, drawn with replacement, with all their rows."""
    _, patient = np.unique(patients.astype(str), return_inverse=True)
    rows_of = [np.flatnonzero(patient == p) for p in range(patient.max() + 1)]
    drawn = rng.integers(0, len(rows_of), (DRAWS_OF_RANKS, len(rows_of)))
    return [np.concatenate([rows_of[p] for p in sample]) for sample in drawn]


def spearman(one: Reals, other: Reals) -> float:
    """Spearman's rank correlation, ties given their mean rank; 0 where either does not vary, and tells nothing."""
    from scipy.stats import rankdata

    x, y = (rankdata(values) - (len(values) + 1) / 2 for values in (one, other))
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else 0.0

"""Can the vendor be told from the gray values? Balanced accuracy of a plain classifier, with the curves applied.

Features are quantiles of the breast histogram after the group's curve. The classifier is a logistic regression,
cross-validated by patient, over groups with images enough; chance is one over the number of groups.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

LEAST_IMAGES = 50
LEAST_PATIENTS = 12
MOST_IMAGES = 400
FOLDS = 5
QUANTILES = np.linspace(0.05, 0.95, 19)
NORMAL_95 = 1.645


@dataclass(frozen=True)
class VendorAccuracy:
    """Balanced accuracy (0 to 1), its standard error, and chance; ``excess_low`` is the one-sided lower 95 % bound."""

    accuracy: float
    error: float
    chance: float

    @property
    def excess_low(self) -> float:
        """How far above chance the vendor can be told, at least, with 95 % confidence."""
        return self.accuracy - self.chance - NORMAL_95 * self.error


def vendor_balanced_accuracy(images: pa.Table, curves: pa.Table) -> VendorAccuracy | None:
    """Measure it over the kept images; None with fewer than two groups of ``LEAST_IMAGES`` images and some patients.

    Of larger groups the first ``MOST_IMAGES`` in the order of their image ids count: ids are keyed hashes, so this is a
    fixed random choice.
    """
    luts = {row["vendor_group"]: np.asarray(row["lut"], np.float64) for row in curves.to_pylist()}
    groups = {name: rows for name, rows in _groups(images).items() if name in luts and _is_enough(rows)}
    if len(groups) < 2:
        return None
    chosen = [(name, row) for name, rows in sorted(groups.items()) for row in rows[:MOST_IMAGES]]
    features = np.stack([_quantiles(np.asarray(row["breast_histogram"]), luts[name]) for name, row in chosen])
    return _cross_validate(features, np.array([n for n, _ in chosen]), np.array([r["patient"] for _, r in chosen]))


def _groups(images: pa.Table) -> dict[str, list[dict[str, Any]]]:
    names = ["image_id", "status", "patient", "vendor_group", "breast_histogram"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(images.select(names).to_pylist(), key=lambda r: r["image_id"]):
        usable = (
            row["status"] == "kept" and row["patient"] and row["vendor_group"] and any(row["breast_histogram"] or ())
        )
        if usable:
            groups.setdefault(row["vendor_group"], []).append(row)
    return groups


def _is_enough(rows: list[dict[str, Any]]) -> bool:
    return len(rows) >= LEAST_IMAGES and len({row["patient"] for row in rows}) >= LEAST_PATIENTS


def _quantiles(histogram: np.ndarray, lut: np.ndarray) -> np.ndarray:
    """Gray values at QUANTILES of a 4,096-bin histogram, after the curve, as shares of the range."""
    cumulative = np.cumsum(histogram) / histogram.sum()
    return lut[np.searchsorted(cumulative, QUANTILES)] / 4095


def _cross_validate(features: np.ndarray, groups: np.ndarray, patients: np.ndarray) -> VendorAccuracy:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    told = np.empty_like(groups)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for train, test in folds.split(features, groups, patients):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, class_weight="balanced"))
        told[test] = model.fit(features[train], groups[train]).predict(features[test])
    names = sorted(set(groups))
    recalls = np.array([np.mean(told[groups == n] == n) for n in names])
    # Images of a patient are alike: the error counts patients, not images.
    patients_of = np.array([len(set(patients[groups == n])) for n in names])
    error = np.sqrt(np.sum(np.maximum(recalls * (1 - recalls), 0.01) / patients_of)) / len(names)
    return VendorAccuracy(float(recalls.mean()), float(error), 1 / len(names))

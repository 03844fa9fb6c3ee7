"""Is the density that was asked for the density that is seen: judged by an estimator that is independent of the GAN.

The estimator comes in as a function, learned here on the real training pictures at the level that is judged. Where
there is none, or it cannot learn, the dense fraction stands in. A high share is no merit by itself: the most collapsed
trainings had the highest, as one typical picture a class is easily told. Read it beside diversity and recall.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.pgan.metrics import dense_fractions, dense_threshold
from pipelines.storage.tables import DENSITIES

Judge = Callable[[np.ndarray, Sequence[str]], Sequence[str | None]]
"""Densities of pictures uint16 (n, rows, columns) and their views; None where a picture cannot be judged."""

Teach = Callable[[np.ndarray, Sequence[str], Sequence[str], Sequence[str]], Judge | None]
"""Learns a judge from pictures uint16 (n, rows, columns), views, densities and patients; None where it cannot."""


@dataclass(frozen=True)
class Estimator:
    """A way to tell density from pixels: its name for the report, and how it learns."""

    name: str
    teach: Teach


@dataclass(frozen=True)
class Pictures:
    """Pictures uint16 0…4095 (n, rows, columns) with their views, densities and patients (empty where generated)."""

    gray: np.ndarray
    views: Sequence[str]
    densities: Sequence[str]
    patients: Sequence[str] = ()


def _unit(gray: np.ndarray) -> np.ndarray:
    return gray.astype(np.float32) / 2047.5 - 1


def teach_dense_fraction(
    pictures: np.ndarray, views: Sequence[str], densities: Sequence[str], patients: Sequence[str]
) -> Judge:
    """A judge by the dense fraction: the density whose mean fraction among real pictures of that view is nearest."""
    threshold = dense_threshold(_unit(pictures))
    fractions = dense_fractions(_unit(pictures), threshold)
    means: dict[str, dict[str, float]] = {}
    for view in sorted(set(views)):
        for density in sorted(set(densities)):
            members = [v == view and d == density for v, d in zip(views, densities, strict=True)]
            if any(members):
                means.setdefault(view, {})[density] = float(fractions[members].mean())

    def judge(asked: np.ndarray, of_views: Sequence[str]) -> list[str | None]:
        seen = dense_fractions(_unit(asked), threshold)
        return [
            min(means[v], key=lambda d: abs(means[v][d] - fraction)) if v in means else None
            for v, fraction in zip(of_views, seen.tolist(), strict=True)
        ]

    return judge


DENSE_FRACTION = Estimator("dense fraction", teach_dense_fraction)


def followed(judged: Sequence[str | None], asked: Sequence[str]) -> dict[str, Any]:
    """How far the densities judged are those asked for; nulls where nothing could be judged.

    ``recovered``: share judged as asked, whatever could not be judged counted as missed; ``per_class`` likewise;
    ``within_one``: at most one class off; ``spearman``: rank correlation of judged and asked, null where either does
    not vary.
    """
    from scipy.stats import spearmanr

    pairs = [(j, a) for j, a in zip(judged, asked, strict=True) if j is not None]
    if not pairs:
        nothing = dict.fromkeys(("recovered", "within_one", "spearman"))
        return {"pictures": len(asked), "judged": 0, **nothing, "per_class": {}}
    ranks = np.array([[DENSITIES.index(j), DENSITIES.index(a)] for j, a in pairs])
    varies = bool((np.ptp(ranks, axis=0) > 0).all())
    per_class = {
        name: sum(j == a == name for j, a in pairs) / sum(a == name for a in asked) for name in sorted(set(asked))
    }
    return {
        "pictures": len(asked),
        "judged": len(pairs),
        "recovered": sum(j == a for j, a in pairs) / len(asked),
        "within_one": float((np.abs(ranks[:, 0] - ranks[:, 1]) <= 1).sum() / len(asked)),
        "spearman": float(spearmanr(ranks[:, 0], ranks[:, 1]).statistic) if varies else None,
        "per_class": per_class,
    }


def class_fidelity(
    estimator: Estimator | None, learned_from: Pictures, held_back: Pictures, generated: Pictures
) -> dict[str, Any]:
    """What a judge learned from real training pictures makes of generated ones, and of held-back real ones beside.

    Without an estimator, or where it cannot learn or judges less than half of the held-back pictures (of those that
    it learned from, where none are held back), the dense fraction judges.
    """
    name, judge = _judge(estimator, learned_from, held_back)
    return {
        "estimator": name,
        "learned_from": len(learned_from.densities),
        "real": followed(judge(held_back.gray, held_back.views), held_back.densities),
        "generated": followed(judge(generated.gray, generated.views), generated.densities),
    }


def _judge(estimator: Estimator | None, learned_from: Pictures, held_back: Pictures) -> tuple[str, Judge]:
    material = learned_from.gray, learned_from.views, learned_from.densities, learned_from.patients
    known = held_back if len(held_back.densities) else learned_from
    judge = estimator.teach(*material) if estimator else None
    if estimator and judge:
        told = sum(density is not None for density in judge(known.gray, known.views))
        if 2 * told >= len(known.densities):
            return estimator.name, judge
    return DENSE_FRACTION.name, teach_dense_fraction(*material)

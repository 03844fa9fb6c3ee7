"""Does the density seen, as the label rung measures it, follow the density that was asked for?"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from pipelines.storage.tables import DENSITIES
from pipelines.synthesize.judges import Estimate
from pipelines.synthesize.pictures import PictureSet
from pipelines.synthesize.screening import expected_rank

MEASURES = ("percent_density", "expected_density")
"""Percent density alone, and the class that the estimator expects by all it measures, as a rank 0…3."""


def density_followed(rows: Iterable[Mapping[str, Any]], real: PictureSet, estimate: Estimate | None) -> dict[str, Any]:
    """Of rows of SYNTHETIC: ``generated``, all candidates by the density asked for, and ``kept``, by their label; and
    of ``real`` pictures that the estimator has not learned from, by theirs.

    Each has for both measures the number of pictures that could be measured, their mean in each density, Spearman's
    rank correlation (null where either does not vary), and ``falls``: how often the mean falls from a density to the
    next that has pictures; null with fewer than two.
    """
    every = list(rows)
    kept = [row for row in every if row["verdict"] == "kept"]
    known = _seen(real, estimate) if estimate is not None else []
    parts = {"generated": (every, "requested_density"), "kept": (kept, "density"), "real": (known, "density")}
    return {
        part: {measure: _followed(own, named, measure) for measure in MEASURES} for part, (own, named) in parts.items()
    }


def _seen(real: PictureSet, estimate: Estimate) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for one in real.batches(1):
        likely, percent = estimate(one.pictures, one.views)
        expected = expected_rank(likely[0])
        rows.append(
            {
                "density": one.densities[0],
                "percent_density": float(percent[0]) if np.isfinite(percent[0]) else None,
                "expected_density": expected if np.isfinite(expected) else None,
            }
        )
    return rows


def _followed(rows: list[Mapping[str, Any]], named: str, measure: str) -> dict[str, Any]:
    from scipy.stats import spearmanr

    seen = [(DENSITIES.index(r[named]), r[measure]) for r in rows if r[measure] is not None]
    ranks, values = np.array([rank for rank, _ in seen]), np.array([value for _, value in seen])
    means = {name: float(values[ranks == i].mean()) for i, name in enumerate(DENSITIES) if (ranks == i).any()}
    varies = len(seen) > 1 and bool(np.ptp(ranks)) and bool(np.ptp(values))
    return {
        "pictures": len(seen),
        "mean": means,
        "spearman": float(spearmanr(ranks, values).statistic) if varies else None,
        "falls": sum(b <= a for a, b in pairwise(means.values())) if len(means) > 1 else None,
    }

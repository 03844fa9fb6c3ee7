"""Does percent density, as the label rung measures it, follow the density that was asked for?"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from pipelines.storage.tables import DENSITIES


def density_followed(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Of rows of SYNTHETIC: ``generated``, all candidates by the density asked for, and ``kept``, by their label.

    Each has the number of pictures that could be measured, the mean percent density of each density, Spearman's rank
    correlation (null where either does not vary), and ``falls``: how often the mean falls from a density to the next
    that has pictures; null with fewer than two.
    """
    every = list(rows)
    kept = [row for row in every if row["verdict"] == "kept"]
    return {"generated": _followed(every, "requested_density"), "kept": _followed(kept, "density")}


def _followed(rows: list[Mapping[str, Any]], named: str) -> dict[str, Any]:
    from scipy.stats import spearmanr

    seen = [(DENSITIES.index(r[named]), r["percent_density"]) for r in rows if r["percent_density"] is not None]
    ranks, shares = np.array([rank for rank, _ in seen]), np.array([share for _, share in seen])
    means = {name: float(shares[ranks == i].mean()) for i, name in enumerate(DENSITIES) if (ranks == i).any()}
    order = list(means.values())
    varies = len(seen) > 1 and bool(np.ptp(ranks)) and bool(np.ptp(shares))
    return {
        "pictures": len(seen),
        "mean": means,
        "spearman": float(spearmanr(ranks, shares).statistic) if varies else None,
        "falls": sum(b <= a for a, b in pairwise(order)) if len(order) > 1 else None,
    }

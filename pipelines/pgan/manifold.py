"""Do generated pictures lie where the real ones do, and everywhere they do: precision, recall, density, coverage.

Nearest neighbors in a fixed feature space of this project's own (``features``); no network judges a network here.
Kynkäänniemi et al. 2019 (precision, recall); Naeem et al. 2020 (density, coverage).
"""

import numpy as np

from pipelines.pgan.metrics import dense_fractions, reduced

NEIGHBORS = 5
"""Neighbors that span a ball (Naeem et al. 2020, section 4)."""

ROWS = 20
"""Pictures are compared as averaged down to 20×16."""

SUBSET = 128
"""Pictures a side: the figures depend on the count, so all sets have as many."""


def features(pictures: np.ndarray, threshold: float, scale: float | None = None) -> tuple[np.ndarray, float]:
    """Feature vectors float64 (n, 321) of pictures (n, rows, columns), and the scale of the last feature.

    The picture averaged down to at most 20×16 as gray values, then its dense fraction above ``threshold``. The dense
    fraction is scaled so that it varies as much as all the gray values together: give the real set's ``scale`` to
    all that are compared with it.
    """
    small = reduced(pictures, ROWS).reshape(len(pictures), -1).astype(np.float64)
    dense = dense_fractions(pictures, threshold)
    if scale is None:
        scale = float(np.sqrt(small.var(axis=0).sum() / dense.var())) if dense.var() > 0 else 1.0
    return np.concatenate([small, scale * dense[:, None]], axis=1), scale


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def _radii(points: np.ndarray, neighbors: int) -> np.ndarray:
    """Each point's distance to its ``neighbors``-th nearest other point."""
    distance = _distances(points, points)
    np.fill_diagonal(distance, 0)
    return np.sort(distance, axis=1)[:, neighbors]


def neighborhood(real: np.ndarray, fake: np.ndarray, neighbors: int = NEIGHBORS) -> dict[str, float]:
    """Precision, recall, density and coverage of ``fake`` beside ``real``; feature vectors (n, d) and (m, d).

    Around each real vector lies a ball that reaches to its k-th nearest real neighbor. Precision: share of generated
    vectors in any real ball; recall: share of real vectors in any generated ball; density: generated vectors in a
    real ball, over k; coverage: share of real balls with a generated vector in them. Raises ValueError with no more
    than k vectors.
    """
    if min(len(real), len(fake)) <= neighbors:
        raise ValueError(f"more than {neighbors} vectors are needed on each side")
    distance = _distances(real, fake)
    inside = distance < _radii(real, neighbors)[:, None]
    recalled = distance < _radii(fake, neighbors)
    return {
        "precision": float(inside.any(axis=0).mean()),
        "recall": float(recalled.any(axis=1).mean()),
        "density": float(inside.sum() / (neighbors * len(fake))),
        "coverage": float(inside.any(axis=1).mean()),
    }


def neighborhood_beside_real(
    real: np.ndarray, fake: np.ndarray, threshold: float, seed: int = 0
) -> dict[str, dict[str, float] | None]:
    """``generated``: generated pictures beside one half of the real ones; ``real``: the other half beside it.

    Pictures (n, rows, columns) in −1…1, at most 128 on each side; null with too few of them.
    """
    order = np.random.default_rng(seed).permutation(len(real))
    count = min(len(real) // 2, len(fake), SUBSET)
    if count <= NEIGHBORS:
        return {"generated": None, "real": None}
    first, scale = features(real[order[:count]], threshold)
    second, _ = features(real[order[count : 2 * count]], threshold, scale)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(fake))[:count])
    generated, _ = features(fake[chosen], threshold, scale)
    return {"generated": neighborhood(first, generated), "real": neighborhood(first, second)}

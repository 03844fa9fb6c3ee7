"""Fréchet distance between two sets of feature vectors (Heusel et al. 2017), in a feature space that is given."""

import numpy as np


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of the Gaussians fitted to vectors (n, size) and (m, size), float64: |μa − μb|² + tr(A + B − 2 √(AB)).

    It falls with the number of vectors: compare only distances between sets of the same sizes. With fewer vectors than
    features the covariances are singular; the trace of √(AB) is taken from the singular values of the sets' product,
    which needs no inverse. Raises ValueError with fewer than two vectors on a side.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError("two vectors are needed on each side")
    x, y = ((v - v.mean(axis=0)) / np.sqrt(len(v) - 1) for v in (a, b))
    # A = xᵀx and B = yᵀy, so that the eigenvalues of AB are the squares of the singular values of x yᵀ.
    shared = float(np.linalg.svd(x @ y.T, compute_uv=False).sum())
    apart = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    return max(0.0, apart + float((x**2).sum() + (y**2).sum()) - 2 * shared)

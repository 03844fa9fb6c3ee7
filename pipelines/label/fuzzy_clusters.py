"""Fuzzy c-means over a histogram of gray: clusters of like attenuation, as many as the histogram has humps.

Bezdek 1981, with exponent 2. Over a histogram instead of over pixels the outcome is the same and the cost is that of
4,096 values. The number of clusters adapts to the picture as in Keller et al. 2011 (MICCAI) and 2012 (Med Phys 39:4903,
"LIBRA"), who take it from the histogram's peaks after standardizing the gray.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Floats = NDArray[np.float64]

FEWEST, MOST = 3, 8
"""Clusters: with two, the fat's own variation is taken for gland; more than eight share humps among them."""

_LEVELS, _REACH = 256, 3.0
"""The standardized histogram: its bins, over so many deviations either way."""

_SMOOTHING, _LEAST_HUMP = 0.1, 0.02
"""A hump: a maximum after smoothing by so many deviations, at least so high over the highest one."""

_SETTLED, _ROUNDS = 1e-3, 500
"""Centers that move by less than this (gray values) have settled; rounds after which they are taken as they are."""


@dataclass(frozen=True)
class Clusters:
    """``centers``: gray, rising, (k,); ``shares``: each one's share of the pixels, by membership, (k,), sum 1."""

    centers: Floats
    shares: Floats


def cluster(histogram: NDArray[np.generic], count: int) -> Clusters | None:
    """Cluster a histogram (one bin for each gray value 0…) into ``count`` clusters.

    They start at evenly spaced quantiles, so the outcome depends on nothing but the histogram. None where fewer than
    ``count`` gray values occur. Raises ValueError for a histogram that is not of counts, and for a count below 1.
    """
    gray, weights = _occurring(histogram)
    if count < 1:
        raise ValueError("fewer than one cluster")
    if gray.size < count:
        return None
    centers = _spread_out(gray, weights, count)
    for _ in range(_ROUNDS):
        powers = weights * memberships(gray, centers) ** 2
        moved = powers @ gray / powers.sum(1)
        settled = np.abs(moved - centers).max() < _SETTLED
        centers = moved
        if settled:
            break
    order = np.argsort(centers, kind="stable")
    shares = memberships(gray, centers) @ weights / weights.sum()
    return Clusters(centers[order], shares[order])


def memberships(gray: Floats, centers: Floats) -> Floats:
    """How far each gray value (n,) belongs to each center (k,): (k, n), columns sum to 1.

    In inverse proportion to the squared distance; a value at a center belongs to it alone (to several at one place in
    equal parts).
    """
    squares = (gray[None, :] - centers[:, None]) ** 2
    nearest = squares.min(0)
    closeness = np.where(nearest > 0, nearest / np.where(squares > 0, squares, 1.0), squares == 0)
    return closeness / closeness.sum(0)


def count_humps(histogram: NDArray[np.generic]) -> int:
    """The number of clusters for a histogram: its humps, but not fewer than 3 nor more than 8."""
    gray, weights = _occurring(histogram)
    if gray.size < 2:
        return FEWEST
    mean = np.average(gray, weights=weights)
    deviation = np.sqrt(np.average((gray - mean) ** 2, weights=weights))
    binned, _ = np.histogram((gray - mean) / deviation, _LEVELS, (-_REACH, _REACH), weights=weights)
    smooth = gaussian_filter1d(binned.astype(np.float64), _SMOOTHING * _LEVELS / (2 * _REACH), mode="constant")
    padded = np.concatenate([[0.0], smooth, [0.0]])
    is_hump = (padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]) & (smooth >= _LEAST_HUMP * smooth.max())
    return int(np.clip(is_hump.sum(), FEWEST, MOST))


def _occurring(histogram: NDArray[np.generic]) -> tuple[Floats, Floats]:
    """The gray values that occur, and how often."""
    counts = np.asarray(histogram, np.float64)
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError("not a histogram of counts")
    gray = np.flatnonzero(counts)
    return gray.astype(np.float64), counts[gray]


def _spread_out(gray: Floats, weights: Floats, count: int) -> Floats:
    """Different gray values near evenly spaced quantiles."""
    shares = (np.cumsum(weights) - weights / 2) / weights.sum()
    places = np.searchsorted(shares, (np.arange(count) + 0.5) / count)
    for i in range(count):  # no two at one value, and room for those that follow
        least = places[i - 1] + 1 if i else 0
        places[i] = min(max(int(places[i]), least), gray.size - count + i)
    return gray[places]

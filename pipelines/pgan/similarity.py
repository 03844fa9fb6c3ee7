"""Multi-scale structural similarity (Wang, Simoncelli & Bovik 2003) of pairs of pictures within a class.

Pairs of a class that are more alike than real ones are a sign of collapse (Odena et al. 2017). The published measure
needs more than 160 pixels; here the window and the count of scales shrink with the picture.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.ndimage import correlate1d

from pipelines.pgan.metrics import reduced

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents from the finest scale to the coarsest (Wang et al. 2003, section 3.2)."""

WINDOW, SMALL_WINDOW, SIGMA = 11, 3, 1.5
"""Side of the Gaussian window: 11 where the picture bears five scales of it, else 3; and its deviation in pixels."""

PAIRS = 48
"""Pairs of each class."""

MOST_ROWS = 320
"""Larger pictures are averaged down to 320×256 first."""


def _window(side: int) -> np.ndarray:
    offset = np.arange(side) - side // 2
    weights = np.exp(-(offset**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def scales_of(rows: int, columns: int) -> tuple[int, int]:
    """The window's side and the count of scales (at least 1) for pictures of a size."""
    short = min(rows, columns)
    side = WINDOW if short >= WINDOW << (len(WEIGHTS) - 1) else SMALL_WINDOW
    scales = 1
    while scales < len(WEIGHTS) and short >> scales >= side:
        scales += 1
    return side, scales


def _similarity(a: np.ndarray, b: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean structural similarity and mean contrast-structure of pairs (n, rows, columns), where the window fits."""
    margin = len(window) // 2
    inner = np.s_[:, margin : a.shape[1] - margin, margin : a.shape[2] - margin]

    def blurred(x: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(x, window, axis=1), window, axis=2)[inner]

    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # the range of −1…1 is 2
    mean_a, mean_b = blurred(a), blurred(b)
    variance = blurred(a * a) - mean_a**2 + blurred(b * b) - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    contrast = (2 * covariance + c2) / (variance + c2)
    whole = contrast * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return whole.mean(axis=(1, 2)), contrast.mean(axis=(1, 2))


def multiscale_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """MS-SSIM of each pair of pictures (n, rows, columns) in −1…1, float64 (n,): 1 for the same, near 0 for unlike.

    Negative terms count as 0, as the exponents are no whole numbers. With fewer than five scales the exponents that
    are left add up to 1.
    """
    side, scales = scales_of(*a.shape[1:])
    if min(a.shape[1:]) < side:
        raise ValueError("pictures are smaller than the window")
    window, weights = _window(side), np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    a, b = a.astype(np.float64), b.astype(np.float64)
    result = np.ones(len(a))
    for scale, weight in enumerate(weights):
        whole, contrast = _similarity(a, b, window)
        last = scale == scales - 1
        result *= np.maximum(whole if last else contrast, 0) ** weight
        if not last:
            a, b = _halved(a), _halved(b)
    return result


def _halved(pictures: np.ndarray) -> np.ndarray:
    """Averaged over 2×2; an odd last row or column is left out."""
    n, rows, columns = pictures.shape
    even = pictures[:, : rows // 2 * 2, : columns // 2 * 2]
    return even.reshape(n, rows // 2, 2, columns // 2, 2).mean((2, 4))


def class_similarity(real: np.ndarray, fake: np.ndarray, classes: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Mean MS-SSIM of pairs within each class, generated beside real, and their means; null without a pair.

    ``classes`` names the class of each real picture and of the generated one beside it; the same pairs are taken.
    """
    real, fake = reduced(real, MOST_ROWS), reduced(fake, MOST_ROWS)
    rng = np.random.default_rng(seed)
    per_class: dict[str, dict[str, float] | None] = {}
    for name in sorted(set(classes)):
        members = [i for i, c in enumerate(classes) if c == name]
        pairs = np.array(list(combinations(members, 2))).reshape(-1, 2)
        if not len(pairs):
            per_class[name] = None
            continue
        first, second = pairs[np.sort(rng.permutation(len(pairs))[:PAIRS])].T
        per_class[name] = {
            "generated": float(multiscale_similarity(fake[first], fake[second]).mean()),
            "real": float(multiscale_similarity(real[first], real[second]).mean()),
        }
    known = [figures for figures in per_class.values() if figures is not None]
    means = {part: float(np.mean([f[part] for f in known])) if known else None for part in ("generated", "real")}
    return {"per_class": per_class, **means}

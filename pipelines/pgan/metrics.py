"""Figures of merit of generated pictures beside real ones, in NumPy: sliced Wasserstein distance, diversity, density.

Each figure is judged beside the same one between two halves of the real pictures. Pictures are float arrays
(n, rows, columns) in −1…1, where −1 is air.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

PATCH = 7
PATCHES_PER_PICTURE = 128
DIRECTIONS = 256
AIR = 0.08
"""What is darker than this share of the gray range is air."""


def _halved(pictures: np.ndarray) -> np.ndarray:
    n, rows, columns = pictures.shape
    return pictures.reshape(n, rows // 2, 2, columns // 2, 2).mean((2, 4))


def reduced(pictures: np.ndarray, rows: int) -> np.ndarray:
    """Pictures averaged over 2×2 until they have at most ``rows`` rows."""
    while pictures.shape[1] > rows:
        pictures = _halved(pictures)
    return pictures


def laplacian_pyramid(pictures: np.ndarray, smallest: int = 16) -> list[np.ndarray]:
    """Band-pass pictures from the finest down to the last whose shorter side is ``smallest`` pixels, which is low-pass.

    Each band is a picture less its halved-and-doubled self, so that the doubled bands add up to the picture.
    """
    bands = []
    while min(pictures.shape[1:]) >= 2 * smallest:
        smaller = _halved(pictures)
        bands.append(pictures - smaller.repeat(2, axis=1).repeat(2, axis=2))
        pictures = smaller
    return [*bands, pictures]


def _descriptors(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Patches at random places, (n · patches, side²), each set brought to mean 0 and deviation 1."""
    n, rows, columns = pictures.shape
    side = min(PATCH, rows, columns)
    top = rng.integers(0, rows - side + 1, (n, PATCHES_PER_PICTURE))
    left = rng.integers(0, columns - side + 1, (n, PATCHES_PER_PICTURE))
    offset = np.arange(side)
    patches = pictures[
        np.arange(n)[:, None, None, None],
        top[..., None, None] + offset[:, None],
        left[..., None, None] + offset,
    ].reshape(n * PATCHES_PER_PICTURE, side * side)
    return (patches - patches.mean()) / max(float(patches.std()), 1e-8)


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Sliced Wasserstein distance between two sets of pictures for each band of their pyramids, × 10³.

    As in Karras et al. 2018, section 5, with fewer patches and directions: 7×7 patches, projected on random
    directions, mean absolute difference of the sorted projections. Both sets need the same count of pictures. Keys
    are "rows×columns" of the bands, and "mean".
    """
    rng = np.random.default_rng(seed)
    figures = {}
    for band_a, band_b in zip(laplacian_pyramid(a), laplacian_pyramid(b), strict=True):
        x, y = _descriptors(band_a, rng), _descriptors(band_b, rng)
        directions = rng.standard_normal((x.shape[1], DIRECTIONS))
        directions /= np.linalg.norm(directions, axis=0)
        distance = np.abs(np.sort(x @ directions, axis=0) - np.sort(y @ directions, axis=0)).mean()
        figures[f"{band_a.shape[1]}x{band_a.shape[2]}"] = 1e3 * float(distance)
    figures["mean"] = float(np.mean(list(figures.values())))
    return figures


def distance_to_real(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> dict[str, dict[str, float]]:
    """``generated``: distance of generated pictures to one half of the real ones; ``real``: of the other half to it.

    The halves are interleaved in a shuffled order. At least as many generated pictures as half the real ones.
    """
    order = np.random.default_rng(seed).permutation(len(real))
    half = len(real) // 2
    first, second = real[order[:half]], real[order[half : 2 * half]]
    chosen = fake[np.sort(np.random.default_rng(seed).permutation(len(fake))[:half])]
    return {"generated": sliced_wasserstein(chosen, first, seed), "real": sliced_wasserstein(second, first, seed)}


def _mean_pairwise(pictures: np.ndarray) -> float:
    flat = pictures.reshape(len(pictures), -1).astype(np.float64)
    squares = (flat**2).sum(1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0))
    return float(distance[np.triu_indices(len(flat), 1)].mean())


def diversity(real: np.ndarray, fake: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Mean distance between pictures of one class: generated over real, per class and their mean; null without a pair.

    ``classes`` names the class of each real picture and of the generated one beside it. Averaged over the sizes of the
    pyramid (the picture, halved, quartered … to 4 pixels), so that blur or a repeated outline shows as well as
    repeated texture. 1 is as diverse as the real pictures; near 0 is collapse.
    """
    ratios: dict[str, float | None] = {}
    for name in sorted(set(classes)):
        members = [c == name for c in classes]
        a, b = real[members], fake[members]
        values = []
        while len(a) > 1 and len(b) > 1 and min(a.shape[1:]) >= 4:
            values.append(_mean_pairwise(b) / max(_mean_pairwise(a), 1e-8))
            if a.shape[1] % 2 or a.shape[2] % 2:
                break
            a, b = _halved(a), _halved(b)
        ratios[name] = float(np.mean(values)) if values else None
    known = [ratio for ratio in ratios.values() if ratio is not None]
    return {"per_class": ratios, "mean": float(np.mean(known)) if known else None}


def dense_threshold(real: np.ndarray) -> float:
    """Otsu's threshold between fatty and dense gray values over all breast pixels of real pictures, in −1…1."""
    from skimage.filters import threshold_otsu

    breast = real[real > 2 * AIR - 1]
    return float(threshold_otsu(breast)) if breast.size and np.ptp(breast) else 1.0


def dense_fractions(pictures: np.ndarray, threshold: float) -> np.ndarray:
    """Share of each picture's breast brighter than the threshold, (n,); 0 where there is no breast.

    A plain estimator for watching a training: the pectoral muscle counts as it looks.
    """
    breast = pictures > 2 * AIR - 1
    dense = breast & (pictures > threshold)
    return dense.sum((1, 2)) / np.maximum(breast.sum((1, 2)), 1)


def follows_density(fractions: np.ndarray, densities: Sequence[str]) -> dict[str, Any]:
    """Does the dense fraction rise with the density asked for: mean per density, and Spearman's rank correlation.

    The correlation is null with fewer than two densities or where all fractions are equal.
    """
    from scipy.stats import spearmanr

    ranks = np.array([ord(density) for density in densities])
    means = {d: float(fractions[ranks == ord(d)].mean()) for d in sorted(set(densities))}
    defined = len(means) > 1 and np.ptp(fractions) > 0
    return {"mean": means, "spearman": float(spearmanr(ranks, fractions).statistic) if defined else None}

"""Anatomy by figures: is a picture one breast, where and how a breast stands, with a breast's texture?

Each figure of a picture must lie in the range that real pictures of its view keep. No learned parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.synthesize.breast import Breast, find_breast
from pipelines.synthesize.pictures import PictureSet, reduced

FIGURES = {
    "area": "share of the picture that is breast",
    "pieces": "area of the second largest piece over the largest's",
    "chest_wall": "share of the breast's height over which it touches the left edge",
    "brightness": "mean gray inside the breast, off its rim, of 4095",
    "contrast": "standard deviation of gray inside the breast, off its rim, of 4095",
    "rim": "mean gray along the skin, over the mean gray inside",
    "roughness": "strength of diagonal detail of two pixels' size inside the breast, off its rim, over the contrast",
    "grid": "strength of a pattern that alternates every or every second pixel all over the breast, over the contrast",
    "shape": "correlation with the mean real picture of the view",
    "upright": "that correlation, less the one of the picture turned upside down",
}
"""What is measured."""

_LEAST_SLACK = {"chest_wall": 0.15, "pieces": 0.02, "grid": 0.02, "upright": 0.02}
"""Width by which a range is widened at least, where real pictures may all have the same value."""

_QUANTILES = (0.05, 0.5, 0.95)
_SLACK = 1.5
_RIM = 2
_LEAST_PICTURES = 10
_MEAN_ROWS = 40


@dataclass(frozen=True)
class Anatomy:
    """Ranges (low, high) of every figure per view, and the mean real picture (a unit vector) per view."""

    ranges: Mapping[str, Mapping[str, tuple[float, float]]]
    means: Mapping[str, NDArray[np.float64]]

    def oddity(self, picture: NDArray[np.uint16], breast: Breast, view: str) -> str | None:
        """The first figure out of its range as a reason code (``breast_area`` …), or None."""
        figures = _figures(picture, breast, self.means[view])
        for name, (low, high) in self.ranges[view].items():
            if not low <= figures[name] <= high:
                return f"breast_{name}"
        return None


def calibrate(sets: Sequence[tuple[PictureSet, Sequence[int]]], floor: float, views: Sequence[str]) -> Anatomy:
    """Measure the ranges on the given rows of sets of real pictures.

    A range reaches from the median past the 5 % and the 95 % quantile, to two and a half times as far as these: odd
    pictures among the real ones do not widen it. No lower bound is less than half the 5 % quantile, where that is
    positive. A view with fewer than ten pictures takes
    all of them. Raises ValueError where there is no picture.
    """
    everything = [(real, i) for real, rows in sets for i in rows]
    if not everything:
        raise ValueError("there are no real pictures to calibrate on")
    ranges, means = {}, {}
    for view in views:
        chosen = [(real, i) for real, i in everything if real.views[i] == view]
        if len(chosen) < _LEAST_PICTURES:
            chosen = everything
        means[view] = _unit(np.sum([_unit(reduced(r.pictures[i], _MEAN_ROWS)) for r, i in chosen], axis=0))
        measured = []
        for real, i in chosen:
            picture = np.asarray(real.pictures[i])
            measured.append(_figures(picture, find_breast(picture, floor), means[view]))
        ranges[view] = {name: _range([m[name] for m in measured], _LEAST_SLACK.get(name, 0.0)) for name in FIGURES}
    return Anatomy(ranges, means)


def _range(values: list[float], least_slack: float) -> tuple[float, float]:
    low, middle, high = (float(q) for q in np.quantile(values, _QUANTILES))
    least = low - max(_SLACK * (middle - low), least_slack)
    return (max(least, low / 2) if low > 0 else least), high + max(_SLACK * (high - middle), least_slack)


def _figures(picture: NDArray[np.uint16], breast: Breast, mean: NDArray[np.float64]) -> dict[str, float]:
    """All figures of one picture; those that need a breast are 0 without one."""
    mask = breast.mask
    rows = int(mask.any(1).sum())
    detail = breast.mask_at(picture.shape, -_RIM)
    inside = picture[detail].astype(np.float64)
    contrast = float(inside.std()) if inside.size else 0.0
    small = reduced(picture, _MEAN_ROWS)
    likeness = float(np.sum(_unit(small) * mean))
    return {
        "area": float(mask.mean()),
        "pieces": breast.second,
        "chest_wall": float(mask[:, 0].sum() / rows) if rows else 0.0,
        "brightness": float(inside.mean()) if inside.size else 0.0,
        "contrast": contrast,
        "rim": _rim(breast) / max(float(inside.mean()), 1.0) if inside.size else 0.0,
        "roughness": _roughness(picture, detail) / max(contrast, 1.0),
        "grid": max(_grid(picture, detail), _grid(*_halved(picture, detail))) / max(contrast, 1.0),
        "shape": likeness,
        "upright": likeness - float(np.sum(_unit(small[::-1]) * mean)),
    }


def _rim(breast: Breast) -> float:
    """Mean gray of the mask's border on the reduced picture, the picture's own edges apart."""
    rim = breast.mask & ~ndimage.binary_erosion(breast.mask, iterations=_RIM, border_value=1)
    return float(breast.picture[rim].mean()) if rim.any() else 0.0


def _roughness(picture: NDArray, inside: NDArray[np.bool_]) -> float:
    """Root mean square of the diagonal differences of neighboring pixels, halved."""
    p = picture.astype(np.float32)
    diagonal = (p[:-1, :-1] - p[1:, :-1] - p[:-1, 1:] + p[1:, 1:]) / 2
    within = inside[:-1, :-1] & inside[1:, 1:]
    return float(np.sqrt(np.mean(diagonal[within].astype(np.float64) ** 2))) if within.any() else 0.0


def _grid(picture: NDArray, inside: NDArray[np.bool_]) -> float:
    """Amplitude of the pattern of alternating rows, columns or both (up-sampling leaves such); slopes cancel out."""
    p = picture.astype(np.float64)
    down = (-1.0) ** np.arange(1, p.shape[0] - 1)[:, None]
    across = (-1.0) ** np.arange(1, p.shape[1] - 1)[None, :]
    rows = (2 * p[1:-1] - p[:-2] - p[2:]) / 4 * down
    columns = (2 * p[:, 1:-1] - p[:, :-2] - p[:, 2:]) / 4 * across
    both = (2 * rows[:, 1:-1] - rows[:, :-2] - rows[:, 2:]) / 4 * across
    amplitudes = ((rows, inside[1:-1]), (columns, inside[:, 1:-1]), (both, inside[1:-1, 1:-1]))
    return max(abs(float(a[where].mean())) if where.any() else 0.0 for a, where in amplitudes)


def _halved(picture: NDArray, inside: NDArray[np.bool_]) -> tuple[NDArray, NDArray[np.bool_]]:
    h, w = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    blocks = picture[:h, :w].astype(np.float32).reshape(h // 2, 2, w // 2, 2)
    return blocks.mean((1, 3)), np.all(inside[:h, :w].reshape(h // 2, 2, w // 2, 2), axis=(1, 3))


def _unit(picture: NDArray) -> NDArray[np.float64]:
    centered = picture - np.mean(picture, dtype=np.float64)
    return centered / max(float(np.linalg.norm(centered)), 1e-9)

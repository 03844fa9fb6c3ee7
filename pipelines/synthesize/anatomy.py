"""Anatomy by figures: is a picture one breast, where and how a breast stands, with a breast's texture and density?

Each figure of a picture must lie in the range that real pictures of its view keep; its dense share in that of real
pictures of its density. No learned parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.storage.tables import DENSITIES
from pipelines.synthesize.breast import TISSUE, Breast, find_breast
from pipelines.synthesize.calibration import Spread, allowed
from pipelines.synthesize.dense import dense_fraction
from pipelines.synthesize.pictures import PictureSet, reduced

FIGURES = {
    "area": "share of the picture that is breast",
    "pieces": "area of the second largest piece over the largest's",
    "chest_wall": "share of the breast's height over which it touches the left edge",
    "skin_line": "share of the breast's convex hull that is breast: an open skin line leaves notches",
    "air": "share of the air that is too bright for haze, before it is cleared",
    "spots": "share of the breast, off its rim, that is much darker than what surrounds it on all sides",
    "brightness": "mean gray inside the breast, off its rim, of 4095",
    "contrast": "standard deviation of gray inside the breast, off its rim, of 4095",
    "rim": "mean gray along the skin, over the mean gray inside",
    "roughness": "strength of diagonal detail of two pixels' size inside the breast, off its rim, over the contrast",
    "grid": "peak of the spectrum at the frequencies of up-sampling (alternating every, every second or every fourth "
    "pixel) inside the breast, over the contrast",
    "shape": "correlation with the mean real picture of the view",
    "upright": "that correlation, less the one of the picture turned upside down",
}
"""What is measured, each within the range of its view."""

DENSITY = "density"
"""The dense share (``dense_fraction``), within the range of its density."""

_LEAST_SLACK = {
    "chest_wall": 0.15, "pieces": 0.02, "grid": 0.02, "upright": 0.02, "skin_line": 0.12, "air": 0.05, "spots": 0.01,
}  # fmt: skip
"""Width by which a range is widened at least, where real pictures may all have the same value."""

_TOO_MUCH = ("pieces", "air", "spots", "grid")
"""Figures of which only too much is odd: none of it is fine."""

_TIMES = (2.5, 2.75, 3.0, 3.25, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0, 11.0, 15.0, 20.0)
"""How far from the median a range may reach, over how far the 5 % and the 95 % quantile lie."""

_RIM = 2
_LEAST_PICTURES = 10
_MEAN_ROWS = 40

Ranges = Mapping[str, tuple[float, float]]

_Key = tuple[str, str]
"""A view or density, and the name of a figure."""


@dataclass(frozen=True)
class Anatomy:
    """Ranges (low, high) of every figure per view, of the dense share per density (those known), the mean real picture
    (a unit vector) per view, and the share of the real pictures that lie outside."""

    ranges: Mapping[str, Ranges]
    densities: Ranges
    means: Mapping[str, NDArray[np.float64]]
    rejected: float

    def figures(self, picture: NDArray[np.uint16], breast: Breast, view: str, air: float) -> dict[str, float]:
        """All figures of a picture (rows, columns); ``air`` is ``bright_air`` of it before its air was cleared."""
        return measure(picture, breast, self.means[view], air) | {DENSITY: dense_fraction(breast, view)}

    def limits(self, density: str, view: str) -> dict[str, tuple[float, float]]:
        """The range of each figure; of the dense share only where its density is known."""
        own = {DENSITY: self.densities[density]} if density in self.densities else {}
        return {**self.ranges[view], **own}


def calibrate(
    sets: Sequence[tuple[PictureSet, Sequence[int]]], floor: float, views: Sequence[str], share: float = 0.015
) -> Anatomy:
    """Measure the ranges on the given rows of sets of real pictures.

    A range reaches from the median past the 5 % and the 95 % quantile, to two and a half times as far as these: odd
    pictures among the real ones do not widen it. Where more than ``share`` of the pictures lie outside of any range,
    those ranges are widened that keep out the least odd of them, one picture after another. Unless widened, no lower
    bound is less than half the 5 % quantile, where that is positive. A view with fewer than ten pictures takes all of
    them. Raises ValueError where there is no picture.
    """
    everything = [(real, i) for real, rows in sets for i in rows]
    if not everything:
        raise ValueError("there are no real pictures to calibrate on")
    real = _Real([r.views[i] for r, i in everything], [r.densities[i] for r, i in everything], [])
    means = {view: _mean([everything[n] for n in _members(real.views, view)]) for view in views}
    for of, i in everything:
        picture, own = np.asarray(of.pictures[i]), of.views[i]
        breast = find_breast(picture, floor)
        shared = measure(picture, breast, means[own], bright_air(picture, breast, floor)) | {
            DENSITY: dense_fraction(breast, own)
        }
        real.found.append({view: shared | _likeness(picture, means[view]) for view in views})
    widened = real.widen(views, allowed(len(everything), share))
    return Anatomy(
        {view: {name: widened.ranges[view, name] for name in FIGURES} for view in views},
        {d: widened.ranges[d, DENSITY] for d in DENSITIES if (d, DENSITY) in widened.ranges},
        means,
        widened.rejected / len(everything),
    )


@dataclass(frozen=True)
class _Widened:
    ranges: dict[_Key, tuple[float, float]]
    rejected: int


@dataclass(frozen=True)
class _Real:
    """Views and densities of real pictures, and the figures that each has if it is held to be of each view."""

    views: list[str]
    densities: list[str]
    found: list[dict[str, dict[str, float]]]

    def widen(self, views: Sequence[str], out: int) -> _Widened:
        """Ranges that at most ``out`` of the pictures lie outside of, as far as ranges may be widened."""
        ladders = {key: [_range(v, key[1], times) for times in _TIMES] for key, v in self._values(views).items()}
        needs = [self._needs(n, ladders) for n in range(len(self.found))]
        rung = dict.fromkeys(ladders, 0)
        while True:
            odd = [need for need in needs if any(steps > rung[key] for key, steps in need.items())]
            near = [need for need in odd if max(need.values()) < len(_TIMES)]
            if len(odd) <= out or not near:
                return _Widened({key: ladders[key][rung[key]] for key in ladders}, len(odd))
            nearest = min(near, key=lambda need: sum(max(0, steps - rung[key]) for key, steps in need.items()))
            rung |= {key: max(rung[key], steps) for key, steps in nearest.items()}

    def _values(self, views: Sequence[str]) -> dict[_Key, list[float]]:
        """The figures that each range is measured on."""
        rows = {view: _members(self.views, view) for view in views}
        values = {(view, name): [self.found[n][view][name] for n in rows[view]] for view in views for name in FIGURES}
        for density in DENSITIES:
            own = [n for n, d in enumerate(self.densities) if d == density]
            if len(own) >= _LEAST_PICTURES:
                values[density, DENSITY] = [self.found[n][self.views[n]][DENSITY] for n in own]
        return values

    def _needs(self, n: int, ladders: Mapping[_Key, list[tuple[float, float]]]) -> dict[_Key, int]:
        """How far up each range must be widened for picture ``n`` to lie in it; past the end where it never does."""
        view, figures = self.views[n], self.found[n][self.views[n]]
        keys = [(view, name) for name in FIGURES] + [(self.densities[n], DENSITY)]
        return {
            key: sum(not low <= figures[key[1]] <= high for low, high in ladders[key]) for key in keys if key in ladders
        }


def _members(views: Sequence[str], view: str) -> list[int]:
    """The rows of a view, or all where these are few."""
    rows = [n for n, own in enumerate(views) if own == view]
    return rows if len(rows) >= _LEAST_PICTURES else list(range(len(views)))


def _mean(chosen: Sequence[tuple[PictureSet, int]]) -> NDArray[np.float64]:
    return _unit(np.sum([_unit(reduced(r.pictures[i], _MEAN_ROWS)) for r, i in chosen], axis=0))


def _range(values: list[float], name: str, times: float) -> tuple[float, float]:
    spread, slack = Spread.of(values), _LEAST_SLACK.get(name, 0.0)
    low, high = spread.below(1), spread.above(1)
    if name in _TOO_MUCH:
        return 0.0, max(spread.above(times), high + slack)
    least = min(spread.below(times), low - slack)
    return (max(least, low * _TIMES[0] / (2 * times)) if low > 0 else least), max(spread.above(times), high + slack)


def bright_air(picture: NDArray[np.uint16], breast: Breast, floor: float) -> float:
    """Share of what is off the breast that is too bright for haze, which is up to ``floor``; 0 where all is breast."""
    off = ~breast.mask_at(picture.shape, 1)
    return float((picture[off] > TISSUE * floor).mean()) if off.any() else 0.0


def measure(picture: NDArray[np.uint16], breast: Breast, mean: NDArray[np.float64], air: float) -> dict[str, float]:
    """All figures of one picture but its dense share; those that need a breast are 0 without one."""
    mask = breast.mask
    rows = int(mask.any(1).sum())
    detail = breast.mask_at(picture.shape, -_RIM)
    inside = picture[detail].astype(np.float64)
    contrast = float(inside.std()) if inside.size else 0.0
    return {
        "area": float(mask.mean()),
        "pieces": breast.second,
        "chest_wall": float(mask[:, 0].sum() / rows) if rows else 0.0,
        "skin_line": _solidity(mask),
        "air": air,
        "spots": _spots(breast),
        "brightness": float(inside.mean()) if inside.size else 0.0,
        "contrast": contrast,
        "rim": _rim(breast) / max(float(inside.mean()), 1.0) if inside.size else 0.0,
        "roughness": _roughness(picture, detail) / max(contrast, 1.0),
        "grid": _peak(picture, detail) / max(contrast, 1.0),
    } | _likeness(picture, mean)


def _likeness(picture: NDArray[np.uint16], mean: NDArray[np.float64]) -> dict[str, float]:
    small = reduced(picture, _MEAN_ROWS)
    likeness = float(np.sum(_unit(small) * mean))
    return {"shape": likeness, "upright": likeness - float(np.sum(_unit(small[::-1]) * mean))}


def _solidity(mask: NDArray[np.bool_]) -> float:
    """Area of the mask over that of its convex hull, 0 without one."""
    if not mask.any():
        return 0.0
    points = np.argwhere(mask)[:, ::-1].astype(np.int32)
    hull = cv2.fillConvexPoly(np.zeros(mask.shape, np.uint8), cv2.convexHull(points), 1)
    return float(mask.sum() / hull.sum())


def _spots(breast: Breast) -> float:
    """Share of the mask, off its rim, below a third of what closing by a tenth of the height fills in."""
    inner = ndimage.binary_erosion(breast.mask, iterations=_RIM, border_value=1)
    if not inner.any():
        return 0.0
    side = max(3, breast.picture.shape[0] // 10)
    filled = cv2.morphologyEx(breast.picture, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return float((breast.picture < filled / 3)[inner].mean())


def _peak(picture: NDArray, inside: NDArray[np.bool_]) -> float:
    """The strongest grid at full, half and quarter size."""
    peaks = [_grid(picture, inside)]
    for _ in range(2):
        picture, inside = _halved(picture, inside)
        peaks.append(_grid(picture, inside))
    return max(peaks)


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

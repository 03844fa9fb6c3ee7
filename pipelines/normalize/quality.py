"""Quality figures of a normalized picture, and the flags that follow from them.

Figures are taken inside the breast: from its histogram, and where a part of its pixels tells as much as all, from every
second pixel of some rows.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.normalize.grayscale import WHITE
from pipelines.normalize.percentiles import median

BLURRED = 0.025
"""Share of the gray variation that is fine detail, below which a picture looks blurred."""
MOVED = 0.6
"""One-sidedness of fine detail above which a picture looks as if the breast had moved; 0.02 to 0.3 is common."""
SATURATED = 0.05
"""Share of the breast that is pure white."""
CLIPPED = 0.35
"""Share of the breast's rim that is pure black: the window has cut off the skin line."""
NOISY = 0.03
"""Noise over the full gray range."""
FLAT = 0.02
"""Spread of gray (5th to 95th percentile) over the full range, below which there is nothing to be seen."""
STRIPED = 0.95
"""Agreement along a row or column that it is brighter, or darker, than what is around: a line that no tissue draws."""

_DEEP, _NEAR, _FAR = 25, 17, 41
"""Pixels: how wide the brush is that takes the rim off the breast, and those between which the rim is looked at."""
_LINE = 200
"""Pixels that a row or column must have in the breast to be looked at as a line."""


@dataclass(frozen=True)
class Quality:
    """Figures by name (rounded, so that they are the same wherever they are computed) and flags in a fixed order;
    ``histogram`` counts the breast's pixels at each gray value 0…4095."""

    figures: dict[str, float]
    flags: tuple[str, ...]
    histogram: np.ndarray


def measure(picture: np.ndarray, mask: np.ndarray) -> Quality:
    """Measure a picture (uint16, 0…4095) inside the breast's mask (bool).

    ``sharpness``: deviation of what a mean over 5×5 pixels removes, over the deviation of all gray;
    ``motion``: how one-sided the direction of fine detail is, 0 to 1 (coherence of the structure tensor);
    ``saturation``: share of pure white; ``noise``: median absolute second difference along both axes, as a deviation
    over the range (Immerkær 1996); ``contrast``: 5th to 95th percentile over the range; ``mean``: mean gray over the
    range; ``skin_clipped``: share of pure black in the breast's outermost pixels; ``stripes``: the largest agreement of
    a row's or column's pixels that they are brighter, or darker, than what is around them.
    """
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    box = np.s_[top : top + height, left : left + width]
    gray, half = np.ascontiguousarray(picture[box]), np.ascontiguousarray(mask[box][::2, ::2]).view(np.uint8)
    core = _without_rim(half)
    detail = cv2.blur(gray.view(np.int16), (5, 5))
    np.subtract(gray.view(np.int16), detail, out=detail)
    histogram = cv2.calcHist([gray], [0], None, [WHITE + 1], [0, WHITE + 1]).ravel().astype(np.int64)
    histogram[0] -= gray.size - np.count_nonzero(mask)  # all is black outside
    gray = gray.view(np.int16)
    gray_half = np.ascontiguousarray(gray[::2, ::2])
    shares = np.cumsum(histogram) / histogram.sum()
    low, high = np.searchsorted(shares, (0.05, 0.95))
    spread = _deviation(gray_half, core)
    figures = {
        "sharpness": _deviation(np.ascontiguousarray(detail[::2, ::2]), core) / spread if spread else 0.0,
        "motion": _one_sidedness(detail, core),
        "saturation": float(histogram[WHITE] / histogram.sum()),
        "noise": _noise(gray, core) / WHITE,
        "contrast": float(high - low) / WHITE,
        "mean": float(histogram @ np.arange(WHITE + 1) / histogram.sum()) / WHITE,
        "skin_clipped": _skin_clipped(gray_half, half),
        "stripes": _stripes(detail, core),
    }
    figures = {name: round(figure, 4) for name, figure in figures.items()}
    found = (
        ("blurred", figures["sharpness"] < BLURRED),
        ("motion_suspected", figures["motion"] > MOVED),
        ("saturated", figures["saturation"] > SATURATED),
        ("noisy", figures["noise"] > NOISY),
        ("low_contrast", figures["contrast"] < FLAT),
        ("skin_line_clipped", figures["skin_clipped"] > CLIPPED),
        ("stripes_suspected", figures["stripes"] > STRIPED),
    )
    return Quality(figures, tuple(name for name, is_so in found if is_so), histogram)


def _without_rim(half: np.ndarray) -> np.ndarray:
    """The breast without its rim and the film's edges, which are no detail; small ones as they are.

    Both are uint8, 0 or 1, and have every second pixel of every second row, as ``core`` has below.
    """
    core = cv2.erode(half, np.ones((_DEEP // 2 | 1,) * 2, np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return core if cv2.countNonZero(core) >= 625 else half


def _deviation(values: np.ndarray, core: np.ndarray) -> float:
    """Standard deviation of values (int16, of the core's shape) over the core, from sums that are exact."""
    inside, count = values * core.view(np.int8), max(1, cv2.countNonZero(core))
    mean = cv2.sumElems(inside)[0] / count
    return float(np.sqrt(max(0.0, cv2.norm(inside, cv2.NORM_L2SQR) / count - mean * mean)))


def _one_sidedness(detail: np.ndarray, core: np.ndarray) -> float:
    """Coherence of the structure tensor over the core: 0 without a direction, 1 with one alone.

    Bigün & Granlund 1987. Motion takes the differences along its own direction away.
    """
    rows, columns = np.ascontiguousarray(detail[2:-1:2, 1::2]), np.ascontiguousarray(detail[1::2, 2:-1:2])
    across, along = rows[:, 1:] - rows[:, :-1], columns[1:] - columns[:-1]
    within = core[1:, 1:][: across.shape[0], : across.shape[1]].astype(np.int16)
    across, along = ((each * within).astype(np.float32) for each in (across, along))
    xx, yy, xy = (float(np.vdot(a, b)) for a, b in ((across, across), (along, along), (across, along)))
    return float(np.hypot(xx - yy, 2 * xy) / (xx + yy)) if xx + yy else 0.0


def _noise(gray: np.ndarray, core: np.ndarray) -> float:
    """Deviation of noise, from every twelfth row."""
    lines = (gray[1:-2:12] - 2 * gray[2:-1:12] + gray[3::12]).astype(np.int32)
    second = lines[:, 1:-2:2] - 2 * lines[:, 2:-1:2] + lines[:, 3::2]
    found = np.abs(second[core[1::6, 1:][: second.shape[0], : second.shape[1]] > 0])
    return median(found) / 0.6745 / 6 if found.size else 0.0


def _skin_clipped(gray_half: np.ndarray, half: np.ndarray) -> float:
    """Share of pure black between 8 and 20 pixels inside the outline, picture edges and chest wall aside."""
    outer, inner = (
        cv2.erode(half, np.ones((size // 2 | 1, size // 2 | 1), np.uint8), borderType=cv2.BORDER_REPLICATE)
        for size in (_NEAR, _FAR)
    )
    rim = outer > inner
    return np.count_nonzero(rim & (gray_half == 0)) / max(1, int(np.count_nonzero(rim)))


def _stripes(detail: np.ndarray, core: np.ndarray) -> float:
    """How far the pixels of one line agree that they are brighter, or darker, than what is around them: 0 to 1."""
    pairs = (core.astype(np.uint16) * 257).view(np.uint8)  # every pixel of a row twice
    within = np.repeat(pairs, 2, 0)[: detail.shape[0], : detail.shape[1]]
    sign = np.sign(detail)
    sign *= within
    most = 0.0
    for axis in (0, 1):
        agreeing = cv2.reduce(sign, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32F).ravel()
        count = cv2.reduce(within, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
        long = count >= _LINE
        most = max(most, float(np.abs(agreeing[long] / count[long]).max(initial=0.0)))
    return most

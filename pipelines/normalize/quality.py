"""Quality figures of a normalized picture, and the flags that follow from them."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.normalize.grayscale import WHITE

BLURRED = 0.02
"""Share of the gray variation that is fine detail, below which a picture looks blurred."""
SATURATED = 0.05
"""Share of the breast that is pure white."""
CLIPPED = 0.35
"""Share of the breast's rim that is pure black: the window has cut off the skin line."""
NOISY = 0.03
"""Noise over the full gray range."""
FLAT = 0.02
"""Spread of gray (5th to 95th percentile) over the full range, below which there is nothing to be seen."""


@dataclass(frozen=True)
class Quality:
    """Figures by name (rounded, so that they are the same wherever they are computed) and flags in a fixed order."""

    figures: dict[str, float]
    flags: tuple[str, ...]


def measure(picture: np.ndarray, mask: np.ndarray) -> Quality:
    """Measure a picture (uint16, 0…4095) inside the breast's mask (bool).

    ``sharpness``: deviation of what a Gaussian of 2 pixels removes, over the deviation of all gray;
    ``saturation``: share of pure white; ``noise``: median absolute second difference, as a deviation over the range
    (Immerkær 1996); ``contrast``: 5th to 95th percentile over the range; ``mean``: mean gray over the range;
    ``skin_clipped``: share of pure black in the breast's outermost pixels.
    """
    columns = np.flatnonzero(mask.any(0))
    rows = np.flatnonzero(mask.any(1))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    gray, inside = picture[box].astype(np.float32), mask[box].astype(np.uint8)
    core = cv2.erode(inside, np.ones((25, 25), np.uint8), borderType=cv2.BORDER_REPLICATE) > 0
    if core.sum() < 2500:
        core = inside > 0
    detail = gray - cv2.GaussianBlur(gray, (0, 0), 2)
    spread = float(gray[core].std())
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    sample = core.copy()
    sample[np.arange(len(core)) % 5 != 0] = False  # every fifth row tells as much of a distribution
    noise = float(np.median(np.abs(cv2.filter2D(gray, cv2.CV_32F, kernel)[sample]))) / 0.6745 / 6
    low, high = np.percentile(gray[sample], [5, 95])
    figures = {
        "sharpness": float(detail[core].std()) / spread if spread else 0.0,
        "saturation": float((gray[core] >= WHITE).mean()),
        "noise": noise / WHITE,
        "contrast": float(high - low) / WHITE,
        "mean": float(gray[core].mean()) / WHITE,
        "skin_clipped": _skin_clipped(gray, inside),
    }
    figures = {name: round(figure, 4) for name, figure in figures.items()}
    found = (
        ("blurred", figures["sharpness"] < BLURRED),
        ("saturated", figures["saturation"] > SATURATED),
        ("noisy", figures["noise"] > NOISY),
        ("low_contrast", figures["contrast"] < FLAT),
        ("skin_line_clipped", figures["skin_clipped"] > CLIPPED),
    )
    return Quality(figures, tuple(name for name, is_so in found if is_so))


def _skin_clipped(gray: np.ndarray, inside: np.ndarray) -> float:
    """Share of pure black between 8 and 20 pixels inside the outline, picture edges and chest wall aside."""
    outer = cv2.erode(inside, np.ones((17, 17), np.uint8), borderType=cv2.BORDER_REPLICATE)
    inner = cv2.erode(inside, np.ones((41, 41), np.uint8), borderType=cv2.BORDER_REPLICATE)
    rim = (outer > 0) & (inner == 0)
    return float((gray[rim] == 0).mean()) if rim.any() else 0.0

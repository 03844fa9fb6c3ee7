"""The pectoral muscle in an oblique view: a straight edge from the picture's top to the chest wall, bright above it.

Of all lines within the range that anatomy allows, the one across which gray falls most along all of its length (after
Karssemeijer 1998, who finds the line with a Hough transform). The muscle is as bright as gland and would be counted so.
"""

import numpy as np
from numpy.typing import NDArray

_WIDTHS, _HEIGHTS = np.linspace(0.12, 0.90, 27), np.linspace(0.18, 1.0, 28)
"""Where a line meets the breast's top, over its width, and the chest wall, over its height."""

_POINTS, _NEAR, _FAR = 40, 2.0, 7.0
"""Points along a line, and the distances either side of it, over 1/160 of the rows, between which gray is compared."""

_STEEPEST, _FLATTEST = 1.0, 5.0
"""Height over width (pixels) of the triangle; beyond them it is the breast's own edge, or a fold."""

_LEAST_FALL, _AGREEING = 0.25, 0.25
"""The edge: gray falls by so many of the breast's deviations at this quantile of its points. Below, there is none."""


def find_muscle(picture: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The muscle's mask (rows, columns) in a picture with the chest wall on its left; empty where no edge is found.

    ``mask`` is the breast's.
    """
    muscle = np.zeros(mask.shape, bool)
    line = _edge(picture, mask)
    if line is not None:
        top, left, height, width = line
        rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
        muscle = ((rows - top) / height + (columns - left) / width < 1) & mask
    return muscle


def _edge(picture: NDArray[np.floating], mask: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """The breast's top and left, and the height and width of the triangle that the best line cuts off."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    deviation = float(picture[mask].std()) if mask.any() else 0.0
    if not deviation > 0:
        return None
    top, left = float(rows[0]), float(columns[0])
    heights = (_HEIGHTS * rows.size)[:, None]
    widths = (_WIDTHS * columns.size)[None, :]
    at = np.linspace(0.05, 0.85, _POINTS)[:, None, None]  # down the line
    y, x = top + at * heights, left + (1 - at) * widths
    length = np.hypot(heights, widths)
    down, right = widths / length, heights / length  # away from the corner
    inner, outer = (_mean_beside(picture, mask, y, x, sign * down, sign * right) for sign in (-1.0, 1.0))
    fall = (inner - outer) / deviation
    is_known = np.isfinite(fall)
    agreed = np.quantile(np.where(is_known, fall, -1.0), _AGREEING, axis=0)
    ratio = heights / widths
    agreed = np.where((ratio >= _STEEPEST) & (ratio <= _FLATTEST), agreed, -1.0)
    best = int(agreed.argmax())
    if agreed.flat[best] < _LEAST_FALL:
        return None
    h, w = divmod(best, len(_WIDTHS))
    return top, left, float(heights[h, 0]), float(widths[0, w])


def _mean_beside(
    picture: NDArray[np.floating],
    mask: NDArray[np.bool_],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    down: NDArray[np.float64],
    right: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean gray on one side of points: over four distances from them; not a number where that leaves the breast."""
    scale = picture.shape[0] / 160
    total = np.zeros(np.broadcast_shapes(y.shape, x.shape, down.shape))
    for distance in np.linspace(_NEAR, _FAR, 4) * scale:
        row = np.rint(y + distance * down).astype(np.intp)
        column = np.rint(x + distance * right).astype(np.intp)
        inside = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
        row, column = row.clip(0, mask.shape[0] - 1), column.clip(0, mask.shape[1] - 1)
        total += np.where(inside & mask[row, column], picture[row, column], np.nan)
    return total / 4

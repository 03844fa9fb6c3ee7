"""Finding the breast on a small thumbnail: its outline, the side of its chest wall, and what is wrong with either.

The thumbnail holds the signal of stored values, which keeps the skin line that a display window may drown in black.
Steps: a core by Otsu's threshold; the level and spread of what surrounds it (air is not zero on films); growth of the
core down to just above that level; removal of plates, tape, bars and borders, which are separate, thin or rectangular.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.normalize.percentiles import median, percentiles

LONGEST_SIDE = 320
"""Pixels of a thumbnail's longer side: about ÷16 of a full-field detector."""

LEAST_AREA = 0.02
"""Share of the picture that a breast covers at least."""

MOST_AREA = 0.97
"""Share of the picture that a breast covers at most."""

SOLID = 0.6
"""Share of its convex hull that a breast covers at least: text and scattered marks do not."""

FLOOR = 0.045
"""Height of the outline between the air's level and the core's."""

TAPE = 0.12
"""Share of the height, at the top and at the bottom, in which a band across the film may lie."""


@dataclass(frozen=True)
class Breast:
    """A breast on the thumbnail: ``mask`` (bool, thumbnail's shape) and where the chest wall is.

    ``chest_wall`` is ``left`` or ``right``; ``sidedness`` is the ratio of the mask's heights at its two ends, above 1;
    ``cut_off`` says that the breast runs out of the picture opposite the chest wall, with its nipple side.
    """

    mask: np.ndarray
    chest_wall: str
    sidedness: float
    cut_off: bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of the mask on the thumbnail (half open)."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def thumbnail_shape(rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns of the thumbnail of a picture."""
    factor = max(1.0, max(rows, columns) / LONGEST_SIDE)
    return max(1, round(rows / factor)), max(1, round(columns / factor))


def find_breast(signal: np.ndarray, padded: np.ndarray) -> Breast | None:
    """Find the breast on a thumbnail of the signal (float32, rising with tissue), or None.

    ``padded`` (bool) marks pixels that hold no picture.
    """
    if padded.size - np.count_nonzero(padded) < LEAST_AREA * signal.size:
        return None
    if padded.any():
        signal = np.where(padded, signal[~padded].min(), signal)  # padding mostly stands in for air
    usable = ~_borders(signal)
    low, high = percentiles(signal[::2, ::2][usable[::2, ::2]], 0.5, 99.0)
    if high - low <= 1e-6 * max(1.0, abs(float(high))):
        return None
    level = np.clip((signal - np.float32(low)) / np.float32(high - low), 0, 1)
    level[~usable] = 0
    core = _core(level, usable)
    if core is None:
        return None
    mask = _grow(level, core, usable & ~_bars(level, core))
    if not LEAST_AREA * signal.size <= np.count_nonzero(mask) <= MOST_AREA * signal.size:
        return None
    hull = _hull(mask)
    if np.count_nonzero(mask) < SOLID * cv2.contourArea(hull):
        return None
    chest_wall, sidedness = _chest_wall(hull, mask.shape)
    order = 1 if chest_wall == "left" else -1
    facing = _without_bands(_joined_to_wall(np.ascontiguousarray(mask[:, ::order])))
    cut_off = bool(facing[:, -1].mean() > 0.05)
    return Breast(np.ascontiguousarray(facing[:, ::order]), chest_wall, sidedness, cut_off)


def _kernel(shape: tuple[int, ...], share: float) -> np.ndarray:
    size = 2 * max(1, round(max(shape) * share / 2)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def _counts(mask: np.ndarray, axis: int) -> np.ndarray:
    """How many pixels of a mask (bool or 0 and 1) are set, summed along an axis."""
    return cv2.reduce(mask.view(np.uint8), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()


def _borders(signal: np.ndarray) -> np.ndarray:
    """Bright lines along the picture's edges, as film digitizers and collimators leave them, up to 6 % deep."""
    found = np.zeros(signal.shape, bool)
    low, high = percentiles(signal[::2, ::2], 1.0, 99.0)
    bright = signal >= low + 0.97 * (high - low)
    for axis in (0, 1):
        lines = _counts(bright, 1 - axis) / bright.shape[1 - axis]
        depth = max(1, round(signal.shape[axis] * 0.06))
        for order in (range(depth), range(signal.shape[axis] - 1, signal.shape[axis] - 1 - depth, -1)):
            last = 0
            for place, line in enumerate(order, start=1):
                if lines[line] >= 0.6:
                    last = place
                elif place - last > 2:  # a line or two may be dark, at the very edge above all
                    break
            for line in order[: last + 2 if last else 0]:  # two more: light spreads
                found[(line,) if axis == 0 else (slice(None), line)] = True
    return found


def _components(mask: np.ndarray) -> list[np.ndarray]:
    """The mask's connected parts that are large enough to be breasts, largest first."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4, ltype=cv2.CV_16U)
    areas = np.bincount(labels[mask], minlength=count)
    order = sorted(range(1, count), key=lambda i: (-int(areas[i]), i))
    return [labels == i for i in order if areas[i] >= LEAST_AREA / 4 * mask.size]


def _core(level: np.ndarray, usable: np.ndarray) -> np.ndarray | None:
    """The bright inside of the breast: the largest part above Otsu's threshold that is no bar and no border."""
    bytes_ = (level * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(bytes_[usable].reshape(1, -1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    opened = cv2.morphologyEx((bytes_ > threshold).astype(np.uint8), cv2.MORPH_OPEN, _kernel(level.shape, 0.02))
    return next((part for part in _components(opened > 0) if not _is_bar(part)), None)


def _bars(level: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Bars of light apart from the core: a film's edge, a line across the picture."""
    bright = level > 0.9 * float(level[core].max())
    if np.count_nonzero(bright & ~core) < LEAST_AREA / 4 * level.size:
        return np.zeros_like(core)
    found = [part for part in _components(bright) if _is_bar(part) and not (part & core).any()]
    return cv2.dilate(np.any([np.zeros_like(core), *found], 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def _is_bar(part: np.ndarray) -> bool:
    """Whether a part is a bar or a plate: long and thin."""
    height, width = np.ptp(np.flatnonzero(part.any(1))) + 1, np.ptp(np.flatnonzero(part.any(0))) + 1
    return min(height, width) < 0.05 * max(part.shape)


def _grow(level: np.ndarray, core: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Grow the core down to just above the level of the air around it."""
    middle = median(level[core])
    floor, spread = _air(level, core, usable, middle)
    threshold = floor + max(min(4 * spread, 0.15 * (middle - floor)), FLOOR * (middle - floor))
    tissue = ((level > threshold) & usable).astype(np.uint8)
    tissue = cv2.morphologyEx(tissue, cv2.MORPH_CLOSE, _kernel(level.shape, 0.008))
    opened = cv2.morphologyEx(tissue, cv2.MORPH_OPEN, _kernel(level.shape, 0.025))
    parts = _components(opened > 0) or [core]
    breast = max(parts, key=lambda part: np.count_nonzero(part & core))
    return _filled(_rebuilt(breast, tissue > 0, level.shape))


def _air(level: np.ndarray, core: np.ndarray, usable: np.ndarray, middle: float) -> tuple[float, float]:
    """Level and spread of the air around the core."""
    side = 2 * round(0.05 * max(level.shape)) + 1
    near = cv2.dilate(core.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    air = level[usable & ~near]
    if air.size < 0.01 * level.size:
        air = level[usable & ~core]
    air = air[air < 0.5 * middle]  # neither plates nor a digitizer's light
    if not air.size:
        return 0.0, 0.0
    film = air[air > 0.004]
    if film.size > 0.08 * air.size:  # a film lies on the scanner's black: the air to rise above is the film's
        level_of_film, spread = _mode(film)
        if level_of_film < 0.2 * middle and spread < 0.1 * level_of_film + 0.01:  # even, as fat is not
            return level_of_film, spread
    return _mode(air)


def _mode(air: np.ndarray) -> tuple[float, float]:
    """The most frequent level, and the spread of what lies below it: above it skin and labels are mixed in."""
    air = air[::4] if air.size > 4000 else air
    counts = np.bincount((air * 255).astype(np.uint8), minlength=256)
    smooth = np.convolve(counts, (1, 1, 1), "same")
    mode = (int(smooth.argmax()) + 0.5) / 255
    below = air[air <= mode]
    return mode, 1.4826 * median(mode - below) if below.size else 0.0


def _rebuilt(opened: np.ndarray, tissue: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Give back what opening took from the outline (nipple, corners at the chest wall), and no more."""
    return tissue & (cv2.dilate(opened.astype(np.uint8), _kernel(shape, 0.02)) > 0)


def _filled(mask: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), [largest], -1, 1, cv2.FILLED) > 0


def _joined_to_wall(facing: np.ndarray) -> np.ndarray:
    """Fill what dark fat left open towards the chest wall, where it is at most a third of the breast's own width.

    The wall is the first column that a tenth of the breast's rows reach: a line along the film's edge may go on.
    ``facing`` is the mask with its chest wall on the left, here and below.
    """
    rows = np.flatnonzero(facing.any(1))
    wall = int(np.flatnonzero(_counts(facing, 0) >= 0.1 * len(rows))[0])
    first = facing[rows].argmax(1)
    limit = (np.flatnonzero(facing.any(0))[-1] - wall) / 3
    columns = np.arange(facing.shape[1])
    joined = facing & (columns >= wall)
    joined[rows] |= (columns >= wall) & (columns < np.where(first - wall <= limit, first, 0)[:, None])
    return _filled(cv2.morphologyEx(joined.astype(np.uint8), cv2.MORPH_CLOSE, _kernel(facing.shape, 0.02)))


def _without_bands(facing: np.ndarray) -> np.ndarray:
    """Cut off what sticks out all at once in the uppermost or lowermost rows: tape, a strip of another exposure."""
    reach = np.where(facing.any(1), facing.shape[1] - facing[:, ::-1].argmax(1), 0)
    depth, step = round(TAPE * len(reach)), max(2, round(0.012 * len(reach)))
    cut = facing.copy()
    for rows in (np.flatnonzero(reach), np.flatnonzero(reach)[::-1]):
        order = rows[: depth + step]
        beneath = reach[order[step:]]
        sudden = np.flatnonzero(reach[order[: len(beneath)]] > beneath + 0.06 * facing.shape[1])
        if sudden.size:
            cut[order[: sudden[-1] + 1], beneath[sudden[-1]] :] = False
    return _filled(cut)


def _hull(mask: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.convexHull(np.vstack(contours))


def _chest_wall(hull: np.ndarray, shape: tuple[int, ...]) -> tuple[str, float]:
    """The side at which the breast's hull ends in a wall and not in a point, and by how much."""
    heights = _counts(cv2.drawContours(np.zeros(shape, np.uint8), [hull], -1, 1, cv2.FILLED), 0)
    heights = heights[np.flatnonzero(heights)[0] : np.flatnonzero(heights)[-1] + 1]
    strip = max(1, round(len(heights) * 0.08))
    left, right = float(heights[:strip].mean()) + 1e-3, float(heights[-strip:].mean()) + 1e-3
    return ("left", left / right) if left >= right else ("right", right / left)

"""Find what may be burned-in text in a mammogram, cheaply: bright or dark strokes of the size of glyphs.

The breast is found on a subsample. Strokes are what a white or black top-hat leaves of the 2×2-pooled picture (and of
the 8×8-pooled one, for big letters). Outside the breast strokes that stand together are candidates; within and at its
edge chains of strokes are, those that a small logistic model takes for lines of text (``text_chains``). A clean
mammogram has few candidates or none and is hardly looked at further. Works on values in display order: dark is small.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.deidentify.text_chains import Strokes, best_log_odds, chains, log_odds

OUTSIDE, INSIDE = "outside", "inside"

_LEAST_BREAST = 0.02
_TOP_HAT = 9
_TILE = 64
_LINE = 61
_OUTSIDE_RANGE, _INSIDE_RANGE = 0.012, 0.025
_LEAST_HEIGHT, _MOST_HEIGHT, _MOST_LENGTH = 4, 48, 600
_LEAST_AREA, _LEAST_SINGLE = 5, 10
_LARGE = 1600
_SURE = 2.0


Box = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels; bottom and right are past the end."""


@dataclass(frozen=True)
class Candidate:
    """A group of strokes that may be text: the strokes' boxes, where it lies, and the strokes' median height in pixels.

    ``place`` is OUTSIDE where no stroke touches the breast. ``score`` is a chain's log-odds of being a line of text.
    """

    glyphs: tuple[Box, ...]
    place: str
    height: float
    score: float = 0.0

    @property
    def box(self) -> Box:
        """The box around all strokes."""
        tops, lefts, bottoms, rights = zip(*self.glyphs, strict=True)
        return min(tops), min(lefts), max(bottoms), max(rights)


@dataclass(frozen=True)
class Scene:
    """What of a picture is breast. ``mask`` has a cell for each ``step`` × ``step`` pixels; ``low`` and ``high`` bound
    the picture's gray values.
    """

    mask: np.ndarray
    low: float
    high: float
    shape: tuple[int, ...]
    step: int = 16

    def touches(self, box: Box, margin: int = 0) -> bool:
        """Whether a box, in pixels, touches the breast or comes nearer to it than a margin in pixels."""
        top, left, bottom, right = box
        top, left, bottom, right = (max(0, v) for v in (top - margin, left - margin, bottom + margin, right + margin))
        step = self.step
        return bool(self.mask[top // step : -(-bottom // step), left // step : -(-right // step)].any())


def in_display_order(pixels: np.ndarray, monochrome1: bool) -> np.ndarray:
    """2-D gray values of any type as uint8 or uint16 in which dark is small; a copy only where one is needed."""
    if pixels.dtype == np.bool_ or pixels.dtype == np.uint8:
        picture = pixels.astype(np.uint8, copy=False)
        picture = picture * np.uint8(255) if picture.max(initial=0) <= 1 else picture
    elif pixels.dtype == np.uint16:
        picture = pixels
    elif pixels.dtype == np.int16:
        picture = pixels.view(np.uint16) - np.int16(pixels.min(initial=0)).view(np.uint16)
    else:
        values = np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        whole = pixels.dtype.kind in "iu" and high - low <= 65535
        values = values - low if whole else (values - low) * (65535 / max(high - low, 1e-300))
        picture = values.astype(np.uint16)
    if monochrome1:
        picture = picture.max(initial=0) - picture
    return np.ascontiguousarray(picture)


def find_breast(picture: np.ndarray) -> Scene:
    """The breast of a 2-D picture in display order, from a subsample; the mask is empty where there is none.

    Raises nothing: a picture without air around the breast is all breast.
    """
    import cv2

    cv2.setNumThreads(1)  # work is spread over processes
    step = max(1, min(16, min(picture.shape) // 96))
    thumbnail = np.ascontiguousarray(picture[step // 2 :: step, step // 2 :: step]).astype(np.float32)
    if min(thumbnail.shape, default=0) < 8:
        nothing = np.zeros(tuple(-(-n // step) for n in picture.shape), np.uint8)
        return Scene(nothing, float(picture.min()), float(picture.max()), picture.shape, step)
    smooth = cv2.medianBlur(thumbnail, 5)
    low, high = (float(v) for v in np.percentile(smooth, [2, 99.5]))
    for share in (0.035, 0.08):
        mask: np.ndarray = (smooth > low + share * max(high - low, 1e-6)).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        if mask.mean() < 0.6:
            break
    mask = cv2.dilate(_filled(mask), np.ones((3, 3), np.uint8))
    return Scene(mask, float(thumbnail.min()), float(thumbnail.max()), picture.shape, step)


def _filled(mask: np.ndarray) -> np.ndarray:
    """The large parts of a mask, each filled up to its convex hull where that is hardly larger: a breast is round."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    filled = np.zeros_like(mask)
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] < _LEAST_BREAST * mask.size:
            continue
        part = (labels == number).astype(np.uint8)
        outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(part, outlines, -1, 1, thickness=-1)
        hull = cv2.fillConvexPoly(np.zeros_like(mask), cv2.convexHull(np.concatenate(outlines)), 1)
        filled |= hull if hull.sum() <= 1.3 * part.sum() else part
    return filled


def find_candidates(picture: np.ndarray, scene: Scene) -> list[Candidate]:
    """Groups of strokes that may be text in a 2-D uint8 or uint16 picture in display order, from top to bottom."""
    factor = 2 if max(picture.shape) > _LARGE else 1
    bright, dark = _pool(picture, factor, least=False), _pool(picture, factor, least=True)
    found = _at_scale(bright, dark, scene, factor)
    if min(picture.shape) >= 16 * _TOP_HAT:
        found += _at_scale(_pool(bright, 4, least=False), _pool(dark, 4, least=True), scene, 4 * factor)
    return sorted(found, key=lambda c: c.box)


def _pool(picture: np.ndarray, factor: int, least: bool) -> np.ndarray:
    """Max- or min-pool in blocks of factor × factor; what does not fill a block at the end is padded by repetition."""
    operation = np.minimum if least else np.maximum
    while factor > 1:
        rows, columns = picture.shape
        if rows % 2 or columns % 2:
            picture = np.pad(picture, ((0, rows % 2), (0, columns % 2)), mode="edge")
        picture = operation(picture[0::2], picture[1::2])
        picture = operation(picture[:, 0::2], picture[:, 1::2])
        factor //= 2
    return picture


def _at_scale(bright: np.ndarray, dark: np.ndarray, scene: Scene, factor: int) -> list[Candidate]:
    """Candidates in a picture pooled by ``factor``: bright strokes in the one, dark ones in the other."""
    import cv2

    kernel = np.ones((_TOP_HAT, _TOP_HAT), np.uint8)
    most = np.iinfo(bright.dtype).max
    inside = cv2.resize(scene.mask, bright.shape[::-1], interpolation=cv2.INTER_NEAREST)
    steps = np.array([_OUTSIDE_RANGE, _INSIDE_RANGE]) * max(scene.high - scene.low, 1.0)
    outer, inner = np.clip(steps, 1, most).astype(bright.dtype)
    least = np.where(inside, inner, outer)
    found = []
    for pooled, operation in ((bright, cv2.MORPH_TOPHAT), (dark, cv2.MORPH_BLACKHAT)):
        hat = cv2.morphologyEx(np.ascontiguousarray(pooled), operation, kernel, borderType=cv2.BORDER_REPLICATE)
        limit = cv2.max(least, _local_level(hat))
        found += _groups(_without_lines((hat > limit).astype(np.uint8)), hat, limit, inside, factor, scene.shape)
    return found


def _local_level(hat: np.ndarray) -> np.ndarray:
    """Three times the 60th percentile of the top-hat in each tile: above what noise and texture leave there."""
    import cv2

    rows, columns = (-(-n // _TILE) for n in hat.shape)
    sample = hat[::4, ::4]
    padded = np.pad(
        sample, [(0, rows * _TILE // 4 - sample.shape[0]), (0, columns * _TILE // 4 - sample.shape[1])], mode="edge"
    )
    tiles = padded.reshape(rows, _TILE // 4, columns, _TILE // 4).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    level = np.partition(tiles, int(0.6 * tiles.shape[2]), axis=2)[:, :, int(0.6 * tiles.shape[2])]
    level = np.minimum(3 * level.astype(np.int64), np.iinfo(hat.dtype).max).astype(hat.dtype)
    spread = cv2.resize(level, (columns * _TILE, rows * _TILE), interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(spread[: hat.shape[0], : hat.shape[1]])


def _without_lines(strokes: np.ndarray) -> np.ndarray:
    """Drop long straight lines: collimator edges, paddle borders, frames around labels (the letters in them stay)."""
    import cv2

    for along, kernel in ((1, np.ones((1, _LINE), np.uint8)), (0, np.ones((_LINE, 1), np.uint8))):
        if cv2.reduce(strokes, along, cv2.REDUCE_SUM, dtype=cv2.CV_32S).max() < _LINE:
            continue
        middle = cv2.erode(strokes, kernel)
        if middle.any():
            line = cv2.dilate(middle, kernel)
            strokes = np.where(cv2.dilate(line, np.ones((3, 3), np.uint8)) > 0, np.uint8(0), strokes)
    return strokes


def _groups(
    strokes: np.ndarray, hat: np.ndarray, limit: np.ndarray, inside: np.ndarray, factor: int, shape: tuple[int, ...]
) -> list[Candidate]:
    """Strokes of glyph size, joined along lines of text; the groups that may be text."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes)
    if count < 2:
        return []
    small = np.minimum(stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_WIDTH])
    large = np.maximum(stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_WIDTH])
    glyph = (large >= _LEAST_HEIGHT) & (large <= _MOST_LENGTH) & (small <= _MOST_HEIGHT)
    glyph &= stats[:, cv2.CC_STAT_AREA] >= _LEAST_AREA
    glyph[0] = False
    if not glyph.any():
        return []
    boxes = stats[glyph][:, :4].astype(np.int64)  # left, top, width, height
    at = np.flatnonzero(strokes.view(np.bool_))
    numbers = labels.ravel()[at]
    kept = glyph[numbers]
    at, numbers = at[kept], numbers[kept]
    ratio = hat.ravel()[at] / np.maximum(limit.ravel()[at], 1)
    contrast = np.bincount(numbers, ratio, count) / np.maximum(np.bincount(numbers, minlength=count), 1)
    within = _touching(boxes, inside)
    every = Strokes(boxes, stats[glyph, cv2.CC_STAT_AREA].astype(np.float64), contrast[glyph], within)
    found = []
    if not within.all():
        outside = every.only(~within)
        odds = best_log_odds(outside)
        groups = _join(outside.boxes, strokes.shape)
        for number in np.unique(groups):
            group = outside.boxes[groups == number]
            if len(group) >= 2 or group[0, 2:].max() >= _LEAST_SINGLE:
                found.append(_candidate(group, OUTSIDE, factor, shape, float(odds[groups == number].max())))
    if within.any():
        for members, odds_of_line, _ in lines_of_text(every, factor):
            found.append(_candidate(boxes[members], INSIDE, factor, shape, odds_of_line))
    return found


def lines_of_text(every: Strokes, factor: int) -> list[tuple[np.ndarray, float, bool]]:
    """The chains of strokes that touch the breast and stand as lines of text do: indexes, log-odds, whether upward.

    ``factor`` is that by which the picture was pooled.
    """
    found = []
    for upward, strokes in enumerate((every, every.turned())):
        numbers = chains(strokes)
        odds = log_odds(strokes, numbers)
        odds[np.bincount(numbers, every.within, len(odds)) == 0] = -np.inf
        for number in np.flatnonzero(odds > _SURE):
            found.append((np.flatnonzero(numbers == number), float(odds[number]), bool(upward)))
    return found


def _touching(boxes: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Which boxes (left, top, width, height) touch a mask."""
    import cv2

    total = cv2.integral(inside)
    left, top, right, bottom = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    touched: np.ndarray = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left] > 0
    return touched


def _join(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A group number for each glyph: those whose boxes, widened by a space between words, touch."""
    import cv2

    canvas = np.zeros(shape, np.uint8)
    for left, top, width, height in boxes.tolist():
        size = min(max(width, height), 2 * min(width, height) + _LEAST_HEIGHT)
        across, along = int(0.25 * size) + 1, int(0.8 * size) + 1
        corner = (left + width + along, top + height + across)
        cv2.rectangle(canvas, (left - along, top - across), corner, 1, thickness=-1)
    _, labels = cv2.connectedComponents(canvas)
    numbers: np.ndarray = labels[boxes[:, 1] + boxes[:, 3] // 2, boxes[:, 0] + boxes[:, 2] // 2]
    return numbers


def _candidate(group: np.ndarray, place: str, factor: int, shape: tuple[int, ...], odds: float = 0.0) -> Candidate:
    glyphs = [
        (t * factor, x * factor, min((t + h) * factor, shape[0]), min((x + w) * factor, shape[1]))
        for x, t, w, h in group.tolist()
    ]
    tall, wide = (np.ptp(np.stack([group[:, k], group[:, k] + group[:, k + 2]])) for k in (1, 0))
    heights = group[:, 3] if tall <= 2 * wide else group[:, 2:].min(1)  # text may run upwards
    return Candidate(tuple(sorted(glyphs)), place, float(np.median(heights)) * factor, odds)

"""Find what may be burned-in text in a mammogram, cheaply: bright or dark strokes of the size of glyphs.

The breast is found on a ÷16 subsample. Strokes are what a white or black top-hat leaves of the 2×2-pooled picture (and
of the 8×8-pooled one, for big letters). A clean mammogram has no candidate and is not looked at further. Works on
values in display order: dark is small.
"""

from dataclasses import dataclass

import numpy as np

OUTSIDE, INSIDE = "outside", "inside"

_STEP = 16
_LEAST_BREAST = 0.02
_TOP_HAT = 9
_TILE = 64
_LINE = 61
_OUTSIDE_RANGE, _INSIDE_RANGE = 0.012, 0.06
_LEAST_HEIGHT, _MOST_HEIGHT, _MOST_LENGTH = 4, 48, 600
_LEAST_AREA, _LEAST_SINGLE = 5, 10
_LARGE = 1600


Box = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels; bottom and right are past the end."""


@dataclass(frozen=True)
class Candidate:
    """A group of strokes that may be text: the strokes' boxes, where it lies, and the strokes' median height in pixels.

    ``place`` is OUTSIDE where no stroke touches the breast.
    """

    glyphs: tuple[Box, ...]
    place: str
    height: float

    @property
    def box(self) -> Box:
        """The box around all strokes."""
        tops, lefts, bottoms, rights = zip(*self.glyphs, strict=True)
        return min(tops), min(lefts), max(bottoms), max(rights)


@dataclass(frozen=True)
class Scene:
    """What of a picture is breast. ``mask`` is ÷16; ``low`` and ``high`` bound the picture's gray values."""

    mask: np.ndarray
    low: float
    high: float
    shape: tuple[int, ...]

    def touches(self, box: Box, margin: int = 0) -> bool:
        """Whether a box, in pixels, touches the breast or comes nearer to it than a margin in pixels."""
        top, left, bottom, right = box
        top, left, bottom, right = (max(0, v) for v in (top - margin, left - margin, bottom + margin, right + margin))
        return bool(self.mask[top // _STEP : -(-bottom // _STEP), left // _STEP : -(-right // _STEP)].any())


def find_breast(picture: np.ndarray) -> Scene:
    """The breast of a 2-D picture in display order, from every 16th pixel; the mask is empty where there is none.

    Raises nothing: a picture without air around the breast is all breast.
    """
    import cv2

    cv2.setNumThreads(1)  # work is spread over processes
    thumbnail = np.ascontiguousarray(picture[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP]).astype(np.float32)
    if min(thumbnail.shape, default=0) < 4:
        nothing = np.zeros(tuple(-(-n // _STEP) for n in picture.shape), np.uint8)
        return Scene(nothing, float(picture.min()), float(picture.max()), picture.shape)
    smooth = cv2.medianBlur(thumbnail, 5) if min(thumbnail.shape) >= 5 else thumbnail
    low, high = (float(v) for v in np.percentile(smooth, [2, 99.5]))
    mask: np.ndarray = (smooth > low + 0.08 * max(high - low, 1e-6)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    large = stats[:, cv2.CC_STAT_AREA] >= _LEAST_BREAST * mask.size
    large[0] = False
    mask = cv2.dilate(large[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    return Scene(mask, float(thumbnail.min()), float(thumbnail.max()), picture.shape)


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
    least = np.clip(steps, 1, most).astype(bright.dtype)[inside]
    found = []
    for pooled, operation in ((bright, cv2.MORPH_TOPHAT), (dark, cv2.MORPH_BLACKHAT)):
        hat = cv2.morphologyEx(np.ascontiguousarray(pooled), operation, kernel, borderType=cv2.BORDER_REPLICATE)
        limit = cv2.max(least, _local_level(hat))
        found += _groups(_without_lines((hat > limit).astype(np.uint8)), inside, factor, scene.shape)
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

    for kernel in (np.ones((1, _LINE), np.uint8), np.ones((_LINE, 1), np.uint8)):
        line = cv2.morphologyEx(strokes, cv2.MORPH_OPEN, kernel)
        if line.any():
            strokes = np.where(cv2.dilate(line, np.ones((3, 3), np.uint8)) > 0, np.uint8(0), strokes)
    return strokes


def _groups(strokes: np.ndarray, inside: np.ndarray, factor: int, shape: tuple[int, ...]) -> list[Candidate]:
    """Strokes of glyph size, joined along lines of text; the groups that may be text."""
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats(strokes)
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
    within = np.array([inside[t : t + h, x : x + w].any() for x, t, w, h in boxes.tolist()])
    found = []
    outside = boxes[~within]
    for group in _joined(outside, strokes.shape):
        if len(group) >= 2 or group[0, 2:].max() >= _LEAST_SINGLE:
            found.append(_candidate(group, OUTSIDE, factor, shape))
    if not within.any():
        return found
    turned = [1, 0, 3, 2]
    rows = [g for g in _joined(boxes, strokes.shape) if _is_orderly(g)]
    columns = [g[:, turned] for g in _joined(boxes[:, turned], strokes.shape[::-1]) if _is_orderly(g)]
    return found + [_candidate(g, INSIDE, factor, shape) for g in rows + columns if _touches(g, inside)]


def _joined(boxes: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Glyphs in groups: those whose boxes, widened along a line by a space between words, touch."""
    if not len(boxes):
        return []
    members = _join(boxes, shape)
    return [boxes[members == number] for number in np.unique(members)]


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


def _candidate(group: np.ndarray, place: str, factor: int, shape: tuple[int, ...]) -> Candidate:
    glyphs = [
        (t * factor, x * factor, min((t + h) * factor, shape[0]), min((x + w) * factor, shape[1]))
        for x, t, w, h in group.tolist()
    ]
    tall, wide = (np.ptp(np.stack([group[:, k], group[:, k] + group[:, k + 2]])) for k in (1, 0))
    heights = group[:, 3] if tall <= 2 * wide else group[:, 2:].min(1)  # text may run upwards
    return Candidate(tuple(sorted(glyphs)), place, float(np.median(heights)) * factor)


def _touches(group: np.ndarray, inside: np.ndarray) -> bool:
    return any(inside[t : t + h, x : x + w].any() for x, t, w, h in group.tolist())


def _is_orderly(group: np.ndarray) -> bool:
    """Whether strokes stand in a row as text does: like heights, their middles on one line; or are one word melted."""
    width, height = group[:, 2], group[:, 3]
    tall = float(np.median(height))
    if tall < _LEAST_HEIGHT:
        return False
    if len(group) < 3:
        return bool(width.sum() >= 2.5 * tall and width.sum() <= 20 * tall)
    across, middle = group[:, 0] + width / 2, group[:, 1] + height / 2
    slope, start = np.polyfit(across, middle, 1) if np.ptp(across) > tall else (0.0, float(middle.mean()))
    residual = np.median(np.abs(middle - slope * across - start))
    return bool(np.median(np.abs(height - tall)) <= 0.35 * tall and residual <= 0.3 * tall and abs(slope) < 0.35)

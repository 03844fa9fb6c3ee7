"""Burned-in text: find it in pictures and blank it (PS3.15 section E.3.1, Clean Pixel Data Option).

In mammograms the cheap search for strokes comes first, and only what it finds is read. Outside the breast whatever
resembles text goes, view markers aside; within and at its edge only what can be read, so that no calcification is
erased. Other pictures are read whole. What an object says of itself (0028,0301) is believed only when it says YES.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pydicom

from pipelines.deidentify.frames import Frames
from pipelines.deidentify.text_candidates import (
    OUTSIDE,
    Box,
    Candidate,
    Scene,
    find_breast,
    find_candidates,
)
from pipelines.deidentify.text_reading import DetectorError, Line, read_piece, read_whole

__all__ = ["DetectorError", "TextBox", "TextSettings", "blank", "clean_pixels", "find_text"]

ALL_FRAMES = 0

_SURE_OUTSIDE, _SURE_INSIDE = 0.5, 0.7
_LEAST_PARTS = 3
_MOST_PIECES = 60
_LEAST_SIDE = 8  # no legible text fits into less
_EDGE, _FILLING = 0.02, 0.3
_MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.13.1.3"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True)
class TextSettings:
    """How burned-in text is looked for.

    ``mode``: ``auto`` reads what the search for strokes finds, ``full`` reads whole pictures besides, ``off`` finds
    nothing. ``keep_markers`` leaves side and view markers (R CC, L MLO) in place. ``unread`` blanks strokes outside the
    breast that resemble a text of three letters or more though they cannot be read.
    """

    mode: str = "auto"
    keep_markers: bool = True
    unread: bool = True


@dataclass(frozen=True, order=True)
class TextBox:
    """A box to blank, in pixels; bottom and right are past the end. ``frame`` counts from 1; ALL_FRAMES is each."""

    frame: int
    top: int
    left: int
    bottom: int
    right: int


def find_text(
    pixels: np.ndarray,
    *,
    monochrome1: bool = False,
    settings: TextSettings = TextSettings(),
) -> list[TextBox]:
    """Boxes of burned-in text in one 2-D frame of gray values of any integer or float type, as frame 1.

    ``monochrome1`` says that small values are bright. Raises DetectorError where the detector cannot run.
    """
    if settings.mode == "off" or min(pixels.shape) < _LEAST_SIDE:
        return []
    picture = _in_display_order(pixels, monochrome1)
    scene = find_breast(picture)
    candidates = find_candidates(picture, scene)
    if settings.mode == "auto" and not candidates:
        return []
    pieces = _pieces(candidates, picture.shape)
    boxes: list[Box] = []
    telling = False
    if len(pieces) > _MOST_PIECES:
        pieces = _tiles(picture.shape, candidates)
    for piece, held in pieces:
        lines = read_piece(picture, piece, _reading_height(held))
        found, text = _judge(lines, held, scene, settings)
        boxes += found
        telling = telling or text
    if settings.mode == "full" or telling:
        boxes += [_extended(line) for line in read_whole(picture) if _is_text(line, 2, picture.shape, settings)]
    return sorted({_clipped(box, picture.shape) for box in boxes})


def blank(pixels: np.ndarray, boxes: Iterable[TextBox], value: int | float | tuple[int, ...]) -> None:
    """Set boxes of a frame of shape (rows, columns[, samples]) to a value, in place, whatever their frame number."""
    for box in boxes:
        pixels[box.top : box.bottom, box.left : box.right] = value


def clean_pixels(
    dataset: pydicom.Dataset,
    settings: TextSettings = TextSettings(),
) -> list[TextBox]:
    """Find and blank burned-in text in all frames of an object, in place; the boxes that were blanked.

    An object without pixel data has none. When something was blanked the pixel data are encoded anew, lossless in
    their own transfer syntax where it can hold that, else as Explicit VR Little Endian; an object without boxes is not
    touched. With several frames each box is blanked in every frame. Raises DetectorError where the pixel data cannot be
    decoded or the detector cannot run: such an object must be refused.
    """
    if settings.mode == "off":
        return []
    frames = Frames.of(dataset)
    if frames is None:
        return []
    settings = _settings_for(dataset, settings)
    boxes: list[TextBox] = []
    judged: set[bytes] = set()
    for number in range(frames.count):
        luminance = frames.luminance(number)
        digest = hashlib.sha256(np.ascontiguousarray(luminance).data).digest()
        if digest in judged:
            continue
        judged.add(digest)
        whole = settings.mode == "full" and number in {0, frames.count // 2, frames.count - 1}
        for_frame = settings if whole else replace(settings, mode="auto")
        masked = luminance.copy() if boxes else luminance
        blank(masked, boxes, frames.darkest(luminance))
        boxes += find_text(masked, monochrome1=frames.monochrome1, settings=for_frame)
    if boxes:
        frames.blank_and_store(boxes)
    number = 1 if frames.count == 1 else ALL_FRAMES
    return sorted({replace(box, frame=number) for box in boxes})


def _settings_for(dataset: pydicom.Dataset, settings: TextSettings) -> TextSettings:
    """Read whole pictures where text is likely or nothing is known of it: all but plain mammograms."""
    breast = dataset.get("Modality") == "MG" or "BREAST" in str(dataset.get("BodyPartExamined", "")).upper()
    mammogram = breast or str(dataset.get("SOPClassUID", "")).startswith(_MAMMOGRAPHY)
    captured = str(dataset.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE)
    if not mammogram:
        return replace(settings, mode="full", unread=False)
    if captured or dataset.get("BurnedInAnnotation") == "YES":
        return replace(settings, mode="full")
    return settings


def _in_display_order(pixels: np.ndarray, monochrome1: bool) -> np.ndarray:
    """Gray values as uint8 or uint16 in which dark is small."""
    if pixels.dtype == np.bool_ or pixels.dtype == np.uint8:
        picture = pixels.astype(np.uint8, copy=False)
        picture = picture * np.uint8(255) if picture.max(initial=0) <= 1 else picture
    elif pixels.dtype == np.uint16:
        picture = pixels
    else:
        values = np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        whole = pixels.dtype.kind in "iu" and high - low <= 65535
        values = values - low if whole else (values - low) * (65535 / max(high - low, 1e-300))
        picture = values.astype(np.uint16)
    if monochrome1:
        picture = picture.max(initial=0) - picture
    return np.ascontiguousarray(picture)


def _pieces(candidates: list[Candidate], shape: tuple[int, ...]) -> list[tuple[Box, list[Candidate]]]:
    """Boxes to read, each with the candidates in it: candidates that touch are read together."""
    pieces: list[tuple[Box, list[Candidate]]] = []
    for candidate in candidates:
        box, held = candidate.box, [candidate]
        while touching := [p for p in pieces if _overlap(p[0], box)]:
            for piece in touching:
                pieces.remove(piece)
                box = _around(piece[0], box)
                held = piece[1] + held
        pieces.append((box, held))
    return pieces


def _tiles(shape: tuple[int, ...], candidates: list[Candidate]) -> list[tuple[Box, list[Candidate]]]:
    """Overlapping tiles over the whole picture, for a picture full of strokes."""
    size, step = 1600, 1400
    tiles = [
        (t, x, min(t + size, shape[0]), min(x + size, shape[1]))
        for t in range(0, shape[0], step)
        for x in range(0, shape[1], step)
    ]
    return [(tile, [c for c in candidates if _overlap(tile, c.box)]) for tile in tiles]


def _reading_height(held: list[Candidate]) -> float:
    """The height of a piece's text: the tallest strokes' may be a frame around it, the smallest's noise."""
    heights = sorted((c.height for c in held if c.height >= 8), reverse=False) or [8.0]
    return heights[len(heights) // 2]


def _judge(lines: list[Line], held: list[Candidate], scene: Scene, settings: TextSettings) -> tuple[list[Box], bool]:
    """What of a piece goes, and whether a text of some length was read in it, so that there may be more elsewhere."""
    outside = any(c.place == OUTSIDE for c in held)
    boxes: list[Box] = []
    telling = False
    kept = [_box(line) for line in lines if line.is_marker and line.score >= _SURE_OUTSIDE and settings.keep_markers]
    for line in lines:
        within = scene.touches(_box(line)) or not outside
        sure, characters = (_SURE_INSIDE, 3) if within else (_SURE_OUTSIDE, 1)
        if line.score < sure or not _is_text(line, characters, scene.shape, settings):
            continue
        boxes.append(_extended(line))
        telling = telling or (line.characters >= 3 and line.score >= 0.6)
    if settings.unread:
        for candidate in held:
            if candidate.place == OUTSIDE:
                boxes += _unread(candidate, boxes, kept, scene)
    return boxes, telling


def _unread(candidate: Candidate, read: list[Box], kept: list[Box], scene: Scene) -> list[Box]:
    """The strokes of a candidate that were not read, where they are three letters or more, or stand beside a marker.

    Near the breast none go: the skin line breaks up into strokes too.
    """
    marked = any(_covers(box, g) for box in kept for g in candidate.glyphs)
    rest = [g for g in candidate.glyphs if not any(_covers(box, g) for box in (*read, *kept))]
    parts = sum(max(1, round(_long(g) / (1.2 * max(_short(g), 8)))) for g in rest)
    if not rest or (parts < _LEAST_PARTS and not marked):
        return []
    around = rest[0]
    for glyph in rest:
        around = _around(around, glyph)
    margin = int(_EDGE * max(scene.shape))
    if not marked and not scene.touches(around, margin):
        return [_grown(around, 0.7 * candidate.height)]
    away = [g for g in rest if not scene.touches(g, margin)]
    return [_grown(g, 0.15 * candidate.height) for g in away]


def _box(line: Line) -> Box:
    return line.top, line.left, line.bottom, line.right


def _is_text(line: Line, characters: int, shape: tuple[int, ...], settings: TextSettings) -> bool:
    """Whether a line that was read must go. An organ may be read as a letter or two that fill the picture."""
    if line.is_marker:
        return not settings.keep_markers and line.score >= _SURE_OUTSIDE
    short, long = sorted((line.bottom - line.top, line.right - line.left))
    if short > _FILLING * min(shape):
        return line.characters >= 4 and line.score >= 0.9 and long >= 0.4 * line.characters * short
    return line.characters >= characters and line.score >= _SURE_OUTSIDE


def _extended(line: Line) -> Box:
    height = min(line.bottom - line.top, line.right - line.left)
    along, across = round(0.7 * height), round(0.3 * height)
    return line.top - across, line.left - along, line.bottom + across, line.right + along


def _grown(box: Box, by: float) -> Box:
    margin = round(by)
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def _around(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _covers(box: Box, glyph: Box) -> bool:
    """Whether the middle of a stroke lies in a box."""
    return box[0] <= (glyph[0] + glyph[2]) / 2 <= box[2] and box[1] <= (glyph[1] + glyph[3]) / 2 <= box[3]


def _long(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _short(box: Box) -> int:
    return min(box[2] - box[0], box[3] - box[1])


def _clipped(box: Box, shape: tuple[int, ...]) -> TextBox:
    top, left, bottom, right = box
    return TextBox(1, max(0, top), max(0, left), min(shape[0], bottom), min(shape[1], right))

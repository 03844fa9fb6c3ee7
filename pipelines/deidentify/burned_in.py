"""Burned-in text: find it in pictures and blank it (PS3.15 section E.3.1, Clean Pixel Data Option).

In mammograms the cheap search for strokes comes first, and only what it finds is read. Outside the breast whatever
resembles text goes, view markers aside; within and at its edge only what can be read, so that no calcification is
erased. Other pictures are read whole. What an object says of itself (0028,0301) is believed only when it says YES.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pydicom

from pipelines.deidentify.background import background
from pipelines.deidentify.frames import Frames
from pipelines.deidentify.text_candidates import (
    OUTSIDE,
    Box,
    Candidate,
    find_breast,
    find_candidates,
    in_display_order,
)
from pipelines.deidentify.text_judging import Findings, around, holds, judge_piece, judge_whole, overlap
from pipelines.deidentify.text_reading import DetectorError, read_whole
from pipelines.deidentify.text_settings import TextSettings

__all__ = ["Cleaned", "DetectorError", "TextBox", "TextSettings", "blank", "clean_pixels", "find_text"]

ALL_FRAMES = 0

DEFAULT = TextSettings()

_MOST_PIECES = 60
_MOST_TRIES = 3
_LIKELY = 5.0  # log-odds
_LEAST_SIDE = 8  # no legible text fits into less
_MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.13.1.3"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, order=True)
class TextBox:
    """A box to blank, in pixels; bottom and right are past the end. ``frame`` counts from 1; ALL_FRAMES is each."""

    frame: int
    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Cleaned:
    """What cleaning did to an object's pixels.

    ``boxes`` were blanked. ``review`` counts places within the breast whose strokes stand like letters but could not be
    read: they were left, since they may be calcifications, and a person should look. ``masked`` says that bits which
    are no part of the picture were set to what an empty cell holds.
    """

    boxes: tuple[TextBox, ...] = ()
    review: int = 0
    masked: bool = False

    @property
    def changed(self) -> bool:
        """Whether the pixel data are no longer those that came."""
        return bool(self.boxes) or self.masked


def find_text(
    pixels: np.ndarray,
    *,
    monochrome1: bool = False,
    settings: TextSettings = DEFAULT,
) -> list[TextBox]:
    """Boxes of burned-in text in one 2-D frame of gray values of any integer or float type, as frame 1.

    ``monochrome1`` says that small values are bright. Raises DetectorError where the detector cannot run.
    """
    found = _examine(pixels, monochrome1, settings, [])
    return sorted({_clipped(box, pixels.shape) for box in found.boxes})


def blank(pixels: np.ndarray, boxes: Iterable[TextBox], value: int | float | tuple[int, ...]) -> None:
    """Set boxes of a frame of shape (rows, columns[, samples]) to a value, in place, whatever their frame number."""
    for box in boxes:
        pixels[box.top : box.bottom, box.left : box.right] = value


def clean_pixels(dataset: pydicom.Dataset, settings: TextSettings = DEFAULT) -> Cleaned:
    """Find and blank burned-in text in all frames of an object, in place, and clear bits that are no part of a picture.

    An object without pixel data has none. When something was blanked or cleared the pixel data are encoded anew,
    lossless in their own transfer syntax where it can hold that, else as Explicit VR Little Endian; an object of which
    nothing was is not touched. With several frames each box is blanked in every frame. Raises DetectorError where the
    pixel data cannot be decoded or the detector cannot run: such an object must be refused.
    """
    frames = Frames.of(dataset)
    if frames is None or (settings.mode == "off" and not frames.spare_bits):
        return Cleaned()
    settings = _settings_for(dataset, settings)
    search = _Search(frames, settings)
    for number in range(frames.count):
        luminance = frames.luminance(number)
        if settings.mode != "off":
            search.look(number, luminance)
    if search.boxes or frames.exceeded:
        frames.blank_and_store(search.boxes)
    number = 1 if frames.count == 1 else ALL_FRAMES
    boxes = sorted({replace(box, frame=number) for box in search.boxes})
    return Cleaned(tuple(boxes), len(search.review), frames.exceeded)


@dataclass
class _Search:
    """What was found in the frames of an object so far."""

    frames: Frames
    settings: TextSettings
    boxes: list[TextBox] = field(default_factory=list)
    review: list[Box] = field(default_factory=list)
    tried: list[Box] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)

    def look(self, number: int, luminance: np.ndarray) -> None:
        """Look at a frame, unless one like it was looked at; boxes that are known are not looked into again."""
        if self.frames.count > 1:
            digest = hashlib.sha256(np.ascontiguousarray(luminance).data).digest()
            if digest in self.seen:
                return
            self.seen.add(digest)
        whole = number in {0, self.frames.count // 2, self.frames.count - 1}
        settings = self.settings
        if settings.mode == "full" and not whole:
            settings = replace(settings, mode="auto")
        if self.boxes:
            luminance = luminance.copy()
            blank(luminance, self.boxes, self.frames.darkest(luminance))
        found = _examine(luminance, self.frames.monochrome1, settings, self.tried)
        self.boxes += sorted({_clipped(box, luminance.shape) for box in found.boxes})
        self.review += [b for b in found.review if not any(overlap(b, known) for known in self.review)]


def _examine(pixels: np.ndarray, monochrome1: bool, settings: TextSettings, tried: list[Box]) -> Findings:
    """What is found in one frame. ``tried`` are boxes that were read in vain; a place is read so _MOST_TRIES times."""
    if settings.mode == "off" or min(pixels.shape) < _LEAST_SIDE:
        return Findings()
    picture = in_display_order(pixels, monochrome1)
    scene = find_breast(picture)
    candidates = find_candidates(picture, scene)
    found = Findings()
    pieces = _pieces(candidates)
    if len(pieces) > _MOST_PIECES:
        pieces = _tiles(picture.shape, candidates)
    for piece, held in pieces:
        inside = all(c.place != OUTSIDE for c in held)
        if inside and sum(holds(box, piece) for box in tried) >= _MOST_TRIES:
            continue
        part = judge_piece(picture, piece, held, scene, settings)
        tried += [] if part.boxes else [piece]
        found.boxes += part.boxes
        found.kept += part.kept
        found.review += part.review
        found.telling = found.telling or part.telling
    if settings.mode == "blank_background":
        found.boxes += background(scene, found.kept)
    if settings.mode in ("full", "blank_background") or found.telling:
        found.boxes += judge_whole(read_whole(picture), picture.shape, settings)
    return found


def _settings_for(dataset: pydicom.Dataset, settings: TextSettings) -> TextSettings:
    """Read whole pictures where text is likely or nothing is known of it: all but plain mammograms."""
    breast = dataset.get("Modality") == "MG" or "BREAST" in str(dataset.get("BodyPartExamined", "")).upper()
    mammogram = breast or str(dataset.get("SOPClassUID", "")).startswith(_MAMMOGRAPHY)
    captured = str(dataset.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE)
    if settings.mode == "off":
        return settings
    if not mammogram:
        return replace(settings, mode="full", unread=False)
    if settings.mode == "auto" and (captured or dataset.get("BurnedInAnnotation") == "YES"):
        return replace(settings, mode="full")
    return settings


def _pieces(candidates: list[Candidate]) -> list[tuple[Box, list[Candidate]]]:
    """Boxes to read, each with the candidates in it. Outside the breast those that touch are read together; within it
    each chain is read by itself, the likeliest first, but for those that lie across a likelier one.
    """
    pieces: list[tuple[Box, list[Candidate]]] = []
    for candidate in (c for c in candidates if c.place == OUTSIDE):
        box, held = candidate.box, [candidate]
        while touching := [p for p in pieces if overlap(p[0], box)]:
            for piece in touching:
                pieces.remove(piece)
                box = around(piece[0], box)
                held = piece[1] + held
        pieces.append((box, held))
    likeliest: list[Candidate] = []
    for candidate in sorted((c for c in candidates if c.place != OUTSIDE), key=lambda c: (-c.score, c.box)):
        across = [c for c in likeliest if overlap(c.box, candidate.box)]
        if not across or (candidate.score >= _LIKELY and not any(holds(c.box, candidate.box) for c in across)):
            likeliest.append(candidate)
    return [*pieces, *((c.box, [c]) for c in likeliest)]


def _tiles(shape: tuple[int, ...], candidates: list[Candidate]) -> list[tuple[Box, list[Candidate]]]:
    """Overlapping tiles over the whole picture where there are candidates, for a picture full of strokes."""
    size, step = 1600, 1400
    tiles = [
        (t, x, min(t + size, shape[0]), min(x + size, shape[1]))
        for t in range(0, shape[0], step)
        for x in range(0, shape[1], step)
    ]
    held = [(tile, [c for c in candidates if overlap(tile, c.box)]) for tile in tiles]
    return [(tile, inside) for tile, inside in held if inside]


def _clipped(box: Box, shape: tuple[int, ...]) -> TextBox:
    top, left, bottom, right = box
    return TextBox(1, max(0, top), max(0, left), min(shape[0], bottom), min(shape[1], right))

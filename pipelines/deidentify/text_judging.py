"""What of the strokes and lines that were found in a picture must go, what stays, and what a person should look at."""

from dataclasses import dataclass, field

import numpy as np

from pipelines.deidentify.text_candidates import OUTSIDE, Box, Candidate, Scene
from pipelines.deidentify.text_reading import Line, read_piece
from pipelines.deidentify.text_settings import TextSettings

_SURE_OUTSIDE, _SURE_INSIDE, _SURE_CHAIN = 0.5, 0.7, 0.55
_CERTAIN_ODDS, _REVIEW_ODDS = 5.0, 4.0
_UNREAD_ODDS, _UNREAD_ODDS_AT_BORDER = -3.0, 0.5
_BORDER = 0.015
_LEAST_PARTS = 3
_CERTAIN, _FEW = 0.9, 4
_EDGE, _LARGE, _FILLING = 0.02, 0.08, 0.3


@dataclass
class Findings:
    """Boxes to blank; those of markers that stay; places to review; and whether a text of some length was read, so that
    there may be more.
    """

    boxes: list[Box] = field(default_factory=list)
    kept: list[Box] = field(default_factory=list)
    review: list[Box] = field(default_factory=list)
    telling: bool = False


def judge_piece(
    picture: np.ndarray, piece: Box, held: list[Candidate], scene: Scene, settings: TextSettings
) -> Findings:
    """Read a piece of a picture in display order and judge it; ``held`` are the candidates in it."""
    lines = _read(picture, piece, held)
    found = Findings()
    _judge_lines(lines, held, scene, settings, found)
    if not any(c.place == OUTSIDE for c in held):
        if not found.boxes and not found.kept and max(c.score for c in held) >= _REVIEW_ODDS:
            found.review.append(piece)
        return found
    rest = _unread(held, [*found.boxes, *found.kept])
    if rest and not _same(rest, piece):
        again = read_piece(picture, _around_all(rest), _tall(rest))
        _judge_lines([line for line in again if not _is_known(line, found)], held, scene, settings, found)
        rest = _unread(held, [*found.boxes, *found.kept])
    if settings.unread:
        for candidate in held:
            if candidate.place == OUTSIDE:
                found.boxes += _unreadable(candidate, found.boxes, found.kept, scene, settings)
    return found


def judge_whole(lines: list[Line], shape: tuple[int, ...], settings: TextSettings) -> list[Box]:
    """The boxes of lines that were read in a whole picture."""
    return [box for line in lines for box in _going(line, 2, shape, settings)]


def _read(picture: np.ndarray, piece: Box, held: list[Candidate]) -> list[Line]:
    """Lines of a piece. Where nothing sure was read it is read again: turned over if text stands upright in it, else
    larger if only a few letters were, as on the plates of lead markers.
    """
    height = reading_height(held)
    lines = read_piece(picture, piece, height)
    if _certainty(lines) >= _CERTAIN:
        return lines
    if piece[2] - piece[0] > 1.5 * (piece[3] - piece[1]):
        again = read_piece(picture, piece, height, upside_down=True)
    elif any(c.place == OUTSIDE for c in held) and sum(line.characters for line in lines) <= _FEW:
        again = read_piece(picture, piece, height / 2)
    else:
        return lines
    return again if _certainty(again) > _certainty(lines) else lines


def _certainty(lines: list[Line]) -> float:
    """How sure a reading is, by letter. A lone letter of no Latin script may be a framed L above CC, seen as one."""
    characters = sum(line.characters for line in lines)
    sure = sum(line.score * line.characters for line in lines if line.characters > 1 or line.text.isascii())
    return sure / characters if characters else 0.0


def reading_height(held: list[Candidate]) -> float:
    """The height of a piece's text: the tallest strokes' may be a frame around it, the smallest's noise."""
    heights = sorted(c.height for c in held if c.height >= 8) or [8.0]
    return heights[len(heights) // 2]


def _judge_lines(
    lines: list[Line], held: list[Candidate], scene: Scene, settings: TextSettings, found: Findings
) -> None:
    """Add the boxes of lines that must go, and of markers that stay, to ``found``."""
    outside = any(c.place == OUTSIDE for c in held)
    certain = max(c.score for c in held) >= _CERTAIN_ODDS
    for line in lines:
        if line.score < _SURE_OUTSIDE:
            continue
        found.kept += _staying(line, settings)
        within = scene.touches(box_of(line)) or not outside
        if within and line.score < (_SURE_CHAIN if certain else _SURE_INSIDE):
            continue
        going = _going(line, 3 if within else 1, scene.shape, settings)
        found.boxes += going
        found.telling = found.telling or (bool(going) and line.characters >= 3 and line.score >= 0.6)


def _staying(line: Line, settings: TextSettings) -> list[Box]:
    """The box of a marker that stays, or of the part of a line that is one."""
    if settings.keep_markers == "none":
        return []
    if line.is_marker or (settings.keep_markers == "all" and line.is_signed_marker):
        return [box_of(line)]
    marker, _ = line.parted()
    return [marker] if marker else []


def _going(line: Line, characters: int, shape: tuple[int, ...], settings: TextSettings) -> list[Box]:
    """The box of a line that must go, or of the part of it that is no marker.

    An organ may be read as a letter or two that fill the picture, a table as letters of no letters' shape.
    """
    if _staying(line, settings):
        _, rest = line.parted()
        whole = line.is_marker or (settings.keep_markers == "all" and line.is_signed_marker)
        return [] if whole or rest is None else [rest]
    if line.is_marker:
        return [extended(line)] if line.score >= _SURE_OUTSIDE else []
    short, long = sorted((line.bottom - line.top, line.right - line.left))
    if short > _FILLING * min(shape):
        filling = line.characters >= 4 and line.score >= 0.9 and long >= 0.4 * line.characters * short
        return [extended(line)] if filling else []
    if short > _LARGE * min(shape):
        shaped = 0.25 * line.characters * short <= long <= 2 * line.characters * short
        if not shaped or (line.characters < 3 and line.score < 0.9):
            return []
    return [extended(line)] if line.characters >= characters and line.score >= _SURE_OUTSIDE else []


def _unread(held: list[Candidate], known: list[Box]) -> list[Box]:
    glyphs = [g for c in held if c.place == OUTSIDE for g in c.glyphs]
    return [g for g in glyphs if not any(_covers(box, g) or _contains(g, box) for box in known)]


def _is_known(line: Line, found: Findings) -> bool:
    """Whether a letter or two of a second reading are a marker that the first one read better."""
    return line.characters <= 2 and any(holds(box_of(line), box) for box in found.kept)


def _same(glyphs: list[Box], piece: Box) -> bool:
    """Whether strokes make up a piece, so that reading them once more would be reading the same."""
    top, left, bottom, right = _around_all(glyphs)
    return (bottom - top) * (right - left) > 0.7 * (piece[2] - piece[0]) * (piece[3] - piece[1])


def _unreadable(
    candidate: Candidate, read: list[Box], kept: list[Box], scene: Scene, settings: TextSettings
) -> list[Box]:
    """The strokes of a candidate that were not read, where they are three letters or more, or stand beside a marker.

    Near the breast none go: the skin line breaks up into strokes too. At the picture's border they must stand as
    letters do: the edges of films break up there.
    """
    marked = settings.keep_markers != "all" and any(_covers(box, g) for box in kept for g in candidate.glyphs)
    rest = _unread([candidate], [*read, *kept])
    parts = sum(max(1, round(_long(g) / (1.2 * max(_short(g), 8)))) for g in rest)
    if not rest:
        return []
    around = _around_all(rest)
    least = _UNREAD_ODDS_AT_BORDER if _at_border(around, scene.shape) else _UNREAD_ODDS
    if not marked and (parts < _LEAST_PARTS or candidate.score < least):
        return []
    margin = int(_EDGE * max(scene.shape))
    if not marked and not scene.touches(around, margin) and not any(overlap(around, box) for box in kept):
        return [grown(around, 0.7 * candidate.height)]
    away = [g for g in rest if not scene.touches(g, margin) and not _is_side_of_a_frame(g, candidate.height)]
    return [grown(g, 0.15 * candidate.height) for g in away]


def _is_side_of_a_frame(stroke: Box, height: float) -> bool:
    """Whether a stroke is straight and longer than any letter of its text's height: the frame around a marker."""
    return _long(stroke) > max(2 * height, 6 * _short(stroke))


def box_of(line: Line) -> Box:
    """A line's box."""
    return line.top, line.left, line.bottom, line.right


def extended(line: Line) -> Box:
    """A line's box with 0.7 of its height more on either end and 0.3 above and below."""
    height = min(line.bottom - line.top, line.right - line.left)
    along, across = round(0.7 * height), round(0.3 * height)
    if line.bottom - line.top > line.right - line.left:
        along, across = across, along
    return line.top - across, line.left - along, line.bottom + across, line.right + along


def grown(box: Box, by: float) -> Box:
    """A box with a margin on all sides."""
    margin = round(by)
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def around(one: Box, other: Box) -> Box:
    """The box around two."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share a pixel."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def holds(outer: Box, inner: Box) -> bool:
    """Whether half of a box or more lies in another."""
    height = min(outer[2], inner[2]) - max(outer[0], inner[0])
    width = min(outer[3], inner[3]) - max(outer[1], inner[1])
    return min(height, width) > 0 and 2 * height * width >= (inner[2] - inner[0]) * (inner[3] - inner[1])


def _around_all(boxes: list[Box]) -> Box:
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return min(tops), min(lefts), max(bottoms), max(rights)


def _tall(glyphs: list[Box]) -> float:
    heights = sorted(max(8, g[2] - g[0]) for g in glyphs)
    return float(heights[len(heights) // 2])


def _at_border(box: Box, shape: tuple[int, ...]) -> bool:
    margin = round(_BORDER * max(shape))
    return min(box[0], box[1], shape[0] - box[2], shape[1] - box[3]) < margin


def _covers(box: Box, glyph: Box) -> bool:
    """Whether the middle of a stroke lies in a box."""
    return box[0] <= (glyph[0] + glyph[2]) / 2 <= box[2] and box[1] <= (glyph[1] + glyph[3]) / 2 <= box[3]


def _contains(frame: Box, box: Box) -> bool:
    """Whether a stroke is a frame around a box that is known: the middle of the box lies in it, and it is larger."""
    return _covers(frame, box) and _long(frame) > 1.2 * _long(box) and _short(frame) > _short(box)


def _long(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _short(box: Box) -> int:
    return min(box[2] - box[0], box[3] - box[1])

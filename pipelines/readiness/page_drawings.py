"""Where the lines of the certificate's pictures run: the funnel as a flow with its losses, and bars of densities.

Pure geometry in the units of an SVG's view box; the page's template draws it. The same counts give the same picture.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.storage.tables import DENSITIES

WIDTH = 560
"""Width of every picture: read at this size, and still legible on a phone."""

FLOW = 200
"""Width of the flow where it is widest."""

MOST_LOSSES = 12
"""Losses drawn of one step, the largest; the rest are drawn together. The table beside the picture holds them all."""

MOST_ROWS = 12
"""Rows of a picture of bars, those with the most images; the rest are one row."""

LABELS = FLOW + 32
"""Where the texts beside the flow begin."""

_BAR, _TURN, _ROW, _GAP = 18, 6, 16, 6
_LABEL_LINE, _BAR_LINE = 18, 22
_NO_LOSS = ("duplicate", "no object", "no image", "held back", "delivered before")


@dataclass(frozen=True)
class Node:
    """A step of the flow: a bar of ``width`` at ``y`` with its text, and below it what goes on to the next step."""

    text: str
    y: float
    width: float
    kept_width: float
    kept_height: float


@dataclass(frozen=True)
class Branch:
    """A loss that leaves the flow to the right: the SVG path of its outline, and its text at the height ``y``.

    ``kind`` is lost, or held for what leaves without being waste: copies, what is no image, other splits.
    """

    text: str
    kind: str
    path: str
    y: float


@dataclass(frozen=True)
class Flow:
    """The funnel as a picture of ``WIDTH`` by ``height``."""

    nodes: tuple[Node, ...]
    branches: tuple[Branch, ...]
    height: float


@dataclass(frozen=True)
class Piece:
    """The images of one density in a bar."""

    density: str
    count: int
    x: float
    width: float


@dataclass(frozen=True)
class Bar:
    """One row of a picture of bars, stacked by density."""

    label: str
    total: int
    y: float
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Bars:
    """Rows of stacked bars in a picture of ``WIDTH`` by ``height``."""

    rows: tuple[Bar, ...]
    height: float


def draw_flow(steps: Sequence[Mapping[str, Any]]) -> Flow:
    """The funnel's steps (step, count, lost) as a flow from top to bottom; widths are in proportion to the counts.

    What is lost turns off to the right before the next step, the rightmost first, so that no two bands cross.
    """
    unit = FLOW / max([1, *(step["count"] for step in steps)])
    nodes: list[Node] = []
    branches: list[Branch] = []
    y = 0.0
    for number, step in enumerate(steps, 1):
        text, width = f"{step['count']:,} {step['step']}", unit * step["count"]
        if number == len(steps):
            nodes.append(Node(text, y, width, 0.0, 0.0))
            y += _BAR
            break
        following = steps[number]
        drawn, bottom = _branches(_largest(following["lost"], MOST_LOSSES), unit, width, y + _BAR)
        branches += drawn
        end = max(bottom, y + _BAR + _ROW)
        nodes.append(Node(text, y, width, unit * following["count"], end - y - _BAR))
        y = end
    return Flow(tuple(nodes), tuple(branches), y + 4)


def _branches(lost: Sequence[tuple[str, int]], unit: float, right: float, top: float) -> tuple[list[Branch], float]:
    """The bands of the losses that leave a bar whose right end is at ``right``; and how far down they reach."""
    drawn = []
    y = top + _TURN
    for reason, count in lost:
        thick = unit * count
        row = max(thick, _ROW)
        upper = y + (row - thick) / 2
        drawn.append(
            Branch(
                f"{count:,} {in_words(reason)}",
                "held" if reason.startswith(_NO_LOSS) else "lost",
                _band(right, top, upper, max(thick, 1.0)),
                upper + thick / 2,
            )
        )
        right -= thick
        y += row + _GAP
    return drawn, y


def _band(right: float, top: float, upper: float, thick: float) -> str:
    """A band that comes down with its right edge at ``right`` and turns right with its upper edge at ``upper``."""
    turn, corner = upper - _TURN, right + _TURN
    outer = _TURN + thick
    return (
        f"M{right:.1f} {top:.1f}V{turn:.1f}A{_TURN} {_TURN} 0 0 0 {corner:.1f} {upper:.1f}H{LABELS - 6}v{thick:.1f}"
        f"H{corner:.1f}A{outer:.1f} {outer:.1f} 0 0 1 {right - thick:.1f} {turn:.1f}V{top:.1f}Z"
    )


def _largest(counts: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """The entries of a count, largest first; what is beyond ``most`` of them is one entry."""
    ordered = sorted(((name, n) for name, n in counts.items() if n > 0), key=lambda item: (-item[1], item[0]))
    if len(ordered) <= most:
        return ordered
    rest = ordered[most - 1 :]
    return [*ordered[: most - 1], (f"{len(rest)} others", sum(n for _, n in rest))]


def in_words(code: str) -> str:
    """A reason code as words: ``quarantined: not_dicom`` is "quarantined: not dicom"."""
    return code.replace("_", " ")


def draw_bars(rows: Iterable[Mapping[str, Any]], name: str, order: Sequence[str] = ()) -> Bars:
    """Images by the values of a column, stacked by density: the named values first, then the most frequent.

    ``rows`` are rows of the level A set (DATASET).
    """
    counts: dict[str, Counter[str]] = {value: Counter() for value in order}
    for row in rows:
        counts.setdefault(row[name], Counter())[row["density"]] += 1
    frequent = sorted(set(counts) - set(order), key=lambda value: (-counts[value].total(), value))
    values = [*order, *frequent]
    shown = {value: counts[value] for value in values[:MOST_ROWS]}
    if rest := values[MOST_ROWS:]:
        shown[f"{len(rest)} others"] = sum((counts[value] for value in rest), Counter())
    unit = WIDTH / max([1, *(c.total() for c in shown.values())])
    height = _LABEL_LINE + _BAR_LINE + _GAP
    bars = [
        Bar(value, counter.total(), number * height, tuple(_pieces(counter, unit)))
        for number, (value, counter) in enumerate(shown.items())
    ]
    return Bars(tuple(bars), len(bars) * height)


def _pieces(counter: Mapping[str, int], unit: float) -> Iterable[Piece]:
    x = 0.0
    for density in DENSITIES:
        width = unit * counter[density]
        if width:
            yield Piece(density, counter[density], x, width)
        x += width

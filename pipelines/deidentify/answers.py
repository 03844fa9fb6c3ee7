r"""Answer files: what de-identification should have made of each object, row by row, and how elements are named there.

A CSV table (UTF-8, comma) with a header of these columns; those that an action does not need may be empty or missing:

``source``
    the file's path below the inbox, as delivered: ``delivery/folder/IM0001.dcm``
``sop_instance_uid``
    the original (0008,0018), in place of a path: for members of archives, or where files were renamed. Where both are
    given the path decides, and the UID where no file is known under it
``action``
    one of ``ACTIONS``
``tag``
    the element: a keyword or eight hex digits, items counted from 0 and 0 where no number is given, joined by dots
    (``RequestAttributesSequence[0].AccessionNumber``); a private one is ``(gggg,"creator",ee)``
``value``
    the original's value or the words in question; several values are joined by a backslash
``box``
    ``top left bottom right`` in pixels from 0, bottom and right exclusive, and from 1 the frame as a fifth number
    (all frames without); several are separated by semicolons

Answer files name patients. They belong into the restricted zone.
"""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from pipelines.deidentify.elements import items_of, values_of

TAG_ACTIONS = (
    "tag_retained",
    "text_notnull",
    "text_retained",
    "text_removed",
    "date_shifted",
    "uid_changed",
    "uid_consistent",
    "patid_consistent",
)
PIXEL_ACTIONS = ("pixels_hidden", "pixels_retained")
ACTIONS = TAG_ACTIONS + PIXEL_ACTIONS
"""What an answer may ask for (the ten actions of the MIDI-B challenge, Pei et al. 2025, arXiv:2507.23608)."""

_WITHOUT_VALUE = frozenset({"tag_retained", "text_notnull"})
_STEP = re.compile(
    r"(?:(?P<keyword>[A-Za-z0-9]+)|"
    r'\((?P<group>[0-9A-Fa-f]{4}),"(?P<creator>[^"]*)",(?P<element>[0-9A-Fa-f]{2})\))'
    r"(?:\[(?P<item>\d+)\])?(?:\.|$)"
)


class AnswersError(ValueError):
    """An answer file cannot be used. The message names a line and what is wrong with it, never a value."""


@dataclass(frozen=True)
class Step:
    """One step of a path: a tag, or a private element's group, creator and low byte; then an item's number."""

    tag: int
    creator: str | None
    item: int


Box = tuple[int, int, int, int, int]
"""frame (0: all), top, left, bottom, right."""


@dataclass(frozen=True)
class Answer:
    """One row: which object, what should have happened, and to what."""

    line: int
    source: str
    sop_instance_uid: str
    action: str
    tag: str
    path: tuple[Step, ...]
    value: str
    boxes: tuple[Box, ...]


def read_answers(file: Path) -> list[Answer]:
    """Read an answer file. Raises AnswersError where a row cannot be understood, OSError where it cannot be read."""
    try:
        reader = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""))
        columns = set(reader.fieldnames or ())
        if "action" not in columns or not {"source", "sop_instance_uid"} & columns:
            raise AnswersError("an answer file has the columns action, and source or sop_instance_uid")
        return [_answer(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError):
        raise AnswersError("an answer file is a CSV table in UTF-8") from None


def _answer(line: int, row: Mapping[str, str | None]) -> Answer:
    source, uid, action, tag, value, box = (
        (row.get(name) or "").strip() for name in ("source", "sop_instance_uid", "action", "tag", "value", "box")
    )
    if action not in ACTIONS:
        raise AnswersError(f"line {line}: the action is one of {', '.join(ACTIONS)}")
    if not source and not uid:
        raise AnswersError(f"line {line}: neither source nor sop_instance_uid")
    path = _path(tag) if tag else ()
    if action in TAG_ACTIONS and not path:
        raise AnswersError(f"line {line}: the tag cannot be understood")
    if action in TAG_ACTIONS and action not in _WITHOUT_VALUE and not value:
        raise AnswersError(f"line {line}: the action {action} needs a value")
    boxes = _boxes(box)
    if boxes is None or (action == "pixels_hidden" and not boxes):
        raise AnswersError(f"line {line}: the box cannot be understood")
    return Answer(line, source, uid, action, tag, path, value, boxes)


def _path(text: str) -> tuple[Step, ...]:
    """The steps of a path; empty where it cannot be understood."""
    steps, position = [], 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            return ()
        if match["group"]:
            tag, creator = int(match["group"] + match["element"].zfill(4), 16), match["creator"]
        else:
            known = tag_for_keyword(match["keyword"])
            if known is None and not re.fullmatch(r"[0-9A-Fa-f]{8}", match["keyword"]):
                return ()
            tag, creator = int(match["keyword"], 16) if known is None else known, None
        steps.append(Step(tag, creator, int(match["item"] or 0)))
        position = match.end()
    return () if text.endswith(".") else tuple(steps)


def _boxes(text: str) -> tuple[Box, ...] | None:
    boxes = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        numbers = part.split()
        if len(numbers) not in (4, 5) or not all(n.isdecimal() for n in numbers):
            return None
        top, left, bottom, right, frame = (*map(int, numbers), 0)[:5]
        if top >= bottom or left >= right:
            return None
        boxes.append((frame, top, left, bottom, right))
    return tuple(boxes)


def values_at(dataset: Dataset, path: tuple[Step, ...]) -> list[str] | None:
    """The values of the element at a path, as text, several of a sequence as none; None where it is not there."""
    for step in path[:-1]:
        tag = _tag(dataset, step)
        items = items_of(dataset, tag) if tag is not None and tag in dataset else None
        if items is None or step.item >= len(items):
            return None
        dataset = items[step.item]
    tag = _tag(dataset, path[-1])
    return values_of(dataset, tag) if tag is not None and tag in dataset else None


def _tag(dataset: Dataset, step: Step) -> int | None:
    """The step's tag in this data set: a private one in the block that its creator has reserved (PS3.5 7.8.1)."""
    if step.creator is None:
        return step.tag
    group = step.tag >> 16 << 16
    for block in range(0x10, 0x100):
        if group | block in dataset and values_of(dataset, group | block) == [step.creator]:
            return group | block << 8 | step.tag & 0xFF
    return None

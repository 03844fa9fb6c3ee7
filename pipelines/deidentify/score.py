"""Scoring de-identified objects against an answer file, in the manner of the MIDI-B challenge.

Ten actions, each passed or failed (Pei et al. 2025, arXiv:2507.23608): the tag is still there, has a value, keeps its
words, has lost them; the date has moved; the UID is another, and the same one wherever the old one stood; so the
patient's id; pixels are hidden; pixels are as they were. The score is the share of passed answers. Like there, what
was removed altogether passes as changed, moved, consistent or hidden; unlike there,

- objects are found by source file (or SOP Instance UID) through inventory and table of objects, not by a mapping that
  the one who is judged hands in, and an object that was not written fails all of its answers;
- a moved date must be a date, and all dates of one patient must have moved by the same number of days;
- consistent UIDs and ids must also be different for different originals;
- hidden pixels are measured, not looked at: the ink of the original must not stand out any more.

Nothing that is returned holds a value: verdicts name lines, tags and reason codes.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from pipelines.deidentify import dates
from pipelines.deidentify.answers import ACTIONS, Answer, Box, values_at
from pipelines.deidentify.elements import text_of
from pipelines.deidentify.frames import Frames
from pipelines.deidentify.reading import quiet
from pipelines.deidentify.text_reading import DetectorError
from pipelines.storage.workers import Progress, silent

MISSING = "object_missing"
"""Why an answer failed whose object was not written."""

LEGIBLE = 0.1
"""Ink that keeps more than this share of its contrast is not hidden."""

_CONSISTENT = ("uid_consistent", "patid_consistent")
_PIXELS = ("pixels_hidden", "pixels_retained")
_LEAST_PART = 4
"""Characters from which on a word counts as left when it is left within another one."""


@dataclass(frozen=True)
class Pair:
    """An object's source, and what was written of it: None where nothing was."""

    file_id: str
    source: Path
    written: Path | None


@dataclass(frozen=True)
class Verdict:
    """What became of one answer; ``why`` is a reason code where it failed."""

    answer: Answer
    file_id: str
    passed: bool
    why: str


@dataclass(frozen=True)
class Scores:
    """The verdicts, in the answers' order."""

    verdicts: tuple[Verdict, ...]

    def by_action(self) -> dict[str, tuple[int, int]]:
        """Passed and total by action, in the order of ``ACTIONS``; actions that nobody asked for are left out."""
        total = Counter(v.answer.action for v in self.verdicts)
        passed = Counter(v.answer.action for v in self.verdicts if v.passed)
        return {action: (passed[action], total[action]) for action in ACTIONS if total[action]}

    @property
    def share(self) -> float:
        """The share of answers that passed, 0…1; 0 where there is none."""
        return sum(v.passed for v in self.verdicts) / len(self.verdicts) if self.verdicts else 0.0


def score(answers: Sequence[Answer], find: Callable[[Answer], Pair | None], progress: Progress = silent) -> Scores:
    """Score every answer. ``find`` gives the object that an answer is about, or None where none is known."""
    by_object: dict[Pair | None, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_object[find(answer)].append(answer)
    book = _Book()
    for done, (pair, asked) in enumerate(by_object.items(), start=1):
        for answer, why in _judge(pair, asked, book):
            book.verdicts[answer.line] = Verdict(answer, pair.file_id if pair else "", not why, why)
        progress(done, len(by_object))
    book.settle()
    return Scores(tuple(book.verdicts[answer.line] for answer in answers))


class _Book:
    """Verdicts, and what can be judged only when everything was seen: new for old ids, days by patient."""

    def __init__(self) -> None:
        self.verdicts: dict[int, Verdict] = {}
        self.ids: list[tuple[Answer, str, str]] = []
        self.moves: dict[str, list[tuple[Answer, int]]] = defaultdict(list)

    def settle(self) -> None:
        """Fail the answers that contradict others."""
        new_of, old_of = defaultdict(set), defaultdict(set)
        for answer, old, new in self.ids:
            new_of[answer.action, old].add(new)
            old_of[answer.action, new].add(old)
        for answer, old, new in self.ids:
            if len(new_of[answer.action, old]) > 1:
                self._fail(answer, "several_new_for_one_old")
            elif len(old_of[answer.action, new]) > 1:
                self._fail(answer, "one_new_for_several_old")
        for moves in self.moves.values():
            counts = Counter(days for _, days in moves)
            usual = min(counts, key=lambda days: (-counts[days], days))
            for answer, days in moves:
                if days != usual:
                    self._fail(answer, "moved_unlike_others")

    def _fail(self, answer: Answer, why: str) -> None:
        verdict = self.verdicts[answer.line]
        if verdict.passed:
            self.verdicts[answer.line] = Verdict(answer, verdict.file_id, False, why)


def _judge(pair: Pair | None, answers: list[Answer], book: _Book) -> Iterable[tuple[Answer, str]]:
    """Each answer about one object with the reason why it failed, or ""."""
    if pair is None or pair.written is None:
        return [(answer, MISSING) for answer in answers]
    in_pixels = [answer for answer in answers if answer.action in _PIXELS]
    with quiet():
        try:
            written = pydicom.dcmread(pair.written, stop_before_pixels=not in_pixels)
        except Exception:  # noqa: BLE001 - whatever is wrong with what was written, it is as good as missing
            return [(answer, "object_unreadable") for answer in answers]
        patient = text_of(written, 0x00100020)
        found = [(a, _judge_tag(a, written, patient, book)) for a in answers if a.action not in _PIXELS]
        if in_pixels:
            found += _judge_pixels(in_pixels, pair, written)
    return found


def _judge_tag(answer: Answer, written: Dataset, patient: str, book: _Book) -> str:
    values = values_at(written, answer.path)
    text = "\\".join(values or ())
    there = bool(text.strip(" \0\\"))
    if answer.action == "tag_retained":
        return "" if values is not None else "tag_removed"
    if answer.action == "text_notnull":
        return "" if there else "empty"
    if answer.action == "text_retained":
        return "" if there and _kept(answer.value, text) else "text_lost"
    if not there:
        return ""
    if answer.action == "text_removed":
        return "text_left" if _left(answer.value, text) else ""
    if answer.action == "date_shifted":
        return _judge_dates(answer, text, patient, book)
    if answer.value in text.split("\\"):
        return "unchanged"
    if answer.action in _CONSISTENT:
        book.ids.append((answer, answer.value, text))
    return ""


def _judge_dates(answer: Answer, text: str, patient: str, book: _Book) -> str:
    old, new = answer.value.split("\\"), text.split("\\")
    if any(o.strip() in new for o in old):
        return "unchanged"
    days = [(dates.day_of(o), dates.day_of(n)) for o, n in zip(old, new, strict=False)]
    for before, after in days:
        if before is None or after is None:
            return "no_date"
        book.moves[patient].append((answer, (after - before).days))
    return ""


def _kept(value: str, text: str) -> bool:
    """Whether every word of a value stands in a text; numbers are compared as numbers."""
    if (a := _number(value)) is not None and (b := _number(text)) is not None:
        return a == b
    return not set(_words(value)) - set(_words(text))


def _left(value: str, text: str) -> bool:
    """Whether a word of a value is left in a text, be it within another word."""
    if (a := _number(value)) is not None and (b := _number(text)) is not None:
        return a == b
    words, whole = set(_words(text)), _folded(text)
    return any(word in words or (len(word) >= _LEAST_PART and word in whole) for word in _words(value))


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", text.strip()) else None


def _words(text: str) -> list[str]:
    """The words, without single characters unless there is nothing else."""
    words = re.findall(r"\w+", _folded(text))
    return [word for word in words if len(word) > 1] or words or [text]


def _folded(text: str) -> str:
    """In small letters without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def _judge_pixels(answers: list[Answer], pair: Pair, written: Dataset) -> list[tuple[Answer, str]]:
    try:
        after = Frames.of(written)
        before = Frames.of(pydicom.dcmread(pair.source, force=True))
        if before is None:
            return [(answer, "source_without_pixels") for answer in answers]
        if after is None:
            return [(answer, "" if answer.action == "pixels_hidden" else "pixels_missing") for answer in answers]
        if (before.count, before.rows, before.columns) != (after.count, after.rows, after.columns):
            return [(answer, "size_changed") for answer in answers]
        why = dict.fromkeys((answer.line for answer in answers), "")
        for number in range(before.count):
            old, new = before.luminance(number), after.luminance(number)
            for answer in answers:
                why[answer.line] = why[answer.line] or _judge_frame(answer, number + 1, old, new)
        return [(answer, why[answer.line]) for answer in answers]
    except DetectorError:
        return [(answer, "pixels_undecodable") for answer in answers]


def _judge_frame(answer: Answer, frame: int, old: np.ndarray, new: np.ndarray) -> str:
    boxes: Iterable[Box] = answer.boxes or [(0, 0, 0, *old.shape)]
    for number, top, left, bottom, right in boxes:
        if number not in (0, frame):
            continue
        inside = np.s_[top:bottom, left:right]
        if answer.action == "pixels_retained" and not np.array_equal(old[inside], new[inside]):
            return "pixels_changed"
        if answer.action == "pixels_hidden" and contrast_left(old[inside], new[inside]) > LEGIBLE:
            return "pixels_legible"
    return ""


def contrast_left(old: np.ndarray, new: np.ndarray) -> float:
    """How much of the contrast between ink and ground is left in a box, as a share of what it was.

    ``old`` and ``new``: gray values of shape (rows, columns). Ink is what in ``old`` lies farther from the median than
    half of the farthest. Of a box without any contrast nothing is left.
    """
    if old.size == 0:
        return 0.0
    before, after = old.astype(np.float64), new.astype(np.float64)
    distance = np.abs(before - np.median(before))
    ink = distance > distance.max() / 2
    if not ink.any():
        return 0.0
    was = abs(before[ink].mean() - np.median(before[~ink]))
    return float(abs(after[ink].mean() - np.median(after[~ink])) / was) if was else 0.0

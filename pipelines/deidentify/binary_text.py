"""Text within binary values: numbers and tables hold none, so that an element in which some stands does not stay.

Tables are smooth, and noise spells nothing: text is a run of printable characters, one or two bytes each, with a word
in it, whose bytes do not go up or down evenly. Profiles of color (ICC.1) have names of their own in known places.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

_RUNS = re.compile(rb"[ -~]{8,}|(?:[ -~]\0){8,}|(?:\0[ -~]){8,}")
_WORD = re.compile(rb"[A-Za-z][a-z]{4,}|[A-Z]{5,}")
_STEPS = (1, 2, 3, 4, 6, 8)
_SMOOTH, _FEWEST_BENDS = 3, 4
_LONG_VALUE, _LONG_RUN = 1 << 16, 12
_LONGEST, _REMEMBERED = 1 << 24, 1 << 14
_ICC_HEAD, _ICC_ENTRY = 128, 12
_ICC_NUMBERS = frozenset(
    (
        b"XYZ ",
        b"curv",
        b"para",
        b"mft1",
        b"mft2",
        b"mAB ",
        b"mBA ",
        b"sf32",
        b"uf32",
        b"sig ",
        b"view",
        b"meas",
        b"chrm",
    )
)
_ICC_TEXTS = frozenset((b"text", b"desc", b"mluc"))


def holds_text(value: bytes) -> bool:
    """Whether a binary value holds text; true as well of one that is too long to be looked through."""
    return len(value) > _LONGEST or (_known if len(value) <= _REMEMBERED else _looked_through)(value)


def _looked_through(value: bytes) -> bool:
    return any(_texts(value))


_known = lru_cache(maxsize=64)(_looked_through)
"""The tables of a device are the same in most of its objects."""


def _texts(value: bytes) -> Iterator[bool]:
    shortest = _LONG_RUN if len(value) > _LONG_VALUE else 8
    for match in _RUNS.finditer(value):
        run = match.group().replace(b"\0", b"")
        if len(run) >= shortest and _WORD.search(run) and not _is_smooth(run):
            yield True


def _is_smooth(run: bytes) -> bool:
    """Whether a run's bytes change little, or one way but for one step, or at some distance by nearly the same."""
    changes = [after - before for before, after in pairwise(run)]
    one_way = min(sum(change > 0 for change in changes), sum(change < 0 for change in changes)) <= 1
    if (one_way and len(run) >= _LONG_RUN) or sum(map(abs, changes)) <= _SMOOTH * len(changes):
        return True
    for step in _STEPS:
        three = zip(run, run[step:], run[2 * step :], strict=False)
        bends = [(last - 2 * middle + first + 128) % 256 - 128 for first, middle, last in three]
        if len(bends) >= _FEWEST_BENDS and all(abs(bend) <= _SMOOTH for bend in bends):
            return True
    return False


def without_icc_texts(profile: bytes) -> bytes | None:
    """A color profile with zeros for what its texts say and for what none of its tags covers; None if it is no such.

    None also where a tag is neither numbers nor text, or holds text among its numbers (ICC.1:2022 section 7 and 10).
    """
    if len(profile) < _ICC_HEAD + 4 or profile[36:40] != b"acsp":
        return None
    number = int.from_bytes(profile[_ICC_HEAD : _ICC_HEAD + 4], "big")
    table = _ICC_HEAD + 4 + number * _ICC_ENTRY
    if table > len(profile):
        return None
    clean = bytearray(len(profile))
    clean[:84], clean[_ICC_HEAD:table] = profile[:84], profile[_ICC_HEAD:table]
    clean[48:56] = bytes(8)
    for at in range(_ICC_HEAD + 4, table, _ICC_ENTRY):
        start, size = (int.from_bytes(profile[at + n : at + n + 4], "big") for n in (4, 8))
        kind, value = profile[start : start + 4], profile[start + 4 : start + size]
        if start < table or size < 8 or start + size > len(profile) or not profile[at : at + 4].isalnum():
            return None
        if kind in _ICC_NUMBERS and not holds_text(value):
            clean[start : start + size] = kind + value
        elif kind in _ICC_TEXTS:
            clean[start : start + 4] = kind
        else:
            return None
    return bytes(clean)

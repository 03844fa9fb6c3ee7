"""Values by VR (PS3.5 section 6.2): dummies that stand in for removed ones, and checks that a value is what it claims.

What is numeric by its VR and holds letters is no number but somebody's text.
"""

import re
from functools import lru_cache
from typing import Any

REMOVED = "REMOVED"

_DUMMIES: dict[str, Any] = {
    "AS": "000Y",
    "CS": REMOVED,
    "DA": "19000101",
    "DS": "1",
    "DT": "19000101000000",
    "IS": "1",
    "TM": "000000",
    "UR": "urn:removed",
}
_BINARY = {
    "AT": 0,
    **dict.fromkeys(("FL", "FD"), 1.0),
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), 1),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), b"\0" * 8),
}

SHORT_TEXT = frozenset({"LO", "SH", "UC"})
LONG_TEXT = frozenset({"LT", "ST", "UT"})
TEXT = SHORT_TEXT | LONG_TEXT
LENGTHS = {"CS": 16, "LO": 64, "SH": 16}
"""Most characters of one value, where a cleaned text could exceed it."""

SIZES = {
    **dict.fromkeys(("OW", "SS", "US"), 2),
    **dict.fromkeys(("AT", "FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
"""Bytes of one number in binary."""

_FAMILIES = (
    frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"}),
    frozenset({"DS", "IS", "FL", "FD"}),
    frozenset({"SL", "SS", "SV", "UL", "US", "UV", "AT", "OW"}),
    frozenset({"OB", "OW", "OF", "OD", "OL", "OV"}),
    frozenset({"DA", "DT", "TM"}),
    frozenset({"AS"}),
    frozenset({"SQ"}),
    frozenset({"UI"}),
    frozenset({"UR"}),
)
_NUMBER = rb"[ \0]*+(?:[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+)?+[ \0]*+"
_NUMERIC = re.compile(_NUMBER + rb"(?:\\" + _NUMBER + rb")*+")
_CODE_STRING = re.compile(r"[A-Z0-9_ ./+-]*")


def dummy(vr: str) -> Any:
    """A value of the VR that says nothing."""
    if vr in _BINARY:
        return _BINARY[vr]
    return _DUMMIES.get(vr, REMOVED)


@lru_cache(maxsize=4096)
def agrees(vr: str, dictionary_vr: str) -> bool:
    """Whether a VR found in a file is one that writers use where the dictionary has another (``US or SS`` …)."""
    expected = dictionary_vr.split(" or ")
    return vr in expected or any(vr in family and not family.isdisjoint(expected) for family in _FAMILIES)


def is_numeric(value: bytes | str) -> bool:
    """Whether a DS or IS value, as bytes or text, is made of numbers alone."""
    data = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
    return _NUMERIC.fullmatch(data) is not None


def is_code_string(value: str) -> bool:
    """Whether a text is a CS value, or nearly: writers also use some punctuation."""
    return len(value) <= LENGTHS["CS"] and _CODE_STRING.fullmatch(value) is not None

"""Data elements as they are encoded (PS3.5 section 7.1): found in bytes in one pass, none of their values decoded.

What writers do by the book is parsed here, several times faster than by pydicom; whatever is unusual is left to it.
"""

from collections.abc import Container, Iterator
from struct import Struct
from typing import Literal

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag

from pipelines.deidentify.dictionary import vr_in_dictionary

UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_SHORT_VRS = frozenset(
    {
        "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM",
        "UI", "UL", "US",
    }
)  # fmt: skip
_EMPTY = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "SQ", "ST", "TM", "UC", "UI", "UR", "UT"})
"""VRs of which a value of no length is an empty one; of others it is none at all, as pydicom has it."""

_VRS = {vr.encode(): (vr, vr in LONG_VRS) for vr in LONG_VRS | _SHORT_VRS}
_EXPLICIT = {True: Struct("<HH2sH").unpack_from, False: Struct(">HH2sH").unpack_from}
_IMPLICIT = {True: Struct("<HHI").unpack_from, False: Struct(">HHI").unpack_from}
_MOST_HELD = 1 << 16
_LENGTH = {True: Struct("<I").unpack_from, False: Struct(">I").unpack_from}


class UnusualError(ValueError):
    """The bytes are not what this parser knows; pydicom may still."""


class TooShortError(ValueError):
    """An element does not end within the bytes; it needs ``size`` of them."""

    def __init__(self, size: int) -> None:
        super().__init__("an element is longer than the bytes at hand")
        self.size = size


TAGS: dict[int, BaseTag] = {}
"""The tags that were met; ``tag_of`` fills it."""


def tag_of(tag: int) -> BaseTag:
    """The one BaseTag object of a tag: dictionaries find the same object faster than an equal one."""
    found = TAGS.get(tag)
    if found is None:
        found = BaseTag(tag)
        if len(TAGS) < _MOST_HELD:
            TAGS[tag] = found
    return found


_Head = tuple[BaseTag, str | None, int]
"""Of an element's first bytes: its tag, VR (None where none is stated), and which of these kinds it is."""

_TEXT, _OTHER, _LONGER, _STOP, _NONE = range(5)
"""Of a short length, and a value that may be an empty one or not; of a longer length; a stop; no element."""

_ORDERS = [(implicit, little) for implicit in (True, False) for little in (True, False)]
_HEAD = {(i, little): Struct(("<" if little else ">") + ("4sI" if i else "6sH")).unpack_from for i, little in _ORDERS}
_heads: dict[tuple[bool, bool, Container[int]], dict[bytes, _Head]] = {}

Elements = dict[BaseTag, DataElement | RawDataElement]


def elements_in(
    data: bytes, start: int, end: int, *, implicit: bool, little: bool, stop: Container[int] = frozenset()
) -> tuple[Elements, int]:
    """The elements of ``data[start:end]`` up to one of the tags ``stop``, and the position where that was.

    A sequence's value is its items, without the delimiter of one of undefined length (``length`` says which).
    Raises TooShortError where an element goes beyond ``end``, UnusualError for what is not by the book.
    """
    found: Elements = {}
    read_head, long_length = _HEAD[implicit, little], _LENGTH[little]
    heads = _heads.setdefault((implicit, little, stop), {})
    made, raw = tuple.__new__, RawDataElement  # what a named tuple's own constructor comes to, in half the time
    position, last = start, end - 8
    while position <= last:
        head, length = read_head(data, position)
        tag, vr, kind = heads.get(head) or _known_head(head, implicit, little, stop)
        begin = position + 8
        if kind > _OTHER:
            if kind == _STOP:
                return found, position
            if kind == _NONE:
                raise UnusualError
            if begin + 4 > end:
                raise TooShortError(begin + 4)
            (length,) = long_length(data, begin)
            begin += 4
        position = begin + length
        if length == UNDEFINED:
            if vr != "SQ" and (vr is not None or vr_in_dictionary(int(tag)) != "SQ"):
                raise UnusualError
            vr = "SQ"
            position = _end_of_items(data, begin, end, implicit, little, 0)
            value: bytes | None = data[begin : position - 8]
        elif length:
            if position > end:
                raise TooShortError(position)
            value = data[begin:position]
        else:
            value = b"" if kind == _TEXT or vr in _EMPTY else None
        found[tag] = made(raw, (tag, vr, length, value, begin, implicit, little, True, False))
    return found, position


def _known_head(head: bytes, implicit: bool, little: bool, stop: Container[int]) -> _Head:
    """What the bytes of a tag, and of a VR if it is stated, say."""
    order: Literal["little", "big"] = "little" if little else "big"
    group, element = int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)
    number = group << 16 | element
    vr: str | None = None
    kind = _OTHER
    if number in stop:
        kind = _STOP
    elif group in (0, 0xFFFE) or (not implicit and head[4:] not in _VRS):
        kind = _NONE
    elif not implicit:
        vr, is_long = _VRS[head[4:]]
        kind = _LONGER if is_long else _TEXT if vr in _EMPTY else _OTHER
    known = tag_of(number), vr, kind
    heads = _heads[implicit, little, stop]
    if len(heads) < _MOST_HELD:
        heads[head] = known
    return known


def items_in(data: bytes, start: int, end: int, *, implicit: bool, little: bool) -> Iterator[tuple[int, int, int]]:
    """The items (PS3.5 section 7.5) of a sequence's value: where each one's elements start and end, and its length.

    Raises TooShortError and UnusualError as ``elements_in`` does.
    """
    head, position = _IMPLICIT[little], start
    while position + 8 <= end:
        group, element, length = head(data, position)
        tag = group << 16 | element
        begin = position + 8
        if tag != _ITEM:
            raise UnusualError
        position = _end_of_elements(data, begin, end, implicit, little, 0) if length == UNDEFINED else begin + length
        if position > end:
            raise TooShortError(position)
        yield begin, position - 8 if length == UNDEFINED else position, length
    if position != end:
        raise UnusualError


def _unusual() -> tuple[str, bool]:
    raise UnusualError


_DEEPEST = 64


def _end_of_items(data: bytes, position: int, end: int, implicit: bool, little: bool, depth: int) -> int:
    """Where a sequence of undefined length ends, its delimiter included."""
    if depth > _DEEPEST:
        raise UnusualError
    head = _IMPLICIT[little]
    while True:
        if position + 8 > end:
            raise TooShortError(position + 8)
        group, element, length = head(data, position)
        tag = group << 16 | element
        position += 8
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise UnusualError
        if length == UNDEFINED:
            position = _end_of_elements(data, position, end, implicit, little, depth)
        else:
            position += length


def _end_of_elements(data: bytes, position: int, end: int, implicit: bool, little: bool, depth: int) -> int:
    """Where an item of undefined length ends, its delimiter included."""
    explicit, head, long_length = _EXPLICIT[little], _IMPLICIT[little], _LENGTH[little]
    while True:
        if position + 8 > end:
            raise TooShortError(position + 8)
        group, element, length = head(data, position)
        tag = group << 16 | element
        if tag == _ITEM_END:
            return position + 8
        vr: str | None = None
        if not implicit:
            _, _, code, length = explicit(data, position)
            vr, long = _VRS.get(code) or _unusual()
            if long:
                if position + 12 > end:
                    raise TooShortError(position + 12)
                (length,) = long_length(data, position + 8)
                position += 4
        position += 8
        if length != UNDEFINED:
            position += length
        elif vr == "SQ" or (vr is None and vr_in_dictionary(tag) == "SQ"):
            position = _end_of_items(data, position, end, implicit, little, depth + 1)
        else:
            raise UnusualError

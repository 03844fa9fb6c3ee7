"""Reading and putting elements of a data set by short ways: pydicom's own do the same for anything, and take longer.

An object has hundreds of elements of which few are decoded, so that what it costs to find one counts.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify.raw_elements import (
    TAGS,
    UNDEFINED,
    TooShortError,
    UnusualError,
    elements_in,
    items_in,
    tag_of,
)

_PADDED_TEXT = frozenset({"AS", "CS", "DA", "DT", "TM", "UI"})
_SHORT_TEXT = frozenset({"LO", "SH", "UC"})
_LONG_TEXT = frozenset({"LT", "ST", "UT"})
_PUT = _PADDED_TEXT | _SHORT_TEXT | _LONG_TEXT
_EMPTIED = _PUT | {"AE", "DS", "IS", "PN", "UR"}
_PLAIN = _PUT | {"AE", "DS", "IS"}
_NUMBER = {"DS": re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"), "IS": re.compile(r"-?\d{1,9}")}
_LONGEST = 1 << 16
_CHARACTER_SET = tag_of(0x00080005)


def element_at(dataset: Dataset, tag: int) -> DataElement | RawDataElement | None:
    """An element as it is held, decoded or not."""
    return dataset._dict.get(TAGS.get(tag) or tag_of(tag))


def has(dataset: Dataset, tag: int) -> bool:
    """Whether a data set has an element."""
    return (TAGS.get(tag) or tag_of(tag)) in dataset._dict


def remove(dataset: Dataset, tag: int) -> None:
    """Remove an element. Raises KeyError where it is not there."""
    del dataset._dict[tag_of(tag)]


def remove_all(dataset: Dataset, tags: Iterable[int]) -> None:
    """Remove elements. Raises KeyError where one of them is not there."""
    elements = dataset._dict
    for tag in tags:
        del elements[TAGS.get(tag) or tag_of(tag)]


def plain_values(element: DataElement | RawDataElement | None) -> tuple[str, ...] | None:
    """The values of an element that is not decoded and whose text is plain, as pydicom has them; else None."""
    if isinstance(element, RawDataElement):
        vr, value = element.VR, element.value
        if vr in _PLAIN and isinstance(value, bytes) and len(value) < _LONGEST:
            return _plain(vr, value)
    return None


@lru_cache(maxsize=4096)
def _plain(vr: str, value: bytes) -> tuple[str, ...] | None:
    if not value.isascii() or b"\x1b" in value:
        return None
    text = value.decode("ascii")
    if vr == "UI":
        return tuple(part.strip() for part in text.rstrip(" \0").split("\\"))
    if vr in _PADDED_TEXT:
        return tuple(text.rstrip(" \0").split("\\"))
    if vr in _SHORT_TEXT:
        return tuple(part.rstrip("\0 ") for part in text.split("\\"))
    if vr in _LONG_TEXT:
        return (text.rstrip("\0 "),)
    if vr == "AE":
        return tuple(part.strip() for part in text.split("\\"))
    parts = tuple(text.rstrip(" \0").split("\\"))
    return parts if all(map(_NUMBER[vr].fullmatch, parts)) else None


def put_text(dataset: Dataset, tag: int, vr: str, value: object) -> bool:
    """Put plain text in place of an element's value; False where it takes pydicom to encode it."""
    implicit, little = dataset._read_implicit, dataset._read_little
    if implicit is None or little is None or vr not in (_EMPTIED if value is None else _PUT):
        return False
    if value is None:
        text = ""
    elif type(value) is str:
        text = value
    elif type(value) is list and all(type(one) is str for one in value):
        text = "\\".join(value)
    else:
        return False
    if (
        not text.isascii()
        or len(text) >= _LONGEST - 1
        or (vr not in _LONG_TEXT and "\\" in text and type(value) is str)
    ):
        return False
    data = text.encode("ascii")
    if len(data) % 2:
        data += b"\0" if vr == "UI" else b" "
    known = tag_of(tag)
    dataset._dict[known] = RawDataElement(known, vr, len(data), data, 0, implicit, little)
    return True


def sequence_at(dataset: Dataset, tag: int) -> Sequence | None:
    """The items of a sequence that is not decoded yet, decoded in their place; None where that takes pydicom."""
    raw = element_at(dataset, tag)
    if not isinstance(raw, RawDataElement) or raw.VR != "SQ" or raw.value is None:
        return None
    data, implicit, little = raw.value, raw.is_implicit_VR, raw.is_little_endian
    own = dataset._dict.get(_CHARACTER_SET)
    if (own is not None and not isinstance(own, RawDataElement)) or dataset._read_implicit is None:
        return None
    parents = dataset._read_charset or dataset._parent_encoding
    items = []
    try:
        for begin, end, length in items_in(data, 0, len(data), implicit=implicit, little=little):
            elements, stopped = elements_in(data, begin, end, implicit=implicit, little=little)
            if stopped != end:
                return None
            item = Dataset(elements, parent_encoding=parents)
            stated = elements.get(_CHARACTER_SET)
            if stated is not None and stated.value:
                parts = stated.value.decode("latin-1").rstrip("\0 ").split("\\")
                item.set_original_encoding(implicit, little, convert_encodings(parts))
            else:
                item.set_original_encoding(implicit, little, parents)
            item.is_undefined_length_sequence_item = length == UNDEFINED
            items.append(item)
    except (UnusualError, TooShortError, LookupError):
        return None
    sequence = Sequence(items)
    sequence.is_undefined_length = raw.length == UNDEFINED
    element = DataElement(raw.tag, "SQ", sequence, None, raw.length == UNDEFINED, already_converted=True)
    dataset._dict[tag_of(tag)] = element
    if implicit:
        dataset._set_pixel_representation(element)
    return sequence

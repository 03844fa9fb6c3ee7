"""Data sets written byte by byte (PS3.5 chapter 7), by the book or against it: pydicom's writer allows less."""

from dataclasses import dataclass
from typing import Any

UNDEFINED = 0xFFFFFFFF
LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big": "1.2.840.10008.1.2.2",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg": "1.2.840.10008.1.2.4.70",
}


@dataclass(frozen=True)
class Element:
    """``value`` is bytes as they stand in the file, or the items of a sequence: lists of elements.

    ``undefined``: the sequence and its items end by delimiters. ``length`` is stated in place of the true one.
    """

    tag: int
    vr: str
    value: Any
    undefined: bool = False
    length: int | None = None


def encoded(elements: list[Element], *, explicit: bool = True, little: bool = True) -> bytes:
    """A data set; elements are in the order of their tags, and of two with the same tag the first one counts."""
    unique: dict[int, Element] = {}
    for element in elements:
        unique.setdefault(element.tag, element)
    return b"".join(_element(unique[tag], explicit, little) for tag in sorted(unique))


def _number(value: int, size: int, little: bool) -> bytes:
    return value.to_bytes(size, "little" if little else "big")


def _element(element: Element, explicit: bool, little: bool) -> bytes:
    as_unknown = element.vr == "UN" and isinstance(element.value, list)
    inside = (False, True) if as_unknown else (explicit, little)
    value = _items(element, *inside) if isinstance(element.value, list) else element.value
    value += b"\0" * (len(value) % 2) if element.vr in ("UI", "OB", "UN") else b" " * (len(value) % 2)
    open_end = element.undefined and isinstance(element.value, list)
    length = UNDEFINED if open_end else len(value) if element.length is None else element.length
    head = _number(element.tag >> 16, 2, little) + _number(element.tag & 0xFFFF, 2, little)
    if not explicit:
        head += _number(length, 4, little)
    elif element.vr in LONG:
        head += element.vr.encode() + b"\0\0" + _number(length, 4, little)
    else:
        head += element.vr.encode() + _number(length & 0xFFFF, 2, little)
    end = _mark(0xE0DD, 0, inside[1]) if open_end else b""
    return head + value + end


def _items(element: Element, explicit: bool, little: bool) -> bytes:
    data = b""
    for item in element.value:
        content = encoded(item, explicit=explicit, little=little)
        if element.undefined:
            data += _mark(0xE000, UNDEFINED, little) + content + _mark(0xE00D, 0, little)
        else:
            data += _mark(0xE000, len(content), little) + content
    return data


def _mark(element: int, length: int, little: bool) -> bytes:
    return _number(0xFFFE, 2, little) + _number(element, 2, little) + _number(length, 4, little)


def fragments(*parts: bytes) -> bytes:
    """The value of encapsulated pixel data (PS3.5 section A.4): an empty offset table, fragments, the delimiter."""
    items = b"".join(_mark(0xE000, len(part), True) + part for part in (b"", *parts))
    return items + _mark(0xE0DD, 0, True)


def part10(elements: list[Element], syntax: str, preamble: bytes = b"\0" * 128) -> bytes:
    """A file in one of ``SYNTAXES``."""
    import zlib

    data = encoded(elements, explicit=syntax != "implicit", little=syntax != "big")
    if syntax == "deflated":
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = deflater.compress(data) + deflater.flush()
        data += b"\0" * (len(data) % 2)
    meta = encoded([Element(0x00020010, "UI", SYNTAXES[syntax].encode())])
    return preamble + b"DICM" + encoded([Element(0x00020000, "UL", len(meta).to_bytes(4, "little"))]) + meta + data

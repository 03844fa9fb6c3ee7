"""The skeleton of a DICOM file: where its elements lie and whether it is whole (PS3.5 section 7, PS3.10 section 7).

Element headers are read and values skipped, so that a file of any size costs a few kilobytes of reading. Libraries
that parse DICOM accept a file that ends within a value; a cut-off transfer must not pass for an image.
"""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.datadict import dictionary_has_tag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

MAXIMUM_INFLATED = 1 << 30
"""A deflated data set that is larger than this (bytes) is not inflated."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_DEEPEST = 100
_VRS = frozenset(v.value.encode() for v in VR)
_LONG_VRS = frozenset(v.encode() for v in EXPLICIT_VR_LENGTH_32)
_CONVINCING = 3
_BLOCK = 1 << 20


class StructureError(ValueError):
    """A DICOM file is not whole. ``reason`` is truncated, malformed, nested_too_deep or deflate_too_large."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Encoding:
    """How a data set is written (PS3.5 section 10)."""

    implicit: bool
    little: bool

    @property
    def uid(self) -> str:
        """The transfer syntax of uncompressed data in this encoding; implicit big-endian has none and gets implicit."""
        if self.implicit:
            return IMPLICIT_LITTLE
        return EXPLICIT_LITTLE if self.little else EXPLICIT_BIG


@dataclass(frozen=True)
class Skeleton:
    """What the walk over a file's elements found.

    ``transfer_syntax`` is stated by the file meta group or, where that is silent, recognized; ``data_set`` is the
    offset at which the data set starts; ``elements`` counts its top-level elements; ``directory`` tells a DICOMDIR's
    records.
    """

    transfer_syntax: str
    data_set: int
    elements: int
    directory: bool


def read_skeleton(file: BinaryIO, size: int) -> Skeleton | None:
    """Walk over a file's elements to its end; None where it is not DICOM by its content.

    Recognizes files with preamble and prefix, and such that begin with the file meta group or with the data set, in
    any of the three encodings. Raises StructureError where it is DICOM but not whole, OSError where it cannot be read.
    """
    file.seek(0)
    head = file.read(132)
    start = 132 if head[128:] == b"DICM" else 0
    if start == 0 and not _resembles_data_set(file, size):
        return None
    syntax, data_set = _read_meta(file, start, size)
    if syntax == DEFLATED:
        inflated = inflate(file, data_set)
        elements, directory = _walk(inflated, 0, len(inflated.getbuffer()), Encoding(implicit=False, little=True))
        return Skeleton(syntax, data_set, elements, directory)
    encoding = _encoding_of(syntax) or _guess(file, data_set)
    elements, directory = _walk(file, data_set, size, encoding)
    return Skeleton(syntax or encoding.uid, data_set, elements, directory)


def inflate(file: BinaryIO, offset: int) -> io.BytesIO:
    """Inflate a deflated data set (PS3.5 section A.5) into memory.

    Raises StructureError where the stream is cut off, damaged or larger than MAXIMUM_INFLATED.
    """
    file.seek(offset)
    stream, inflated = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    try:
        while not stream.eof and (block := stream.unconsumed_tail or file.read(_BLOCK)):
            inflated.write(stream.decompress(block, _BLOCK))
            if inflated.tell() > MAXIMUM_INFLATED:
                raise StructureError("deflate_too_large")
    except zlib.error:
        raise StructureError("malformed") from None
    if not stream.eof:
        raise StructureError("truncated")
    return inflated


def _resembles_data_set(file: BinaryIO, size: int) -> bool:
    """Whether a file without prefix begins with elements of the DICOM dictionary in rising order."""
    encoding = _guess(file, 0)
    position, last, seen = 0, -1, 0
    while seen < _CONVINCING and position < size:
        header = _element_header(file, position, encoding, size)
        if header is None:
            return False
        tag, vr, length, value = header
        known = tag & 0xFFFF == 0 or dictionary_has_tag(tag)
        if not known or tag <= last or (vr is None and not encoding.implicit):
            return False
        seen += 1
        if length == _UNDEFINED:
            break
        position, last = value + length, tag
    return seen == _CONVINCING or (seen > 0 and position == size)


def _read_meta(file: BinaryIO, start: int, size: int) -> tuple[str, int]:
    """Walk over the file meta group: the transfer syntax it states (or nothing), and where the data set starts."""
    position, syntax = start, ""
    encoding = Encoding(implicit=False, little=True)
    while position < size:
        header = _element_header(file, position, encoding, size)
        if header is None:
            raise StructureError("truncated")
        tag, _, length, value = header
        if tag >> 16 != 0x0002:
            break
        if length == _UNDEFINED or value + length > size:
            raise StructureError("truncated")
        if tag == 0x00020010:
            file.seek(value)
            syntax = file.read(min(length, 64)).rstrip(b"\0 ").decode("ascii", "replace")
        position = value + length
    return syntax, position


def _encoding_of(syntax: str) -> Encoding | None:
    if not syntax.startswith("1.2.840.10008.1.2"):
        return None
    return Encoding(implicit=syntax == IMPLICIT_LITTLE, little=syntax != EXPLICIT_BIG)


def _guess(file: BinaryIO, position: int) -> Encoding:
    """The encoding of the element at a position, by its VR and by the order of the bytes of its (small) group."""
    file.seek(position)
    head = file.read(6).ljust(6, b"\0")
    little = int.from_bytes(head[:2], "little") <= int.from_bytes(head[:2], "big")
    return Encoding(implicit=head[4:6] not in _VRS, little=little)


def _element_header(
    file: BinaryIO, position: int, encoding: Encoding, end: int
) -> tuple[int, bytes | None, int, int] | None:
    """Tag, VR (None where it is not written), length and offset of the value; None where the file ends before."""
    order = "<" if encoding.little else ">"
    file.seek(position)
    head = file.read(min(12, end - position))
    if len(head) < 8:
        return None
    group, element = struct.unpack(order + "HH", head[:4])
    tag, vr = group << 16 | element, head[4:6]
    if group != 0xFFFE and not encoding.implicit and b"AA" <= vr <= b"ZZ":
        if vr not in _LONG_VRS:
            return tag, vr, struct.unpack(order + "H", head[6:8])[0], position + 8
        if len(head) < 12:
            return None
        return tag, vr, struct.unpack(order + "I", head[8:12])[0], position + 12
    return tag, None, struct.unpack(order + "I", head[4:8])[0], position + 8


@dataclass
class _Level:
    """A data set, sequence or item that the walk is inside of; ``end`` is None where a delimiter ends it."""

    kind: str
    end: int | None
    encoding: Encoding


def _walk(file: BinaryIO, start: int, size: int, encoding: Encoding) -> tuple[int, bool]:
    """Walk over all elements of a data set: the count at top level, and whether directory records are among them.

    Sequences of defined length are skipped whole; those of undefined length are entered, for their end is found in no
    other way.
    """
    levels, position, elements, directory = [_Level("data set", size, encoding)], start, 0, False
    while levels:
        level = levels[-1]
        if level.end is not None and position >= level.end:
            levels.pop()
            continue
        header = _element_header(file, position, level.encoding, size)
        if header is None:
            if len(levels) == 1 and _only_zeros(file, position, size):
                break
            raise StructureError("truncated")
        tag, vr, length, value = header
        if len(levels) == 1:
            elements += 1
            directory = directory or tag == 0x00041220
        position = _step(levels, tag, vr, length, value)
        if tag == _ITEM and levels[-1].kind == "item":
            _settle_encoding(file, levels[-1], position)
        if position > size:
            known = dictionary_has_tag(tag) or tag >> 16 in (0xFFFE,) or tag >> 16 & 1
            raise StructureError("truncated" if known else "malformed")
    return elements, directory


def _step(levels: list[_Level], tag: int, vr: bytes | None, length: int, value: int) -> int:
    """Enter or leave a level, or pass over a value; the position at which the walk goes on."""
    level = levels[-1]
    if level.kind in ("sequence", "fragments"):
        if tag == _SEQUENCE_END:
            levels.pop()
            return value
        if tag != _ITEM or (level.kind == "fragments" and length == _UNDEFINED):
            raise StructureError("malformed")
        if level.kind == "fragments":
            return value + length
        levels.append(_Level("item", None if length == _UNDEFINED else value + length, level.encoding))
        return value
    if tag == _ITEM_END and level.kind == "item" and level.end is None:
        levels.pop()
        return value
    if length != _UNDEFINED:
        return value + length
    if len(levels) >= _DEEPEST:
        raise StructureError("nested_too_deep")
    encapsulated = tag in _PIXELS or vr in (b"OB", b"OW")
    levels.append(_Level("fragments" if encapsulated else "sequence", None, level.encoding))
    return value


def _settle_encoding(file: BinaryIO, item: _Level, position: int) -> None:
    """Judge by an item's first element whether its VRs are written.

    Within sequences of VR UN they should not be (PS3.5 section 6.2.2 note 2), and some writers switch in other
    sequences, or fail to switch in these.
    """
    if not item.encoding.implicit:
        file.seek(position + 4)
        item.encoding = Encoding(implicit=file.read(2) not in _VRS, little=item.encoding.little)


def _only_zeros(file: BinaryIO, position: int, size: int) -> bool:
    file.seek(position)
    return not any(file.read(size - position))

"""Writing a Part 10 file (PS3.10 section 7): elements that were not changed are copied as the bytes that they were,
and pixel data goes from file to file block by block, whatever its size."""

import hashlib
import os
import zlib
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from struct import Struct
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import PersonName

from pipelines.deidentify.carried import Carried
from pipelines.deidentify.codestream import Span
from pipelines.deidentify.elements import text_of
from pipelines.deidentify.raw_elements import (
    LONG_VRS,
    UNDEFINED,
)
from pipelines.deidentify.refusals import RefusedError

IMPLEMENTATION_CLASS_UID = "2.25.265911413164213917432113911532402106"
IMPLEMENTATION_VERSION_NAME = "MIDAR_0_1"

_ITEM, _ITEM_END, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
_CHARACTER_SET = 0x00080005
_IMPLICIT = {True: Struct("<HHI").pack, False: Struct(">HHI").pack}
_SHORT = {True: Struct("<HH2sH").pack, False: Struct(">HH2sH").pack}
_LONG = {True: Struct("<HH2sHI").pack, False: Struct(">HH2sHI").pack}
_BLOCK = 1 << 18
new_digest = hashlib.sha256
_PLAIN_TEXT = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})


def write(dataset: Dataset, target: Path, syntax: str, carried: Carried | None) -> tuple[str, int]:
    """Write ``dataset`` to ``target``: preamble of zeros, our own meta information, the data set in transfer syntax
    ``syntax``. Returns the SHA-256 and the number of the bytes written, which are hashed while they are at hand.

    ``carried`` is pixel data that comes from its source; None: it is in the data set, or there is none. Leaves no file
    where an exception is raised.
    """
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    meta = _meta(dataset, syntax)
    if carried is None:
        _settle_pixels(dataset, syntax)
    body = encoded(dataset, implicit=implicit, little=little, without=carried.pixels.tag if carried else None)
    if carried is not None:
        vr = carried.pixels.vr or ("OB" if carried.pixels.length == UNDEFINED else "OW")
        body += _element_head(carried.pixels.tag, vr, carried.pixels.length, implicit, little)
    try:
        with _opened(target) as file:
            out = _Hashed(file)
            if syntax == DeflatedExplicitVRLittleEndian:
                out.write(meta + _deflated(body, carried))
            elif carried is not None and carried.data is not None:
                data = bytearray(carried.data[carried.pixels.begin : carried.end])
                _blank(memoryview(data), carried.pixels.begin, carried.hidden)
                out.write(meta + body + data)
            else:
                out.write(meta + body)
                if carried is not None:
                    _carry(carried, out)
        return out.digest.hexdigest(), out.size
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _opened(target: Path) -> FileIO:
    """A new file, in a folder that is made where it is not there."""
    try:
        return FileIO(target, "wb")
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        return FileIO(target, "wb")


def _meta(dataset: Dataset, syntax: str) -> bytes:
    """Preamble, prefix and file meta information (PS3.10 section 7.1)."""
    elements = b"".join(
        _element_head(tag, vr, len(value), False, True) + value
        for tag, vr, value in (
            (0x00020001, "OB", b"\0\1"),
            (0x00020002, "UI", _padded(text_of(dataset, 0x00080016).encode(), b"\0")),
            (0x00020003, "UI", _padded(text_of(dataset, 0x00080018).encode(), b"\0")),
            (0x00020010, "UI", _padded(str(syntax).encode(), b"\0")),
            (0x00020012, "UI", _padded(IMPLEMENTATION_CLASS_UID.encode(), b"\0")),
            (0x00020013, "SH", _padded(IMPLEMENTATION_VERSION_NAME.encode(), b" ")),
        )
    )
    length = _element_head(0x00020000, "UL", 4, False, True) + len(elements).to_bytes(4, "little")
    return bytes(128) + b"DICM" + length + elements


def _settle_pixels(dataset: Dataset, syntax: str) -> None:
    """Encapsulated pixel data is of undefined length, native of its own (PS3.5 section A.4)."""
    if 0x7FE00010 in dataset:
        element = dataset[0x7FE00010]
        element.is_undefined_length = UID(syntax).is_encapsulated


def encoded(
    dataset: Dataset, *, implicit: bool, little: bool, parents: str | list[str] = "iso8859", without: int | None = None
) -> bytes:
    """A data set's elements in order of their tags, as bytes; ``without`` the element of one tag.

    Raw elements stand as they were read where their encoding is the wanted one; so do their character sets.
    """
    as_read = dataset.original_encoding in ((implicit, little), (None, None))
    if not as_read or dataset.original_character_set not in ("", dataset._character_set):
        return _encoded_anew(dataset, implicit, little, parents, without)
    encodings: Any = dataset.get("SpecificCharacterSet", parents) if _CHARACTER_SET in dataset._dict else parents
    pieces = []
    elements = dataset._dict
    for tag in sorted(elements, key=int):
        number = int(tag)
        if number == without or (not number & 0xFFFF and number >> 16 > 6):
            continue
        element = elements[tag]
        if isinstance(element, RawDataElement):
            if element.is_implicit_VR == implicit and element.is_little_endian == little:
                pieces.append(_as_read(number, element, implicit, little))
            else:
                pieces.append(_by_pydicom(dataset[tag], implicit, little, encodings))
        elif element.VR == "SQ":
            pieces.append(_sequence(number, element, implicit, little, encodings))
        else:
            pieces.append(_element(number, element, implicit, little, encodings))
    return b"".join(pieces)


def _as_read(tag: int, element: RawDataElement, implicit: bool, little: bool) -> bytes:
    value = element.value or b""
    if element.length != UNDEFINED:
        return _element_head(tag, element.VR, len(value), implicit, little) + value
    return _element_head(tag, element.VR, UNDEFINED, implicit, little) + value + _marks(little)[2]


def _encoded_anew(
    dataset: Dataset, implicit: bool, little: bool, parents: str | list[str], without: int | None
) -> bytes:
    """A data set whose values all have to be encoded anew: in another VR encoding, byte order or character set."""
    if without is not None and without in dataset:
        del dataset[without]
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    write_dataset(buffer, dataset, convert_encodings(parents))
    return buffer.getvalue()


def encoded_items(
    items: Iterable[Dataset], *, implicit: bool, little: bool, parents: str | list[str] = "iso8859"
) -> bytes:
    """The value of a sequence: its items (PS3.5 section 7.5), each as long as it says or delimited as it was read."""
    pieces: list[bytes] = []
    item, item_end, _ = _marks(little)
    for each in items:
        content = encoded(each, implicit=implicit, little=little, parents=parents)
        delimited = bool(getattr(each, "is_undefined_length_sequence_item", False))
        length = UNDEFINED if delimited else len(content)
        pieces += item, length.to_bytes(4, "little" if little else "big"), content, item_end if delimited else b""
    return b"".join(pieces)


def _sequence(tag: int, element: DataElement, implicit: bool, little: bool, encodings: Any) -> bytes:
    value = encoded_items(element.value, implicit=implicit, little=little, parents=encodings)
    if not element.is_undefined_length:
        return _element_head(tag, "SQ", len(value), implicit, little) + value
    return _element_head(tag, "SQ", UNDEFINED, implicit, little) + value + _marks(little)[2]


def _marks(little: bool) -> tuple[bytes, bytes, bytes]:
    """Item, item delimiter and sequence delimiter, the latter two with their lengths."""
    if little:
        return _ITEM, _ITEM_END, _SEQUENCE_END
    return b"\xff\xfe\xe0\x00", b"\xff\xfe\xe0\x0d" + bytes(4), b"\xff\xfe\xe0\xdd" + bytes(4)


def _element(tag: int, element: DataElement, implicit: bool, little: bool, encodings: Any) -> bytes:
    """One element with a decoded value; plain texts by a short way."""
    vr, value = str(element.VR), element.value
    if vr in _PLAIN_TEXT:
        if value is None:
            text = ""
        elif isinstance(value, str | PersonName):
            text = str(value)
        else:
            text = "\\".join(value) if all(isinstance(v, str) for v in value) else "\N{REPLACEMENT CHARACTER}"
        if text.isascii():
            data = _padded(text.encode("ascii"), b"\0" if vr == "UI" else b" ")
            if len(data) <= 0xFFFF or vr in LONG_VRS:
                return _element_head(tag, vr, len(data), implicit, little) + data
    return _by_pydicom(element, implicit, little, encodings)


def _by_pydicom(element: DataElement, implicit: bool, little: bool, encodings: Any) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    write_data_element(buffer, element, encodings)
    return buffer.getvalue()


def _element_head(tag: int, vr: str | None, length: int, implicit: bool, little: bool) -> bytes:
    """Tag, VR and length as PS3.5 section 7.1 has them."""
    group, element = tag >> 16, tag & 0xFFFF
    if implicit:
        return _IMPLICIT[little](group, element, length)
    if vr is None:
        raise ValueError("an explicit encoding needs a VR")
    if vr in LONG_VRS:
        return _LONG[little](group, element, vr.encode(), 0, length)
    return _SHORT[little](group, element, vr.encode(), length)


def _padded(data: bytes, filler: bytes) -> bytes:
    return data + filler if len(data) % 2 else data


def _deflated(body: bytes, carried: Carried | None) -> bytes:
    if carried is not None:
        data = carried.data if carried.data is not None else b""
        body += data[carried.pixels.begin : carried.end]
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return _padded(deflater.compress(body) + deflater.flush(), b"\0")


class _Hashed:
    """A file that is written, and the digest and number of its bytes."""

    def __init__(self, file: FileIO) -> None:
        self.file, self.digest, self.size = file, new_digest(), 0

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        self.digest.update(view)
        self.size += len(view)
        while view:
            view = view[self.file.write(view) :]


def _blank(block: memoryview, position: int, hidden: Iterable[Span]) -> None:
    """Make zeros of the spans of a block of the source, which begins at a position."""
    for first, last in hidden:
        begin, end = max(first - position, 0), min(last - position, len(block))
        if begin < end:
            block[begin:end] = bytes(end - begin)


def _carry(carried: Carried, target: _Hashed) -> None:
    """Copy the pixel data's value block by block. Raises RefusedError where the source has become shorter.

    A block that is used again takes two thirds of the CPU time of ``os.copy_file_range``: a header is no multiple
    of a page long, so nothing can be shared and the kernel copies page by page.
    """
    block = memoryview(bytearray(min(_BLOCK, carried.end - carried.pixels.begin)))
    with carried.path.open("rb", buffering=0) as file:
        position, end = carried.pixels.begin, carried.end
        while position < end:
            read = os.preadv(file.fileno(), [block[: end - position]], position)
            if read == 0:
                raise RefusedError("pixel_data_truncated")
            _blank(block[:read], position, carried.hidden)
            target.write(block[:read])
            position += read

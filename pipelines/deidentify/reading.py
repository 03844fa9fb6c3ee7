"""Reading a DICOM file, quietly: pydicom's warnings and log lines repeat values, which identify patients.

``read_header`` leaves the pixel data in the file: a mammogram's header is a few kilobytes of its 27 MB.
"""

import logging
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal

import pydicom
from pydicom import config
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pipelines.deidentify.raw_elements import (
    LONG_VRS,
    UNDEFINED,
    Elements,
    TooShortError,
    UnusualError,
    elements_in,
    tag_of,
)

PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)
"""Float, Double Float and Pixel Data: what is read late."""

_STOP = frozenset(PIXEL_DATA)
_CHARACTER_SET, _TRANSFER_SYNTAX = 0x00080005, 0x00020010
_HEAD = 1 << 16
_SILENT = logging.CRITICAL + 1
_MOST_INFLATED = 1 << 28
_PLAIN = {
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, no log lines, and no opinion on values that break a VR's rules, in reading or writing."""
    logger = logging.getLogger("pydicom")
    level, modes = logger.level, (config.settings.reading_validation_mode, config.settings.writing_validation_mode)
    if level != _SILENT:
        logger.setLevel(_SILENT)
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if level != _SILENT:
            logger.setLevel(level)
        config.settings.reading_validation_mode, config.settings.writing_validation_mode = modes


def read_raw(path: Path) -> Dataset:
    """Read a file with or without preamble and meta information; values are decoded when they are asked for."""
    return pydicom.dcmread(path, force=True)


@dataclass(frozen=True)
class Pixels:
    """Where an object's pixel data element lies: its tag, its VR as written (None in Implicit VR), where its value
    begins and its length in bytes (0xFFFFFFFF: fragments up to a delimiter, PS3.5 section A.4)."""

    tag: int
    vr: str | None
    begin: int
    length: int


@dataclass(frozen=True)
class Header:
    """A file without the bytes of its pixel data, for which an empty element stands in ``elements`` and ``dataset``.

    ``encoding``: whether VRs are implicit, and bytes little endian. ``pixels`` is None where there are none. ``data``
    is what the positions count in, where it is at hand: the inflated data set of a deflated one, or the whole of a
    small file; None: they count in the file.
    """

    elements: Elements
    meta: Elements
    encoding: tuple[bool, bool]
    pixels: Pixels | None
    data: bytes | None

    @cached_property
    def dataset(self) -> Dataset:
        """The data set as pydicom's reader makes it, its values not decoded."""
        dataset = Dataset(self.elements)
        stated = self.elements.get(tag_of(_CHARACTER_SET))
        character_set: str | list[str] = default_encoding
        if isinstance(stated, RawDataElement) and stated.value:
            with suppress(LookupError, ValueError):
                character_set = convert_encodings(stated.value.decode("latin-1").rstrip("\0 ").split("\\"))
        dataset.set_original_encoding(*self.encoding, character_set)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta._dict.update(self.meta)
        dataset.file_meta.set_original_encoding(False, True, default_encoding)
        return dataset


class CutOffError(ValueError):
    """A file ends before what it holds does."""


class TooLargeError(ValueError):
    """A deflated data set is larger than is inflated."""


def read_header(path: Path, most_inflated: int = _MOST_INFLATED) -> Header:
    """Read a file, with or without preamble and meta information, up to its pixel data; values stay encoded.

    Raises OSError, CutOffError, TooLargeError where a deflated data set exceeds ``most_inflated`` bytes, UnusualError
    where it lies behind meta information that is not by the book, and what pydicom raises for a damaged file.
    """
    with path.open("rb", buffering=0) as raw:
        head = raw.read(_HEAD)
        try:
            meta, syntax, start = _meta(head)
            if syntax == DeflatedExplicitVRLittleEndian:
                return _inflated_header(head[start:] + raw.read(), meta, most_inflated)
            return _header(raw, head, meta, syntax, start)
        except (UnusualError, TooShortError):
            pass
    with path.open("rb") as file:
        return _unusual_header(file)


def _meta(head: bytes) -> tuple[Elements, str, int]:
    """The file meta information (PS3.10 section 7.1), its transfer syntax, and where the data set starts."""
    if head[128:132] != b"DICM":
        raise UnusualError
    elements, start = elements_in(head, 132, len(head), implicit=False, little=True, stop=_OTHERS)
    stated = elements.get(tag_of(_TRANSFER_SYNTAX))
    if stated is None or not stated.value:
        raise UnusualError
    return elements, stated.value.decode("latin-1").rstrip("\0 "), start


class _Others:
    """All tags outside the file meta information's group."""

    def __contains__(self, tag: object) -> bool:
        return isinstance(tag, int) and tag >> 16 != 2


_OTHERS = _Others()


def _header(raw: BinaryIO, head: bytes, meta: Elements, syntax: str, start: int) -> Header:
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    size = os.fstat(raw.fileno()).st_size
    while True:
        try:
            elements, position = elements_in(head, start, len(head), implicit=implicit, little=little, stop=_STOP)
            pixels = _pixels(head, position, implicit, little)
        except TooShortError as short:
            if short.size > size:
                raise UnusualError from None
            pixels, position = None, short.size
        else:
            if pixels is not None or len(head) >= size:
                break
            position = len(head) + _HEAD
        more = raw.read(max(position, min(2 * len(head), size)) - len(head))
        if not more:
            raise UnusualError
        head += more
    if pixels is None and head[position:].strip(b"\0"):
        raise CutOffError("the last element is cut off")
    whole = head if len(head) == size else None
    return _made(elements, meta, (implicit, little), pixels, whole)


def _inflated_header(deflated: bytes, meta: Elements, most: int) -> Header:
    data = inflate(deflated, most)
    try:
        elements, position = elements_in(data, 0, len(data), implicit=False, little=True, stop=_STOP)
        pixels = _pixels(data, position, False, True)
        return _made(elements, meta, (False, True), pixels, data)
    except (UnusualError, TooShortError):
        file = BytesIO(data)
        dataset = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag in _STOP)
        pixels = _pixels(data, file.tell(), False, True)
        return _made(dict(dataset._dict), meta, (False, True), pixels, data)


def inflate(deflated: bytes, most: int) -> bytes:
    """Inflate a data set (PS3.5 section A.5). Raises TooLargeError beyond ``most`` bytes, zlib.error where damaged."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(deflated, most)
    if inflater.unconsumed_tail:
        raise TooLargeError("a deflated data set is too large")
    data += inflater.flush()
    if not inflater.eof:
        raise zlib.error("a deflated data set is cut off")
    return data


def _unusual_header(file: BinaryIO) -> Header:
    """What pydicom makes of a file that is not by the book: no meta information, wrong VRs, odd sequences."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dataset = read_partial(file, stop_when=lambda tag, vr, length: tag in _STOP, force=True)
    if any("end of file" in str(warning.message).lower() for warning in said) or _is_cut_off(dataset, file):
        raise CutOffError("an element is cut off")
    if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise UnusualError
    implicit, little = dataset.original_encoding
    position = file.tell()
    without_vr = next((e.is_implicit_VR for e in dataset._dict.values() if isinstance(e, RawDataElement)), implicit)
    pixels = _pixels(file.read(12), 0, bool(without_vr), bool(little), position)
    encoding = bool(implicit), bool(little)
    return _made(dict(dataset._dict), dict(dataset.file_meta._dict), encoding, pixels, None)


def _is_cut_off(dataset: Dataset, file: BinaryIO) -> bool:
    """Whether a value is shorter than stated, or something that is no element stands behind the last one."""
    raw = [element for element in dataset._dict.values() if isinstance(element, RawDataElement)]
    if any(each.length != UNDEFINED and each.length != len(each.value or b"") for each in raw):
        return True
    position = file.tell()
    last = next((each for each in reversed(list(dataset._dict.values())) if each.tag.group), None)
    if file.read(8) or not isinstance(last, RawDataElement) or last.length == UNDEFINED:
        file.seek(position)
        return False
    file.seek(last.value_tell + last.length)
    return bool(file.read().strip(b"\0"))


def _pixels(data: bytes, position: int, implicit: bool, little: bool, before: int = 0) -> Pixels | None:
    """The pixel data element that starts at a position of ``data``, which lies ``before`` bytes into the file."""
    order: Literal["little", "big"] = "little" if little else "big"
    head = data[position : position + 12]
    if len(head) < 8:
        return None
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag not in _STOP:
        return None
    vr = None if implicit else head[4:6].decode("latin-1")
    if vr is None:
        size, length = 8, int.from_bytes(head[4:8], order)
    elif vr in LONG_VRS:
        if len(head) < 12:
            raise TooShortError(position + 12)
        size, length = 12, int.from_bytes(head[8:12], order)
    else:
        size, length = 8, int.from_bytes(head[6:8], order)
    return Pixels(tag, vr, before + position + size, length)


def _made(
    elements: Elements, meta: Elements, encoding: tuple[bool, bool], pixels: Pixels | None, data: bytes | None
) -> Header:
    """A header with an empty element for the pixel data."""
    if pixels is not None:
        tag, bare = tag_of(pixels.tag), pixels.vr is None
        elements[tag] = RawDataElement(tag, pixels.vr, pixels.length, b"", pixels.begin, bare, encoding[1])
    return Header(elements, meta, encoding, pixels, data)


def tags_of(dataset: Dataset) -> list[int]:
    """A data set's tags in order, without decoding any value."""
    return sorted(map(int, dataset.keys()))


def _stated_syntax(dataset: Dataset) -> str:
    """The transfer syntax that the file meta information states, or ""."""
    raw = dataset.file_meta._dict.get(tag_of(_TRANSFER_SYNTAX))
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) and raw.value.isascii():
        return raw.value.decode("ascii").rstrip("\0 ")
    return str(dataset.file_meta.get("TransferSyntaxUID", "") or "")


@lru_cache(maxsize=256)
def _is_encapsulated(stated: str) -> bool | None:
    """Whether pixel data are encapsulated under a transfer syntax; None where it is a vendor's own, or none at all."""
    known = pydicom.uid.UID(stated)
    if stated and (known.is_private or known.type != "Transfer Syntax"):
        return None
    return bool(stated) and known.is_encapsulated


def transfer_syntax_of(dataset: Dataset) -> str | None:
    """The transfer syntax that a data set was read in; None where it cannot be told or is a vendor's own.

    Where the file does not say, or says what cannot be, it is the plain one that the data set was found to be in.
    """
    stated = _stated_syntax(dataset)
    plain = _PLAIN.get(dataset.original_encoding)  # type: ignore[arg-type]
    encapsulated = _is_encapsulated(stated)
    if encapsulated is None:
        return None
    if encapsulated or (stated == DeflatedExplicitVRLittleEndian and plain == ExplicitVRLittleEndian):
        return stated if plain == ExplicitVRLittleEndian else None
    pixels = dataset.get_item(0x7FE00010) if 0x7FE00010 in dataset else None
    if plain is None or (pixels is not None and getattr(pixels, "length", 0) == 0xFFFFFFFF):
        return None
    return str(plain)

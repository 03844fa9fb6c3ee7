"""From an object to its stored values: any transfer syntax, guarded against sizes that lie and data that are cut off.

Stored values are what PS3.3 C.7.6.3 calls pixel sample values: the stored bits alone, sign extended, before any
lookup table. Nothing is decoded before what the header and the codestream claim has been compared.
"""

import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset, read_partial, read_preamble

from pipelines.normalize import codestream, decoder_plugin
from pipelines.normalize.fragments import first_frame
from pipelines.normalize.header import integer, text

MAX_PIXELS = 50_000_000
"""More pixels than this in a frame are not believed: a 24×30 cm film at 50 µm has 29 million, at 42 µm 41 million."""

_MOST_HEADER = 64 << 20  # bytes of a deflated object beside its pixels
_PIECE = 8 << 20  # bytes inflated at a time
_PIXEL_DATA = 0x7FE00010
_ITEM = b"\xfe\xff\x00\xe0"  # the tag that every encapsulated value starts with, PS3.5 A.4


class DecodeError(ValueError):
    """An object's pixels cannot be had. ``reason`` is a short constant code, free of any value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class PixelDescription:
    """The Image Pixel module (PS3.3 C.7.6.3) as far as decoding needs it, checked."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool

    @property
    def pixels(self) -> int:
        """Pixels of one frame."""
        return self.rows * self.columns

    @property
    def dtype(self) -> np.dtype:
        """The type of stored values: as wide as allocated, in native byte order."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def lowest(self) -> int:
        """The lowest stored value that the header allows."""
        return -(1 << (self.bits_stored - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The highest stored value that the header allows."""
        return self.lowest + (1 << self.bits_stored) - 1


def read_object(path: Path) -> pydicom.Dataset:
    """Read a DICOM file up to Pixel Data and with it.

    Pixel Data that are cut off are kept as far as they go, so that what the header says is not lost with them.
    Raises DecodeError ``missing_file``, ``unreadable``, ``absurd_size``, ``out_of_memory``.
    """
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # pydicom's warnings quote values
            return _read(file)
    except FileNotFoundError as error:
        raise DecodeError("missing_file") from error
    except MemoryError as error:
        raise DecodeError("out_of_memory") from error
    except DecodeError:
        raise
    except Exception as error:  # a parser's own errors are many, and their texts hold values
        raise DecodeError("unreadable") from error


def _read(file: BinaryIO) -> pydicom.Dataset:
    read_preamble(file, force=True)
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") == uid.DeflatedExplicitVRLittleEndian:
        stream: BinaryIO = _inflated(file)
        dataset = read_dataset(stream, False, True, stop_when=_is_pixel_data)
        dataset.file_meta = FileMetaDataset(meta)
    else:
        stream = file
        stream.seek(0)
        dataset = read_partial(stream, _is_pixel_data, force=True)
    _read_pixel_data(stream, dataset)
    return dataset


def _is_pixel_data(tag: int, vr: str | None, length: int) -> bool:
    return tag == _PIXEL_DATA


def _inflated(file: BinaryIO) -> BinaryIO:
    """The rest of a deflated file (PS3.5 A.5), of which a few bytes may claim gigabytes."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    stream, rest = BytesIO(), file.read()
    while rest and not inflater.eof:
        stream.write(inflater.decompress(rest, _PIECE))
        rest = inflater.unconsumed_tail
        if stream.tell() > MAX_PIXELS * 2 + _MOST_HEADER:
            raise DecodeError("absurd_size")
    stream.seek(0)
    return stream


def _read_pixel_data(stream: BinaryIO, dataset: pydicom.Dataset) -> None:
    """Add the element that parsing stopped at (PS3.5 7.1), if it did; a value that is cut off is as long as it is."""
    big = dataset.original_encoding[1] is False
    head = stream.read(8)
    if len(head) < 8 or struct.unpack(">HH" if big else "<HH", head[:4]) != (_PIXEL_DATA >> 16, _PIXEL_DATA & 0xFFFF):
        return
    explicit = head[4:6] in (b"OB", b"OW", b"UN")  # as a length, all of them are odd, which a length is not
    vr = "OB" if head[4:6] == b"OB" else "OW"
    (length,) = struct.unpack(">I" if big else "<I", stream.read(4) if explicit else head[4:])
    value = stream.read(min(length, _remaining(stream)))
    dataset.add(DataElement(_PIXEL_DATA, vr, value, is_undefined_length=length == 0xFFFFFFFF))


def _remaining(stream: BinaryIO) -> int:
    position = stream.tell()
    end = stream.seek(0, 2)
    stream.seek(position)
    return end - position


def describe(dataset: pydicom.Dataset) -> PixelDescription:
    """Check the Image Pixel module. Raises DecodeError with the reason where no picture can come of it."""
    if "PixelData" not in dataset:
        raise DecodeError("no_pixels")
    photometric = text(dataset, "PhotometricInterpretation").upper()
    if integer(dataset, "SamplesPerPixel", 1) != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise DecodeError("not_grayscale")
    allocated = integer(dataset, "BitsAllocated", 0)
    stored = integer(dataset, "BitsStored", allocated)
    representation = integer(dataset, "PixelRepresentation", 0)
    description = PixelDescription(
        rows=integer(dataset, "Rows", 0),
        columns=integer(dataset, "Columns", 0),
        frames=max(1, integer(dataset, "NumberOfFrames", 1)),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=integer(dataset, "HighBit", stored - 1),
        signed=representation == 1,
    )
    if description.rows < 1 or description.columns < 1:
        raise DecodeError("no_size")
    if description.pixels > MAX_PIXELS:
        raise DecodeError("absurd_size")
    if (
        allocated not in (8, 16)
        or representation not in (0, 1)
        or not 1 < stored <= allocated
        or not stored - 1 <= description.high_bit < allocated
    ):
        raise DecodeError("unsupported_bits")
    return description


def decode(dataset: pydicom.Dataset) -> np.ndarray:
    """Decode the first frame's stored values (rows, columns): 8 or 16 bits as allocated, signed or not, native order.

    All values lie in the range that the header allows. The array may be a read-only view of the object's own bytes.
    Raises DecodeError: ``no_pixels``, ``not_grayscale``, ``no_size``, ``absurd_size``, ``unsupported_bits``,
    ``size_mismatch``, ``bits_mismatch``, ``truncated_pixels``, ``unsupported_syntax``, ``damaged_pixels``,
    ``out_of_memory``.
    """
    description = describe(dataset)
    element = dataset["PixelData"]
    data = element.value
    if not isinstance(data, bytes) or not data:
        raise DecodeError("no_pixels")
    syntax = _declared_syntax(dataset)
    if data[:4] == _ITEM and (syntax.is_encapsulated or element.is_undefined_length):
        return _decode_encapsulated(data, syntax, description)
    return _decode_native(data, syntax, description, element.VR)


def pixel_digest(values: np.ndarray) -> str:
    """BLAKE3 of stored values in a canonical type (uint16 where they fit, else int32): finds exact copies.

    The same picture has the same digest whatever its transfer syntax, bits allocated or byte order. SHA-256 would take
    as long as all that comes after decoding.
    """
    from blake3 import blake3

    fits = values.dtype in (np.uint8, np.uint16) or int(values.min()) >= 0
    canonical = np.ascontiguousarray(values, "<u2" if fits else "<i4")
    digest = blake3(f"{canonical.dtype.str}{canonical.shape}".encode())
    digest.update(canonical.data.cast("B"))
    return str(digest.hexdigest())


def _declared_syntax(dataset: pydicom.Dataset) -> uid.UID:
    declared = uid.UID(str(getattr(dataset, "file_meta", {}).get("TransferSyntaxUID") or uid.ImplicitVRLittleEndian))
    return declared if declared.is_transfer_syntax else uid.ExplicitVRLittleEndian


def _decode_native(data: bytes, declared: uid.UID, description: PixelDescription, vr: str) -> np.ndarray:
    expected = description.pixels * description.bits_allocated // 8
    if len(data) < expected:
        raise DecodeError("truncated_pixels")
    if len(data) > (expected + 1) * description.frames * 1.01 + 1024:  # some padding is common and harmless
        raise DecodeError("size_mismatch")
    big = declared == uid.ExplicitVRBigEndian
    if description.bits_allocated == 16:
        values = np.frombuffer(data, ">u2" if big else "<u2", description.pixels)
        values = values.astype(np.uint16, copy=False)
    elif big and vr == "OW":  # PS3.5 8.1.1: two bytes in a word, and words are swapped
        values = np.frombuffer(data, ">u2", len(data) // 2).astype("<u2").view(np.uint8)[: description.pixels]
        if len(values) < description.pixels:
            raise DecodeError("truncated_pixels")
    else:
        values = np.frombuffer(data, np.uint8, description.pixels)
    return _stored_bits(values.reshape(description.rows, description.columns), description)


def _stored_bits(words: np.ndarray, description: PixelDescription) -> np.ndarray:
    """Keep the stored bits of whole words (unsigned, as wide as allocated): overlay bits above them and unused bits
    below them go; the sign is extended. Where nothing is to be done, nothing is copied."""
    words = words.view(description.dtype)
    above = description.bits_allocated - 1 - description.high_bit
    below = description.high_bit + 1 - description.bits_stored
    if below == 0 and (above == 0 or _in_range(words, description)):
        return words
    shifted = np.left_shift(words, above)
    return np.right_shift(shifted, above + below, out=shifted)


def _in_range(values: np.ndarray, description: PixelDescription) -> bool:
    if int(values.max()) > description.highest:
        return False
    return not description.signed or int(values.min()) >= description.lowest


def _decode_encapsulated(data: bytes, declared: uid.UID, description: PixelDescription) -> np.ndarray:
    try:
        frame = first_frame(data, description.frames)
    except ValueError as error:
        raise DecodeError("truncated_pixels") from error
    if codestream.is_run_length(frame):
        decoded = _run(
            decoder_plugin.decode_run_length, frame, description.rows, description.columns, description.bits_allocated
        )
        return _stored_bits(decoded.astype(f"u{decoded.itemsize}", copy=False), description)
    try:
        stream = codestream.read_codestream(frame)
    except codestream.CodestreamError as error:
        raise DecodeError("unsupported_syntax") from error
    if (stream.rows, stream.columns, stream.samples) != (description.rows, description.columns, 1):
        raise DecodeError("size_mismatch")
    if stream.precision > description.bits_allocated:
        raise DecodeError("bits_mismatch")
    if not stream.ends:
        raise DecodeError("truncated_pixels")
    samples = _run(decoder_plugin.decode_codestream, frame, stream)
    if samples.shape != (description.rows, description.columns) or samples.dtype.kind not in "ui":
        raise DecodeError("damaged_pixels")
    exact = stream.exact and declared not in (uid.JPEG2000, uid.HTJ2K)
    return _from_samples(samples, stream, description, exact)


def _from_samples(
    samples: np.ndarray, stream: codestream.Codestream, description: PixelDescription, exact: bool
) -> np.ndarray:
    """A codec's samples as stored values.

    Encoders without loss mostly code whole words, overlay bits and all. Samples of another precision are values
    already; those of a lossy codec may pass the range that the header allows, and are clipped to it.
    """
    if samples.itemsize * 8 != description.bits_allocated:
        samples = samples.astype(f"{samples.dtype.kind}{description.bits_allocated // 8}")
    words = samples.view(f"u{samples.itemsize}")
    if exact and stream.precision == description.bits_allocated:
        return _stored_bits(words, description)
    if description.signed or stream.signed:
        coded = replace(description, bits_stored=stream.precision, high_bit=stream.precision - 1)
        values = _stored_bits(words, coded)
    else:
        values = words
    if _in_range(values, description):
        return values
    if exact or stream.precision <= description.bits_stored:
        raise DecodeError("bits_mismatch")
    return np.clip(values, description.lowest, description.highest)


def _run(decoder: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decoder(*arguments)
    except decoder_plugin.FrameError as error:
        raise DecodeError("truncated_pixels" if error.truncated else "damaged_pixels") from error
    except MemoryError as error:
        raise DecodeError("out_of_memory") from error
    except Exception as error:  # five codecs, each with its own errors; the texts hold values
        raise DecodeError("damaged_pixels") from error

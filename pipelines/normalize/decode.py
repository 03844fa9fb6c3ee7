"""From an object to its stored values: any transfer syntax, guarded against sizes that lie and data that are cut off.

Stored values are what PS3.3 C.7.6.3 calls pixel sample values: the stored bits alone, sign extended, before any
lookup table. Nothing is decoded before what the header and the codestream claim has been compared.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder

from pipelines.normalize import codestream, decoder_plugin
from pipelines.normalize.header import integer
from pipelines.storage.digests import sha256_of_array

MAX_PIXELS = 100_000_000
"""More pixels than this in a frame are not believed (a 24×30 cm film at 50 µm has 29 million)."""

_ITEM = b"\xfe\xff\x00\xe0"  # the tag that every encapsulated value starts with, PS3.5 A.4
_SYNTAX_OF = {
    codestream.JPEG: uid.JPEGExtended12Bit,
    codestream.JPEG_LOSSLESS: uid.JPEGLossless,
    codestream.JPEG_LS: uid.JPEGLSLossless,
    codestream.JPEG_2000: uid.JPEG2000,
    codestream.HTJ2K: uid.HTJ2K,
}


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
    def lowest(self) -> int:
        """The lowest stored value that the header allows."""
        return -(1 << (self.bits_stored - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The highest stored value that the header allows."""
        return self.lowest + (1 << self.bits_stored) - 1


def read_object(path: Path) -> pydicom.Dataset:
    """Read a DICOM file whole. Raises DecodeError ``missing_file`` or ``unreadable``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings quote values
            return pydicom.dcmread(path, force=True)
    except FileNotFoundError as error:
        raise DecodeError("missing_file") from error
    except Exception as error:  # a parser's own errors are many, and their texts hold values
        raise DecodeError("unreadable") from error


def describe(dataset: pydicom.Dataset) -> PixelDescription:
    """Check the Image Pixel module. Raises DecodeError with the reason where no picture can come of it."""
    if "PixelData" not in dataset:
        raise DecodeError("no_pixels")
    if integer(dataset, "SamplesPerPixel", 1) != 1:
        raise DecodeError("not_grayscale")
    allocated = integer(dataset, "BitsAllocated", 0)
    stored = integer(dataset, "BitsStored", allocated)
    signed = integer(dataset, "PixelRepresentation", 0) == 1
    description = PixelDescription(
        rows=integer(dataset, "Rows", 0),
        columns=integer(dataset, "Columns", 0),
        frames=max(1, integer(dataset, "NumberOfFrames", 1)),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=integer(dataset, "HighBit", stored - 1),
        signed=signed,
    )
    if description.rows < 1 or description.columns < 1:
        raise DecodeError("no_size")
    if description.pixels > MAX_PIXELS:
        raise DecodeError("absurd_size")
    if allocated not in (8, 16) or not 1 < stored <= allocated or not stored - 1 <= description.high_bit < allocated:
        raise DecodeError("unsupported_bits")
    return description


def decode(dataset: pydicom.Dataset) -> np.ndarray:
    """Decode the first frame's stored values (rows, columns), 8 or 16 bits, signed or not, in native byte order.

    Raises DecodeError: ``no_pixels``, ``not_grayscale``, ``no_size``, ``absurd_size``, ``unsupported_bits``,
    ``size_mismatch``, ``truncated_pixels``, ``unsupported_syntax``, ``damaged_pixels``.
    """
    description = describe(dataset)
    data = dataset["PixelData"].value
    if not isinstance(data, bytes) or not data:
        raise DecodeError("no_pixels")
    syntax = _declared_syntax(dataset)
    if data[:4] == _ITEM and (syntax.is_encapsulated or dataset["PixelData"].is_undefined_length):
        return _decode_encapsulated(data, syntax, description)
    return _decode_native(dataset, data, syntax, description)


def pixel_sha256(values: np.ndarray) -> str:
    """SHA-256 of stored values in a canonical type (uint16 where they fit, else int32): finds exact copies.

    The same picture has the same digest whatever its transfer syntax, bits allocated or byte order.
    """
    fits = values.dtype in (np.uint8, np.uint16) or int(values.min()) >= 0
    return sha256_of_array(values.astype(np.uint16 if fits else np.int32, copy=False))


def _declared_syntax(dataset: pydicom.Dataset) -> uid.UID:
    declared = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    return uid.UID(str(declared)) if declared else uid.ImplicitVRLittleEndian


def _decode_encapsulated(data: bytes, declared: uid.UID, description: PixelDescription) -> np.ndarray:
    try:
        frame = get_frame(data, 0, number_of_frames=description.frames)
    except Exception as error:  # fragments that lie raise struct.error, ValueError, IndexError …
        raise DecodeError("truncated_pixels") from error
    syntax = declared
    if declared != uid.RLELossless:
        try:
            stream = codestream.read_codestream(frame)
        except codestream.CodestreamError as error:
            raise DecodeError("unsupported_syntax") from error
        if (stream.rows, stream.columns, stream.samples) != (description.rows, description.columns, 1):
            raise DecodeError("size_mismatch")
        if not stream.ends:
            raise DecodeError("truncated_pixels")
        syntax = _mended_syntax(declared, stream.kind)
    return _run_decoder(data, syntax, description, "OB")


def _mended_syntax(declared: uid.UID, kind: str) -> uid.UID:
    """The declared syntax where the codestream belongs to it, else the codestream's own."""
    is_jpeg = kind in (codestream.JPEG, codestream.JPEG_LOSSLESS, codestream.JPEG_LS)
    same_family = is_jpeg == (declared in decoder_plugin.JPEG_FAMILY)
    same_kind = (kind == codestream.JPEG_LS) == (declared in uid.JPEGLSTransferSyntaxes)
    return declared if declared.is_encapsulated and same_family and same_kind else _SYNTAX_OF[kind]


def _decode_native(
    dataset: pydicom.Dataset, data: bytes, declared: uid.UID, description: PixelDescription
) -> np.ndarray:
    expected = description.pixels * description.bits_allocated // 8
    if len(data) < expected:
        raise DecodeError("truncated_pixels")
    if len(data) > (expected + 1) * description.frames * 1.01 + 1024:  # some padding is common and harmless
        raise DecodeError("size_mismatch")
    syntax = uid.ExplicitVRBigEndian if declared == uid.ExplicitVRBigEndian else uid.ExplicitVRLittleEndian
    values = _run_decoder(data, syntax, description, dataset["PixelData"].VR)
    return _stored_bits(values, description)


def _stored_bits(values: np.ndarray, description: PixelDescription) -> np.ndarray:
    """Keep the stored bits alone: overlay bits above them and unused bits below them go; the sign is extended."""
    above = description.bits_allocated - 1 - description.high_bit
    below = description.high_bit + 1 - description.bits_stored
    if below == 0 and (above == 0 or (not description.signed and int(values.max()) <= description.highest)):
        return values
    return np.right_shift(np.left_shift(values, above), above + below)


def _run_decoder(data: bytes, syntax: uid.UID, description: PixelDescription, vr: str) -> np.ndarray:
    decoder_plugin.register()
    plugin = decoder_plugin.NAME if syntax.is_encapsulated else ""
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DecodeError("unsupported_syntax") from error
    options: dict[str, Any] = {
        "correct_unused_bits": syntax.is_encapsulated,
        "rows": description.rows,
        "columns": description.columns,
        "number_of_frames": description.frames,
        "samples_per_pixel": 1,
        "bits_allocated": description.bits_allocated,
        "bits_stored": description.bits_stored,
        "pixel_representation": int(description.signed),
        "photometric_interpretation": "MONOCHROME2",  # raw samples: it changes nothing for one sample
        "pixel_keyword": "PixelData",
        "pixel_vr": vr if vr in ("OB", "OW") else "OW",
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values, _ = decoder.as_array(data, index=0, raw=True, decoding_plugin=plugin, **options)
    except Exception as error:  # four decoders, each with its own errors; the texts hold values
        raise DecodeError("damaged_pixels") from error
    return values.astype(values.dtype.newbyteorder("="), copy=False)

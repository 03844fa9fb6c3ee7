"""Decode and encode single compressed frames, values as stored: imagecodecs, and pydicom's decoder for RLE.

Encoding is lossless and stays in the frame's own transfer syntax.
"""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"

LOSSY = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit})
"""Syntaxes in which nothing can be stored without loss."""

_JPEG = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1})
_JPEG_LS = frozenset({JPEGLSLossless, JPEGLSNearLossless})
_JPEG_2000 = frozenset({JPEG2000Lossless, JPEG2000})
_HTJ2K = frozenset({HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K})

MAY_OVERSHOOT = frozenset({JPEG2000, HTJ2K, JPEGLSNearLossless})
"""Syntaxes whose decoded values may pass the largest that went in."""

CHANGED_BY_CODEC = LOSSY | _JPEG_2000 | _HTJ2K
"""Syntaxes whose decoders turn YBR into RGB themselves."""


class CodecError(ValueError):
    """A frame cannot be decoded, or not be encoded without loss in its syntax. Says nothing of the frame."""


def decode_frame(frame: bytes, syntax: str, dataset: pydicom.Dataset) -> np.ndarray:
    """Decode a frame to (rows, columns[, samples]). ``dataset`` describes it. Raises CodecError where it cannot be."""
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel") or 1)
    stated = _stated_size(frame, syntax)
    if stated is not None and stated != (rows, columns):
        raise CodecError
    decoders = _decoders(syntax, samples, str(dataset.get("PhotometricInterpretation", "")))
    if syntax == RLELossless:
        decoders = [lambda data: _decode_rle(data, dataset)]
    elif syntax == DEFLATED_FRAMES:
        decoders = [lambda data: _inflate(data, dataset)]
    for decoder in decoders:
        try:
            pixels = np.asarray(decoder(frame))
        except Exception:  # noqa: BLE001 - decoders raise what they like; the next one may know the frame
            continue
        if pixels.shape == ((rows, columns) if samples == 1 else (rows, columns, samples)):
            return pixels
    raise CodecError


def encode_frame(pixels: np.ndarray, syntax: str, dataset: pydicom.Dataset) -> bytes:
    """Encode a frame without loss in a syntax. Raises CodecError where no encoder can."""
    import imagecodecs

    unsigned = np.ascontiguousarray(pixels).view(f"u{pixels.dtype.itemsize}")
    colour = pixels.ndim == 3
    try:
        if syntax in (JPEGLossless, JPEGLosslessSV1):
            bits = 8 if unsigned.dtype == np.uint8 else 16
            if not colour:
                return bytes(imagecodecs.ljpeg_encode(unsigned, bitspersample=bits))
            rgb: dict[str, Any] = {"colorspace": "RGB", "outcolorspace": "RGB"}
            return bytes(imagecodecs.jpeg8_encode(unsigned, lossless=True, predictor=1, bitspersample=bits, **rgb))
        if syntax in _JPEG_LS:
            return bytes(imagecodecs.jpegls_encode(unsigned, level=0))
        if syntax in _JPEG_2000:
            mixed = colour and str(dataset.get("PhotometricInterpretation")) in ("YBR_RCT", "YBR_ICT")
            bits = int(dataset.get("BitsStored") or 8 * pixels.dtype.itemsize)
            options: dict[str, Any] = {"codecformat": "j2k", "reversible": True, "mct": mixed, "bitspersample": bits}
            return bytes(imagecodecs.jpeg2k_encode(np.ascontiguousarray(pixels), level=0, numthreads=1, **options))
        if syntax in (HTJ2KLossless, HTJ2K):
            mixed = colour and str(dataset.get("PhotometricInterpretation")) in ("YBR_RCT", "YBR_ICT")
            return bytes(imagecodecs.htj2k_encode(np.ascontiguousarray(pixels), reversible=True, rgb=mixed))
        if syntax == RLELossless:
            return _encode_rle(pixels, dataset)
        if syntax == DEFLATED_FRAMES:
            return _deflate(pixels, dataset)
    except CodecError:
        raise
    except Exception:  # noqa: BLE001 - encoders raise what they like; the frame is then stored uncompressed
        raise CodecError from None
    raise CodecError


def _decoders(syntax: str, samples: int, photometric: str) -> list[Callable[[bytes], Any]]:
    import imagecodecs

    if syntax in _JPEG:
        options: dict[str, Any] = {}
        if samples == 3 and (syntax not in LOSSY or photometric == "RGB"):
            options = {"colorspace": "RGB", "outcolorspace": "RGB"}
        turbo: Callable[[bytes], Any] = lambda data: imagecodecs.jpeg8_decode(data, **options)  # noqa: E731
        return [turbo] if syntax in LOSSY else [turbo, imagecodecs.ljpeg_decode, imagecodecs.jpegsof3_decode]
    if syntax in _JPEG_LS:
        return [imagecodecs.jpegls_decode]
    if syntax in _JPEG_2000 | _HTJ2K:
        return [lambda data: imagecodecs.jpeg2k_decode(data, numthreads=1), imagecodecs.htj2k_decode]
    return []


def _stated_size(frame: bytes, syntax: str) -> tuple[int, int] | None:
    """Rows and columns that a JPEG or JPEG 2000 stream states; a stream may claim more memory than its header does."""
    if syntax in _JPEG_2000 | _HTJ2K:
        at = frame.find(b"\xff\x4f\xff\x51")
        size = frame[at + 8 : at + 24] if at >= 0 else b""
        if len(size) < 16:
            raise CodecError
        x, y, left, top = (int.from_bytes(size[i : i + 4], "big") for i in range(0, 16, 4))
        return y - top, x - left
    if syntax not in _JPEG | _JPEG_LS:
        return None
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
        elif (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
        else:
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    raise CodecError


def _described(dataset: pydicom.Dataset) -> dict[str, Any]:
    return {
        "rows": int(dataset.Rows),
        "columns": int(dataset.Columns),
        "number_of_frames": 1,
        "samples_per_pixel": int(dataset.get("SamplesPerPixel") or 1),
        "bits_allocated": int(dataset.BitsAllocated),
        "bits_stored": int(dataset.get("BitsStored") or dataset.BitsAllocated),
        "pixel_representation": int(dataset.get("PixelRepresentation") or 0),
        "photometric_interpretation": str(dataset.PhotometricInterpretation),
        "pixel_keyword": "PixelData",
    }


def _decode_rle(frame: bytes, dataset: pydicom.Dataset) -> np.ndarray:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    options = _described(dataset) | {"planar_configuration": 0, "bits_stored": int(dataset.BitsAllocated)}
    pixels, _ = get_decoder(RLELossless).as_array(encapsulate([frame], has_bot=False), raw=True, **options)
    return pixels


def _encode_rle(pixels: np.ndarray, dataset: pydicom.Dataset) -> bytes:
    from pydicom.pixels import get_encoder

    options = _described(dataset) | {"planar_configuration": 0, "bits_stored": int(dataset.BitsAllocated)}
    return get_encoder(RLELossless).encode(pixels, **options)


def _inflate(frame: bytes, dataset: pydicom.Dataset) -> np.ndarray:
    """A frame of Deflated Image Frame Compression (PS3.5 section A.4.13): bits of single-bit frames are packed."""
    rows, columns, bits = int(dataset.Rows), int(dataset.Columns), int(dataset.BitsAllocated)
    length = -(-rows * columns * bits // 8)
    data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, length)
    if bits == 1:
        return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: rows * columns].reshape(rows, columns)
    return np.frombuffer(data, f"<u{bits // 8}").reshape(rows, columns)


def _deflate(pixels: np.ndarray, dataset: pydicom.Dataset) -> bytes:
    single = int(dataset.BitsAllocated) == 1
    data = np.packbits(pixels.ravel(), bitorder="little").tobytes() if single else pixels.tobytes()
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()

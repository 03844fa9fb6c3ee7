"""The house's decoders, called directly and as a pydicom 3 plug-in: imagecodecs for JPEG and JPEG 2000, rle for RLE.

The codec is chosen by the frame's own markers, so that a transfer syntax that names another one does no harm.
libjpeg-turbo decodes JPEG (lossless too), CharLS JPEG-LS, OpenJPEG JPEG 2000 and HTJ2K. OpenJPH needs a third of
OpenJPEG's time for HTJ2K, but passes over damage and can be crashed by one bit of a header.
"""

from importlib.util import find_spec
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.pixels import get_decoder

from pipelines.normalize import jpeg_end
from pipelines.normalize.codestream import (
    HTJ2K,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LS,
    Codestream,
    read_codestream,
)

NAME = "midar"
"""The plug-in's label, to be passed as pydicom's ``decoding_plugin``."""

JPEG_FAMILY = frozenset(
    {
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
    }
)
JPEG_2000_FAMILY = frozenset({uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K})

DECODER_DEPENDENCIES = {
    **dict.fromkeys(sorted(JPEG_FAMILY | JPEG_2000_FAMILY), ("imagecodecs",)),
    uid.RLELossless: ("rle",),
}
"""The module that each transfer syntax needs; pydicom asks for this name."""


class FrameError(ValueError):
    """Damage for which a codec raises nothing, or nothing of use. ``truncated`` tells that data are missing."""

    def __init__(self, truncated: bool) -> None:
        super().__init__("truncated" if truncated else "damaged")
        self.truncated = truncated


def is_available(transfer_syntax: str) -> bool:
    """Whether the plug-in can decode the transfer syntax; pydicom asks for this name."""
    return all(find_spec(module) for module in DECODER_DEPENDENCIES.get(uid.UID(transfer_syntax), ("none_such",)))


def register() -> None:
    """Add the plug-in to pydicom's decoders; calling it again does nothing."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if NAME not in decoder.available_plugins:
            decoder.add_plugin(NAME, (__name__, "decode_frame"))


def decode_frame(src: bytes, runner: Any) -> bytes:
    """Decode one frame to its samples' bytes, little-endian, and tell pydicom the size of a sample.

    Raises CodestreamError where the frame is no codestream, and the codecs' own errors where it is damaged.
    """
    if runner.transfer_syntax == uid.RLELossless:
        import rle

        runner.set_option("planar_configuration", 1)
        return bytes(rle.decode_pixel_data(src, version=2, **runner.options))
    samples = decode_codestream(src, read_codestream(src))
    runner.set_option("bits_allocated", samples.dtype.itemsize * 8)
    runner.set_option("planar_configuration", 0)
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()


def decode_run_length(frame: bytes | memoryview, rows: int, columns: int, bits_allocated: int) -> np.ndarray:
    """Decode an RLE frame of one sample per pixel (PS3.5 Annex G) to (rows, columns), unsigned.

    Raises FrameError or ValueError where segments and sizes do not agree.
    """
    import rle

    if frame[0] != bits_allocated // 8:  # the number of segments, of which the codec makes nothing
        raise FrameError(truncated=False)
    try:
        data = rle.decode_pixel_data(bytes(frame), version=2, rows=rows, columns=columns, bits_allocated=bits_allocated)
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a Rust panic is no Exception, and would end the worker
        raise FrameError(truncated=False) from error
    return np.frombuffer(data, f"<u{bits_allocated // 8}").reshape(rows, columns)


def decode_codestream(frame: bytes | memoryview, stream: Codestream) -> np.ndarray:
    """Decode a codestream to (rows, columns[, samples]), as the codec gives it: 8 or 16 bits, signed where it says so.

    Raises FrameError for what libjpeg passes over, and the codecs' own errors.
    """
    import imagecodecs

    data: Any = frame  # the stubs do not know that a memoryview will do
    if stream.kind == JPEG_LS:
        return imagecodecs.jpegls_decode(data)
    if stream.kind in (JPEG_2000, HTJ2K):
        return imagecodecs.jpeg2k_decode(data, numthreads=1)
    samples = imagecodecs.jpeg8_decode(data)
    side = 1 if stream.kind == JPEG_LOSSLESS else 8
    if samples.ndim == 2 and jpeg_end.is_filled(frame, samples, stream.precision, side, imagecodecs.jpeg8_decode):
        raise FrameError(truncated=True)
    return samples

"""The house's decoders as a pydicom 3 plug-in: imagecodecs for the JPEG family, OpenJPEG for JPEG 2000, RLE.

pydicom calls ``decode_frame(src, runner)`` with one encapsulated frame. Within the JPEG family the codec is chosen by
the frame's own start-of-frame marker, so that a transfer syntax that names another member does no harm. The openjpeg
and rle packages (pylibjpeg-openjpeg, pylibjpeg-rle) are called directly: no further package need be installed.
"""

from importlib.util import find_spec
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.pixels import get_decoder

from pipelines.normalize.codestream import JPEG_LS, read_codestream

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
    **dict.fromkeys(sorted(JPEG_FAMILY), ("imagecodecs",)),
    **dict.fromkeys(sorted(JPEG_2000_FAMILY), ("openjpeg",)),
    uid.RLELossless: ("rle",),
}
"""The module that each transfer syntax needs; pydicom asks for this name."""


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
    stream = read_codestream(src)
    if runner.transfer_syntax in JPEG_2000_FAMILY:
        import openjpeg

        runner.set_option("bits_allocated", 8 if stream.precision <= 8 else 16)
        return bytes(openjpeg.decode_pixel_data(src, version=2))
    import imagecodecs

    samples: np.ndarray = (imagecodecs.jpegls_decode if stream.kind == JPEG_LS else imagecodecs.jpeg8_decode)(src)
    runner.set_option("bits_allocated", samples.dtype.itemsize * 8)
    runner.set_option("planar_configuration", 0)
    return samples.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()

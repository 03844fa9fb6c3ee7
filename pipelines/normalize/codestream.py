"""What a compressed frame says of itself: its family, size and precision, read from the markers without decoding.

Sources: ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000), T.814 (HTJ2K), PS3.5 Annex G (RLE).
"""

import struct
from dataclasses import dataclass

from pipelines.normalize import jpeg2000
from pipelines.normalize.jpeg2000 import CodestreamError
from pipelines.normalize.jpeg_end import end_marker

__all__ = ["Codestream", "CodestreamError", "is_run_length", "read_codestream"]

JPEG = "jpeg"
JPEG_LOSSLESS = "jpeg_lossless"
JPEG_LS = "jpeg_ls"
JPEG_2000 = "jpeg_2000"
HTJ2K = "htj2k"

_START_OF_FRAME = {0xC0: JPEG, 0xC1: JPEG, 0xC2: JPEG, 0xC3: JPEG_LOSSLESS, 0xF7: JPEG_LS}
_PROGRESSIVE = 0xC2
_MOST_SCANS = 100  # each scan of a progressive picture costs a pass over all of it
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_PIXELS_PER_BYTE = {JPEG: 64 * 8 // 2, JPEG_LOSSLESS: 8}
"""The most pixels that a byte can hold: two bits for a block of 64 (DC and end of block), one bit for a difference."""


@dataclass(frozen=True)
class Codestream:
    """A frame's own statement: family, rows, columns, samples per pixel, bits per sample, sign.

    ``exact`` tells that the coding itself loses nothing (a JPEG 2000 stream may still leave out its finest layers);
    ``ends`` is false where the end is missing, or where the bytes cannot possibly hold so many pixels.
    """

    kind: str
    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool
    exact: bool
    ends: bool


def read_codestream(frame: bytes | memoryview) -> Codestream:
    """Read a frame's markers. Raises CodestreamError for anything but JPEG, JPEG-LS, JPEG 2000 and HTJ2K, and for
    statements that no decoder should be asked to follow."""
    try:
        if frame[:2] == b"\xff\xd8":
            return _read_jpeg(frame)
        start = bytes(frame[:4096]).find(b"\xff\x4f\xff\x51")
        if start == 0 or (start > 0 and frame[4:8] == b"jP  "):
            size = jpeg2000.read_size(frame, start)
            kind = HTJ2K if size.high_throughput else JPEG_2000
            body = jpeg2000.read_body(frame, start, size)
            shape = size.rows, size.columns, size.components
            return Codestream(kind, *shape, size.precision, size.signed, body.reversible, body.complete)
    except (struct.error, IndexError) as error:
        raise CodestreamError("the markers are cut off") from error
    raise CodestreamError("not a known codestream")


def is_run_length(frame: bytes | memoryview) -> bool:
    """Whether a frame starts with an RLE header (PS3.5 G.5): 1 to 15 segments, the first right after the header."""
    if len(frame) < 64:
        return False
    segments, first = struct.unpack_from("<II", frame)
    return 1 <= segments <= 15 and first == 64


def _read_jpeg(frame: bytes | memoryview) -> Codestream:
    position = 2
    while position < len(frame):
        if frame[position] != 0xFF:
            raise CodestreamError("a marker is missing")
        marker = frame[position + 1]
        if marker == 0xFF:  # fill byte before a marker
            position += 1
            continue
        if marker in _START_OF_FRAME:
            precision, rows, columns, samples = struct.unpack_from(">BHHB", frame, position + 4)
            kind = _START_OF_FRAME[marker]
            if marker == _PROGRESSIVE and bytes(frame).count(b"\xff\xda") > _MOST_SCANS:
                raise CodestreamError("too many scans")
            holds = kind not in _PIXELS_PER_BYTE or rows * columns <= len(frame) * _PIXELS_PER_BYTE[kind]
            ends = holds and end_marker(frame) is not None
            exact = kind == JPEG_LOSSLESS or (kind == JPEG_LS and _near(frame, position) == 0)
            return Codestream(kind, rows, columns, samples, precision, False, exact, ends)
        position += 2
        if marker not in _NO_LENGTH:
            position += struct.unpack_from(">H", frame, position)[0]
    raise CodestreamError("no start of frame")


def _near(frame: bytes | memoryview, position: int) -> int:
    """NEAR of the first scan (T.87 C.2.3), the segment at ``position`` or behind it."""
    while True:
        marker, length = struct.unpack_from(">HH", frame, position)
        if marker == 0xFFDA:
            return int(frame[position + 5 + 2 * frame[position + 4]])
        position += 2 + length

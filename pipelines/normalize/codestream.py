"""What a compressed frame says of itself: its family, size and precision, read from the markers without decoding.

Sources: ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000), T.814 (HTJ2K).
"""

import struct
from dataclasses import dataclass

JPEG = "jpeg"
JPEG_LOSSLESS = "jpeg_lossless"
JPEG_LS = "jpeg_ls"
JPEG_2000 = "jpeg_2000"
HTJ2K = "htj2k"

_START_OF_FRAME = {0xC0: JPEG, 0xC1: JPEG, 0xC2: JPEG, 0xC3: JPEG_LOSSLESS, 0xF7: JPEG_LS}
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


class CodestreamError(ValueError):
    """The bytes are no codestream that is known here."""


@dataclass(frozen=True)
class Codestream:
    """A frame's own statement: family, rows, columns, samples per pixel, bits per sample, and whether it ends."""

    kind: str
    rows: int
    columns: int
    samples: int
    precision: int
    ends: bool


def read_codestream(frame: bytes) -> Codestream:
    """Read a frame's markers. Raises CodestreamError for anything but JPEG, JPEG-LS, JPEG 2000 and HTJ2K."""
    try:
        if frame[:2] == b"\xff\xd8":
            return _read_jpeg(frame)
        start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
        if start == 0 or (start > 0 and frame[4:8] == b"jP  "):
            return _read_jpeg2000(frame, start)
    except (struct.error, IndexError) as error:
        raise CodestreamError("the markers are cut off") from error
    raise CodestreamError("not a known codestream")


def _ends(frame: bytes) -> bool:
    """Whether the end marker (EOI, EOC: both FFD9) stands at the end, padding aside."""
    tail = frame[-64:].rstrip(b"\x00")
    return b"\xff\xd9" in tail[-8:]


def _read_jpeg(frame: bytes) -> Codestream:
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
            return Codestream(_START_OF_FRAME[marker], rows, columns, samples, precision, _ends(frame))
        position += 2
        if marker not in _NO_LENGTH:
            position += struct.unpack_from(">H", frame, position)[0]
    raise CodestreamError("no start of frame")


def _read_jpeg2000(frame: bytes, start: int) -> Codestream:
    size = struct.unpack_from(">HHIIIIIIIIHB", frame, start + 4)
    x_size, y_size, x_offset, y_offset = size[2:6]
    samples, depth = size[10], size[11]
    position = start + 4 + size[0]
    high_throughput = frame[position : position + 2] == b"\xff\x50"  # the CAP segment follows SIZ
    kind = HTJ2K if high_throughput else JPEG_2000
    return Codestream(kind, y_size - y_offset, x_size - x_offset, samples, (depth & 0x7F) + 1, _ends(frame))

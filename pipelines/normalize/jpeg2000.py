"""The markers of a JPEG 2000 codestream: its size, whether all of it is there, and whether its geometry is sane.

A decoder allocates for every tile, precinct and code-block that the markers announce, before it sees any data. Some
bytes can so ask for gigabytes; such streams are refused here. Source: ITU-T T.800 Annex A.
"""

import struct
from dataclasses import dataclass

from pipelines.normalize.jpeg_end import end_marker

MOST_TILES = 4096
"""Tiles of 128×128 in the largest mammogram are half as many."""

MOST_LAYERS = 256
"""Quality layers; encoders write one to fifty."""

SMALLEST_PRECINCT = 4
"""log2 of a precinct's side; encoders write 7 (128) or 8."""

SMALLEST_BLOCK = 8
"""log2 of a code-block's area; encoders write 12 (64×64), seldom 10."""

_SIZ, _CAP, _COD, _COC, _QCD, _SOT, _SOD = 0xFF51, 0xFF50, 0xFF52, 0xFF53, 0xFF5C, 0xFF90, 0xFF93


class CodestreamError(ValueError):
    """The bytes are no codestream that is known here, or one that no decoder should be asked to follow."""


@dataclass(frozen=True)
class Size:
    """The SIZ segment (A.5.1): rows, columns, components, bits and sign of the first component, and number of tiles."""

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool
    tiles: int
    high_throughput: bool


def read_size(frame: bytes | memoryview, start: int) -> Size:
    """Read SIZ of the codestream that begins at ``start``.

    Raises CodestreamError where the tiles cannot be or the component is subsampled; struct.error where it is cut off.
    """
    length, _, right, bottom, left, top, width, height, tile_left, tile_top, components = struct.unpack_from(
        ">HHIIIIIIIIH", frame, start + 4
    )
    depth, across, down = struct.unpack_from(">BBB", frame, start + 42)
    if not width or not height or tile_left > left or tile_top > top or left >= right or top >= bottom:
        raise CodestreamError("tiles without sense")
    if (across, down) != (1, 1):
        raise CodestreamError("subsampled")
    tiles = -(-(right - tile_left) // width) * -(-(bottom - tile_top) // height)
    if tiles > MOST_TILES:
        raise CodestreamError("too many tiles")
    (following,) = struct.unpack_from(">H", frame, start + 4 + length)
    return Size(
        rows=bottom - top,
        columns=right - left,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        tiles=tiles,
        high_throughput=following == _CAP,  # T.814 A.3: CAP follows SIZ
    )


@dataclass(frozen=True)
class Body:
    """Whether every tile is there with all bytes that its tile-parts announce; whether the wavelet is reversible."""

    complete: bool
    reversible: bool


def read_body(frame: bytes | memoryview, start: int, size: Size) -> Body:
    """Walk the main header and all tile-parts (A.4.2).

    Raises CodestreamError where a coding style (A.6.1, A.6.2) in any header asks for absurdly many parts.
    """
    position, reversible = _check_header(frame, start + 2, _SOT)
    seen = set()
    while position + 12 <= len(frame) and frame[position : position + 2] == b"\xff\x90":
        tile, length = struct.unpack_from(">HI", frame, position + 4)
        data, _ = _check_header(frame, position + 12, _SOD)
        end = position + length if length else end_marker(frame)  # Psot = 0: it ends before EOC
        if end is None or not data <= end <= len(frame):
            return Body(False, reversible)
        seen.add(tile)
        position = end
    return Body(len(seen) == size.tiles, reversible)


def _check_header(frame: bytes | memoryview, position: int, stop: int) -> tuple[int, bool]:
    """Walk the marker segments up to ``stop``, check the coding styles; where ``stop`` is, and if COD is reversible."""
    reversible, levels, steps = False, 0, 33
    while True:
        marker, length = struct.unpack_from(">HH", frame, position)
        if marker == stop:
            if steps < levels:
                raise CodestreamError("levels without step sizes")
            return position, reversible
        if marker < 0xFF00 or length < 2:
            raise CodestreamError("a marker is missing")
        segment = bytes(frame[position + 4 : position + 2 + length])
        if marker == _COD:
            if struct.unpack_from(">H", segment, 2)[0] > MOST_LAYERS:
                raise CodestreamError("too many layers")
            _check_style(segment[0], segment[5:])
            levels, reversible = segment[5], segment[9] == 1
        elif marker == _QCD and segment[0] & 31 != 1:  # 1: all levels' steps are derived from one (Table A.28)
            steps = (len(segment) - 1) // (1 if segment[0] & 31 == 0 else 2) // 3
        elif marker == _COC:
            _check_style(segment[1], segment[2:])
        position += 2 + length


def _check_style(flags: int, style: bytes) -> None:
    """Check the levels' code-blocks and precincts (Table A.20)."""
    if (style[1] & 15) + (style[2] & 15) + 4 < SMALLEST_BLOCK:
        raise CodestreamError("code-blocks are too small")
    if flags & 1 and any(min(sides & 15, sides >> 4) < SMALLEST_PRECINCT for sides in style[5:]):
        raise CodestreamError("precincts are too small")

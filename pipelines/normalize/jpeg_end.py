"""Whether the data of a JPEG or JPEG 2000 picture reach to its end.

libjpeg makes up what is missing, in middle gray and without a word, if only the end marker is there. A picture that
ends in middle gray is rare, so that it may cost a second look: without the last bytes of its data, a whole picture
changes in its last pixels, and one that was filled changes before them.
"""

from collections.abc import Callable

import numpy as np

_FEW = 4
"""Bytes left out to find an end in tissue or noise."""


def end_marker(frame: bytes | memoryview) -> int | None:
    """Where the end marker (T.81 EOI, T.800 EOC: FFD9) stands, at the frame's end but for padding; None if nowhere."""
    tail = bytes(frame[-4096:]).rstrip(b"\x00")
    place = tail[-8:].rfind(b"\xff\xd9")
    return None if place < 0 else max(0, len(frame) - 4096) + max(0, len(tail) - 8) + place


def is_filled(
    frame: bytes | memoryview,
    samples: np.ndarray,
    precision: int,
    side: int,
    decode: Callable[[bytes], np.ndarray],
) -> bool:
    """Whether the decoder made up the end of a picture, ``samples`` (rows, columns).

    ``side`` is the side of what one Huffman-coded unit covers: 1 in lossless pictures, with one bit at least for a
    unit, 8 in others, with two (ITU-T T.81, F.1.2 and H.1.2).
    """
    gray = 1 << (precision - 1)
    rows = (samples.shape[0] - 1) % side + 1
    columns = samples.shape[1] if side == 1 else (samples.shape[1] - 1) % side + 1
    if not np.all(samples[-rows:, -columns:] == gray):
        return False
    data = bytes(frame)
    end, start = data.rfind(b"\xff\xd9"), data.rfind(b"\xff\xda") + 10
    a_row = 4 * side * -(-samples.shape[1] // side)  # bytes that surely hold a row of units: finds an end in air
    for left_out in (_FEW, a_row):
        left_out = min(left_out, max(0, end - start))
        changed = decode(data[: end - left_out] + b"\xff\xd9") != samples
        if _first_unit(changed, side) < _units(samples.shape, side) - left_out * (8 if side == 1 else 4) - 1:
            return True
    return False


def _units(shape: tuple[int, ...], side: int) -> int:
    return -(-shape[0] // side) * -(-shape[1] // side)


def _first_unit(changed: np.ndarray, side: int) -> int:
    """The number of the first unit that changed, in the order of coding; one more than all if none did."""
    rows, columns = np.nonzero(changed)
    units = rows // side * -(-changed.shape[1] // side) + columns // side
    return int(units.min()) if len(units) else _units(changed.shape, side) + 1

"""Whether a JPEG picture's data reach to its end.

libjpeg makes up what is missing: differences of zero in lossless pictures, gray blocks in others. A frame whose middle
is lost, but not its end marker, so decodes without a word. Both kinds of fill can be told from a true end.
Source: ITU-T T.81, Annexes B, C, F and H.
"""

import struct
from collections.abc import Callable

import numpy as np

_ENOUGH = 4096  # bits of a row's end that must agree
_CUT = 4  # bytes


def is_filled(frame: bytes | memoryview, samples: np.ndarray) -> bool:
    """Whether the last row of a lossless picture (``samples``: rows, columns, unsigned) was made up by the decoder.

    Where its differences are all zero, the data must end in the code of zero, once for each pixel. Pictures with
    restart intervals are taken as complete.
    """
    scan = _Scan(frame)
    if scan.restarts or samples.shape[0] < 2 or not _is_predicted(samples, scan.predictor, scan.point_transform):
        return False
    code = scan.code_of_zero()
    if not code:
        return True
    bits = _last_bits(frame, scan.start)
    count = min(samples.shape[1], _ENOUGH // len(code))
    expected = np.tile(np.array(code, np.uint8), count)
    for padding in range(8):
        end = len(bits) - padding
        if end < len(expected):
            return True
        if len(np.unique(bits[end:])) <= 1 and np.array_equal(bits[end - len(expected) : end], expected):
            return False
    return True


def is_gray_at_the_end(samples: np.ndarray, precision: int) -> bool:
    """Whether the last block of a DCT picture (rows, columns) is what the decoder makes of a block without data."""
    rows, columns = ((side - 1) % 8 + 1 for side in samples.shape)
    return bool(np.all(samples[-rows:, -columns:] == 1 << (precision - 1)))


def is_cut_early(frame: bytes | memoryview, samples: np.ndarray, decode: Callable[[bytes], np.ndarray]) -> bool:
    """Whether a DCT picture's data end before its last blocks: without its last bytes, other blocks change.

    A block takes two bits at least, so that the last bytes belong to the last blocks if the picture is whole.
    """
    end = bytes(frame).rfind(b"\xff\xd9")
    changed = decode(bytes(frame[: end - _CUT]) + b"\xff\xd9") != samples
    blocks_across = -(-samples.shape[1] // 8)
    rows, columns = np.nonzero(changed)
    blocks = rows // 8 * blocks_across + columns // 8
    last = -(-samples.shape[0] // 8) * blocks_across
    return bool(len(blocks)) and int(blocks.min()) < last - _CUT * 4 - 1


class _Scan:
    """The headers up to the first scan: Huffman tables, predictor, point transform, restart interval."""

    def __init__(self, frame: bytes | memoryview) -> None:
        self.tables: dict[int, bytes] = {}
        self.restarts = False
        position = 2
        while True:
            while frame[position + 1] == 0xFF:
                position += 1
            marker, length = struct.unpack_from(">BH", frame, position + 1)
            segment = bytes(frame[position + 4 : position + 2 + length])
            position += 2 + length
            if marker == 0xC4:
                self._read_tables(segment)
            elif marker == 0xDD:
                self.restarts = segment[:2] != b"\0\0"
            elif marker == 0xDA:
                self.table, self.predictor, self.point_transform = segment[2] >> 4, segment[3], segment[5] & 15
                self.start = position
                return

    def _read_tables(self, segment: bytes) -> None:
        while len(segment) >= 17:
            size = 17 + sum(segment[1:17])
            self.tables[segment[0]] = segment[1:size]
            segment = segment[size:]

    def code_of_zero(self) -> list[int]:
        """The Huffman code (C.2) of a difference of zero, as bits; empty where there is none."""
        table = self.tables.get(self.table, b"")
        code, place = 0, 16
        for length in range(1, 17):
            for _ in range(table[length - 1] if table else 0):
                if table[place : place + 1] == b"\0":
                    return [code >> bit & 1 for bit in range(length - 1, -1, -1)]
                code, place = code + 1, place + 1
            code <<= 1
        return []


def _is_predicted(samples: np.ndarray, predictor: int, point_transform: int) -> bool:
    """Whether each pixel of the last row is what its neighbors predict (Table H.1)."""
    above, row = samples[-2:].astype(np.int32) >> point_transform
    a, b, c = row[:-1], above[1:], above[:-1]
    predicted = {
        1: a,
        2: b,
        3: c,
        4: a + b - c,
        5: a + ((b - c) >> 1),
        6: b + ((a - c) >> 1),
        7: (a + b) >> 1,
    }.get(predictor)
    return predicted is not None and bool(row[0] == above[0]) and np.array_equal(row[1:], predicted & 0xFFFF)


def _last_bits(frame: bytes | memoryview, start: int) -> np.ndarray:
    """The last bits before the end marker, byte stuffing (B.1.1.5) undone."""
    tail = bytes(frame[max(start, len(frame) - 8192) :])
    data = tail[: tail.rfind(b"\xff\xd9")].replace(b"\xff\x00", b"\xff")
    return np.unpackbits(np.frombuffer(data[-(_ENOUGH // 8 + 2) :], np.uint8))

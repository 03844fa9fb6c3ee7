"""Event files for TensorBoard, written without it: records of the Event protocol buffer, each with its checksums.

The format is TensorFlow's: a TFRecord is its length (uint64), the length's masked CRC-32C, the data, its masked
CRC-32C, little-endian; messages as in tensorflow/core/util/event.proto and framework/summary.proto.
"""

import struct
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_CASTAGNOLI = 0x82F63B78
_START = 1


@cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of bytes (RFC 3720, section 12.1)."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _value(tag: str, field: int, content: bytes) -> bytes:
    """One Summary.Value: its tag, and a simple value (field 2) or an image (field 4)."""
    return _text(1, _text(1, tag.encode()) + content)


class EventWriter:
    """Appends to an event file of its own, named by the step at which it starts.

    What an earlier file of the same folder says of that step and later ones counts no longer: the training went back.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"events.out.tfevents.{time.time_ns() // 1000:020d}.midar"
        self._write(0, _text(3, b"brain.Event:2"))
        self.restart(step)

    def restart(self, step: int) -> None:
        """Say that the training goes on from a step: later ones written before are void."""
        self._write(step, _text(7, _number(1, _START)))

    def scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        """Write numbers by tag at a step; those that were not measured are left out."""
        known = {tag: value for tag, value in values.items() if value is not None}
        summary = b"".join(_value(tag, 2, b"\x15" + struct.pack("<f", value)) for tag, value in known.items())
        if summary:
            self._write(step, _text(5, summary))

    def picture(self, step: int, tag: str, png: bytes, rows: int, columns: int) -> None:
        """Write a gray PNG at a step."""
        image = _number(1, rows) + _number(2, columns) + _number(3, 1) + _text(4, png)
        self._write(step, _text(5, _value(tag, 4, _text(4, image))))

    def _write(self, step: int, content: bytes) -> None:
        event = b"\x09" + struct.pack("<d", time.time()) + _number(2, step) + content
        length = struct.pack("<Q", len(event))
        with self._path.open("ab") as file:
            file.write(length + _masked(length) + event + _masked(event))

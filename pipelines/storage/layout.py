"""Where the pictures of an image shard lie in its file, so that they are read straight into place.

Arrow's own reader decompresses into memory of its own, from which a picture is copied once more, and with it the
column of ids. What stands here reads no pixel: it takes the positions from the footer and the record batches' metadata
and checks that they are what a shard has. Sources: Arrow columnar format 1.5, "IPC File Format", "Encapsulated message
format" and "Compression"; Schema.fbs, Message.fbs and File.fbs of Arrow; FlatBuffers' "Internals".
"""

import mmap
import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

MAGIC = b"ARROW1"
CONTINUATION = 0xFFFFFFFF
END_MARK = b"\xff\xff\xff\xff\0\0\0\0"
RECORD_BATCH = 3
LZ4_FRAME = 0
BUFFERS = 6
"""A batch's buffers: validity, offsets and letters of the ids; validity of the pictures, of the pixels; the pixels."""

_START = 8
"""Where the schema's message begins: after the magic word, padded."""

_PREFIX = struct.Struct("<Ii")
_BLOCK = np.dtype([("offset", "<i8"), ("metadata", "<i4"), ("gap", "<i4"), ("body", "<i8")])
_BUFFER = np.dtype([("offset", "<i8"), ("length", "<i8")])


class LayoutError(ValueError):
    """A file is no whole image shard. The message names no value of it."""


@dataclass(frozen=True)
class Layout:
    """``shape``: rows and columns of a picture; ``compressed``: whether each batch is one picture in an LZ4 frame.

    ``counts``, ``offsets``, ``lengths`` (int64, one entry a batch): pictures, and position and bytes of their pixels.
    """

    shape: tuple[int, int]
    compressed: bool
    counts: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray


def read_layout(data: mmap.mmap) -> Layout:
    """The layout of a mapped file of ``image_id`` (string) and ``pixels`` (uint16, fixed_shape_tensor).

    Raises LayoutError.
    """
    try:
        file = pa.ipc.open_file(pa.py_buffer(data))
        shape = _shape(file.schema)
        blocks = _blocks(data, file.num_record_batches)
        batches = [_batch(data, *block) for block in blocks[["offset", "metadata", "body"]].tolist()]
    except (pa.ArrowException, OSError, struct.error, ValueError, OverflowError) as error:
        raise LayoutError("not a whole image shard") from error
    counts, offsets, lengths, compressed = np.array(batches, np.int64).reshape(-1, 4).T
    layout = Layout(shape, bool(compressed.any()), counts, offsets, lengths)
    if compressed.any() != compressed.all() or not _is_plausible(layout):
        raise LayoutError("an image shard's batches do not hold what its schema says")
    return layout


def _shape(schema: pa.Schema) -> tuple[int, int]:
    kinds = dict(zip(schema.names, schema.types, strict=True))
    pixels = kinds.get("pixels")
    if list(kinds) != ["image_id", "pixels"] or kinds["image_id"] != pa.string():
        raise LayoutError("other columns")
    if not isinstance(pixels, pa.FixedShapeTensorType) or pixels.value_type != pa.uint16() or pixels.permutation:
        raise LayoutError("other pixels")
    if len(pixels.shape) != 2 or min(pixels.shape) < 1:
        raise LayoutError("other pictures")
    return pixels.shape[0], pixels.shape[1]


def _is_plausible(layout: Layout) -> bool:
    """Compressed batches hold one picture and more than the length before their frame; others hold their pictures."""
    size = 2 * layout.shape[0] * layout.shape[1]
    if layout.compressed:
        return bool((layout.counts == 1).all() and (layout.lengths > 8).all())
    return bool((layout.lengths == layout.counts * size).all() and (layout.offsets % 2 == 0).all())


def _blocks(data: mmap.mmap, count: int) -> np.ndarray:
    """Where each batch lies, from the footer; they must fill the file from the schema to the end mark before it."""
    end = len(data) - len(MAGIC) - 4
    footer = end - int(struct.unpack_from("<i", data, end)[0])
    blocks = _Table.root(data, footer).vector(3, _BLOCK)
    starts = np.append(blocks["offset"], footer - len(END_MARK))
    ends = np.append(
        _START + _PREFIX.size + _message_size(data, _START), starts[:-1] + blocks["metadata"] + blocks["body"]
    )
    if len(blocks) != count or (blocks["metadata"] <= _PREFIX.size).any() or (blocks["body"] < 0).any():
        raise LayoutError("other batches")
    if (starts != ends).any() or data[starts[-1] : footer] != END_MARK:
        raise LayoutError("batches out of place")
    return blocks


def _message_size(data: mmap.mmap, position: int) -> int:
    """Bytes of the metadata of the message that begins at a position."""
    continuation, size = _PREFIX.unpack_from(data, position)
    if continuation != CONTINUATION:
        raise LayoutError("not a message")
    return int(size)


def _batch(data: mmap.mmap, offset: int, metadata: int, body: int) -> tuple[int, int, int, bool]:
    """Pictures of a record batch, position and bytes of its pixels, and whether they are in an LZ4 frame."""
    message = _Table.root(data, offset + _PREFIX.size)
    if _PREFIX.size + _message_size(data, offset) != metadata or message.number(1, "<B") != RECORD_BATCH:
        raise LayoutError("not a record batch")
    batch = message.table(2)
    buffers = batch.vector(2, _BUFFER)
    compression = batch.position(3)
    if compression is not None and (batch.table(3).number(0, "<b"), batch.table(3).number(1, "<b")) != (LZ4_FRAME, 0):
        raise LayoutError("another compression")
    if message.number(3, "<q") != body or len(buffers) != BUFFERS:
        raise LayoutError("other buffers")
    start, length = buffers[-1].tolist()
    count = batch.number(0, "<q")
    if start < 0 or length < 0 or start + length > body or count < 0:
        raise LayoutError("a buffer beyond its batch")
    return count, offset + metadata + start, length, compression is not None


class _Table:
    """A FlatBuffers table: its fields by slot, absent ones being 0 or None."""

    def __init__(self, data: mmap.mmap, position: int) -> None:
        self._data, self._position = data, position
        self._vtable = position - self._read("<i", position)
        self._end = self._read("<H", self._vtable)

    @classmethod
    def root(cls, data: mmap.mmap, position: int) -> "_Table":
        """The table that a buffer beginning at ``position`` points to."""
        if position < 0:
            raise LayoutError("a position before the file")
        return cls(data, position + struct.unpack_from("<I", data, position)[0])

    def _read(self, form: str, position: int) -> int:
        if position < 0:
            raise LayoutError("a position before the file")
        value: int = struct.unpack_from(form, self._data, position)[0]
        return value

    def position(self, slot: int) -> int | None:
        """Where the field of a slot is, or None where the table has it not."""
        entry = 4 + 2 * slot
        offset = self._read("<H", self._vtable + entry) if entry + 2 <= self._end else 0
        return self._position + offset if offset else None

    def number(self, slot: int, form: str) -> int:
        """A number, 0 where absent."""
        position = self.position(slot)
        return 0 if position is None else self._read(form, position)

    def table(self, slot: int) -> "_Table":
        """A table within. Raises LayoutError where absent."""
        return _Table(self._data, self._target(slot))

    def vector(self, slot: int, kind: np.dtype) -> np.ndarray:
        """A vector of structs. Raises LayoutError where absent."""
        target = self._target(slot)
        return np.frombuffer(self._data, kind, self._read("<I", target), target + 4)

    def _target(self, slot: int) -> int:
        position = self.position(slot)
        if position is None:
            raise LayoutError("a field is missing")
        return position + self._read("<I", position)

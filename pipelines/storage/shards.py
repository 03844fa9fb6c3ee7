"""Image shards: pictures (uint16, 0…4095) as fixed-shape tensors in Arrow IPC files, to be read in any order.

Two kinds. Compressed shards hold one picture a record batch, in an LZ4 frame that is decoded straight into the place
where the picture is wanted. Mapped shards hold many pictures a batch as they are: one is a view of the file's memory
map, and a random batch is one gathering copy. Columns: ``image_id`` (string), ``pixels`` (fixed_shape_tensor).

Readers are pickled as their paths and open maps of their own: they may be handed to spawned workers, and used in
forked ones.
"""

import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from pipelines.storage.atomic import replacing
from pipelines.storage.layout import LayoutError, read_layout

MAX_BYTES = 2 * 1024**3
"""A shard holds at most this many bytes of pictures, before compression."""

GRAYS = 4096
PIXEL = np.dtype("<u2")
_STRIP = 32
_HELD = 2 << 20  # bytes of a shard that are read before its pages are let go


class ShardError(ValueError):
    """A shard is damaged, or a picture does not fit it."""


class ShardWriter:
    """Writes pictures of one shape into numbered shards of a folder: ``<stem>-00000.arrow``, ``<stem>-00001.arrow`` …

    ``mapped_rows`` 0 makes compressed shards, a picture a batch; more makes mapped shards of that many pictures a
    batch. Memory holds one batch. A shard appears when it is full or the context ends, and never in part: what a killed
    writer was at has another name, which no reader opens.
    """

    def __init__(
        self, folder: Path, stem: str, shape: tuple[int, int], *, mapped_rows: int = 0, max_bytes: int = MAX_BYTES
    ) -> None:
        self.folder, self.stem, self.shape = folder, stem, (shape[0], shape[1])
        self._type = pa.fixed_shape_tensor(pa.uint16(), self.shape)
        self._schema = pa.schema([("image_id", pa.string()), ("pixels", self._type)])
        self._options = pa.ipc.IpcWriteOptions(compression=None if mapped_rows else "lz4", use_threads=False)
        self._batch = np.empty((max(1, mapped_rows), *self.shape), PIXEL)
        self._ids: list[str] = []
        self._rows_per_shard = max(1, max_bytes // self._batch.nbytes) * len(self._batch)
        self._shard = -1
        self._row = 0
        self._open = ExitStack()
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def append(self, image_id: str, picture: np.ndarray) -> tuple[str, int]:
        """Add a picture; returns the shard's file name and its row. Raises ShardError for a wrong shape or type."""
        if picture.shape != self.shape or picture.dtype != PIXEL:
            raise ShardError(f"a picture of {picture.dtype} {picture.shape} in a shard of {PIXEL} {self.shape}")
        if self._writer is None or self._row >= self._rows_per_shard:
            self._next_shard()
        self._batch[len(self._ids)] = picture
        self._ids.append(image_id)
        place = (self._name, self._row)
        self._row += 1
        if len(self._ids) == len(self._batch):
            self._write_batch()
        return place

    @property
    def _name(self) -> str:
        return f"{self.stem}-{self._shard:05d}.arrow"

    def _next_shard(self) -> None:
        self._finish()
        self._shard += 1
        self._row = 0
        path = self._open.enter_context(replacing(self.folder / self._name))
        self._writer = self._open.enter_context(pa.ipc.new_file(path, self._schema, options=self._options))

    def _write_batch(self) -> None:
        if not self._ids or self._writer is None:
            return
        flat = pa.array(self._batch[: len(self._ids)].reshape(-1))
        storage = pa.FixedSizeListArray.from_arrays(flat, self.shape[0] * self.shape[1])
        pixels = pa.ExtensionArray.from_storage(self._type, storage)
        self._writer.write_batch(pa.record_batch([pa.array(self._ids, pa.string()), pixels], schema=self._schema))
        self._ids = []

    def _finish(self) -> None:
        self._write_batch()
        self._open.close()
        self._writer = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        else:
            self._open.__exit__(kind, error, trace)


class Shard:
    """A finished shard. Raises ShardError where it is damaged, as do the methods that read a damaged picture.

    ``shape``: rows and columns of the pictures; ``mapped``: whether they are views of the file's map. A published shard
    is replaced, never changed: what an open one shows stays the same. One that is cut while open ends the process that
    reads beyond the cut, as with any memory map.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise ShardError(f"{path.name} is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            layout = read_layout(self._map)
        except LayoutError as error:
            raise ShardError(f"{path.name} is not a whole shard") from error
        self._touched = _HELD
        self._let_go()
        self.shape, self.mapped = layout.shape, not layout.compressed
        self._size = PIXEL.itemsize * self.shape[0] * self.shape[1]
        self._counts, self._lengths = layout.counts, layout.lengths
        first = np.cumsum(layout.counts) - layout.counts
        within = np.arange(layout.counts.sum()) - np.repeat(first, layout.counts)
        starts = np.repeat(layout.offsets, layout.counts) + within * self._size
        # Rows from the end and rows too far meet a position that no window has: a gathering needs no check before it.
        self._starts = np.append(starts, np.full(len(starts), len(self._map)))
        self._bytes = np.frombuffer(self._map, np.uint8)
        # One window on the map at each byte of it: gathering windows is one copy, whatever batches they lie in.
        windows = max(0, len(self._map) - self._size + 1)
        self._windows = np.ndarray((windows,), f"V{self._size}", self._map, strides=(1,))

    def __len__(self) -> int:
        return len(self._starts) // 2

    def __reduce__(self) -> tuple[type["Shard"], tuple[Path]]:
        return Shard, (self.path,)

    @property
    def ids(self) -> list[str]:
        """The image ids, in row order."""
        options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=[0])
        try:
            file = pa.ipc.open_file(pa.py_buffer(self._map), options=options)
            columns = [file.get_batch(i).column(0) for i in range(file.num_record_batches)]
            for column in columns:
                column.validate(full=True)
            ids = [image_id for column in columns for image_id in column.to_pylist()]
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ShardError(f"{self.path.name} has damaged ids") from error
        if len(ids) != len(self):
            raise ShardError(f"{self.path.name} has other than one id a picture")
        return ids

    def __getitem__(self, row: int) -> np.ndarray:
        """The picture in a row; of a mapped shard, a view of the map. Raises IndexError."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a shard of {len(self)}")
        if self.mapped:
            return np.ndarray(self.shape, PIXEL, self._map, int(self._starts[row]))
        picture = np.empty(self.shape, PIXEL)
        self._decode(row, picture)
        return picture

    def batches(self) -> Iterator[np.ndarray]:
        """The record batches in turn, as arrays (n, rows, columns); of a mapped shard, views of the map."""
        first = 0
        for count in self._counts.tolist():
            if self.mapped and count:
                yield np.ndarray((count, *self.shape), PIXEL, self._map, int(self._starts[first]))
            elif count:
                yield self[first][None]
            first += count

    def take(self, rows: Sequence[int] | np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The pictures in the given rows as one array (n, rows, columns): ``out``, where given, else a new one.

        Each picture is copied or decoded once, into its place. Raises IndexError; ShardError for another ``out``.
        """
        where = np.asarray(rows, np.intp)
        if out is None and self.mapped:
            try:
                return self._windows[self._starts[where]].view(PIXEL).reshape(-1, *self.shape)
            except IndexError as error:
                raise IndexError(f"a row beyond a shard of {len(self)}") from error
        out = room(out, (where.size, *self.shape))
        for row, place in zip(where.tolist(), out, strict=True):
            self.read(row, place)
        return out

    def read(self, row: int, out: np.ndarray) -> None:
        """Put the picture in a row into ``out`` (uint16, rows × columns). Raises IndexError; ShardError as ``room``."""
        out = room(out, self.shape)
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a shard of {len(self)}")
        if self.mapped:
            out[...] = self[row]
        else:
            self._decode(row, out)

    def _decode(self, row: int, out: np.ndarray) -> None:
        import imagecodecs

        start, length = int(self._starts[row]), int(self._lengths[row])
        if int.from_bytes(self._map[start : start + 8], "little") != self._size:
            raise ShardError(f"{self.path.name} is damaged in row {row}")
        frame: Any = self._bytes[start + 8 : start + length]
        target: Any = out.reshape(-1).view(np.uint8)
        try:
            decoded = imagecodecs.lz4f_decode(frame, out=target)
        except imagecodecs.Lz4fError as error:
            raise ShardError(f"{self.path.name} is damaged in row {row}") from error
        if len(decoded) != self._size:
            raise ShardError(f"{self.path.name} is damaged in row {row}")
        self._touched += length
        self._let_go()

    def _let_go(self) -> None:
        """Pages that were touched count as this process' memory until let go; they stay in the system's cache."""
        if self._touched >= _HELD:  # not at each picture: a small one is decoded in the time that this takes
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0


class ShardReader:
    """Reads pictures from a folder's shards by shard name and row, keeping the maps open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shards: dict[str, Shard] = {}

    def shard(self, name: str) -> Shard:
        """The named shard. Raises ShardError where it is damaged, FileNotFoundError where it is missing."""
        if name not in self._shards:
            self._shards[name] = Shard(self.folder / name)
        return self._shards[name]

    def read(self, name: str, row: int) -> np.ndarray:
        """One picture (rows, columns)."""
        return self.shard(name)[row]

    def take(
        self,
        places: Sequence[tuple[str, int]],
        *,
        luts: Sequence[np.ndarray] | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The pictures at (shard, row) places as one array (n, rows, columns): ``out``, where given, else a new one.

        ``luts`` has a gray curve (uint16, 4,096 entries) for each place, through which its picture is seen: level B's
        pictures as a newly fitted vendor curve shows them. Raises ShardError for shards of unlike shapes, for another
        ``out``, and for what ``apply_curve`` refuses; IndexError for a row beyond its shard; FileNotFoundError.
        """
        shape = self.shard(places[0][0]).shape if places else self.shape
        out = room(out, (len(places), *shape))
        if luts is None:
            for (name, row), place in zip(places, out, strict=True):
                self._fitting(name, shape).read(row, place)
        else:
            raw = np.empty(shape, PIXEL)
            for (name, row), lut, place in zip(places, luts, out, strict=True):
                self._fitting(name, shape).read(row, raw)
                apply_curve(lut, raw, place)
        return out

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the pictures in the first shard; (0, 0) where the folder has none."""
        first = min(self.folder.glob("*.arrow"), default=None)
        return self.shard(first.name).shape if first else (0, 0)

    def _fitting(self, name: str, shape: tuple[int, int]) -> Shard:
        shard = self.shard(name)
        if shard.shape != shape:
            raise ShardError(f"{name} does not hold pictures of {shape}")
        return shard

    def __reduce__(self) -> tuple[type["ShardReader"], tuple[Path]]:
        return ShardReader, (self.folder,)


class PictureSource:
    """Reads pictures of several publications: called with a delivery, a shard and a row. Travels to other processes."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = dict(folders)
        self._readers: dict[str, ShardReader] = {}

    def __call__(self, delivery: str, shard: str, row: int) -> np.ndarray:
        """One picture (rows, columns). Raises KeyError for an unknown delivery, and what ShardReader raises."""
        if delivery not in self._readers:
            self._readers[delivery] = ShardReader(self.folders[delivery])
        return self._readers[delivery].read(shard, row)

    def __reduce__(self) -> tuple[type["PictureSource"], tuple[dict[str, Path]]]:
        return PictureSource, (self.folders,)


def room(out: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """``out``, or a new array, for pictures of a shape. Raises ShardError where ``out`` is no such uint16 in C order.

    An array that is used again costs half of what a new one does, whose pages the system must first find and clear.
    """
    if out is None:
        return np.empty(shape, PIXEL)
    if out.shape != shape or out.dtype != PIXEL or not (out.flags.c_contiguous and out.flags.writeable):
        raise ShardError(f"no room for {shape} in an array of {out.dtype} {out.shape}")
    return out


def apply_curve(lut: np.ndarray, picture: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """A picture (uint16, rows × columns) through a gray curve (uint16, 4,096 entries), in ``out`` where given.

    Raises ShardError for a gray value above 4095 and for a curve of another kind.
    """
    if lut.shape != (GRAYS,) or lut.dtype != PIXEL:
        raise ShardError(f"a gray curve of {lut.dtype} {lut.shape}")
    if picture.max(initial=0) >= GRAYS:
        raise ShardError(f"a gray value above {GRAYS - 1}")
    out = np.empty_like(picture) if out is None else out
    for start in range(0, len(picture), _STRIP):
        # A strip at a time: numpy makes 8-byte indices of the gray values, which then stay in the cache.
        strip = slice(start, start + _STRIP)
        np.take(lut, picture[strip], out=out[strip], mode="clip")
    return out

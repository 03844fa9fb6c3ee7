"""Pixel data that goes from file to file as it is: where it lies, and what must be looked at before it is copied.

Fragments must follow one another up to their delimiter (PS3.5 section A.4), and what stands behind the pixel data must
be elements, which are left out.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom.uid import UID

from pipelines.deidentify.codestream import Span
from pipelines.deidentify.pixel_extent import described_length, hidden_in_fragments
from pipelines.deidentify.raw_elements import UNDEFINED, TooShortError, UnusualError, elements_in
from pipelines.deidentify.reading import PIXEL_DATA, Header, Pixels
from pipelines.deidentify.refusals import RefusedError

_ITEM, _SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_PADDING = frozenset({0})
_MOST_BEHIND = 1 << 24


@dataclass(frozen=True)
class Carried:
    """Pixel data that goes through as it is: where its value lies, up to its end (delimiter included), in the file
    ``path`` or in ``data``; the tags of the elements behind it, which do not; and the spans of compressed frames, by
    position in the source, that hold something else than the picture and become zeros. ``fragments`` are the places
    of encapsulated pixel data's fragments: position and length, behind the offset table."""

    path: Path
    data: bytes | None
    pixels: Pixels
    end: int
    behind: tuple[int, ...]
    hidden: tuple[Span, ...] = ()
    fragments: tuple[tuple[int, int], ...] = ()

    def value(self) -> bytes:
        """The element's value, in memory; without the delimiter of fragments."""
        end = self.end - 8 if self.pixels.length == UNDEFINED else self.end
        if self.data is not None:
            return self.data[self.pixels.begin : end]
        with self.path.open("rb") as file:
            file.seek(self.pixels.begin)
            return file.read(end - self.pixels.begin)


def look_at_pixels(path: Path, header: Header, syntax: str) -> Carried | None:
    """Where the pixel data of a file in transfer syntax ``syntax`` begins and ends; None where it has none.

    Native pixel data ends where its description says, whatever is stated to belong to it.

    Raises RefusedError: ``pixel_data_truncated``, ``pixel_data_broken`` (fragments), ``behind_pixel_data_unreadable``,
    ``elements_out_of_order``, ``codestream_broken``, ``offset_table_broken``, ``pixels_not_described``.
    """
    pixels = header.pixels
    if pixels is None:
        return None
    encapsulated = UID(syntax).is_encapsulated
    if (pixels.length == UNDEFINED) != encapsulated:
        raise RefusedError("pixel_data_broken")
    with bytes_of(path, header) as source:
        hidden: tuple[Span, ...] = ()
        found: list[tuple[int, int]] = []
        if encapsulated:
            found = list(fragments(source, pixels.begin))
            end = (sum(found[-1]) if found else pixels.begin) + 8
            hidden = hidden_in_fragments(source.read, found, header.dataset, syntax)
        else:
            end = pixels.begin + pixels.length
        if end > source.size:
            raise RefusedError("pixel_data_truncated")
        _, little = header.encoding
        behind = _behind(source, end, pixels.vr is None, bool(little))
    if any(tag <= pixels.tag or tag in PIXEL_DATA for tag in behind):
        raise RefusedError("elements_out_of_order")
    if not encapsulated:
        length = described_length(header.dataset, pixels.tag, pixels.length)
        if length is None:
            raise RefusedError("pixels_not_described")
        pixels = replace(pixels, length=min(length, pixels.length))
        end = pixels.begin + pixels.length
    return Carried(path, header.data, pixels, end, behind, hidden, tuple(found[1:]))


@contextmanager
def bytes_of(path: Path, header: Header) -> "Iterator[FileBytes]":
    """The bytes in which a header's positions count."""
    if header.data is not None:
        yield FileBytes(-1, header.data)
        return
    with path.open("rb", buffering=0) as file:
        yield FileBytes(file.fileno(), None)


class FileBytes:
    """Bytes of an open file, or in memory, by position; ``size`` is how many there are."""

    def __init__(self, descriptor: int, data: bytes | None) -> None:
        self.descriptor, self.data = descriptor, data
        self.size = os.fstat(descriptor).st_size if data is None else len(data)

    def read(self, position: int, size: int) -> bytes:
        """Bytes at a position; fewer at the end."""
        if self.data is not None:
            return self.data[position : position + size]
        return os.pread(self.descriptor, size, position)


def fragments(source: Any, begin: int) -> Iterator[tuple[int, int]]:
    """Position and length of each fragment, the offset table's among them, up to the delimiter.

    ``source`` has ``read(position, size)`` and ``size``. Raises RefusedError where something else stands there.
    """
    position = begin
    while True:
        head = source.read(position, 8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == _SEQUENCE_END and len(head) == 8:
            return
        position += 8
        if head[:4] != _ITEM or length == UNDEFINED or length % 2 or position + length > source.size:
            raise RefusedError("pixel_data_broken")
        yield position, length
        position += length


def _behind(source: FileBytes, position: int, implicit: bool, little: bool) -> tuple[int, ...]:
    """The tags of what stands behind the pixel data; zeros are padding."""
    rest = source.size - position
    if rest > _MOST_BEHIND:
        raise RefusedError("behind_pixel_data_unreadable")
    data = source.read(position, rest)
    if not data.strip(b"\0"):
        return ()
    try:
        found, end = elements_in(data, 0, len(data), implicit=implicit, little=little, stop=_PADDING)
    except (UnusualError, TooShortError):
        raise RefusedError("behind_pixel_data_unreadable") from None
    if data[end:].strip(b"\0"):
        raise RefusedError("behind_pixel_data_unreadable")
    return tuple(map(int, found))

"""The first frame of encapsulated pixel data (PS3.5 A.4), without trust in offset tables or numbers of frames."""

import struct
from collections.abc import Iterator

_ITEM = 0xE000FFFE
_SEQUENCE_END = 0xE0DDFFFE


def first_frame(data: bytes, frames: int) -> bytes | memoryview:
    """The bytes of the first frame: a view where it is one fragment, as it mostly is.

    ``frames`` is Number of Frames; above 1, the first frame is the first fragment where there is one for each frame,
    else it is what the Basic Offset Table says, where that makes sense, else it ends with the first fragment that ends
    with an end marker. Raises ValueError where the items do not fit into the data.
    """
    table, fragments = b"", []
    wanted = frames + 1 if frames > 1 else -1
    for number, (position, item) in enumerate(_items(data)):
        if number == 0:
            table = bytes(item)
            continue
        fragments.append((position, item))
        if len(fragments) == wanted:
            break
    if not fragments:
        raise ValueError("no fragment")
    count = 1 if len(fragments) == frames else _fragments_of_first(table, fragments, frames)
    chosen = [item for _, item in fragments[:count]]
    return chosen[0] if len(chosen) == 1 else b"".join(chosen)


def _items(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Place and value of each item, the offset table's first."""
    view = memoryview(data)
    position = 0
    while position + 8 <= len(view):
        tag, length = struct.unpack_from("<II", view, position)
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM or position + 8 + length > len(view):
            raise ValueError("items do not fit")
        yield position, view[position + 8 : position + 8 + length]
        position += 8 + length


def _fragments_of_first(table: bytes, fragments: list[tuple[int, memoryview]], frames: int) -> int:
    """How many fragments the first frame has."""
    if frames == 1:
        return len(fragments)
    if len(table) >= 8:
        second = struct.unpack_from("<I", table, 4)[0] + fragments[0][0]
        places = [position for position, _ in fragments]
        if second in places[1:]:
            return places.index(second)
    for number, (_, item) in enumerate(fragments, start=1):
        if b"\xff\xd9" in bytes(item[-8:]):
            return number
    return len(fragments)

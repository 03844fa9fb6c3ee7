"""Overlay planes of an object: which of them may stay once text in them has been cleared.

This is the part of the Clean Graphics Option (PS3.15 section E.3.3) that looks at bitmaps; annotations' texts are
cleaned like any other (``engine``). Curves and icons are not cleaned but removed, and so is what is no plain bitmap.
"""

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pipelines.deidentify.elements import values_of, vr_of
from pipelines.deidentify.reading import tags_of

_DATA, _ROWS, _COLUMNS, _FRAMES, _BITS, _POSITION = 0x3000, 0x0010, 0x0011, 0x0015, 0x0100, 0x0102
_MOST_FRAMES = 512
_LIT = 4095


def overlays_without_text(dataset: Dataset) -> frozenset[int]:
    """Clear the text in an object's overlay planes, in place; the groups (60xx) of the planes that hold none now.

    A plane whose data cannot be unpacked, and any plane where text cannot be looked for, is not among them.
    """
    tags = tags_of(dataset)
    groups = sorted({tag >> 16 for tag in tags if 0x6000 <= tag >> 16 <= 0x60FF and tag & 0xFFFF == _DATA})
    return frozenset(group for group in groups if group % 2 == 0 and _clear(dataset, group))


def _clear(dataset: Dataset, group: int) -> bool:
    from pipelines.deidentify.burned_in import DetectorError

    frames = _unpacked(dataset, group)
    if frames is None:
        return False
    try:
        changed = [_clear_frame(frame) for frame in frames]
    except DetectorError:
        return False
    if any(changed):
        tag = group << 16 | _DATA
        packed = np.packbits(frames, bitorder="little").tobytes()
        dataset[tag] = DataElement(tag, vr_of(dataset, tag), packed + b"\0" * (len(packed) % 2))
    return True


def _clear_frame(frame: np.ndarray) -> bool:
    """Clear the boxes around text in a bitmap, in place; whether there were any. Markers go as well."""
    from pipelines.deidentify.burned_in import TextSettings, blank, find_text

    if not frame.any():
        return False
    picture = frame.astype(np.uint16) * _LIT
    boxes = find_text(picture, settings=TextSettings(mode="full", keep_markers="none"))
    blank(frame, boxes, 0)
    return bool(boxes)


def _unpacked(dataset: Dataset, group: int) -> np.ndarray | None:
    """A plane as (frames, rows, columns) of 0 and 1 (PS3.5 section 8.1.2); None where it is no bitmap of its own."""
    rows, columns = _number(dataset, group, _ROWS, 0), _number(dataset, group, _COLUMNS, 0)
    count = _number(dataset, group, _FRAMES, 1)
    own = _number(dataset, group, _BITS, 1) == 1 and _number(dataset, group, _POSITION, 0) == 0
    if not own or min(rows, columns) < 1 or not 1 <= count <= _MOST_FRAMES:
        return None
    raw = dataset.get_item(group << 16 | _DATA)
    data = raw.value if raw is not None else None
    size = rows * columns * count
    if not isinstance(data, bytes) or not 0 <= len(data) - (size + 7) // 8 <= 1:
        return None
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    return bits[:size].reshape(count, rows, columns)


def _number(dataset: Dataset, group: int, element: int, otherwise: int) -> int:
    tag = group << 16 | element
    texts = values_of(dataset, tag) if tag in dataset else [str(otherwise)]
    return int(texts[0]) if len(texts) == 1 and texts[0].isdecimal() else -1

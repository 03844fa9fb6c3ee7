"""Modality and VOI transformations as functions of arrays of values (PS3.3 C.11.1, C.11.2), in float64.

Windows map to 0…1. What a header states without sense (a width of zero, a lookup table without entries) raises
InvalidTransformError, so that the caller can fall back and say so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pydicom

from pipelines.normalize.header import integer, items, number, numbers, text, values

Transform = Callable[[np.ndarray], np.ndarray]


class InvalidTransformError(ValueError):
    """A window or lookup table that has no meaning."""


@dataclass(frozen=True)
class LookupTable:
    """A LUT item (PS3.3 C.11.1.1): its entries, the input value of the first, and the highest that an entry may be."""

    data: np.ndarray
    first: int
    highest: int

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Entries for the inputs, rounded to the nearest; the first and the last entry hold beyond the ends."""
        index = np.rint(inputs).astype(np.int64) - self.first
        return self.data[np.clip(index, 0, len(self.data) - 1)].astype(np.float64)

    def scaled(self, inputs: np.ndarray) -> np.ndarray:
        """Entries for the inputs, as shares of the highest possible."""
        return self(inputs) / self.highest


def read_lookup_table(item: pydicom.Dataset, signed: bool) -> LookupTable:
    """Read a Modality or VOI LUT Sequence item. ``signed`` tells how to read the first value mapped.

    Raises InvalidTransformError where the descriptor or the data have no meaning.
    """
    descriptor = [int(v) for v in numbers(item, "LUTDescriptor")]
    if len(descriptor) != 3:
        raise InvalidTransformError("descriptor")
    count, first, bits = descriptor
    count = count % 65536 or 65536  # 0 stands for 65,536; a negative one was read as signed
    if signed and first > 32767:
        first -= 65536
    elif not signed and first < 0:
        first += 65536
    found = values(item, "LUTData")
    if len(found) == 1 and isinstance(found[0], bytes):
        data = np.frombuffer(found[0][: len(found[0]) // 2 * 2], "<u2")
        if bits <= 8 and len(found[0]) in (count, count + 1):
            data = np.frombuffer(found[0], np.uint8)
    else:
        data = np.array([int(v) & 0xFFFF for v in numbers(item, "LUTData")], np.uint16)
    if len(data) < count or not 8 <= bits <= 16:
        raise InvalidTransformError("data")
    data = data[:count]
    highest = max((1 << bits) - 1, int(data.max()))
    if data.min() == data.max():
        raise InvalidTransformError("flat")
    return LookupTable(data, first, highest)


def window(kind: str, center: float, width: float) -> Transform:
    """The window function onto 0…1: ``LINEAR`` (C.11.2.1.2.1), ``LINEAR_EXACT`` (…3.2) or ``SIGMOID`` (…3.1).

    Raises InvalidTransformError for a width that the function forbids.
    """
    if kind == "SIGMOID":
        if width <= 0:
            raise InvalidTransformError("width")
        return lambda x: 1 / (1 + np.exp(np.clip(-4 * (x - center) / width, -700, 700)))
    if kind == "LINEAR_EXACT":
        if width <= 0:
            raise InvalidTransformError("width")
        return lambda x: np.clip((x - center) / width + 0.5, 0, 1)
    if width < 1:
        raise InvalidTransformError("width")
    if width == 1:
        return lambda x: (x > center - 0.5).astype(np.float64)
    return lambda x: np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def modality(dataset: pydicom.Dataset, signed: bool) -> tuple[Transform, str | None]:
    """The Modality LUT, or rescale slope and intercept; and a flag where what is stated has no meaning."""
    flag = None
    for item in items(dataset, "ModalityLUTSequence")[:1]:
        try:
            return read_lookup_table(item, signed), None
        except InvalidTransformError:
            flag = "modality_lut_invalid"
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope is None or slope == 0:
        return (lambda x: x), flag or (None if slope is None else "rescale_invalid")
    return (lambda x: x * slope + (intercept or 0.0)), flag


def voi(dataset: pydicom.Dataset, signed: bool) -> tuple[Transform | None, str, str | None]:
    """The VOI transformation onto 0…1, its name, and a flag where something stated had no meaning.

    The first usable VOI LUT goes before the first usable window, since vendors that give both made the window to
    resemble the table. The name is ``VOILUT#n``, ``LINEAR#n``, ``LINEAR_EXACT#n``, ``SIGMOID#n`` (n counts from 1), or
    ``NONE`` with no transform.
    """
    flag = None
    for place, item in enumerate(items(dataset, "VOILUTSequence"), start=1):
        try:
            table = read_lookup_table(item, signed)
        except InvalidTransformError:
            flag = "voi_invalid"
            continue
        return table.scaled, f"VOILUT#{place}", flag
    kind = text(dataset, "VOILUTFunction").upper() or "LINEAR"
    if kind not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        kind, flag = "LINEAR", "voi_invalid"
    centers, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    if bool(centers) != bool(widths) or (not centers and values(dataset, "WindowCenter")):
        flag = "voi_invalid"
    for place, (center, width) in enumerate(zip(centers, widths, strict=False), start=1):
        try:
            return window(kind, center, width), f"{kind}#{place}", flag
        except InvalidTransformError:
            flag = "voi_invalid"
    return None, "NONE", flag


def padding_range(dataset: pydicom.Dataset, signed: bool, bits_allocated: int) -> tuple[int, int] | None:
    """Lowest and highest stored value that is padding (0028,0120/0121), PS3.3 C.7.5.1.1.2; None where there is none."""
    if not values(dataset, "PixelPaddingValue"):
        return None
    first = integer(dataset, "PixelPaddingValue", 0)
    second = integer(dataset, "PixelPaddingRangeLimit", first)
    half, full = 1 << (bits_allocated - 1), 1 << bits_allocated
    ends = [
        end - full if signed and end >= half else end + full if not signed and end < 0 else end
        for end in (first, second)
    ]
    return min(ends), max(ends)

"""The bits of a pixel cell: those of the picture, and those that are none and may hold an overlay.

PS3.5 section 8.1.1 lets a cell of Bits Allocated be larger than the Bits Stored that end at the High Bit; older objects
keep overlay planes in the rest (PS3.3 section C.9.2, Overlay Bit Position, retired).
"""

from dataclasses import dataclass

import numpy as np
import pydicom


@dataclass(frozen=True)
class Bits:
    """Where the picture lies in a cell of ``allocated`` bits: ``stored`` bits, from bit ``low`` on."""

    allocated: int
    stored: int
    low: int
    signed: bool

    @classmethod
    def of(cls, pixels: np.ndarray, dataset: pydicom.Dataset) -> "Bits":
        """The bits of integer pixels as the header describes them; the whole cell where it describes it wrongly."""
        allocated = pixels.dtype.itemsize * 8
        stored = min(int(dataset.get("BitsStored") or allocated), allocated)
        high = int(dataset.get("HighBit") if dataset.get("HighBit") is not None else stored - 1)
        low = high + 1 - stored
        if low < 0 or high >= allocated:
            stored, low = allocated, 0
        return cls(allocated, stored, low, bool(int(dataset.get("PixelRepresentation") or 0)))

    @property
    def whole(self) -> bool:
        """Whether the picture takes up the cell."""
        return self.stored == self.allocated

    def interpreted(self, pixels: np.ndarray) -> np.ndarray:
        """Cells as numbers: what is no part of the picture is dropped. A view where there is nothing to drop."""
        native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        if self.whole:
            return native.view(f"i{self.allocated // 8}") if self.signed and native.dtype.kind == "u" else native
        if not self.signed and self.low == 0 and native.dtype.kind == "u" and native.max(initial=0) < 1 << self.stored:
            return native
        up = self.allocated - self.stored - self.low
        raw = native.view(f"u{self.allocated // 8}") << np.array(up).astype(f"u{self.allocated // 8}")
        shift = self.allocated - self.stored
        return raw.view(f"i{self.allocated // 8}") >> shift if self.signed else raw >> np.array(shift).astype(raw.dtype)

    def exceeded(self, pixels: np.ndarray, slack: int = 0) -> bool:
        """Whether cells hold anything beside the picture. A sign that is extended over the cell is nothing.

        Values that pass the largest by up to ``slack`` are overshoot of a lossy compression.
        """
        if self.whole or pixels.dtype.kind not in "iu" or not pixels.size:
            return False
        kind = f"{pixels.dtype.byteorder}i{self.allocated // 8}"
        raw = pixels.view(kind.replace("i", "u"))
        if self.low and np.bitwise_and(raw, (1 << self.low) - 1).any():
            return True
        top = 1 << (self.low + self.stored)
        if int(raw.max()) < top + slack:
            return False
        cells = pixels.view(kind)
        return not (self.signed and -top // 2 <= int(cells.min()) and int(cells.max()) < top // 2)

    def clear(self, pixels: np.ndarray) -> None:
        """Set what is no part of the picture, in place: to 0, or to the sign where the picture ends at bit 0."""
        kind = f"{pixels.dtype.byteorder}i{self.allocated // 8}"
        if self.signed and self.low == 0:
            cells = pixels.view(kind)
            shift = self.allocated - self.stored
            cells <<= shift
            cells >>= shift
        else:
            raw = pixels.view(kind.replace("i", "u"))
            raw &= ((1 << self.stored) - 1) << self.low

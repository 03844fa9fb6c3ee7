"""Sets of real pictures as the screen is given them, and the reduced pictures on which it measures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class PictureSetError(ValueError):
    """A picture set's parts do not belong together, or its pictures are not of the wanted shape."""


@dataclass(frozen=True)
class PictureSet:
    """Real pictures with their ids and conditions, row by row.

    ``pictures``: uint16 (n, rows, columns), 0…4095, air = 0, chest wall on the left; a memory map serves, as it is read
    in slices. ``densities`` A…D, ``views`` CC or MLO. Raises PictureSetError.
    """

    pictures: NDArray[np.uint16]
    image_ids: Sequence[str]
    densities: Sequence[str]
    views: Sequence[str]

    def __post_init__(self) -> None:
        lengths = {len(self.pictures), len(self.image_ids), len(self.densities), len(self.views)}
        if len(lengths) != 1:
            raise PictureSetError("pictures, image_ids, densities and views differ in length")
        if self.pictures.ndim != 3 or self.pictures.dtype != np.uint16:
            raise PictureSetError("pictures are not a uint16 array of (n, rows, columns)")

    def __len__(self) -> int:
        return len(self.image_ids)

    def batches(self, size: int, rows: Sequence[int] | None = None) -> Iterator["PictureSet"]:
        """The set, or the given rows of it, ``size`` pictures at a time: as much as is read into memory at once."""
        rows = range(len(self)) if rows is None else rows
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield PictureSet(
                np.stack([self.pictures[i] for i in part]),
                [self.image_ids[i] for i in part],
                [self.densities[i] for i in part],
                [self.views[i] for i in part],
            )

    def evenly(self, count: int) -> list[int]:
        """At most ``count`` rows, spread evenly over the set; always the same ones."""
        return evenly(len(self), count)


def evenly(count: int, most: int) -> list[int]:
    """At most so many rows of ``count``, spread evenly; always the same ones."""
    return list(range(count)) if count <= most else [i * count // most for i in range(most)]


def reduced(picture: NDArray, rows: int) -> NDArray[np.float32]:
    """A picture averaged over square blocks, float32, down to ``rows`` rows at least; small ones stay as they are.

    The block is the largest power of two that divides both sides and leaves that many rows.
    """
    block = 1
    while picture.shape[0] // (2 * block) >= rows and not any(side % (2 * block) for side in picture.shape):
        block *= 2
    h, w = picture.shape
    blocks = picture.astype(np.float32).reshape(h // block, block, w // block, block)
    return blocks.mean((1, 3), dtype=np.float32)

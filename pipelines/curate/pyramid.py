"""The training pyramid: each picture at every halving of its size down to 5×4, for a network that grows.

A level's pixel is the mean of the full picture's pixels below it, computed exactly (integer sums) and rounded once, up
or down such that the mean gray does not drift: rounding halves up would brighten 640×512 by an eighth of a gray level
in noise, and 5×4 has too few pixels for errors to cancel. Levels up to 320×256 are uncompressed, 256 pictures a batch,
to be mapped into memory; 640×512 is compressed, one picture a batch. The top level is the training shards themselves.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from pipelines.storage.pyramid import level_name
from pipelines.storage.shards import ShardWriter

SMALLEST_ROWS = 5
LARGEST_MAPPED_ROWS = 320
MAPPED_BATCH = 256


def level_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns of the levels below a picture's own size, largest first: halved while even, down to 5 rows."""
    rows, columns = shape
    shapes = []
    while rows % 2 == 0 and columns % 2 == 0 and rows // 2 >= SMALLEST_ROWS:
        rows, columns = rows // 2, columns // 2
        shapes.append((rows, columns))
    return shapes


def halvings(picture: np.ndarray) -> Iterator[np.ndarray]:
    """The levels of a uint16 picture (rows, columns) in 0…4095, largest first.

    Every pixel is its mean rounded up or down, and a level's mean is the picture's as nearly as whole numbers allow.
    """
    sums = picture.astype(np.uint32)
    total = int(sums.sum(dtype=np.uint64))
    for step, _ in enumerate(level_shapes((picture.shape[0], picture.shape[1])), start=1):
        pairs = sums[0::2] + sums[1::2]
        sums = pairs[:, 0::2] + pairs[:, 1::2]
        yield _rounded(sums, 2 * step, total)


def _rounded(sums: np.ndarray, shift: int, total: int) -> np.ndarray:
    """Sums of 2**shift pixels as means, those with the largest remainders rounded up: as many as keep the total."""
    means, remainders = (sums >> shift).astype(np.uint16), (sums & ((1 << shift) - 1)).ravel()
    up = ((total + (1 << (shift - 1))) >> shift) - int(means.sum(dtype=np.uint64))
    counts = np.bincount(remainders, minlength=1 << shift)
    at_least = np.cumsum(counts[::-1])[::-1]
    threshold = int(np.flatnonzero(at_least >= up)[-1])
    tied = np.flatnonzero(remainders == threshold)
    # Of those alike, some must go up: every so many, so that no side of the picture is brighter than another.
    some = up - int(at_least[threshold]) + len(tied)
    means += (remainders > threshold).reshape(means.shape)
    means.ravel()[tied[np.arange(some) * len(tied) // max(1, some)]] += 1
    return means


class PyramidWriter:
    """Writes pictures into the shards of all levels at once: ``<folder>/<rows>x<columns>-00000.arrow`` …

    A picture's row is the same in every level, counted through the level's shards in the order of their names.
    """

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self._stack = ExitStack()
        self._writers = [
            ShardWriter(
                folder,
                level_name(level),
                level,
                mapped_rows=MAPPED_BATCH if level[0] <= LARGEST_MAPPED_ROWS else 0,
            )
            for level in level_shapes(shape)
        ]
        self._rows = 0

    def __enter__(self) -> Self:
        for writer in self._writers:
            self._stack.enter_context(writer)
        return self

    def append(self, image_id: str, picture: np.ndarray) -> tuple[int, list[np.ndarray]]:
        """Add a picture to every level; returns its row and its levels, largest first."""
        levels = list(halvings(picture))
        for writer, level in zip(self._writers, levels, strict=True):
            writer.append(image_id, level)
        self._rows += 1
        return self._rows - 1, levels

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

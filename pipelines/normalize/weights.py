"""Weights by which pixels of one size make pixels of another, along one axis: few for each, so kept sparse.

SciPy's own product is called without its sparse array around it: a picture takes some hundred products with small
parts of two matrices, and making an array for each would cost as much as all that is computed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import _sparsetools


@dataclass(frozen=True)
class Weights:
    """A matrix (new × old) in compressed rows: row n holds the shares that new pixel n has of old ones; they sum to 1.

    Its ``shares`` (float32) and their ``places`` (int32) stand from ``pointers[n]`` to ``pointers[n + 1]`` (int32).
    """

    shares: np.ndarray
    places: np.ndarray
    pointers: np.ndarray
    old: int

    def __matmul__(self, pixels: np.ndarray) -> np.ndarray:
        """New pixels of old ones (float32, old × any), column by column."""
        if pixels.dtype != np.float32 or pixels.ndim != 2 or len(pixels) != self.old:
            raise ValueError("not the pixels that these weights are for")
        made = np.zeros((len(self.pointers) - 1, pixels.shape[1]), np.float32)
        sizes = len(made), self.old, made.shape[1]
        _sparsetools.csr_matvecs(*sizes, self.pointers, self.places, self.shares, pixels.ravel(), made.ravel())
        return made

    def part(self, start: int, stop: int) -> tuple[slice, "Weights"]:
        """Which old pixels the new ones from ``start`` to ``stop`` need, and the weights of these alone."""
        first, last = self.pointers[start], self.pointers[stop]
        needed = slice(int(self.places[first]), int(self.places[last - 1]) + 1)
        places = self.places[first:last] - np.int32(needed.start)
        pointers = self.pointers[start : stop + 1] - first
        return needed, Weights(self.shares[first:last], places, pointers, needed.stop - needed.start)


def resized(old: int, new: int) -> Weights:
    """Pixels of an axis at another size: means over their areas where it shrinks, else linear between centers."""
    if new > old:
        return between((np.arange(new) + 0.5) * old / new - 0.5, old)
    edges = np.arange(new + 1) * (old / new)
    edges[-1] = old
    first, end = np.floor(edges[:-1]).astype(np.int32), np.ceil(edges[1:]).astype(np.int32)
    pointers = np.concatenate([[0], np.cumsum(end - first)]).astype(np.int32)
    places = np.arange(pointers[-1], dtype=np.int32) - np.repeat(pointers[:-1] - first, end - first)
    covered = np.ones(len(places))
    covered[pointers[:-1]] -= edges[:-1] - first
    covered[pointers[1:] - 1] -= end - edges[1:]
    return Weights((covered * (new / old)).astype(np.float32), places, pointers, old)


def between(at: np.ndarray, old: int) -> Weights:
    """Pixels at places between the centers of ``old`` ones, by linear interpolation; beyond the last one it holds."""
    at = np.clip(at, 0, old - 1)
    first = np.minimum(at.astype(np.int32), max(0, old - 2))
    share = at - first
    shares, places = np.stack([1 - share, share], 1), np.stack([first, np.minimum(first + 1, old - 1)], 1)
    return Weights(
        shares.ravel().astype(np.float32), places.ravel(), np.arange(0, 2 * len(at) + 1, 2, dtype=np.int32), old
    )

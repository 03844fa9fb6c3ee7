"""Finds the breast in a standard picture, and clears the air around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.synthesize.pictures import reduced

_MASK_ROWS = 160

TISSUE = 4
"""What nowhere exceeds this many times the floor is haze."""


@dataclass(frozen=True)
class Breast:
    """The breast of one picture, on the picture reduced to about 160 rows.

    ``picture``: reduced, float32; ``mask``: the largest connected piece of what is no air, holes filled; ``second``:
    area of the next largest piece that is too bright for haze, over the largest's (0…1). The mask is empty where all is
    air.
    """

    picture: NDArray[np.float32]
    mask: NDArray[np.bool_]
    second: float

    def mask_at(self, shape: tuple[int, int], margin: int = 0) -> NDArray[np.bool_]:
        """The mask at the picture's own shape, grown (or shrunk, below 0) by ``margin`` pixels of the reduced one."""
        mask = self.mask
        if margin:
            grow = ndimage.binary_dilation if margin > 0 else ndimage.binary_erosion
            mask = grow(mask, iterations=abs(margin))
        return np.repeat(np.repeat(mask, shape[0] // mask.shape[0], 0), shape[1] // mask.shape[1], 1)


def find_breast(picture: NDArray, floor: float) -> Breast:
    """The breast in a picture (rows, columns) of 0…4095: the largest piece whose gray, a little blurred, is over
    ``floor``. Specks and threads up to two (reduced) pixels wide belong to no piece.
    """
    small = reduced(picture, _MASK_ROWS)
    tissue = ndimage.gaussian_filter(small, small.shape[0] / 160, mode="nearest") > floor
    tissue = ndimage.binary_opening(tissue, np.ones((3, 3), bool))
    pieces, _ = ndimage.label(tissue)
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    if not areas.any():
        return Breast(small, np.zeros_like(tissue), 0.0)
    largest = int(areas.argmax())
    brightest = ndimage.maximum(small, pieces, np.arange(len(areas)))
    second = max((int(a) for i, a in enumerate(areas) if i != largest and brightest[i] > TISSUE * floor), default=0)
    return Breast(small, ndimage.binary_fill_holes(pieces == largest), second / int(areas[largest]))


def clear_air(picture: NDArray[np.uint16], breast: Breast, floor: float) -> NDArray[np.uint16]:
    """The picture with air at 0: everything off the breast, and what is not over ``floor`` along its border."""
    air = ~breast.mask_at(picture.shape, 1) | (~breast.mask_at(picture.shape) & (picture <= floor))
    return np.where(air, np.uint16(0), picture)

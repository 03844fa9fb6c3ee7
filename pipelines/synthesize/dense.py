"""Dense share of a breast by gray values alone: no learned parts, nothing shared with the networks that drew it.

In the manner of interactive thresholding (Byng et al. 1994, Boyd et al. 1995), with the threshold at a fixed share of
the way from the picture's own fat to its own brightest tissue. On 151 CDD-CESM mammograms its Spearman correlation with
the readers' A–D is 0.5 (mean gray reaches 0.4); on drawn breasts whose dense share is known, 0.94.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.synthesize.breast import Breast

_RIM = 0.04
"""Width of the skin and the thinning margin, which are left out, over the picture's rows."""

_FAT, _BRIGHTEST, _SHARE = 0.05, 0.99, 0.4
"""Quantiles of gray that stand for fat and for the brightest tissue, and where between them dense begins."""

_MUSCLE = (0.55, 0.45)
"""The pectoral muscle of an MLO: a triangle in the upper left corner, over the breast's height and width."""


def dense_fraction(breast: Breast, view: str) -> float:
    """Share (0…1) of the breast's inner area, without the MLO's pectoral muscle, that is dense; 0 without a breast."""
    inner = _inner(breast.mask, view)
    if not inner.any():
        return 0.0
    gray = breast.picture[inner].astype(np.float64)
    fat, brightest = np.quantile(gray, (_FAT, _BRIGHTEST))
    return float((gray > fat + _SHARE * (brightest - fat)).mean()) if brightest > fat else 0.0


def _inner(mask: NDArray[np.bool_], view: str) -> NDArray[np.bool_]:
    """The mask without its rim, which the chest wall on the left edge does not have, and without the muscle."""
    walled = np.pad(mask, ((1, 1), (0, 1)))
    depth = ndimage.distance_transform_edt(np.pad(walled, ((0, 0), (mask.shape[1], 0)), mode="edge"))
    inner = depth[1:-1, mask.shape[1] : -1] > max(1, round(_RIM * mask.shape[0]))
    if view == "MLO" and mask.any():
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        down = (np.arange(mask.shape[0])[:, None] - rows[0]) / (_MUSCLE[0] * (rows[-1] - rows[0] + 1))
        right = np.arange(mask.shape[1])[None, :] / (_MUSCLE[1] * len(columns))
        inner &= down + right >= 1
    return inner if inner.any() else mask

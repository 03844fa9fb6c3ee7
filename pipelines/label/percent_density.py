"""What a mammogram's pixels say of its density: percent density by fuzzy clusters, and a few figures beside it.

These feed a model that learns from readers. The screen of generated pictures (pipelines/synthesize) keeps a measure of
its own, one fixed threshold, so that what judges them shares nothing with what labeled the pictures they came from.
"""

from dataclasses import astuple, dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.label.fuzzy_clusters import Clusters, cluster, count_humps
from pipelines.label.pectoral import find_muscle
from pipelines.storage.histograms import LEVELS

_ROWS = 320
"""Rows at which a picture is measured: noise is averaged away, gland is not."""

_RIM = 0.04
"""Width of the skin and the thinning margin, which are left out, over the rows."""

_LEAST_AREA = 0.01
"""A breast whose inside covers less than this share of the picture is not measured."""

_LEAST_SPREAD = 8.0
"""Deviation of gray (0…4095) below which there is nothing to tell apart."""

_QUARTERS = 4

_FINE, _COARSE = (3, 9), (9, 27)
"""Texture: what lies between means over squares of these sides, at the measuring size."""


@dataclass(frozen=True)
class Measures:
    """``percent_density``: share (0…1) of the breast, without rim and muscle, in the clusters nearer to its brightest
    than to its darkest; ``brightest``: share of the brightest of four clusters, which a dark margin does not mislead
    (films, raw pictures); ``brightness``: mean gray over the full range; ``spread``: its deviation, likewise; ``lean``:
    skewness of gray; ``compactness``: share of the dense pixels that an opening leaves; ``fine``, ``coarse``: texture
    over the spread at two scales.
    """

    percent_density: float
    brightest: float
    brightness: float
    spread: float
    lean: float
    compactness: float
    fine: float
    coarse: float


NAMES = tuple(field.name for field in fields(Measures))


def measure(picture: NDArray[np.uint16], view: str | None) -> Measures | None:
    """Measure a picture of level B (uint16, rows × columns, 0…4095, air 0, chest wall on the left).

    The pectoral muscle of an MLO is left out. None where there is too little to measure:
    no breast, a tiny or a flat one, fewer gray values than clusters.
    """
    rows = min(_ROWS, picture.shape[0])
    shape = (max(1, round(picture.shape[1] * rows / picture.shape[0])), rows)
    small: NDArray[Any] = cv2.resize(picture.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    mask = _breast(small)
    inner = _without_rim(mask)
    if view == "MLO":
        inner &= ~find_muscle(small, mask)
    if inner.sum() < _LEAST_AREA * inner.size:
        return None
    gray = small[inner].astype(np.float64)
    if gray.std() < _LEAST_SPREAD:
        return None
    histogram = np.bincount(np.rint(gray).astype(np.intp), minlength=LEVELS)
    humps, quarters = cluster(histogram, count_humps(histogram)), cluster(histogram, _QUARTERS)
    if humps is None or quarters is None:
        return None
    share, threshold = _dense(humps)
    spread = float(gray.std())
    return Measures(
        share,
        float(quarters.shares[-1]),
        float(gray.mean()) / (LEVELS - 1),
        spread / (LEVELS - 1),
        float((((gray - gray.mean()) / spread) ** 3).mean()),
        _compactness((small >= threshold) & inner),
        _texture(small, inner, _FINE) / spread,
        _texture(small, inner, _COARSE) / spread,
    )


def features(measures: Measures) -> NDArray[np.float64]:
    """The measures as a vector, in the order of NAMES."""
    return np.array(astuple(measures))


def _breast(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The largest part that is not air, black spots inside it included."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((picture > 0).astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros(picture.shape, bool)
    part = (labels == 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    outline, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(part), outline, -1, 1, cv2.FILLED) > 0


def _without_rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without its rim, which the chest wall on the left edge does not have."""
    rim = max(1, round(_RIM * mask.shape[0]))
    walled = np.pad(mask.astype(np.uint8), ((1, 1), (0, 1)))
    walled = np.pad(walled, ((0, 0), (2 * rim, 0)), mode="edge")
    depth = cv2.distanceTransform(walled, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return depth[1:-1, 2 * rim : -1] > rim


def _dense(clusters: Clusters) -> tuple[float, float]:
    """Share of the dense clusters, and the gray at which they begin."""
    centers = clusters.centers
    is_dense = centers > (centers[0] + centers[-1]) / 2
    first = int(is_dense.argmax())
    return float(clusters.shares[is_dense].sum()), float(centers[first - 1 : first + 1].mean())


def _compactness(dense: NDArray[np.bool_]) -> float:
    side = 2 * max(1, round(0.012 * dense.shape[0])) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(dense.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return float(opened.sum() / dense.sum()) if dense.any() else 0.0


def _texture(picture: NDArray[np.float32], inner: NDArray[np.bool_], sides: tuple[int, int]) -> float:
    """Root mean square of what a mean over the smaller square keeps and one over the larger takes away."""
    smaller, larger = (cv2.blur(picture, (side, side)) for side in sides)
    return float(np.sqrt(((smaller - larger)[inner].astype(np.float64) ** 2).mean()))

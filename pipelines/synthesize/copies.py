"""Finds copies of training pictures: the distance from a picture to the nearest one that a model was trained on.

Pictures are compared as small ones: averaged over blocks to about 40 rows, blurred, freed of what is coarse and of the
outline (in which all breasts are alike) and scaled to unit length. The distance of two of them is √(2 − 2r), r being
their correlation: 0 for the same picture, √2 for unrelated ones. A candidate is also compared mirrored (both ways) and
shifted by up to two of the small picture's pixels, the likeliest originals in steps of half a pixel; its distance is
the least of all.

How near is too near is judged four times: by the distance itself, by its ratio to the distance from the second nearest
(``standing_out``: noise and blur raise both, a copy has one original), by the product of these two (``nearness``: real
pictures are seldom low in both), and by the ratio to how far that very neighbor is from any other training picture
(authenticity, Alaa et al. 2022). By chance alone a large part of the real pictures that were never trained on lie
nearer to their neighbor than it to any other (a ratio below 1, Alaa's border); rejected are ratios far below what real
pictures have, and the share below 1 is told beside theirs.

On 220 real training pictures at 80×64, with noise of up to 200 gray values, shifts of two pixels, flips and changed
exposure, copies lie at 0.24 (median) and 0.52 (99 %), 84 held-back pictures at 0.71 (median) and 0.47 (least); their
nearness at 0.08 and 0.33, and at 0.65 and 0.37.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.synthesize.pictures import PictureSet, reduced

_ROWS = 40
_FINE, _COARSE = 1.0, 4.0
_REACH = 2
_AIR = 64
_CHUNK = 64

FLOOR = 0.1
"""The threshold is never below this distance, within which slight noise leaves a picture: duplicates among the training
pictures must not blind the screen."""


@dataclass(frozen=True)
class Neighbor:
    """A picture's nearest training picture: its row in the set, the distance (0…2), and how far the second nearest is
    (infinity where there is none)."""

    row: int
    distance: float
    second: float

    @property
    def standing_out(self) -> float:
        """The distance over that of the second nearest, 1 where there is none."""
        return self.distance / max(self.second, FLOOR) if np.isfinite(self.second) else 1.0

    @property
    def nearness(self) -> float:
        """The distance times ``standing_out``: low where a picture is near, and nearer than to any other."""
        return self.distance * self.standing_out


class NeighborIndex:
    """The training pictures, ready for comparison: 5 kB each."""

    def __init__(self, training: PictureSet) -> None:
        if not len(training):
            raise ValueError("there are no training pictures to compare with")
        self._training = training
        self._own: dict[tuple[int, int | None], float] = {}
        unshifted = slice(_REACH, -_REACH), slice(_REACH, -_REACH)
        pictures = (picture for part in training.batches(_CHUNK) for picture in part.pictures)
        self._unit = np.concatenate([_units(_band(reduced(p, _ROWS))[unshifted], 0) for p in pictures])

    def nearest(self, picture: NDArray[np.uint16], *but: int | None) -> Neighbor:
        """The training picture nearest to a picture of the same shape; ``but`` leaves training rows out."""
        left_out = [row for row in but if row is not None]
        every = np.concatenate([_variants(picture[::a, ::b], 0) for a, b in _MIRRORS]) @ self._unit.T
        every[:, left_out] = -2
        likeness = every.max(axis=0)
        likely = np.sort(np.argsort(-likeness, kind="stable")[:_LIKELY])
        a, b = _MIRRORS[int(every[:, likeness.argmax()].argmax()) * len(_MIRRORS) // len(every)]
        steps = range(1, 4) if reduced(picture, _ROWS).shape != picture.shape else ()
        for step in steps:
            finer = np.max(_variants(picture[::a, ::b], step) @ self._unit[likely].T, axis=0)
            likeness[likely] = np.maximum(likeness[likely], finer)
        likeness[left_out] = -2
        first, *others = np.argsort(-likeness, kind="stable")[:2].tolist()
        others = [row for row in others if row not in left_out]
        second = _apart(likeness[others[0]]) if others else np.inf
        return Neighbor(first, _apart(likeness[first]), second)

    def authenticity(self, neighbor: Neighbor, but: int | None = None) -> float:
        """A picture's distance to its nearest training picture, over that one's to its own nearest other; 1 where
        there is no other. ``but`` is the picture's own row, where it is a training picture: it is no other."""
        key = (neighbor.row, but)
        if len(self._training) < 2 + (but is not None):
            return 1.0
        if key not in self._own:
            picture = np.asarray(self._training.pictures[neighbor.row])
            self._own[key] = self.nearest(picture, neighbor.row, but).distance
        return neighbor.distance / max(self._own[key], FLOOR)

    def threshold(self, training: PictureSet, quantile: float, at_most: int) -> float:
        """The least distance that a new picture should keep: a quantile of the training pictures' own distances.

        Each of at most ``at_most`` training pictures is compared with all others but itself. Which ones are of one
        woman is not known here; her four views are nearer to one another than to strangers, so low distances are
        over-represented and the threshold errs towards keeping.
        """
        rows = training.evenly(at_most)
        if len(training) < 2:
            return FLOOR
        distances = [self.nearest(np.asarray(training.pictures[i]), i).distance for i in rows]
        return max(FLOOR, float(np.quantile(distances, quantile)))


class FeatureIndex:
    """The training pictures' features (n, size), for comparison in feature space."""

    def __init__(self, features: NDArray[np.float64]) -> None:
        self._features = features
        self._own: dict[tuple[int, int | None], float] = {}

    def nearest(self, variants: NDArray[np.float64], *but: int | None) -> Neighbor:
        """The training picture nearest to any of a picture's variants (k, size); ``but`` leaves rows out."""
        best = Neighbor(0, np.inf, np.inf)
        for variant in variants:
            distances = np.sqrt(((self._features - variant) ** 2).sum(axis=1))
            distances[[row for row in but if row is not None]] = np.inf
            row = int(distances.argmin())
            if distances[row] < best.distance:
                best = Neighbor(row, float(distances[row]), np.inf)
        return best

    def authenticity(self, neighbor: Neighbor, but: int | None = None) -> float:
        """As that of pictures."""
        key = (neighbor.row, but)
        if len(self._features) < 2 + (but is not None):
            return 1.0
        if key not in self._own:
            own = self._features[neighbor.row][None]
            self._own[key] = self.nearest(own, neighbor.row, but).distance
        return neighbor.distance / max(self._own[key], _LEAST)


def _apart(likeness: float) -> float:
    """The distance of two unit vectors from their product."""
    return float(np.sqrt(max(0.0, 2 - 2 * float(likeness))))


def _variants(picture: NDArray[np.uint16], step: int) -> NDArray[np.float32]:
    """A picture shifted by whole pixels of the small picture, after a shift by half of one along rows (step 1), columns
    (2) or both (3), as unit vectors (shifts, pixels)."""
    block = picture.shape[0] // reduced(picture, _ROWS).shape[0]
    by = (step % 2 * (block // 2), step // 2 * (block // 2))
    wide = np.pad(picture, ((0, by[0]), (0, by[1])), mode="edge")[by[0] :, by[1] :]
    return _units(_band(reduced(np.ascontiguousarray(wide), _ROWS)), _REACH)


_LEAST = 1e-9
_LIKELY = 24
"""Training pictures that are compared in half steps."""

_MIRRORS = tuple(product((1, -1), (1, -1)))


def _band(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """A reduced picture's tissue without what is finer than a pixel or coarser than several, grown by the reach.

    Averages are over tissue alone, and the pixels along the skin are left out: or else the outline, in which smooth
    breasts are much alike, would outweigh what is inside it.
    """
    wide = np.pad(small, _REACH, mode="edge")
    tissue = ndimage.gaussian_filter(wide, _FINE / 2, mode="nearest") > _AIR
    inside = ndimage.binary_erosion(tissue, border_value=1).astype(np.float32)
    fine = _average(wide, inside, _FINE)
    return (fine - _average(fine, inside, _COARSE)) * inside


def _average(picture: NDArray[np.float32], inside: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian average over the pixels inside (normalized convolution)."""
    weight = ndimage.gaussian_filter(inside, sigma, mode="nearest")
    return ndimage.gaussian_filter(picture * inside, sigma, mode="nearest") / np.maximum(weight, 1e-3)


def _units(band: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """All shifts of a picture by up to ``reach`` pixels each way, as unit vectors (shifts, pixels)."""
    shape = band.shape[0] - 2 * reach, band.shape[1] - 2 * reach
    flat = sliding_window_view(band, shape).reshape(-1, shape[0] * shape[1])
    flat = flat - flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)

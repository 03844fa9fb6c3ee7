"""What a picture has at its extremes: how bright, how flat and how sharp its most extreme places are, at several sizes.

A network that looks at a whole breast passes over what is small, or plain: a lead marker's edges, the even white of an
implant. Distances are Mahalanobis distances from the mean of training pictures, with one covariance, shrunk as Ledoit &
Wolf 2004. Alone they do not tell a picture that is upside down; times the distance in the feature space they told
made-up oddities from 92 real held-back pictures by an AUROC of 0.95 on average, where that distance alone had 0.92.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.classifier import GRAY
from pipelines.evaluate.feature_space import LEAST_PICTURES, Reals, at_shape, mahalanobis
from pipelines.evaluate.worth_settings import COMPARED_AT

SIDES = (3, 5, 9, 13)
"""Sides of the squares that are looked at, in pixels."""

_SIZE = 5 * len(SIDES) + 5

BRIGHT = 0.8
"""Flatness is looked for among the pixels of the breast above this quantile, too: what is dark is always flat."""


@dataclass(frozen=True)
class Extremes:
    """Where training pictures lie in these figures: ``shape`` at which pictures are measured, ``center`` and ``scale``
    (size,) of each figure, and ``precision`` (size, size): the inverse of the shrunk covariance of scaled figures."""

    shape: tuple[int, int]
    center: Reals
    scale: Reals
    precision: Reals

    def distances(self, pictures: NDArray[np.uint16]) -> Reals:
        """Distance (n,) of pictures (n, rows, columns), 0…4095, averaged down to the shape; each by itself."""
        return mahalanobis((_figures(pictures, self.shape) - self.center) / self.scale, self.precision)


def learn_extremes(pictures: NDArray[np.uint16]) -> Extremes | None:
    """Learn it from training pictures (n, rows, columns), 0…4095; None with fewer than 20."""
    from sklearn.covariance import LedoitWolf

    if len(pictures) < LEAST_PICTURES:
        return None
    shape = min(COMPARED_AT, (pictures.shape[1], pictures.shape[2]))
    found = _figures(pictures, shape)
    center, scale = found.mean(axis=0), np.maximum(found.std(axis=0), 1e-9)
    precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit((found - center) / scale).covariance_)
    return Extremes(shape, center, scale, precision)


def _figures(pictures: NDArray[np.uint16], shape: tuple[int, int]) -> Reals:
    """The figures (n, 25) of pictures averaged down to a shape."""
    return np.array([measure(picture) for picture in at_shape(pictures, shape)]).reshape(len(pictures), _SIZE)


def measure(picture: NDArray[np.uint16]) -> Reals:
    """The figures (25,) of one picture (rows, columns), gray as a share of 4095.

    For each side: the brightest mean; the greatest deviation, its median and its tenth; and the least deviation among
    bright squares, all over squares within the breast (0 where none fits in). Then the steepest step from a pixel to
    its neighbors and its 99th hundredth, the breast's share of the picture, and its mean and greatest gray.
    """
    gray, inside = picture.astype(np.float64) / GRAY, picture > 0
    if not inside.any():
        return np.zeros(_SIZE)
    bright = np.quantile(gray[inside], BRIGHT)
    figures: list[float] = []
    for side in SIDES:
        mean, square, share = (cv2.blur(x, (side, side)) for x in (gray, gray * gray, inside.astype(np.float64)))
        deviation, within = np.sqrt(np.maximum(square - mean * mean, 0)), share > 1 - 0.5 / side**2
        if not within.any():
            figures += [0.0] * 5
            continue
        own, lit = deviation[within], deviation[within & (mean > bright)]
        least = float(lit.min()) if lit.size else float(np.median(own))
        figures += [float(f) for f in (mean[within].max(), own.max(), np.median(own), np.quantile(own, 0.1), least)]
    steps = np.hypot(np.diff(gray, axis=0)[:, 1:], np.diff(gray, axis=1)[1:])
    figures += [float(steps.max()), float(np.quantile(steps, 0.99)), float(inside.mean())]
    return np.array([*figures, float(gray[inside].mean()), float(gray.max())])

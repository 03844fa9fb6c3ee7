"""The small picture on which the breast is found: stored values averaged on a coarse grid, and their signal."""

from dataclasses import dataclass

import cv2
import numpy as np
import pydicom

from pipelines.normalize.breast import thumbnail_shape
from pipelines.normalize.decode import PixelDescription
from pipelines.normalize.grayscale import read_signal
from pipelines.normalize.percentiles import percentiles


@dataclass(frozen=True)
class Thumbnail:
    """``stored``: stored values averaged on the thumbnail's grid; ``signal`` (float32): how bright tissue is there;
    ``padded`` (bool): where no picture is."""

    stored: np.ndarray
    signal: np.ndarray
    padded: np.ndarray

    @property
    def air(self) -> float:
        """The signal of air: the lowest that is no defect, padding aside."""
        signal = self.signal[~self.padded]
        return float(percentiles(signal, 0.5)[0]) if signal.size else 0.0

    def range_in(self, mask: np.ndarray) -> tuple[float, float]:
        """Lowest and highest stored value inside a mask, defects aside."""
        low, high = percentiles(self.stored[mask], 0.5, 99.9)
        return float(low), float(high)


def read_thumbnail(
    dataset: pydicom.Dataset, values: np.ndarray, description: PixelDescription, *, raw: bool
) -> Thumbnail:
    """Average a picture's stored values (rows, columns), a dozen samples for each of the thumbnail's pixels.

    ``raw``: the picture is FOR PROCESSING, whose signal is the attenuation.
    """
    shape = thumbnail_shape(*values.shape)
    samples = min(6 * shape[1], values.shape[1]), min(2 * shape[0], values.shape[0])
    sampled = cv2.resize(values, samples, interpolation=cv2.INTER_NEAREST_EXACT)
    stored = cv2.resize(sampled, shape[::-1], interpolation=cv2.INTER_AREA)
    signal = read_signal(dataset, description, raw)
    padded = np.zeros(shape, bool)
    if signal.padding.any():
        places = (((np.arange(n) + 0.5) * full / n).astype(int) for n, full in zip(shape, values.shape, strict=True))
        padded = signal.padding[values[np.ix_(*places)].astype(np.int64) - signal.lowest]
    return Thumbnail(stored, signal.rising[stored.astype(np.int64) - signal.lowest], padded)

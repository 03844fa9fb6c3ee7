"""Copies of a mammogram's stored values (uint8 or uint16), changed as copies are on their way through archives."""

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def exact(values, rng):
    return values.copy()


def rewindowed(values, rng):
    """Another gamma, and another range that cuts a little off either end."""
    top = float(values.max())
    low, high = rng.uniform(0, 0.02), rng.uniform(0.97, 1.0)
    share = np.clip((values / top - low) / (high - low), 0, 1) ** rng.uniform(0.75, 1.3)
    return np.rint(share * np.iinfo(values.dtype).max * (1 if values.itemsize == 1 else 1 / 16)).astype(values.dtype)


def resized(values, rng):
    factor = rng.uniform(0.5, 0.95)
    return cv2.resize(values, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def mirrored(values, rng):
    """Left to right, upside down, or turned by half."""
    rows, columns = ((1, -1), (-1, 1), (-1, -1))[rng.integers(3)]
    return np.ascontiguousarray(values[::rows, ::columns])


def recompressed(values, rng):
    """JPEG, which has 8 bits, at a quality of 40 to 85."""
    shift = 0 if values.itemsize == 1 else 4
    buffer = io.BytesIO()
    Image.fromarray((values >> shift).astype(np.uint8)).save(buffer, "JPEG", quality=int(rng.integers(40, 86)))
    return np.asarray(Image.open(buffer)).astype(values.dtype) << shift


def cropped(values, rng):
    """Up to 2 % of the height and width cut off at each side."""
    rows, columns = values.shape
    top, bottom = (rng.uniform(0, 0.02, 2) * rows).astype(int)
    left, right = (rng.uniform(0, 0.02, 2) * columns).astype(int)
    return np.ascontiguousarray(values[top : rows - bottom, left : columns - right])


KINDS: dict[str, Change] = {f.__name__: f for f in (exact, rewindowed, resized, mirrored, recompressed, cropped)}

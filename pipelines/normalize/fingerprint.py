"""The fingerprint of a standard picture: nine hashes of 256 bits by which near copies are found without the pictures.

Made to stand what happens to copies. Gray values count by their rank among the breast's alone, so that no rising change
of gray matters. The frame is laid by the center and spread of the bright tissue, not by the outline, which another
window or a crop shifts; and it is laid nine times, larger, smaller and shifted, so that of two copies framed a little
differently two frames agree. Bits are the signs of the lowest 16 × 16 frequencies of a cosine transform (Zauner 2010).
"""

import cv2
import numpy as np

REDUCED = 320
"""Pixels: a picture is halved until its longer side is below this."""

SIDE = 32
"""Samples along each side of a frame."""

FREQUENCIES = 16
"""Frequencies along each side; of 16 × 16, the lowest in both directions first."""

REACH = 1.5
"""Half a frame's side, in standard deviations of the bright tissue's place."""

FRAMES = (
    (1.0, 1.0, 0.0, 0.0),
    (0.88, 1.0, 0.0, 0.0),
    (1.13, 1.0, 0.0, 0.0),
    (1.0, 0.88, 0.0, 0.0),
    (1.0, 1.13, 0.0, 0.0),
    (1.0, 1.0, -0.12, 0.0),
    (1.0, 1.0, 0.12, 0.0),
    (1.0, 1.0, 0.0, -0.12),
    (1.0, 1.0, 0.0, 0.12),
)
"""Width and height as multiples, shift right and down in standard deviations; the plain frame first."""

_DOWN, _ACROSS = (axis.ravel() for axis in np.mgrid[:FREQUENCIES, :FREQUENCIES])
_ORDER = np.lexsort((_ACROSS, _DOWN, _DOWN + _ACROSS))


def fingerprint(picture: np.ndarray) -> str:
    """The nine hashes of a picture (uint16, 0…4095, air 0), 64 hexadecimal digits each, one after the other.

    Bit n of a hash, counted from the most significant, is 1 where the n-th coefficient is positive: those of vertical
    frequency u and horizontal frequency v, 0…15 each, in the order of (u + v, u, v). The first, the mean, is always 0.
    """
    ranks = _ranks(_reduced(picture))
    weights = ranks * ranks
    center, spread = zip(*(_moments(weights.sum(axis)) for axis in (0, 1)), strict=True)
    blur = max(REACH * max(spread) / SIDE, 0.3)
    smooth = cv2.GaussianBlur(ranks, (0, 0), blur)
    seen = np.stack([_framed(smooth, center, spread, frame) for frame in FRAMES])
    return np.packbits(np.stack([_bits(samples) for samples in _ranked(seen)]), axis=1).tobytes().hex()


def _reduced(picture: np.ndarray) -> np.ndarray:
    while max(picture.shape) >= REDUCED:
        size = (max(1, picture.shape[1] // 2), max(1, picture.shape[0] // 2))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # fastest where it halves
    return picture


def _ranks(picture: np.ndarray) -> np.ndarray:
    """Each pixel's rank among those above 0, of equals the middle one, as a share 0…1 (float32); air is 0."""
    counts = np.bincount(picture.ravel()).astype(np.float64)
    counts[0] = 0
    lut = (np.cumsum(counts) - counts / 2) / max(1.0, counts.sum())
    lut[0] = 0
    return lut.astype(np.float32)[picture]


def _moments(profile: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (half a pixel at least) of a profile's places."""
    at, share = np.arange(len(profile)), profile.astype(np.float64) / max(1e-9, float(profile.sum()))
    mean = float(share @ at)
    return mean, max(0.5, float(np.sqrt(share @ (at - mean) ** 2)))


def _framed(
    smooth: np.ndarray, center: tuple[float, ...], spread: tuple[float, ...], frame: tuple[float, ...]
) -> np.ndarray:
    """What is seen in a frame (float32, SIDE × SIDE); 0 where there is air."""
    half = [REACH * spread[axis] * frame[axis] for axis in (0, 1)]
    start = [center[axis] + frame[2 + axis] * spread[axis] - half[axis] for axis in (0, 1)]
    step = [2 * h / SIDE for h in half]
    matrix = np.array([[step[0], 0, start[0] + step[0] / 2], [0, step[1], start[1] + step[1] / 2]])
    return cv2.warpAffine(smooth, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _ranked(seen: np.ndarray) -> np.ndarray:
    """Samples of frames (frames, SIDE, SIDE), again by rank, from -0.5 to 0.5 (float32); 0 where there is air.

    The bits of numbers that are not negative rise with them: with the places behind them they sort equals by place.
    """
    flat = seen.reshape(len(seen), -1)
    keys = flat.view(np.uint32).astype(np.uint64) << np.uint64(32) | np.arange(flat.shape[1], dtype=np.uint64)
    order = (np.sort(keys, axis=1) & np.uint64(0xFFFFFFFF)).astype(np.intp)
    tissue = np.count_nonzero(flat, axis=1)[:, None]
    above_air = np.arange(flat.shape[1]) - (flat.shape[1] - tissue)
    ranks = np.where(above_air < 0, 0, (above_air + 0.5) / np.maximum(1, tissue) - 0.5).astype(np.float32)
    samples = np.empty_like(flat)
    np.put_along_axis(samples, order, ranks, axis=1)
    return samples.reshape(seen.shape)


def _bits(samples: np.ndarray) -> np.ndarray:
    positive = cv2.dct(samples)[:FREQUENCIES, :FREQUENCIES].ravel()[_ORDER] > 0
    positive[0] = False  # the ranks' mean is 0 but for rounding
    return positive

"""Latents: points on the unit sphere, each from a counter-based generator of its own, and ways between them.

The generator normalizes its latents (Karras et al. 2018, section 4.2), so that their direction alone counts.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from pipelines.pgan.conditions import Density


def latent_of(seed: int, density: Density, view: str, number: int, size: int) -> np.ndarray:
    """The latent of picture ``number`` of a run: float32 (size,) of length 1, uniform on the sphere.

    The same five give the same latent for ever, whatever was drawn before: Philox keyed by their hash.
    """
    digest = hashlib.sha256(f"{seed}|{density}|{view}|{number}".encode()).digest()
    stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return on_sphere(stream.standard_normal(size, dtype=np.float32))


def on_sphere(latents: np.ndarray) -> np.ndarray:
    """Latents (…, size) brought to length 1, float32. Raises ValueError for one of no length."""
    lengths = np.linalg.norm(latents.astype(np.float64), axis=-1, keepdims=True)
    if not np.all(lengths > 0):
        raise ValueError("a latent of no length has no direction")
    return (latents / lengths).astype(np.float32)


def along_arc(start: np.ndarray, end: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Latents float32 (n, size) on the great circle from one latent to another, at shares 0…1 of the angle.

    Spherical interpolation (Shoemake 1985): a straight line would leave the sphere, and normalized again it would
    hurry through the middle. Opposite latents have no shortest way: any is taken. Raises ValueError.
    """
    a, b = (on_sphere(latent).astype(np.float64) for latent in (start, end))
    beside = b - (a @ b) * a
    if np.linalg.norm(beside) < 1e-6:  # the same, or opposite: any direction square to it
        axis = np.eye(len(a))[np.abs(a).argmin()]
        beside = axis - (axis @ a) * a
    across = beside / np.linalg.norm(beside)
    angles = np.arctan2(b @ across, a @ b) * np.asarray(shares, np.float64)[:, None]
    return on_sphere(np.cos(angles) * a + np.sin(angles) * across)


def sisters(shared: np.ndarray, own: Sequence[np.ndarray], likeness: float) -> np.ndarray:
    """Latents float32 (n, size) that have ``shared`` in common: the cosine of two of them is about ``likeness``, 0…1.

    Each is √likeness of what is shared and √(1 − likeness) of its own, on the sphere: uniform there like any other, so
    that a breast drawn from it is as usual as one drawn alone.
    """
    mixed = np.sqrt(likeness) * shared[None] + np.sqrt(1 - likeness) * np.stack(own)
    return on_sphere(mixed)

"""Tissue texture: periodic random fields from which the breast is woven.

A tile is a square of ``TILE_MM`` millimeters that repeats without a seam, so that any part of it, shifted, turned or
bent, can be sampled. One woman's four pictures share her tiles and differ in where they are sampled.

Parenchyma has a power-law spectrum, about 1/f^3 in power and 1/f^1.5 in amplitude (Burgess 1999, Heine & Velthuizen
2002). Cooper's ligaments and vessels are drawn as the zero crossings of band-limited fields: thin bright lines of even
width, broken up by another field.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

TILE_MM = 256.0


@dataclass(frozen=True)
class Tissue:
    """One woman's texture tiles, float32, square, all of the same size; ``pixel`` is their pixel size in millimeters.

    ``lobes`` and ``grain`` have mean 0 and standard deviation 1; ``web``, ``ligaments`` and ``vessels`` are 0…1.
    """

    pixel: float
    lobes: Field
    grain: Field
    web: Field
    ligaments: Field
    vessels: Field

    def sample(self, name: str, u: Field, v: Field) -> Field:
        """The tile ``name`` at (``u``, ``v``) millimeters, bilinear, repeating for ever."""
        from scipy.ndimage import map_coordinates

        tile = getattr(self, name)
        at = np.stack([v, u]) / np.float32(self.pixel)
        return map_coordinates(tile, at, order=1, mode="grid-wrap", output=np.float32)


def weave(seed: int, pixel: float) -> Tissue:
    """Weave one woman's tissue with a pixel size of about ``pixel`` millimeters; the same seed gives the same tiles."""
    from scipy.fft import next_fast_len

    rng = np.random.default_rng([seed, 0x7155])
    size = next_fast_len(max(32, round(TILE_MM / pixel)), real=True)
    pixel = TILE_MM / size
    fine = max(0.7, 2.5 * pixel)
    return Tissue(
        pixel,
        lobes=power_noise(rng, size, pixel, slope=1.7, longest=60.0, shortest=max(1.4, fine)),
        grain=power_noise(rng, size, pixel, slope=1.1, longest=7.0, shortest=fine),
        web=_lines(rng, size, pixel, longest=9.0, shortest=3.0, width=0.45, broken=0.2),
        ligaments=_lines(rng, size, pixel, longest=24.0, shortest=7.0, width=0.40, broken=0.6),
        vessels=_lines(rng, size, pixel, longest=90.0, shortest=22.0, width=0.55, broken=1.3),
    )


def power_noise(
    rng: np.random.Generator, size: int, pixel: float, *, slope: float, longest: float, shortest: float
) -> Field:
    """A periodic field, mean 0, standard deviation 1, with amplitude 1/f^``slope`` between two wavelengths in mm."""
    from scipy.fft import irfft2

    fy = np.fft.fftfreq(size, pixel).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size, pixel).astype(np.float32)[None, :]
    f = np.hypot(fy, fx)
    low, high = np.float32(1.0 / longest), np.float32(1.0 / shortest)
    amplitude = np.maximum(f, low) ** np.float32(-slope) * np.exp(-((f / high) ** 4))
    amplitude *= 1.0 - np.exp(-((f / low) ** 4))
    spectrum = rng.standard_normal((size, size // 2 + 1, 2), dtype=np.float32).view(np.complex64)[..., 0] * amplitude
    field = irfft2(spectrum, s=(size, size))
    return (field / field.std()).astype(np.float32)


def _lines(
    rng: np.random.Generator, size: int, pixel: float, *, longest: float, shortest: float, width: float, broken: float
) -> Field:
    """Lines ``width`` mm wide where a field changes sign; the larger ``broken``, the less of them is left. 0…1."""
    field = power_noise(rng, size, pixel, slope=1.5, longest=longest, shortest=shortest)
    # The distance to the zero crossing is, to first order, the field over its slope: lines of even width.
    steep = np.hypot(_slope(field, 0, pixel), _slope(field, 1, pixel))
    distance = np.abs(field) / np.maximum(steep, np.float32(0.25 / shortest))
    reach = max(width, 0.9 * pixel)
    strength = power_noise(rng, size, pixel, slope=1.5, longest=40.0, shortest=max(6.0, 3 * pixel))
    presence = 1.0 / (1.0 + np.exp(np.float32(3.0) * (np.float32(broken) - strength)))
    # Lines thinner than a pixel are drawn a pixel wide and as much fainter.
    return (np.exp(-((distance / reach) ** 2)) * presence * min(1.0, width / reach)).astype(np.float32)


def _slope(field: Field, axis: int, pixel: float) -> Field:
    return (np.roll(field, -1, axis) - np.roll(field, 1, axis)) / np.float32(2 * pixel)

import numpy as np
import pytest

from pipelines.phantom.texture import TILE_MM, power_noise, weave


def radial_slope(field: np.ndarray, pixel: float, low: float, high: float) -> float:
    """The exponent of the amplitude spectrum between two frequencies (cycles/mm), fitted to the full 2-D FFT."""
    spectrum = np.abs(np.fft.fft2(field))
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(len(field), pixel), np.fft.fftfreq(len(field), pixel)))
    band = (f > low) & (f < high)
    return float(-np.polyfit(np.log(f[band]), np.log(spectrum[band]), 1)[0])


@pytest.mark.parametrize("slope", [1.0, 1.5, 2.0])
def test_noise_follows_its_power_law(slope: float) -> None:
    field = power_noise(np.random.default_rng(5), 512, 0.5, slope=slope, longest=100.0, shortest=1.2)
    assert field.mean() == pytest.approx(0, abs=1e-4)
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert radial_slope(field, 0.5, 0.03, 0.4) == pytest.approx(slope, abs=0.05)


def test_tiles_repeat_without_a_seam() -> None:
    tissue = weave(3, 1.0)
    u = np.linspace(-20, 20, 81, dtype=np.float32)[None]
    v = np.full_like(u, 17.3)
    np.testing.assert_allclose(
        tissue.sample("lobes", u, v), tissue.sample("lobes", u + TILE_MM, v - TILE_MM), atol=1e-3
    )
    steps = np.abs(np.diff(tissue.sample("lobes", u, v)))
    assert steps[0, 38:42].max() <= 3 * np.median(steps) + 0.2


def test_lines_are_thin_and_bright_and_the_seed_decides() -> None:
    tissue, again, other = weave(3, 0.5), weave(3, 0.5), weave(4, 0.5)
    for name in ("web", "ligaments", "vessels"):
        tile = getattr(tissue, name)
        assert tile.min() >= 0
        assert tile.max() <= 1
        assert 0.0 < (tile > 0.3).mean() < 0.35
        np.testing.assert_array_equal(tile, getattr(again, name))
        assert not np.array_equal(tile, getattr(other, name))

"""Quality figures against what was put into the picture, and against NumPy's own statistics."""

import cv2
import numpy as np
import pytest

from pipelines.normalize.quality import measure

MASK = np.zeros((640, 512), bool)
MASK[40:600, :400] = True


def texture(seed: int = 0, *, grain: float = 1.0) -> np.ndarray:
    """Tissue-like gray: a broad wave, grain of about a pixel, no direction."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:640, 0:512] / 100.0
    wave = 2000 + 600 * np.sin(x) * np.cos(y)
    return wave + cv2.GaussianBlur(rng.normal(0, 500, MASK.shape), (0, 0), grain)


def shown(gray: np.ndarray) -> np.ndarray:
    return np.where(MASK, np.clip(np.rint(gray), 0, 4095), 0).astype(np.uint16)


def moved(gray: np.ndarray, length: int, angle: float) -> np.ndarray:
    """Averaged along a line of so many pixels, as a breast that moves during the exposure."""
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    for step in np.linspace(-length / 2, length / 2, 16 * length):
        kernel[round(length + step * np.sin(angle)), round(length + step * np.cos(angle))] = 1
    return cv2.filter2D(gray, -1, kernel / kernel.sum())


def test_a_picture_in_order_has_no_flags() -> None:
    assert measure(shown(texture()), MASK).flags == ()


def test_plain_statistics_are_numpys() -> None:
    picture = shown(texture() * 1.5)
    quality, inside = measure(picture, MASK), picture[MASK]
    np.testing.assert_array_equal(quality.histogram, np.bincount(inside, minlength=4096))
    assert quality.figures["mean"] == pytest.approx(inside.mean() / 4095, abs=1e-4)
    assert quality.figures["saturation"] == pytest.approx((inside == 4095).mean(), abs=1e-4)
    low, high = np.percentile(inside, [5, 95])
    assert quality.figures["contrast"] == pytest.approx((high - low) / 4095, abs=1e-3)


@pytest.mark.parametrize("sigma", [10.0, 50.0, 250.0])
def test_noise_is_measured_as_it_was_put_in(sigma: float) -> None:
    smooth = cv2.GaussianBlur(texture(), (0, 0), 12)
    picture = shown(smooth + np.random.default_rng(1).normal(0, sigma, smooth.shape))
    figure = measure(picture, MASK).figures["noise"] * 4095
    assert figure == pytest.approx(np.hypot(sigma, 1 / np.sqrt(12)), rel=0.05)
    assert ("noisy" in measure(picture, MASK).flags) == (sigma > 125)


@pytest.mark.parametrize("angle", [0.0, 0.6, np.pi / 2, 2.2])
def test_motion_is_told_from_blur(angle: float) -> None:
    gray = texture()
    assert "motion_suspected" in measure(shown(moved(gray, 9, angle)), MASK).flags
    still = measure(shown(cv2.GaussianBlur(gray, (0, 0), 4)), MASK)
    assert "motion_suspected" not in still.flags
    assert "blurred" in still.flags


@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_that_no_tissue_draws_is_suspected(axis: int) -> None:
    gray = texture()
    line = (300, slice(None)) if axis == 0 else (slice(None), 200)
    gray[line] += 1500
    assert "stripes_suspected" in measure(shown(gray), MASK).flags


def test_a_small_breast_and_a_black_one_are_measured_too() -> None:
    small = np.zeros(MASK.shape, bool)
    small[100:120, :10] = True
    figures = measure(np.where(small, shown(texture()), 0).astype(np.uint16), small).figures
    assert all(np.isfinite(value) for value in figures.values())
    black = measure(np.zeros(MASK.shape, np.uint16), MASK)
    assert set(black.flags) == {"low_contrast", "blurred"}
    assert black.figures["sharpness"] == 0

"""MS-SSIM: by its formula window by window, and one scale of it by scikit-image."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pipelines.pgan import similarity
from tests.pgan.conftest import draw


@pytest.fixture(scope="module")
def breasts() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([draw("ABCD"[i // 10], "CC", rng, 40, 32) for i in range(40)]) / 2047.5 - 1


def by_formula(a: np.ndarray, b: np.ndarray, side: int, scales: int) -> float:
    """Wang et al. 2003, equation 7, each window on its own."""
    line = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    published = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    product = 1.0
    for scale, weight in enumerate(published / published.sum()):
        luminances, contrasts = [], []
        for top in range(a.shape[0] - side + 1):
            for left in range(a.shape[1] - side + 1):
                x, y = a[top : top + side, left : left + side], b[top : top + side, left : left + side]
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
                cov = (window * (x - mx) * (y - my)).sum()
                luminances.append((2 * mx * my + 0.0004) / (mx * mx + my * my + 0.0004))
                contrasts.append((2 * cov + 0.0036) / (vx + vy + 0.0036))
        last = scale == scales - 1
        value = np.mean(np.multiply(luminances, contrasts)) if last else np.mean(contrasts)
        product *= max(value, 0.0) ** weight
        if last:
            return product
        a, b = (p.reshape(p.shape[0] // 2, 2, p.shape[1] // 2, 2).mean((1, 3)) for p in (a, b))
    raise AssertionError


def test_it_is_the_formula(breasts):
    expected = [by_formula(breasts[0], breasts[i], 3, 4) for i in (1, 39)]
    pairs = breasts[[0, 0]], breasts[[1, 39]]
    np.testing.assert_allclose(similarity.multiscale_similarity(*pairs), expected, rtol=1e-9)
    assert expected[0] > expected[1]


def test_one_scale_is_what_scikit_image_measures():
    rng = np.random.default_rng(1)
    a = rng.uniform(-1, 1, (24, 22))
    b = np.clip(a + 0.3 * rng.standard_normal(a.shape), -1, 1)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 2.0, "full": True}
    _, whole = structural_similarity(a, b, **options)
    mine, _ = similarity._similarity(a[None], b[None], similarity._window(11))
    assert mine[0] == pytest.approx(whole[5:-5, 5:-5].mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((5, 4), (3, 1)), ((20, 16), (3, 3)), ((40, 32), (3, 4)), ((80, 64), (3, 5)), ((320, 256), (11, 5))],
)
def test_window_and_scales_follow_the_size(size, expected):
    assert similarity.scales_of(*size) == expected


def test_the_same_picture_is_wholly_alike_and_noise_is_not(breasts):
    np.testing.assert_allclose(similarity.multiscale_similarity(breasts, breasts), 1, rtol=1e-9)
    noise = np.random.default_rng(2).uniform(-1, 1, breasts.shape)
    assert similarity.multiscale_similarity(breasts, noise).max() < 0.3


def test_a_collapsed_class_is_more_alike_than_the_real_one(breasts):
    classes = [c for c in "ABCD" for _ in range(10)]
    fake = breasts.copy()
    fake[:10] = fake[:1]
    figures = similarity.class_similarity(breasts, fake, classes)
    assert figures["per_class"]["A"]["generated"] == pytest.approx(1)
    assert figures["per_class"]["A"]["real"] < 0.98
    assert figures["per_class"]["B"]["generated"] == figures["per_class"]["B"]["real"]
    assert figures["generated"] > figures["real"]


def test_a_class_of_one_has_no_pair(breasts):
    figures = similarity.class_similarity(breasts[:3], breasts[:3], ["A", "A", "B"])
    assert figures["per_class"]["B"] is None
    assert similarity.class_similarity(breasts[:1], breasts[:1], ["A"])["generated"] is None


def test_larger_pictures_are_averaged_down():
    rng = np.random.default_rng(3)
    small = rng.uniform(-1, 1, (2, 320, 256))
    large = small.repeat(2, 1).repeat(2, 2)
    assert similarity.class_similarity(large, large[::-1], ["A", "A"]) == similarity.class_similarity(
        small, small[::-1], ["A", "A"]
    )

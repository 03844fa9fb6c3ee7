"""Figures of merit: zero for the same, larger for worse, against direct computation."""

import numpy as np
import pytest

from pipelines.pgan import metrics
from tests.pgan.conftest import draw


@pytest.fixture
def pictures() -> np.ndarray:
    rng = np.random.default_rng(0)
    drawn = np.stack([draw("ABCD"[i % 4], "CC", rng, 40, 32) for i in range(60)])
    return drawn / 2047.5 - 1


def test_the_bands_add_up_to_the_picture(pictures):
    bands = metrics.laplacian_pyramid(pictures)
    assert [band.shape[1:] for band in bands] == [(40, 32), (20, 16)]
    np.testing.assert_allclose(bands[0] + bands[1].repeat(2, 1).repeat(2, 2), pictures, atol=1e-12)


def test_small_pictures_have_one_band():
    assert [band.shape for band in metrics.laplacian_pyramid(np.zeros((3, 5, 4)))] == [(3, 5, 4)]


def test_distance_grows_with_the_damage(pictures):
    rng = np.random.default_rng(1)
    damaged = [
        metrics.sliced_wasserstein(pictures, pictures + sigma * rng.standard_normal(pictures.shape))["mean"]
        for sigma in (0.0, 0.3, 1.0, 3.0)
    ]
    assert damaged == sorted(damaged)
    assert damaged[-1] > 3 * damaged[0]


def test_in_one_dimension_it_is_the_wasserstein_distance():
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, 60), rng.uniform(-2, 2, 60)
    single = np.stack([a, b])[:, :, None, None]  # pictures of one pixel: each patch is that pixel
    x, y = (values / values.std() for values in (single[0] - single[0].mean(), single[1] - single[1].mean()))
    expected = wasserstein_distance(x.ravel(), y.ravel())
    assert metrics.sliced_wasserstein(single[0], single[1])["mean"] == pytest.approx(1e3 * expected, rel=1e-6)


def test_generated_pictures_like_the_real_ones_are_as_near_as_the_real_ones(pictures):
    figures = metrics.distance_to_real(pictures, pictures)
    noise = metrics.distance_to_real(pictures, np.random.default_rng(3).uniform(-1, 1, pictures.shape))
    assert figures["generated"]["mean"] < 2 * figures["real"]["mean"]
    assert noise["generated"]["mean"] > 3 * noise["real"]["mean"]
    assert noise["real"] == figures["real"]


def test_diversity_is_one_for_the_same_and_near_zero_for_a_collapse(pictures):
    classes = ["A", "B"] * 30
    assert metrics.diversity(pictures, pictures, classes)["mean"] == pytest.approx(1.0)
    collapsed = pictures[:1] + 1e-3 * np.random.default_rng(4).standard_normal(pictures.shape)
    figures = metrics.diversity(pictures, collapsed, classes)
    assert figures["mean"] < 0.01
    assert set(figures["per_class"]) == {"A", "B"}


def test_diversity_is_the_mean_distance_of_pairs():
    from scipy.spatial.distance import pdist

    rng = np.random.default_rng(5)
    real, fake = rng.standard_normal((2, 6, 5, 4))
    expected = pdist(fake.reshape(6, -1)).mean() / pdist(real.reshape(6, -1)).mean()
    assert metrics.diversity(real, fake, ["A"] * 6)["mean"] == pytest.approx(expected)


def test_a_class_of_one_picture_has_no_diversity(pictures):
    figures = metrics.diversity(pictures[:3], pictures[:3], ["A", "A", "B"])
    assert figures["per_class"]["B"] is None
    assert figures["mean"] == pytest.approx(1.0)


def test_dense_fraction_counts_bright_breast_pixels():
    picture = np.full((1, 10, 10), -1.0)
    picture[0, :, :5] = -0.5
    picture[0, :2, :5] = 0.6
    threshold = metrics.dense_threshold(picture)
    assert -0.5 <= threshold < 0.6
    assert metrics.dense_fractions(picture, threshold) == pytest.approx([0.2])
    assert metrics.dense_fractions(np.full((1, 4, 4), -1.0), 0.0).tolist() == [0.0]


def test_density_followed_is_a_rank_correlation():
    rising = metrics.follows_density(np.array([0.1, 0.2, 0.3, 0.4]), ["A", "B", "C", "D"])
    assert rising == {"mean": {"A": 0.1, "B": 0.2, "C": 0.3, "D": 0.4}, "spearman": pytest.approx(1.0)}
    assert metrics.follows_density(np.array([0.4, 0.1]), ["A", "D"])["spearman"] == pytest.approx(-1.0)
    assert metrics.follows_density(np.array([0.4, 0.1]), ["A", "A"])["spearman"] is None

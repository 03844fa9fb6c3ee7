"""Precision, recall, density, coverage: by their definitions point by point, and what they say of planted faults."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.pgan.manifold import features, neighborhood, neighborhood_beside_real
from pipelines.pgan.metrics import dense_fractions, dense_threshold
from tests.pgan.conftest import draw


def by_definition(real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    """Naeem et al. 2020, equations 1-4, point by point."""

    def radius(points: np.ndarray, i: int) -> float:
        return sorted(np.linalg.norm(points[i] - other) for j, other in enumerate(points) if j != i)[k - 1]

    around = [radius(real, i) for i in range(len(real))]
    about = [radius(fake, j) for j in range(len(fake))]
    near = [[np.linalg.norm(x - y) < r for x, r in zip(real, around, strict=True)] for y in fake]
    return {
        "precision": sum(any(balls) for balls in near) / len(fake),
        "recall": sum(any(np.linalg.norm(x - y) < r for y, r in zip(fake, about, strict=True)) for x in real)
        / len(real),
        "density": sum(map(sum, near)) / (k * len(fake)),
        "coverage": sum(any(balls[i] for balls in near) for i in range(len(real))) / len(real),
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 14), st.integers(6, 14), st.integers(1, 5), st.floats(0.1, 4))
def test_it_is_the_definition(seed, real_count, fake_count, k, spread):
    rng = np.random.default_rng(seed)
    real, fake = rng.standard_normal((real_count, 3)), spread * rng.standard_normal((fake_count, 3))
    assert neighborhood(real, fake, k) == pytest.approx(by_definition(real, fake, k))


def test_a_collapse_is_precise_but_recalls_nothing():
    rng = np.random.default_rng(0)
    real = rng.standard_normal((80, 4))
    collapsed = real[:1] + 1e-3 * rng.standard_normal((80, 4))
    figures = neighborhood(real, collapsed)
    assert figures["precision"] == 1
    assert figures["recall"] < 0.05
    assert figures["coverage"] < 0.2


def test_noise_is_neither_precise_nor_covers():
    rng = np.random.default_rng(0)
    figures = neighborhood(rng.standard_normal((80, 4)), 30 + rng.standard_normal((80, 4)))
    assert figures == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_too_few_vectors_are_refused():
    with pytest.raises(ValueError, match="more than 5"):
        neighborhood(np.zeros((5, 2)), np.zeros((9, 2)))


@pytest.fixture(scope="module")
def breasts() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([draw("ABCD"[i % 4], "CC", rng, 40, 32) for i in range(120)]) / 2047.5 - 1


def test_the_dense_fraction_varies_as_much_as_the_gray_values(breasts):
    threshold = dense_threshold(breasts)
    vectors, scale = features(breasts, threshold)
    assert vectors.shape == (120, 321)
    np.testing.assert_allclose(vectors[3, :320].reshape(20, 16), breasts[3].reshape(20, 2, 16, 2).mean((1, 3)))
    np.testing.assert_allclose(vectors[:, 320], scale * dense_fractions(breasts, threshold))
    assert vectors[:, 320].var() == pytest.approx(vectors[:, :320].var(axis=0).sum())


def test_real_beside_real_is_near_one_and_the_same_pictures_are_too(breasts):
    figures = neighborhood_beside_real(breasts, breasts, dense_threshold(breasts))
    assert min(figures["real"].values()) > 0.6
    assert min(figures["generated"].values()) > 0.6
    noise = np.random.default_rng(1).uniform(-1, 1, breasts.shape)
    assert neighborhood_beside_real(breasts, noise, dense_threshold(breasts))["generated"]["coverage"] == 0


def test_few_pictures_are_not_measured(breasts):
    assert neighborhood_beside_real(breasts[:10], breasts, 0.0) == {"generated": None, "real": None}

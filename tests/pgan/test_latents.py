"""Latents on the sphere: each of its own, ways between them, and sisters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import geometric_slerp

from pipelines.pgan.latents import along_arc, latent_of, on_sphere, sisters


def some(count: int, size: int = 64, density: str = "A") -> np.ndarray:
    return np.stack([latent_of(1, density, "CC", number, size) for number in range(count)])


def test_latents_differ_by_each_of_seed_density_view_and_number():
    asked = ((1, "A", "CC", 0), (2, "A", "CC", 0), (1, "B", "CC", 0), (1, "A", "MLO", 0), (1, "A", "CC", 1))
    assert len({latent_of(*own, 64).tobytes() for own in asked}) == 5


def test_latents_are_the_same_for_ever():
    """As they were when the first pictures were named by them, rounded."""
    first = [0.449696, -0.576588, 0.459121, 0.306376, 0.309079, 0.255208]
    np.testing.assert_allclose(latent_of(7, "C", "MLO", 3, 6), first, atol=1e-6)
    later = [0.224662, 0.15965, 0.00175, -0.665164, -0.473374, 0.507455]
    np.testing.assert_allclose(latent_of(0, 1.5, "CC", 10**9, 6), later, atol=1e-6)


def test_latents_are_uniform_on_the_unit_sphere():
    many = some(600)
    np.testing.assert_allclose(np.linalg.norm(many.astype(float), axis=1), 1, atol=1e-6)
    assert np.abs(many.mean(0)).max() < 4 / np.sqrt(600 * 64)
    # the square of a coordinate of a uniform point on the sphere of d dimensions is Beta(1/2, (d − 1)/2)
    assert stats.kstest(many[:, 7].astype(float) ** 2, stats.beta(0.5, 31.5).cdf).pvalue > 0.01
    cosines = (many @ many.T)[np.triu_indices(600, 1)]
    assert np.abs(cosines).max() < 6.5 / np.sqrt(64)


def test_the_arc_is_scipys():
    a, b = (latent.astype(float) / np.linalg.norm(latent.astype(float)) for latent in some(2))
    shares = [0, 0.2, 0.5, 0.9, 1]
    np.testing.assert_allclose(along_arc(a, b, shares), geometric_slerp(a, b, shares), atol=1e-6)


@given(st.integers(2, 40), st.integers(0, 10**6), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_angles_on_the_arc_grow_evenly(size, seed, share):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, size))
    (middle,) = along_arc(3 * a, b, [share])
    unit_a, unit_b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    angle = np.arccos(np.clip(unit_a @ unit_b, -1, 1))
    assert np.linalg.norm(middle.astype(float)) == pytest.approx(1, abs=1e-6)
    assert middle @ unit_a == pytest.approx(np.cos(share * angle), abs=1e-5)
    assert middle @ unit_b == pytest.approx(np.cos((1 - share) * angle), abs=1e-5)


def test_from_a_latent_to_itself_and_to_its_opposite():
    (a,) = some(1)
    np.testing.assert_allclose(along_arc(a, a, [0, 0.5, 1]), [a] * 3, atol=1e-6)
    there = along_arc(a, -a, [0, 0.5, 1])
    np.testing.assert_allclose(np.linalg.norm(there, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(there[[0, 2]], [a, -a], atol=1e-6)
    assert there[1] @ a == pytest.approx(0, abs=1e-6)


def test_no_length_is_no_direction():
    with pytest.raises(ValueError, match="no direction"):
        on_sphere(np.zeros((2, 4)))


@pytest.mark.parametrize("likeness", [0.0, 0.5, 0.85, 1.0])
def test_sisters_are_as_alike_as_asked_and_as_usual_as_others(likeness):
    shared, left, right = some(300), some(300, density="B"), some(300, density="C")
    pairs = np.stack([sisters(s, (a, b), likeness) for s, a, b in zip(shared, left, right, strict=True)])
    np.testing.assert_allclose(np.linalg.norm(pairs, axis=2), 1, atol=1e-6)
    cosines = (pairs[:, 0] * pairs[:, 1]).sum(1)
    assert cosines.mean() == pytest.approx(likeness, abs=0.03)
    assert stats.kstest(pairs[:, 0, 7].astype(float) ** 2, stats.beta(0.5, 31.5).cdf).pvalue > 0.01

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.label.fuzzy_clusters import cluster, count_humps, memberships


def slow_step(counts, centers):
    """One round of Bezdek's fuzzy c-means with exponent 2, pixel by pixel, as the book writes it."""
    above, below = [0.0] * len(centers), [0.0] * len(centers)
    shares = [0.0] * len(centers)
    for gray, count in enumerate(counts):
        for _ in range(int(count)):
            distances = [abs(gray - c) for c in centers]
            if min(distances) == 0:
                at = [d == 0 for d in distances]
                degrees = [a / sum(at) for a in at]
            else:
                degrees = [1 / sum((d / other) ** 2 for other in distances) for d in distances]
            for i, degree in enumerate(degrees):
                above[i] += degree**2 * gray
                below[i] += degree**2
                shares[i] += degree
    return [a / b for a, b in zip(above, below, strict=True)], [s / sum(shares) for s in shares]


def slow_cluster(counts, centers):
    """Rounds to a standstill, from given centers."""
    for _ in range(2000):
        moved, shares = slow_step(counts, centers)
        if max(abs(m - c) for m, c in zip(moved, centers, strict=True)) < 1e-5:
            break
        centers = moved
    return moved, shares


@pytest.mark.parametrize("count", [2, 3])
def test_it_ends_where_a_slow_one_over_pixels_ends(count):
    rng = np.random.default_rng(count)
    gray = np.concatenate([rng.normal(at, 6, n) for at, n in zip((30, 90, 150), (120, 60, 30), strict=True)])
    counts = np.bincount(np.rint(gray).clip(0).astype(int))
    found = cluster(counts, count)
    centers, shares = slow_cluster(counts, list(np.linspace(20, 160, count)))
    np.testing.assert_allclose(found.centers, centers, atol=0.02)
    np.testing.assert_allclose(found.shares, shares, atol=1e-3)


def test_two_spikes_are_two_clusters():
    counts = np.zeros(4096)
    counts[1000], counts[3000] = 300, 100
    found = cluster(counts, 2)
    np.testing.assert_allclose(found.centers, (1000, 3000))
    np.testing.assert_allclose(found.shares, (0.75, 0.25))


def test_well_apart_clusters_have_their_pixels_share():
    rng = np.random.default_rng(0)
    gray = np.concatenate([rng.normal(at, 25, n) for at, n in ((800, 6000), (1900, 3000), (3200, 1000))])
    counts = np.bincount(np.rint(gray).astype(int), minlength=4096)
    assert count_humps(counts) == 3
    found = cluster(counts, 3)
    np.testing.assert_allclose(found.centers, (800, 1900, 3200), atol=12)
    np.testing.assert_allclose(found.shares, (0.6, 0.3, 0.1), atol=0.01)


def test_more_humps_more_clusters():
    gray = np.arange(4096)
    five = sum(np.exp(-(((gray - at) / 60) ** 2)) for at in (600, 1200, 1800, 2400, 3000))
    assert count_humps(np.rint(1000 * five)) == 5
    assert count_humps(np.rint(1000 * np.exp(-(((gray - 2000) / 300) ** 2)))) == 3  # never fewer
    assert count_humps(np.bincount([7] * 5)) == 3


def test_equal_distances_and_shared_places_are_shared():
    np.testing.assert_allclose(memberships(np.array([5.0]), np.array([0.0, 10.0]))[:, 0], (0.5, 0.5))
    np.testing.assert_allclose(memberships(np.array([5.0]), np.array([5.0, 5.0, 9.0]))[:, 0], (0.5, 0.5, 0))


def test_too_few_gray_values_are_no_clusters():
    counts = np.zeros(4096)
    assert cluster(counts, 1) is None
    counts[5] = 10
    assert cluster(counts, 2) is None
    assert cluster(counts, 1).centers == pytest.approx([5])


@pytest.mark.parametrize("counts", [[1, -1], [1, math.nan], [[1, 2]]])
def test_what_is_no_histogram_is_refused(counts):
    with pytest.raises(ValueError, match="histogram"):
        cluster(np.array(counts), 1)
    with pytest.raises(ValueError, match="fewer than one"):
        cluster(np.ones(3), 0)


@settings(max_examples=60, deadline=None)
@given(arrays(np.int64, st.integers(2, 60), elements=st.integers(0, 1000)), st.integers(2, 6))
def test_any_histogram_gives_clusters_that_rise_within_it(counts, count):
    found = cluster(counts, count)
    occurring = np.flatnonzero(counts)
    if occurring.size < count:
        assert found is None
        return
    assert (np.diff(found.centers) >= 0).all()
    assert occurring[0] - 1e-9 <= found.centers[0]
    assert found.centers[-1] <= occurring[-1] + 1e-9
    assert found.shares.sum() == pytest.approx(1)
    np.testing.assert_array_equal(cluster(counts, count).centers, found.centers)

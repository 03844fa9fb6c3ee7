"""Weights against sums written out in float64, one pixel after another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.normalize.weights import Weights, between, resized

SIZES = st.integers(1, 60)


def dense(weights: Weights) -> np.ndarray:
    return weights @ np.eye(weights.old, dtype=np.float32)


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES)
def test_rows_are_shares_of_area_or_of_distance(old: int, new: int) -> None:
    found = dense(resized(old, new))
    assert found.shape == (new, old)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    for n in range(new):
        if new <= old:
            start, stop = n * old / new, (n + 1) * old / new
            expected = [max(0.0, min(stop, k + 1) - max(start, k)) * new / old for k in range(old)]
        else:
            center = min(max((n + 0.5) * old / new - 0.5, 0), old - 1)
            expected = [max(0.0, 1 - abs(center - k)) for k in range(old)]
        np.testing.assert_allclose(found[n], expected, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 25), min_size=1, max_size=20), st.integers(1, 20))
def test_places_between_pixels_are_interpolated(at: list[float], old: int) -> None:
    line = np.random.default_rng(old).random(old).astype(np.float32)
    found = between(np.array(at), old) @ line[:, None]
    np.testing.assert_allclose(found[:, 0], np.interp(at, np.arange(old), line), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(SIZES, SIZES, st.data())
def test_a_part_needs_only_what_it_says(old: int, new: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, new - 1))
    stop = data.draw(st.integers(start + 1, new))
    pixels = np.random.default_rng(new).random((old, 3)).astype(np.float32)
    weights = resized(old, new)
    needed, part = weights.part(start, stop)
    np.testing.assert_array_equal(part @ pixels[needed], (weights @ pixels)[start:stop])


@pytest.mark.parametrize("pixels", [np.ones((4, 2)), np.ones((5, 2), np.float32), np.ones(4, np.float32)])
def test_other_pixels_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not the pixels"):
        resized(4, 2) @ pixels

"""Thresholds reject as few real pictures as they are told to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.synthesize.calibration import Spread, allowed, times


def test_a_spread_reaches_to_the_quantiles_and_beyond() -> None:
    values = np.random.default_rng(0).normal(3, 2, 100_000)
    spread = Spread.of(values)
    assert (spread.middle, spread.down, spread.up) == pytest.approx((3, 2 * 1.645, 2 * 1.645), abs=0.05)
    assert spread.below(1) == pytest.approx(np.quantile(values, 0.05))
    assert spread.above(2) == pytest.approx(spread.middle + 2 * spread.up)
    assert Spread.of([5.0]).below(2) == pytest.approx(5.0)


@given(st.integers(1, 500), st.floats(0, 0.5))
def test_as_many_may_lie_outside_as_the_share_allows(count: int, share: float) -> None:
    out = allowed(count, share)
    assert 0 <= out < count
    assert out == 0 or (out + 1) / (count + 1) <= share + 1e-6
    assert (out + 2) / (count + 1) > share


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_new_pictures_are_rejected_no_more_often_than_wanted(share: float) -> None:
    random = np.random.default_rng(1)
    sides, rejected = {"a": "low", "b": "high"}, []
    for _ in range(300):
        known, new = ([{"a": a, "b": b} for a, b in random.standard_t(4, (n, 2))] for n in (99, 50))
        spreads = {name: Spread.of([row[name] for row in known]) for name in sides}
        far = times(spreads, sides, known, allowed(len(known), share))
        low, high = spreads["a"].below(far), spreads["b"].above(far)
        rejected.append(np.mean([row["a"] < low or row["b"] > high for row in new]))
    assert np.mean(rejected) <= share + 0.01
    assert np.mean(rejected) > share / 4


def test_a_figure_that_is_missing_does_not_count() -> None:
    spreads = {"a": Spread(0.0, 1.0, 1.0), "b": Spread(0.0, 1.0, 1.0)}
    assert times(spreads, {"a": "low", "b": "high"}, [{"a": -3.0}, {"b": 4.0}, {}], 0) == 4.0
    assert times(spreads, {"a": "low", "b": "high"}, [{"a": -3.0}, {"b": 4.0}, {}], 1) == 3.0
    assert times(spreads, {"a": "low", "b": "high"}, [], 0) == 1.0

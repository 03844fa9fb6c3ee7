"""Curves against their formula: a tissue shown by known looks must end in one look, the mean of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from pipelines.normalize.curve_fitting import FEW, LEVELS, Pool, compare, empty_pool, fit

LOOKS = (lambda x: x, lambda x: x**1.8, lambda x: 0.15 + 0.7 * x, lambda x: np.sqrt(x))
"""Vendors' gray curves on 0…1."""

TISSUE = {"A": (3, 12), "B": (3, 8), "C": (4, 5), "D": (6, 4)}
"""Each density's distribution of brightness 0…1: the two parameters of a beta distribution."""


def pool(look: int, counts: dict[str, int], unknown: int = 0) -> Pool:
    """Pictures of a look with exactly the densities' distributions; ``unknown`` more at an equal mix of them."""
    made = empty_pool()
    for at, (density, shape) in enumerate(TISSUE.items()):
        shown = LOOKS[look](beta.ppf((np.arange(50000) + 0.5) / 50000, *shape))
        histogram = np.bincount(np.rint(shown * 4095).astype(int), minlength=LEVELS) / 50000
        made.sums[at] = counts.get(density, 0) * histogram
        made.sums[4] += unknown / 4 * histogram
        made.counts[at] = counts.get(density, 0)
    made.counts[4] = unknown
    return made


def shown_as(curve: np.ndarray, look: int, brightness: np.ndarray) -> np.ndarray:
    """Gray after the curve of a brightness 0…1 shown by a look."""
    return np.interp(LOOKS[look](brightness) * 4095, np.arange(LEVELS), curve)


EVERY = dict.fromkeys("ABCD", 20)
SEEN = np.linspace(beta.ppf(0.01, *TISSUE["A"]), beta.ppf(0.99, *TISSUE["D"]), 200)


def test_common_look_is_the_mean_of_the_looks() -> None:
    curves = fit([pool(look, EVERY) for look in range(4)], range(4))
    mean = 4095 * np.mean([look(SEEN) for look in LOOKS], axis=0)
    for look, curve in enumerate(curves):
        assert np.abs(shown_as(curve, look, SEEN) - mean).max() < 12


@pytest.mark.parametrize(
    "mixes",
    [
        ({"A": 40, "B": 30, "C": 5, "D": 2}, {"A": 2, "B": 5, "C": 30, "D": 40}),  # the one fatty, the other dense
        ({"A": 20, "B": 20}, EVERY),  # classes that the one lacks
        (EVERY, {"D": 60}),  # dense breasts alone
    ],
)
def test_looks_meet_though_one_vendor_sees_other_densities(mixes: tuple[dict[str, int], ...]) -> None:
    first, second = fit([pool(1, mixes[0]), pool(2, mixes[1])], [0, 1])
    low, high = (
        max(beta.ppf(0.02, *TISSUE[min(m)]) for m in mixes),
        min(beta.ppf(0.98, *TISSUE[max(m)]) for m in mixes),
    )
    seen = np.linspace(low, high, 100)
    assert np.abs(shown_as(first, 1, seen) - shown_as(second, 2, seen)).max() < 25


def test_matching_them_as_they_are_would_have_taken_density_out() -> None:
    """What the re-weighting is for: without densities the dense vendor's breasts become as dark as the fatty one's."""
    fatty, dense = {"A": 40, "B": 30, "C": 5, "D": 2}, {"A": 2, "B": 5, "C": 30, "D": 40}
    blind = [
        Pool(np.vstack([np.zeros((4, LEVELS)), p.sums.sum(axis=0)]), np.array([0, 0, 0, 0, p.counts.sum()]))
        for p in (pool(1, fatty), pool(2, dense))
    ]
    first, second = fit(blind, [0, 1])
    assert np.abs(shown_as(first, 1, SEEN) - shown_as(second, 2, SEEN)).max() > 300


def test_two_groups_that_share_no_density_meet_through_a_third() -> None:
    fatty, dense, bridge = fit([pool(0, {"A": 40, "B": 40}), pool(1, {"C": 40, "D": 40}), pool(2, EVERY)], range(3))
    for look, curve, shape in ((0, fatty, TISSUE["B"]), (1, dense, TISSUE["C"])):
        seen = np.linspace(*beta.ppf([0.05, 0.95], *shape), 50)
        assert np.abs(shown_as(curve, look, seen) - shown_as(bridge, 2, seen)).max() < 25


def test_groups_that_share_no_density_are_left_apart() -> None:
    assert fit([pool(0, {"A": 40}), pool(1, {"D": 40})], [0, 1]) == [None, None]
    assert compare(pool(0, {"A": 40}), pool(1, {"D": 40})).overlap == 0


def test_how_pools_are_compared() -> None:
    both = compare(pool(0, {"A": 10, "B": 30}), pool(0, {"B": 60, "C": 9}))
    assert both.overlap == pytest.approx(30 * 60 / 90)
    np.testing.assert_allclose(both.weights, [0, 20, 0, 0])
    unlabeled = compare(pool(0, EVERY), pool(0, {}, unknown=40))
    assert (unlabeled.weights, unlabeled.overlap) == (None, pytest.approx(80 * 40 / 120))
    few = compare(pool(0, {"A": 4}, unknown=40), pool(0, {"A": 50}))
    assert FEW > 4 * 50 / 54
    assert few.weights is None


def test_a_single_reference_keeps_its_grays_and_others_come_to_it() -> None:
    kept, brought = fit([pool(1, EVERY), pool(2, EVERY)], [0])
    assert np.abs(kept - np.arange(LEVELS)).max() < 1e-6
    assert np.abs(shown_as(brought, 2, SEEN) - 4095 * LOOKS[1](SEEN)).max() < 12


def test_nothing_to_fit() -> None:
    assert fit([], []) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32), st.floats(0.001, 50), st.booleans()), min_size=2, max_size=5))
def test_any_histograms_give_rising_curves(made: list[tuple[int, float, bool]]) -> None:
    """Combs, single grays, pure black and white: whatever the pictures hold, a curve keeps order and both ends."""
    pools = []
    for seed, spread, is_labeled in made:
        rng = np.random.default_rng(seed)
        new = empty_pool()
        for at in range(5) if is_labeled else [4]:
            weights = rng.random(LEVELS) ** spread * (rng.random(LEVELS) < rng.choice([1, 0.5, 0.01]))
            weights[rng.choice([0, 17, 4095])] += 1e-3
            new.counts[at] = rng.integers(1, 60)
            new.sums[at] = new.counts[at] * weights / weights.sum()
        pools.append(new)
    for curve in fit(pools, range(len(pools))):
        assert curve is not None
        assert (np.diff(curve) >= 0).all()
        assert (curve[0], curve[-1]) == (0, LEVELS - 1)

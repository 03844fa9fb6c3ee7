"""The statistics of harmonization against scipy, scikit-learn and arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from pipelines.evaluate.vendor_statistics import common_mix, density_correlation, spearman, vendor_accuracy


def names(values: list[str | None]) -> np.ndarray:
    return np.array(values, object)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)), min_size=3, max_size=40))
def test_rank_correlation_is_scipys(rows: list[tuple[int, int, int]]) -> None:
    """Also of samples in which a pair stands several times, or not at all."""
    x, y, times = np.array(rows, float).T
    found = spearman(x, y, np.array([np.ones(len(x)), times]))
    for value, repeats in zip(found, (np.ones(len(x), int), times.astype(int)), strict=True):
        a, b = np.repeat(x, repeats), np.repeat(y, repeats)
        if len(set(a)) > 1 and len(set(b)) > 1:
            assert value == pytest.approx(spearmanr(a, b)[0], abs=1e-9)
        else:
            assert value == 0.0


def test_every_vendor_has_one_mix_of_densities() -> None:
    vendors = names(["a"] * 40 + ["b"] * 50)
    densities = names(["A"] * 10 + ["B"] * 25 + ["D"] * 5 + ["A"] * 40 + ["B"] * 5 + [None] * 5)
    weights = common_mix(vendors, densities)
    mixes = [
        [weights[(vendors == vendor) & (densities == density)].sum() for density in "ABD"] for vendor in ("a", "b")
    ]
    np.testing.assert_allclose(mixes[0], [10 * 40 / 50, 25 * 5 / 30, 0])
    np.testing.assert_allclose(mixes[0], mixes[1])
    assert weights[densities == None].max() == 0  # noqa: E711 - element by element


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, ...]:
    """Features, vendors and patients of three vendors of 40 patients with two pictures each, 1 apart and 0 apart."""
    rng = np.random.default_rng(0)
    vendors = names(list("abc" * 80))
    patients = names([f"P{n // 6}{v}" for n, v in enumerate(vendors)])
    noise = rng.normal(0, 0.2, (240, 4))
    return noise + np.array([["abc".index(v)] for v in vendors]), noise, vendors, patients


def test_vendors_apart_are_told_and_vendors_alike_are_not(pictures: tuple[np.ndarray, ...]) -> None:
    apart, alike, vendors, patients = pictures
    found = vendor_accuracy((apart, alike), vendors, patients, np.ones(240))
    assert set(found) == {"a", "b", "c", "*"}
    assert found["*"].before.value > 0.95
    assert found["*"].after.value == pytest.approx(1 / 3, abs=0.1)
    assert found["*"].after.low <= found["*"].after.value <= found["*"].after.high
    assert found["*"].before.value == pytest.approx(np.mean([found[v].before.value for v in "abc"]), abs=1e-5)
    assert found["*"].change.high < -0.4
    assert vendor_accuracy((apart, alike), vendors, patients, np.ones(240)) == found


def test_interval_is_as_wide_as_the_binomial_of_patients_says(pictures: tuple[np.ndarray, ...]) -> None:
    """With all pictures of a patient told alike, recall is a share of 40 patients, not of 80 pictures."""
    rng = np.random.default_rng(1)
    vendors, patients = pictures[2:]
    mixed = {patient: rng.random() for patient in sorted(set(patients))}
    features = np.array([[mixed[p] + 0.8 * (v == "a")] for p, v in zip(patients, vendors, strict=True)])
    told = vendor_accuracy((features, features), vendors, patients, np.ones(240))["a"].before
    error = np.sqrt(told.value * (1 - told.value) / 40)
    assert 0.6 < told.value < 0.95
    assert told.high - told.low == pytest.approx(2 * 1.96 * error, rel=0.2)


def test_a_density_that_one_vendor_sees_more_often_does_not_tell_it() -> None:
    rng = np.random.default_rng(2)
    vendors = names(["a"] * 200 + ["b"] * 200)
    densities = names(["A"] * 160 + ["D"] * 40 + ["A"] * 40 + ["D"] * 160)
    patients = names([f"P{n}" for n in range(400)])
    gray = np.array([[float(d == "D") + rng.normal(0, 0.3)] for d in densities])
    plain = vendor_accuracy((gray, gray), vendors, patients, np.ones(400))["*"].after.value
    mixed = vendor_accuracy((gray, gray), vendors, patients, common_mix(vendors, densities))["*"].after.value
    assert plain > 0.75
    assert mixed == pytest.approx(0.5, abs=0.1)


def test_density_within_vendors_and_its_loss() -> None:
    rng = np.random.default_rng(3)
    ranks = np.tile([0.0, 1, 2, 3], 60)
    vendors = names(["a"] * 160 + ["b"] * 80)
    patients = names([f"P{n // 4}" for n in range(240)])
    before = ranks + rng.normal(0, 1, 240)
    after = np.where(vendors == "a", before, rng.normal(0, 1, 240))
    found = density_correlation((before, after), ranks, vendors, patients)
    own = vendors == "b"
    assert found["b"].before.value == pytest.approx(spearmanr(before[own], ranks[own])[0], abs=1e-5)
    assert found["*"].after.value == pytest.approx(
        2 / 3 * found["a"].after.value + found["b"].after.value / 3, abs=1e-5
    )
    assert found["a"].change.value == found["a"].change.high == 0
    assert found["b"].change.high < -0.3
    assert found["*"].change.high < 0

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pipelines.label.ordinal import fit_ordinal, log_likelihoods, probabilities


def simulate(slopes, thresholds, n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(slopes)))
    return x, np.searchsorted(thresholds, x @ slopes + rng.logistic(size=n))


def plain_loss(thresholds, slopes, x, first, last, weights, ridge, classes):
    """The penalized negative log likelihood, row by row in plain arithmetic; a quarter of a case of each class."""

    def below(k, predictor):
        return 0.0 if k < 0 else 1.0 if k >= classes - 1 else 1 / (1 + np.exp(predictor - thresholds[k]))

    loss = 0.5 * sum(r * s**2 for r, s in zip(ridge, slopes, strict=True))
    for row, a, b, weight in zip(x, first, last, weights, strict=True):
        predictor = sum(v * s for v, s in zip(row, slopes, strict=True))
        loss -= weight * np.log(below(b, predictor) - below(a - 1, predictor))
    return loss - sum(0.25 * np.log(below(k, 0.0) - below(k - 1, 0.0)) for k in range(classes))


def problem():
    x, y = simulate([1.0, -0.6], [-1.0, 0.5, 1.8], 120)
    rng = np.random.default_rng(5)
    last = np.minimum(3, y + (rng.random(120) < 0.2))
    return x, y, last, rng.uniform(0.3, 1.0, 120), np.array([0.5, 2.0])


def test_no_other_optimizer_finds_better():
    x, first, last, weights, ridge = problem()
    found = fit_ordinal(x, first, last, weights, ridge, 4)

    def loss(p):
        return plain_loss(p[:3], p[3:], x, first, last, weights, ridge, 4) if (np.diff(p[:3]) > 0).all() else 1e9

    other = minimize(
        loss, [-1, 0, 1, 0, 0], method="Nelder-Mead", options={"maxiter": 3000, "xatol": 1e-6, "fatol": 1e-9}
    )
    own = loss(np.concatenate([found.thresholds, found.slopes]))
    assert own <= other.fun + 1e-6
    np.testing.assert_allclose(np.concatenate([found.thresholds, found.slopes]), other.x, atol=2e-3)


def test_no_point_of_a_grid_is_likelier():
    x, first, last, weights, _ = problem()
    first, last = np.minimum(first, 1), np.minimum(last, 1)
    ridge = np.array([1.0])
    found = fit_ordinal(x[:, :1], first, last, weights, ridge, 2)
    grid = [
        (plain_loss([t], [s], x[:, :1], first, last, weights, ridge, 2), t, s)
        for t in np.linspace(-2, 2, 41)
        for s in np.linspace(-1, 3, 41)
    ]
    _, threshold, slope = min(grid)
    assert abs(found.thresholds[0] - threshold) <= 0.1
    assert abs(found.slopes[0] - slope) <= 0.1
    assert plain_loss(found.thresholds, found.slopes, x[:, :1], first, last, weights, ridge, 2) <= min(grid)[0]


def test_it_recovers_what_drew_the_data():
    slopes, thresholds = np.array([1.2, -0.7, 0.0]), np.array([-2.0, 0.1, 1.6])
    x, y = simulate(slopes, thresholds, 6000, seed=3)
    found = fit_ordinal(x, y, y, np.ones(len(y)), np.full(3, 1e-3), 4)
    np.testing.assert_allclose(found.slopes, slopes, atol=0.1)
    np.testing.assert_allclose(found.thresholds, thresholds, atol=0.12)


def test_ranges_of_classes_recover_it_too():
    slopes, thresholds = np.array([1.2]), np.array([-2.0, 0.1, 1.6])
    x, y = simulate(slopes, thresholds, 6000, seed=4)
    coarse = np.random.default_rng(0).random(6000) < 0.5
    first, last = np.where(coarse, y // 2 * 2, y), np.where(coarse, y // 2 * 2 + 1, y)
    found = fit_ordinal(x, first, last, np.ones(6000), np.full(1, 1e-3), 4)
    np.testing.assert_allclose(found.slopes, slopes, atol=0.1)
    np.testing.assert_allclose(found.thresholds, thresholds, atol=0.15)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 25),
    st.integers(2, 5),
    st.integers(0, 2**16),
    st.sampled_from([0.01, 1.0, 100.0]),
)
def test_thresholds_rise_and_probabilities_are_some_whatever_the_data(n, classes, seed, ridge):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 3, (n, 2)), rng.integers(0, classes, n)
    found = fit_ordinal(x, y, y, np.ones(n), np.full(2, ridge), classes)
    assert np.isfinite(found.thresholds).all()
    assert (np.diff(found.thresholds) > 0).all()
    chances = probabilities(x @ found.slopes, found.thresholds)
    assert (chances >= 0).all()
    np.testing.assert_allclose(chances.sum(1), 1)


def test_an_unseen_class_stays_possible_and_one_that_is_separate_stays_finite():
    x = np.array([[-1.0], [-0.9], [0.9], [1.0]])
    y = np.array([1, 1, 2, 2])
    found = fit_ordinal(x, y, y, np.ones(4), np.array([1.0]), 4)
    chances = probabilities(x @ found.slopes, found.thresholds)
    assert (chances > 0.005).all()
    assert (chances.argmax(1) == y).all()


def test_likelihoods_agree_with_probabilities_and_hold_far_out():
    thresholds, predictors = np.array([-1.0, 0.0, 2.0]), np.linspace(-3, 3, 7)
    chances = probabilities(predictors, thresholds)
    for k in range(4):
        at = np.full(7, k)
        np.testing.assert_allclose(np.exp(log_likelihoods(predictors, thresholds, at, at)), chances[:, k])
    whole = log_likelihoods(predictors, thresholds, np.full(7, 0), np.full(7, 3))
    np.testing.assert_allclose(whole, 0, atol=1e-12)
    far = log_likelihoods(np.array([800.0]), thresholds, np.array([1]), np.array([1]))
    assert far[0] == pytest.approx(np.log(np.expm1(1.0)) - 801.0, abs=1e-6)


def test_what_makes_no_sense_is_refused():
    x, y = np.ones((3, 1)), np.zeros(3, int)
    ones, ridge = np.ones(3), np.ones(1)
    for arguments in (
        (x, y, y, ones, ridge, 1),
        (x, y, y, ones[:2], ridge, 3),
        (x, y, y, -ones, ridge, 3),
        (np.full((3, 1), np.nan), y, y, ones, ridge, 3),
        (x, y + 1, y, ones, ridge, 3),
        (x, y, y + 3, ones, ridge, 3),
    ):
        with pytest.raises(ValueError):
            fit_ordinal(*arguments)

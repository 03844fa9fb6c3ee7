from statistics import NormalDist

import numpy as np
import pytest

from pipelines.curate.power import PowerSettings, detectable, measure_power, needed


@pytest.mark.parametrize(
    ("expected", "difference", "power", "cases"),
    [
        (0.60, 0.10, 0.80, 388),  # Fleiss, Levin & Paik 2003, table A.4 (less its continuity correction)
        (0.85, 0.10, 0.80, 251),  # R: power.prop.test(p1 = .85, p2 = .75, power = .8) gives n = 249.8
        (0.75, 0.25, 0.90, 77),  # R: power.prop.test(p1 = .75, p2 = .50, power = .9) gives n = 76.7
    ],
)
def test_known_numbers(expected, difference, power, cases):
    found = needed(PowerSettings(expected, difference, power=power))
    assert found == pytest.approx(cases, abs=1)


def test_so_many_cases_have_the_power_in_simulation():
    settings = PowerSettings(0.85, 0.10)
    n, trials = needed(settings), 40000
    rng = np.random.default_rng(0)
    first, second = rng.binomial(n, 0.85, trials) / n, rng.binomial(n, 0.75, trials) / n
    middle = (first + second) / 2
    z = (first - second) / np.sqrt(2 * middle * (1 - middle) / n)
    assert (z > NormalDist().inv_cdf(0.975)).mean() == pytest.approx(0.80, abs=0.015)


def test_the_detectable_difference_is_the_one_that_needs_so_many():
    settings = PowerSettings(0.85, 0.10)
    for difference in (0.05, 0.1, 0.3):
        cases = needed(PowerSettings(0.85, difference))
        assert detectable(cases, settings) == pytest.approx(difference, abs=0.003)
    assert detectable(0, settings) is None
    assert detectable(3, settings) is None


def test_classes_that_are_too_small_are_named():
    rows = [{"split": "test", "density": "B", "cluster": f"P-{n}"} for n in range(300)]
    rows += [{"split": "test", "density": "D", "cluster": f"P-{n % 4}"} for n in range(300)]
    found = {(r["split"], r["density"]): r for r in measure_power(rows).to_pylist()}
    assert len(found) == 12
    assert (found["test", "B"]["patients"], found["test", "B"]["enough"]) == (300, True)
    assert (found["test", "D"]["patients"], found["test", "D"]["enough"]) == (4, False)  # women, not images
    assert found["test", "A"]["detectable"] is None


@pytest.mark.parametrize(
    "wrong", [{"difference": 0.0}, {"difference": 0.9}, {"expected": 1.0}, {"alpha": 0}, {"power": 1}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="shares"):
        PowerSettings(**wrong)

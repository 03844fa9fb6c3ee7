import numpy as np
import pytest

from pipelines.label.density_model import CEILING, DensityModel, fit
from pipelines.label.percent_density import NAMES

THRESHOLDS = np.array([-2.2, 0.0, 2.2])
DENSITY = NAMES.index("percent_density")


def simulate(patients, *, slope=2.0, shift=None, seed=0, start=0, group=lambda i: "one"):
    """Two breasts a patient; classes follow the first measure, with a vendor's shift."""
    rng = np.random.default_rng([seed, start])
    x, words, groups, ids = [], [], [], []
    for i in range(start, start + patients):
        level, vendor = rng.normal(), group(i)
        rank = np.searchsorted(THRESHOLDS, slope * level + (shift or {}).get(vendor, 0.0) + rng.logistic())
        for _ in range(2):
            row = rng.normal(0, 0.1, len(NAMES))
            row[DENSITY] = 0.3 + 0.1 * level
            x.append(row)
            words.append("ABCD"[rank])
            groups.append(vendor)
            ids.append(f"P-{i}")
    return np.array(x), words, groups, ids


def test_it_tells_densities_of_patients_it_has_not_seen():
    model = fit(*simulate(300))
    x, words, groups, _ = simulate(400, start=1000)
    chances = model.probabilities(x, groups)
    np.testing.assert_allclose(chances.sum(1), 1)
    ranks = np.array(["ABCD".index(w) for w in words])
    level = (x[:, DENSITY] - 0.3) * 10
    edges = 1 / (1 + np.exp(2.0 * level[:, None] - THRESHOLDS))
    true = np.diff(np.pad(edges, ((0, 0), (1, 1)), constant_values=(0, 1)), axis=1)
    true[:, -1] = 1 - edges[:, -1]
    assert np.abs(chances - true).mean() < 0.04
    assert (chances.argmax(1) == ranks).mean() > (true.argmax(1) == ranks).mean() - 0.04


def test_its_confidence_is_calibrated():
    model = fit(*simulate(300))
    x, words, groups, _ = simulate(3000, start=5000)
    chances = model.probabilities(x, groups)
    right = chances.argmax(1) == np.array(["ABCD".index(w) for w in words])
    confidence = chances.max(1)
    bins = np.digitize(confidence, np.quantile(confidence, np.arange(0.1, 1, 0.1)))
    error = sum(abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in range(10)) / len(right)
    assert error < 0.05


def test_chance_measures_are_cooled_down_to_the_mix():
    x, words, groups, ids = simulate(200)
    x[:] = np.random.default_rng(1).normal(size=x.shape)
    model = fit(x, words, groups, ids)
    mix = np.bincount(["ABCD".index(w) for w in words], minlength=4) / len(words)
    assert np.abs(model.probabilities(x, groups) - mix).mean() < 0.06
    assert model.cap < mix.max() + 0.05
    assert model.temperature >= 1


def test_the_cap_is_what_was_right_and_never_above_the_ceiling():
    assert fit(*simulate(300, slope=20.0)).cap == CEILING
    weak = fit(*simulate(300, slope=0.3))
    assert 0.2 < weak.cap < CEILING


def lead(model: DensityModel, group: str | None) -> float:
    """How much denser a group's middling breast is judged than that of the plain vendor."""
    at = np.zeros((1, len(NAMES)))
    at[0, DENSITY] = 0.3
    return float(model.predictors(at, [group])[0] - model.predictors(at, ["plain"])[0])


def test_vendor_groups_go_their_own_way_as_far_as_their_patients_carry():
    def learned(every):
        cohort = simulate(300, shift={"odd": 3.0}, group=lambda i: "odd" if i % every == 0 else "plain")
        return fit(*cohort, candidates=[("percent_density",)])

    many, some, few = learned(2), learned(25), learned(43)  # 150, 12 and 7 patients
    assert 2.0 < lead(many, "odd") < 4.0
    assert 0.3 < lead(some, "odd") < lead(many, "odd")
    assert set(many.groups) == set(some.groups) == {"odd", "plain"}
    assert set(few.groups) == {"plain"}
    assert lead(few, "odd") == lead(few, "never seen") == lead(few, None)


def test_ranges_of_densities_teach_too():
    x, words, groups, ids = simulate(300)
    coarse = ["AB" if i % 3 and w in "AB" else "CD" if i % 3 and w in "CD" else w for i, w in enumerate(words)]
    one, other = fit(x, words, groups, ids), fit(x, coarse, groups, ids)
    assert np.abs(one.probabilities(x, groups) - other.probabilities(x, groups)).mean() < 0.05


def test_a_patient_counts_once():
    x, words, groups, ids = simulate(60)
    many = [0] * 20 + list(range(len(ids)))
    one = fit(x, words, groups, ids)
    other = fit(x[many], [words[i] for i in many], [groups[i] for i in many], [ids[i] for i in many])
    np.testing.assert_allclose(one.thresholds, other.thresholds, atol=0.1)


def test_too_few_patients_or_one_class_are_no_model():
    assert fit(*simulate(29)) is None
    x, words, groups, ids = simulate(100)
    assert fit(x, ["B"] * len(words), groups, ids) is None
    assert fit(x, ["BC"] * len(words), groups, ids) is None
    with pytest.raises(ValueError, match="density"):
        fit(x, ["E"] * len(words), groups, ids)


def test_same_data_same_bytes_and_there_and_back():
    one, other = fit(*simulate(60)), fit(*simulate(60))
    assert one.to_json() == other.to_json()
    assert DensityModel.from_json(one.to_json()) == one


def test_another_scale():
    x, words, groups, ids = simulate(150)
    three = [{"A": "F", "B": "G", "C": "G", "D": "D"}[w] for w in words]
    model = fit(x, three, groups, ids, "FGD")
    assert model.classes == ("F", "G", "D")
    assert model.probabilities(x, groups).shape == (len(x), 3)

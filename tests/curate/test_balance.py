import pytest

from pipelines.curate.balance import BalanceSettings, plan_balance


def rows(split="train", **counts):
    return [{"density": cell[0], "view": cell[1:], "split": split} for cell, n in counts.items() for _ in range(n)]


def deficits(table):
    return {r["density"] + r["view"]: r["deficit"] for r in table.to_pylist()}


TRAINING = rows(ACC=10, BCC=40, CCC=37, DCC=3, BMLO=5, CMLO=6)


def test_targets_are_the_largest_class_of_each_view():
    plan = plan_balance(TRAINING).to_pylist()
    assert len(plan) == 8
    assert {r["target"] for r in plan if r["view"] == "CC"} == {40}
    assert {r["target"] for r in plan if r["view"] == "MLO"} == {6}
    assert {r["density"] + r["view"]: r["real"] for r in plan}["DCC"] == 3


def test_deficits_fill_up_to_the_target_within_the_share():
    found = deficits(plan_balance(TRAINING))
    assert found == {"ACC": 30, "BCC": 0, "CCC": 3, "DCC": 0, "AMLO": 0, "BMLO": 1, "CMLO": 0, "DMLO": 0}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.6, 0.75, 0.9])
def test_the_share_of_synthetic_images_is_never_exceeded(share):
    for row in plan_balance(TRAINING, BalanceSettings(share, 10**6)).to_pylist():
        total = row["real"] + row["deficit"]
        assert row["deficit"] <= share * total + 1e-6
        if row["deficit"] < row["target"] - row["real"] and row["real"] >= 4:
            assert row["deficit"] + 1 > share * (total + 1)  # one more would be too many


def test_absolute_bound():
    assert deficits(plan_balance(TRAINING, BalanceSettings(most=4)))["ACC"] == 4


def test_only_training_images_count():
    assert deficits(plan_balance(TRAINING + rows("test", ACC=100) + rows("validation", DMLO=9))) == deficits(
        plan_balance(TRAINING)
    )


def test_an_empty_set_has_a_plan_of_zeros():
    assert set(deficits(plan_balance([])).values()) == {0}


@pytest.mark.parametrize("bad", [{"synthetic_share": 1.0}, {"synthetic_share": -0.1}, {"most": -1}])
def test_wrong_settings_are_refused(bad):
    with pytest.raises(ValueError, match="synthetic_share"):
        BalanceSettings(**bad)


def test_classes_of_very_few_are_not_generated_from():
    few = rows(ACC=3, BCC=40)
    assert deficits(plan_balance(few))["ACC"] == 0
    assert deficits(plan_balance(few, BalanceSettings(fewest=3)))["ACC"] == 9


def test_a_prevalence_is_the_target():
    """Real CC: A 10, B 40, C 37, D 3. The mix .1 .4 .4 .1 holds all of B with 100, of which A is to have 10."""
    plan = plan_balance(TRAINING, BalanceSettings(0.9, prevalence=(0.1, 0.4, 0.4, 0.1), fewest=1))
    target = {r["density"] + r["view"]: r["target"] for r in plan.to_pylist()}
    assert (target["ACC"], target["BCC"], target["CCC"], target["DCC"]) == (10, 40, 40, 10)
    assert {k: v for k, v in deficits(plan).items() if k.endswith("CC")} == {"ACC": 0, "BCC": 0, "CCC": 3, "DCC": 7}


def test_a_density_without_a_place_in_the_mix_keeps_its_real_images():
    plan = plan_balance(TRAINING, BalanceSettings(prevalence=(0.0, 0.5, 0.5, 0.0)))
    found = {r["density"] + r["view"]: (r["target"], r["deficit"]) for r in plan.to_pylist()}
    assert (found["ACC"], found["DCC"], found["CCC"]) == ((10, 0), (3, 0), (40, 3))


@pytest.mark.parametrize("shares", [(0.25,) * 4, (0.1, 0.4, 0.4, 0.1), (0.7, 0.1, 0.1, 0.1), (0.02, 0.4, 0.5, 0.08)])
def test_no_target_is_below_what_is_there_and_the_mix_is_met(shares):
    real = {"A": 13, "B": 57, "C": 44, "D": 6}
    target = BalanceSettings(prevalence=shares).targets(real)
    assert all(target[d] >= real[d] for d in real)
    for share, density in zip(shares, "ABCD", strict=True):
        assert target[density] / sum(target.values()) == pytest.approx(share, abs=0.01)


def test_settings_are_parsed():
    assert BalanceSettings.parse("uniform", "0.5") == BalanceSettings(0.5)
    assert BalanceSettings.parse("0.1,0.4,0.4,0.1", "0.75").prevalence == (0.1, 0.4, 0.4, 0.1)
    for target, share in (
        ("even", "0.5"),
        ("0.5,0.5", "0.5"),
        ("0.5,0.5,0.5,0", "0.5"),
        ("uniform", "1.5"),
        ("uniform", "x"),
    ):
        with pytest.raises(ValueError):
            BalanceSettings.parse(target, share)

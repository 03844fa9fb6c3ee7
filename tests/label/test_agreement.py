import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pipelines.label.agreement import WEIGHTS, agreement, bootstrap, kappa
from pipelines.label.readings import breasts_of
from pipelines.storage.tables import IMAGES, VOTES


def words(cases, seed):
    rng = np.random.default_rng(seed)
    first = rng.choice(4, cases, p=(0.1, 0.4, 0.4, 0.1))
    return first, np.clip(first + rng.choice([-1, 0, 0, 0, 1, 2], cases), 0, 3)


def joined(rows, breasts=1, patients=1000):
    images = [
        {
            "image_id": f"I-{n}",
            "delivery": "D-1",
            "file_id": f"F-{n}",
            "object_sha256": "0",
            "status": "kept",
            "patient": f"P-{n % patients}",
            "study_instance_uid": f"S-{n // breasts}",
            "laterality": "LR"[n % breasts],
        }
        for n in range(breasts * (1 + max(int(row["study_instance_uid"][2:]) for row in rows)))
    ]
    votes = [
        {"vote_id": f"V-{k}", "evidence_id": "E", "rule": "-", "source": "table", **row} for k, row in enumerate(rows)
    ]
    return breasts_of(VOTES.build(votes), IMAGES.build(images))


def said(study, reader, word, **more):
    return {"study_instance_uid": f"S-{study}", "reader": reader, "densities": "ABCD"[word], **more}


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_kappa_is_scikit_learns(name):
    first, second = words(300, seed=1)
    rows = [
        said(n, r, w) for n, pair in enumerate(zip(first, second, strict=True)) for r, w in zip("ab", pair, strict=True)
    ]
    table = {(r["between"], r["first"], r["second"]): r for r in agreement(joined(rows)).to_pylist()}
    row = table["readers", "a", "b"]
    assert row[name] == pytest.approx(cohen_kappa_score(first, second, weights=name))
    assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert row["exact"] == pytest.approx((first == second).mean())
    assert (row["cases"], row["patients"]) == (300, 300)
    both_ways = cohen_kappa_score([*first, *second], [*second, *first], weights=name)
    assert table["readers", "*", "*"][name] == pytest.approx(both_ways)


def test_channels_are_compared_and_both_breasts_of_one_statement_are_one_case():
    rows = []
    for n, (one, other) in enumerate(zip(*words(60, seed=2), strict=True)):
        rows += [said(n, None, one), said(n, None, other, source="text")]
    (row,) = agreement(joined(rows, breasts=2)).to_pylist()
    assert (row["between"], row["first"], row["second"], row["cases"]) == ("sources", "table", "text", 60)


def test_nothing_to_compare_is_an_empty_table_and_one_density_has_no_kappa():
    assert agreement(joined([said(0, "a", 1)])).num_rows == 0
    rows = agreement(joined([said(n, r, 1) for n in range(3) for r in "ab"])).to_pylist()
    assert {(r["linear"], r["linear_low"], r["exact"]) for r in rows} == {(None, None, 1.0)}


def test_interval_is_over_patients():
    """Patients with many breasts: the interval is as wide as that of a bootstrap that draws patients one by one."""
    first, second = words(400, seed=3)
    tables = []
    for patient in range(40):
        table = np.zeros((4, 4))
        np.add.at(table, (first[patient::40], second[patient::40]), 1)
        tables.append(table)
    found = np.quantile(kappa(bootstrap(tables, 4000), WEIGHTS["linear"]), (0.025, 0.975))
    rng = np.random.default_rng(7)
    draws = []
    for _ in range(600):
        chosen = rng.integers(0, 40, 40)
        one = np.concatenate([first[p::40] for p in chosen])
        draws.append(cohen_kappa_score(one, np.concatenate([second[p::40] for p in chosen]), weights="linear"))
    assert found == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=0.02)

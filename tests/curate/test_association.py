import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from pipelines.curate.association import cramers_v, measure_association
from pipelines.storage.tables import DATASET


def corrected(table):
    """Bergsma 2013, from scipy's chi-square."""
    n = table.sum()
    r, k = table.shape
    phi = max(0.0, chi2_contingency(table, correction=False).statistic / n - (k - 1) * (r - 1) / (n - 1))
    return math.sqrt(phi / (min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1))


@pytest.mark.parametrize("seed", range(6))
def test_as_by_scipys_chi_square(seed):
    table = np.random.default_rng(seed).integers(1, 60, (4, 2 + seed % 3))
    assert float(cramers_v(table.astype(float))) == pytest.approx(corrected(table), abs=1e-12)


def test_of_many_images_the_correction_vanishes():
    table = 1000 * np.array([[5, 2, 9], [4, 7, 1], [2, 2, 6], [3, 9, 1]])
    assert float(cramers_v(table.astype(float))) == pytest.approx(association(table), abs=1e-3)


def test_ends_of_the_scale():
    assert float(cramers_v(np.diag([30.0, 30.0, 30.0]))) == pytest.approx(1.0)
    assert float(cramers_v(np.full((4, 3), 25.0))) == 0.0
    assert np.isnan(float(cramers_v(np.array([[3.0, 4.0], [0.0, 0.0]]))))


def dataset(density_of, maker_of, patients, images=4):
    return DATASET.build(
        {
            "image_id": f"2.25.{p}.{i}",
            "delivery": "D-1",
            "patient": f"P-{p:05d}",
            "cluster": f"P-{p:05d}",
            "view": "CC",
            "density": density_of(p),
            "confidence": 1.0,
            "vendor_group": f"{maker_of(p)}|x|FOR PRESENTATION|lossless",
            "split": ("train", "train", "test")[p % 3],
            "picture_sha256": "0",
            "shard": "s",
            "shard_row": 0,
            "pyramid_row": 0,
        }
        for p in range(patients)
        for i in range(images)
    )


def test_each_split_has_its_interval_over_patients():
    rng = np.random.default_rng(0)
    density, maker = rng.integers(0, 4, 300), rng.integers(0, 3, 300)
    found = {
        r["split"]: r
        for r in measure_association(dataset(lambda p: "ABCD"[density[p]], lambda p: "GHS"[maker[p]], 300)).to_pylist()
    }
    assert found["validation"]["v"] is None
    assert (found["*"]["images"], found["*"]["clusters"]) == (1200, 300)
    table = np.zeros((4, 3))
    np.add.at(table, (density, maker), 1)  # a woman counts once, however many images of her there are
    assert found["*"]["v"] == pytest.approx(corrected(table), abs=1e-9)
    for row in (found["*"], found["train"]):
        assert row["v_low"] <= row["v"] <= row["v_high"]


def test_where_vendor_and_density_are_independent_the_interval_says_so():
    low_at_zero = above = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        density, maker = rng.integers(0, 4, 40), rng.integers(0, 5, 40)
        rows = measure_association(dataset(lambda p: "ABCD"[density[p]], lambda p: "FGHPS"[maker[p]], 40), 200)  # noqa: B023
        whole = next(r for r in rows.to_pylist() if r["split"] == "*")
        assert whole["v_low"] <= whole["v"] <= whole["v_high"]
        low_at_zero += whole["v_low"] == 0
        above += whole["v"] > 0.3
    assert low_at_zero >= 17
    assert above <= 2


def test_a_vendor_that_tells_the_density_is_seen():
    rows = measure_association(dataset(lambda p: "ABCD"[p % 4], lambda p: "ABCD"[p % 4], 48)).to_pylist()
    assert rows[0]["v"] == pytest.approx(1.0)
    assert {r["split"] for r in rows} == {"train", "validation", "test", "*"}


def test_an_empty_set_has_no_association():
    rows = measure_association(DATASET.build([])).to_pylist()
    assert [(r["images"], r["v"]) for r in rows] == [(0, None)] * 4

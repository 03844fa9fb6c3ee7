import math

import numpy as np
import pytest

from pipelines.curate.evenness import measure_balance
from pipelines.storage.tables import DATASET, LABELS

COUNTS = {"train": {"A": 10, "B": 40, "C": 38, "D": 12}, "test": {"A": 4, "B": 9, "C": 6, "D": 1}}


def built(counts=COUNTS):
    rows = [
        {
            "image_id": f"2.25.{split}{density}{n}",
            "delivery": "D-1",
            "patient": f"P-{split}{density}{n // 2}",
            "cluster": f"P-{split}{density}{n // 2}",
            "view": ("CC", "MLO")[n % 2],
            "laterality": (None, "L", "R")[n % 3],
            "density": density,
            "confidence": (1.0, 0.6, 0.2)[n % 3],
            "vendor_group": "GE|x|FOR PRESENTATION|lossless",
            "patient_age": None if n % 5 == 0 else 30.0 + n,
            "split": split,
            "picture_sha256": "0",
            "shard": "s",
            "shard_row": 0,
            "pyramid_row": 0,
        }
        for split, by_density in counts.items()
        for density, images in by_density.items()
        for n in range(images)
    ]
    labels = [
        {"image_id": r["image_id"], "patient": r["patient"], "evidence": "[]", "conflict": False}
        | {"density": r["density"], "sources": '["text", "table"]', "confidence": 1.0}
        for r in rows
    ]
    return DATASET.build(rows), LABELS.build(labels)


@pytest.fixture(scope="module")
def found():
    return {(r["variable"], r["value"], r["split"]): r for r in measure_balance(*built()).to_pylist()}


def test_counts_and_shares_add_up(found):
    for variable in {v for v, _, _ in found}:
        for split, total in (("train", 100), ("test", 20)):
            values = [r for (v, value, s), r in found.items() if (v, s) == (variable, split) and value != "*"]
            assert sum(r["images"] for r in values) == total == found[variable, "*", split]["images"]
            assert sum(r["share"] for r in values) == pytest.approx(1)
    assert found["density", "B", "train"]["images"] == 40
    assert found["density", "B", "train"]["patients"] == 20
    assert found["source", "table+text", "test"]["images"] == 20
    assert {value for v, value, _ in found if v == "confidence"} == {">=0.9", "0.5-0.7", "<0.5", "*"}
    assert {value for v, value, _ in found if v == "laterality"} == {"L", "R", "unknown", "*"}


@pytest.mark.parametrize("density", "ABCD")
def test_difference_of_a_share_is_austins(found, density):
    p, q = COUNTS["train"][density] / 100, COUNTS["test"][density] / 20
    expected = (q - p) / math.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert found["density", density, "test"]["difference"] == pytest.approx(expected, abs=1e-12)
    assert found["density", density, "train"]["difference"] == 0


def test_difference_of_all_values_is_yang_and_daltons(found):
    p = np.array([COUNTS["train"][d] / 100 for d in "BCD"])
    q = np.array([COUNTS["test"][d] / 20 for d in "BCD"])
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    expected = math.sqrt((q - p) @ np.linalg.inv(covariance) @ (q - p))
    assert found["density", "*", "test"]["difference"] == pytest.approx(expected, rel=1e-9)


def test_what_does_not_vary_has_no_difference_and_an_empty_split_none(found):
    assert found["manufacturer", "GE", "test"]["difference"] == 0
    assert found["density", "*", "validation"]["share"] is None
    assert found["density", "*", "validation"]["difference"] is None


def test_an_empty_set():
    rows = measure_balance(DATASET.build([]), LABELS.build([])).to_pylist()
    assert {(r["value"], r["images"], r["share"]) for r in rows} == {("*", 0, None)}

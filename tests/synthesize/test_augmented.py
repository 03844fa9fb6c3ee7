"""The augmented set: synthetic pictures in train alone, weights that even out the densities."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.storage.digests import sha256_of_file
from pipelines.storage.tables import AUGMENTED, DATASET, SYNTHETIC, read_table
from pipelines.synthesize.augmented import write_augmented


def real_rows() -> pa.Table:
    splits = ["train"] * 7 + ["validation"] * 2 + ["test"] * 2
    conditions = [("B", "CC"), ("B", "MLO"), ("B", "MLO"), ("C", "CC"), ("C", "MLO"), ("C", "MLO"), ("A", "CC")]
    conditions += [("A", "MLO"), ("B", "CC"), ("C", "CC"), ("D", "MLO")]
    return DATASET.build(
        {
            "image_id": f"2.25.{i}",
            "delivery": "D-1",
            "patient": f"P-{i}",
            "cluster": f"P-{i}",
            "view": view,
            "density": density,
            "confidence": 1.0,
            "vendor_group": "x",
            "split": split,
            "picture_sha256": f"{i:064x}",
            "shard": "dataset-00000.arrow",
            "shard_row": i,
            "pyramid_row": i,
        }
        for i, (split, (density, view)) in enumerate(zip(splits, conditions, strict=True))
    )


def synthetic_row(i: int, density: str, view: str, kept: bool) -> dict[str, Any]:
    row = {
        "synthetic_id": f"S-{i}",
        "number": i,
        "seed": 0,
        "density": density,
        "view": view,
        "truncation": 1.0,
        "verdict": "kept" if kept else "rejected",
        "reason": None if kept else "copy",
        "critic_score": 0.0,
        "critic_low": -1.0,
        "nearest_distance": 1.0,
        "nearest_low": 0.5,
        "nearest_image_id": "2.25.1",
        "dense_fraction": 0.5,
        "model_sha256": "0" * 64,
    }
    if kept:
        row |= {"picture_sha256": f"{100 + i:064x}", "shard": "synthetic-00000.arrow", "shard_row": i, "dicom": "x"}
    return row


@pytest.fixture
def synthetic() -> pa.Table:
    kept = [synthetic_row(i, "D", ("CC", "MLO")[i % 2], True) for i in range(5)]
    return SYNTHETIC.build([*kept, synthetic_row(9, "A", "CC", False)])


def test_the_union(synthetic: pa.Table, tmp_path: Path) -> None:
    summary = write_augmented(real_rows(), synthetic, folder=tmp_path)
    rows = read_table(tmp_path / "augmented.parquet", AUGMENTED).to_pylist()
    assert (summary.real, summary.synthetic, len(rows)) == (11, 5, 16)
    assert {r["split"] for r in rows if r["is_synthetic"]} == {"train"}
    assert all((r["patient"] is None) == r["is_synthetic"] for r in rows)
    assert {(r["is_synthetic"], r["publication"]) for r in rows} == {
        (False, "level_a/dataset"),
        (True, "synthetic/images"),
    }
    before = {r["image_id"]: (r["split"], r["shard"], r["shard_row"]) for r in real_rows().to_pylist()}
    assert before == {r["image_id"]: (r["split"], r["shard"], r["shard_row"]) for r in rows if not r["is_synthetic"]}
    assert summary.training_by_density == {"A": (1, 0), "B": (3, 0), "C": (3, 0), "D": (0, 5)}


def test_weights(synthetic: pa.Table, tmp_path: Path) -> None:
    write_augmented(real_rows(), synthetic, folder=tmp_path)
    totals: dict[tuple[str, str], float] = defaultdict(float)
    by_density: dict[str, float] = defaultdict(float)
    weights = []
    for row in read_table(tmp_path / "augmented.parquet", AUGMENTED).to_pylist():
        if row["split"] != "train":
            assert row["weight"] == 1.0
            continue
        totals[row["density"], row["view"]] += row["weight"]
        by_density[row["density"]] += row["weight"]
        weights.append(row["weight"])
    assert sum(weights) == pytest.approx(len(weights))
    assert list(by_density.values()) == pytest.approx([len(weights) / 4] * 4)
    for density in "BCD":
        assert totals[density, "CC"] == pytest.approx(totals[density, "MLO"])


def test_lineage_and_the_same_bytes(synthetic: pa.Table, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = write_augmented(real_rows(), synthetic, folder=tmp_path)
    second = write_augmented(real_rows(), synthetic, folder=tmp_path / "other")
    assert first == second
    (row,) = first.ledger
    assert row.sha256 == sha256_of_file(tmp_path / "augmented.parquet")
    assert len(row.inputs) == 16
    assert ("S-0", f"{100:064x}") in row.inputs


def test_without_synthetic_pictures_or_training_pictures(tmp_path: Path) -> None:
    summary = write_augmented(real_rows(), SYNTHETIC.build([]), folder=tmp_path)
    assert summary.synthetic == 0
    empty = write_augmented(DATASET.build([]), SYNTHETIC.build([]), folder=tmp_path)
    assert (empty.real, empty.training_by_density) == (0, {})

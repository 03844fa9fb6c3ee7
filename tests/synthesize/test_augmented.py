"""The augmented set: synthetic pictures in train alone, weights that even out the densities."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.storage.curriculum import chosen, read_curriculum
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.tables import AUGMENTED, DATASET, SYNTHETIC, read_table
from pipelines.synthesize import augmented
from pipelines.synthesize.augmented import AugmentedError, write_augmented

MODEL = "c3" * 32


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
        "model_sha256": MODEL,
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


def test_first_synthetic_then_real(synthetic: pa.Table, tmp_path: Path) -> None:
    write_augmented(real_rows(), synthetic, folder=tmp_path)
    index = read_table(tmp_path / "augmented.parquet", AUGMENTED)
    found = read_curriculum(tmp_path / "curriculum.json")
    assert [(stage.name, stage.labels) for stage in found.stages] == [("pre-train", "weak"), ("fine-tune", "read")]
    rows = [stage.rows(index).to_pylist() for stage in found.stages]
    assert {row["image_id"] for row in rows[0]} == {f"S-{i}" for i in range(5)}
    assert {row["image_id"] for row in rows[1]} == {f"2.25.{i}" for i in range(7)}
    assert found.stages[0].images == {"D": {"CC": 3, "MLO": 2}}
    assert found.stages[1].images == {"A": {"CC": 1}, "B": {"CC": 1, "MLO": 2}, "C": {"CC": 1, "MLO": 2}}
    for stage, own in zip(found.stages, rows, strict=True):
        weights = stage.weights_of(index)
        assert weights.mean() == pytest.approx(1)
        totals: dict[str, float] = defaultdict(float)
        for row, weight in zip(own, weights, strict=True):
            totals[row["density"]] += weight
        assert list(totals.values()) == pytest.approx([len(own) / len(totals)] * len(totals))
    assert sum(stage.share_of_steps for stage in found.stages) == 1
    for records, split in ((found.select, "validation"), (found.report, "test")):
        assert {row["split"] for row in chosen(index, records).to_pylist()} == {split}


@pytest.mark.parametrize("change", [{"synthetic_id": "2.25.3"}, {"picture_sha256": f"{8:064x}"}])
def test_a_real_picture_that_comes_as_synthetic_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    """By its id, or by its bytes: picture 8 is of the validation split."""
    rows = SYNTHETIC.build([synthetic_row(0, "D", "CC", True) | change])
    with pytest.raises(AugmentedError, match="1 synthetic pictures have the"):
        write_augmented(real_rows(), rows, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["split", "patient", "is_synthetic"])
def test_the_writer_reads_what_it_wrote(
    name: str, synthetic: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A synthetic picture in validation, of a patient, or in a real one's place is found out, whatever the reason."""
    wrong = {"split": {"split": "validation"}, "patient": {"patient": "P-1"}, "is_synthetic": {"is_synthetic": False}}
    own = augmented._synthetic
    monkeypatch.setattr(augmented, "_synthetic", lambda row: own(row) | wrong[name])
    with pytest.raises(AugmentedError):
        write_augmented(real_rows(), synthetic, folder=tmp_path)
    assert not (tmp_path / "curriculum.json").exists()


def test_without_synthetic_pictures_or_training_pictures(tmp_path: Path) -> None:
    summary = write_augmented(real_rows(), SYNTHETIC.build([]), folder=tmp_path)
    assert summary.synthetic == 0
    (stage,) = read_curriculum(tmp_path / "curriculum.json").stages
    assert (stage.name, stage.share_of_steps, stage.learning_rate) == ("fine-tune", 1.0, 1.0)
    empty = write_augmented(DATASET.build([]), SYNTHETIC.build([]), folder=tmp_path)
    assert (empty.real, empty.training_by_density) == (0, {})
    assert read_curriculum(tmp_path / "curriculum.json").stages == ()

"""Level B of a delivery: one row per written object, pictures in shards, the same bytes however it was spread."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.normalize.delivery import ImagesSummary, normalize_delivery
from pipelines.normalize.mammogram import Outcome
from pipelines.storage.digests import sha256_of_bytes, sha256_of_file
from pipelines.storage.parcels import pack
from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import IMAGES, OBJECTS, read_table
from pipelines.storage.workers import Workers
from tests.normalize.drawing import draw_breast, wrap


def written(folder: Path, name: str, file_id: str, **columns: Any) -> dict[str, Any]:
    return {
        "file_id": file_id,
        "status": "written",
        "path": name,
        "sha256": sha256_of_file(folder / name) if (folder / name).is_file() else "0" * 64,
        "patient": "P-1",
        "sop_instance_uid": f"2.25.{int(file_id[2:], 16)}",
    } | columns


@pytest.fixture
def objects(tmp_path: Path) -> tuple[pa.Table, Path]:
    """Two good mammograms, one of CT, one cut off, one lost, one that is no DICOM, one refused at level C."""
    folder = tmp_path / "objects"
    folder.mkdir()
    wrap(draw_breast(600, 480, seed=1)).save_as(folder / "a.dcm", enforce_file_format=True)
    right = np.ascontiguousarray(draw_breast(600, 480, seed=2)[:, ::-1])
    wrap(right, ImageLaterality="R", ViewPosition="MLO").save_as(folder / "b.dcm", enforce_file_format=True)
    wrap(draw_breast(600, 480), Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2").save_as(
        folder / "c.dcm", enforce_file_format=True
    )
    (folder / "d.dcm").write_bytes((folder / "a.dcm").read_bytes()[:-5000])
    (folder / "f.dcm").write_bytes(b"no DICOM at all")
    rows = [written(folder, f"{name}.dcm", f"F-{name}") for name in "fedcba"]
    rows += [{"file_id": "F-00", "status": "refused", "reason": "residual_identifier"}]
    return OBJECTS.build(rows), folder


def run(objects: tuple[pa.Table, Path], folder: Path, **keywords: Any) -> tuple[ImagesSummary, list[Mapping[str, Any]]]:
    folder.mkdir()
    summary = normalize_delivery(*objects, delivery="D-20260101-00", folder=folder, **keywords)
    return summary, read_table(folder / "images.parquet", IMAGES).to_pylist()


def test_every_written_object_has_one_row_and_a_reason(objects: tuple[pa.Table, Path], tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    summary, rows = run(objects, tmp_path / "out", progress=lambda done, total: calls.append((done, total)))
    found = {row["file_id"]: (row["status"], row["reason"]) for row in rows}
    assert found == {
        "F-a": ("kept", None),
        "F-b": ("kept", None),
        "F-c": ("excluded", "not_mammography"),
        "F-d": ("failed", found["F-d"][1]),
        "F-e": ("failed", "missing_file"),
        "F-f": ("excluded", "no_pixels"),
    }
    assert found["F-d"][1] in ("truncated_pixels", "unreadable")
    assert (summary.kept, summary.excluded, summary.failed) == (2, 2, 2)
    assert sum(summary.reasons.values()) == 4
    assert calls[-1] == (6, 6)


def test_pictures_are_in_the_shards_and_the_ledger(objects: tuple[pa.Table, Path], tmp_path: Path) -> None:
    summary, rows = run(objects, tmp_path / "out")
    kept = [row for row in rows if row["status"] == "kept"]
    reader = ShardReader(tmp_path / "out")
    for row, entry in zip(kept, summary.ledger, strict=True):
        picture = reader.read(row["shard"], row["shard_row"])
        assert picture.shape == (1280, 1024)
        assert sha256_of_bytes(picture.tobytes()) == row["picture_sha256"] == entry.sha256
        assert reader.shard(row["shard"]).ids[row["shard_row"]] == row["image_id"]
        assert (entry.output, entry.path) == (row["image_id"], row["shard"])
        assert entry.inputs == ((row["image_id"], row["object_sha256"]),)
        assert json.loads(row["quality"])["sharpness"] > 0
    assert [(row["laterality"], row["view"]) for row in kept] == [("L", "CC"), ("R", "MLO")]


def test_same_bytes_with_one_worker_and_two(objects: tuple[pa.Table, Path], tmp_path: Path) -> None:
    one, _ = run(objects, tmp_path / "one")
    two, _ = run(objects, tmp_path / "two", workers=Workers(processes=2, chunk=1))
    assert one == two
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["images.parquet", "shard-00000.arrow"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("where", [np.s_[2:9, 0:5], np.s_[:, :], np.s_[3:4, 7:8], np.s_[0:0]])
def test_an_outcome_travels_without_its_air_and_arrives_whole(where: Any, tmp_path: Path) -> None:
    picture = np.zeros((12, 8), np.uint16)
    picture[where] = np.arange(1, 97, dtype=np.uint16).reshape(12, 8)[where]
    parcel = pack(Outcome("kept", None, {"view": "CC"}, picture), tmp_path)
    arrived = parcel.unpack()
    assert (arrived.status, arrived.reason, arrived.facts) == ("kept", None, {"view": "CC"})
    np.testing.assert_array_equal(arrived.picture, picture)
    assert arrived.picture.dtype == picture.dtype
    assert sum(parcel.lengths) == picture[where].nbytes


def test_an_unforeseen_error_is_a_row(
    objects: tuple[pa.Table, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **keywords: Any) -> None:
        raise ZeroDivisionError("value that must not be seen")

    monkeypatch.setattr("pipelines.normalize.mammogram.find_breast", broken)
    summary, rows = run(objects, tmp_path / "out")
    assert summary.reasons["error_ZeroDivisionError"] == 2
    assert "must not be seen" not in json.dumps(rows)


def test_an_empty_delivery(tmp_path: Path) -> None:
    summary, rows = run((OBJECTS.build([]), tmp_path), tmp_path / "out")
    assert (summary.kept, summary.excluded, summary.failed, summary.ledger, rows) == (0, 0, 0, (), [])


def test_all_real_files(shared: Path, tmp_path: Path) -> None:
    """Every real, odd and broken file gets a row; mammograms alone are kept."""
    folder = tmp_path / "objects"
    folder.mkdir()
    rows = []
    for number, path in enumerate(p for p in sorted((shared / "data").glob("dicom-*/*")) if p.suffix != ".txt"):
        if "rsna" in path.name or path.name == "nema_MG1_J2KI":
            continue  # seconds each, and held by the tests of single pictures
        shutil.copyfile(path, folder / str(number))
        rows.append(written(folder, str(number), f"F-{number:04x}", sop_instance_uid=f"2.25.{number + 1}"))
    summary, images = run((OBJECTS.build(rows), folder), tmp_path / "out")
    assert summary.kept + summary.excluded + summary.failed == len(images) == len(rows)
    assert (summary.kept, summary.failed) == (2, 1)
    assert summary.reasons == {
        "biopsy": 3,
        "magnification": 1,
        "no_pixels": summary.reasons["no_pixels"],
        "not_mammography": summary.reasons["not_mammography"],
        "size_mismatch": 1,
        "tomosynthesis": 1,
        "view_other": 1,
    }

"""Croissant metadata of the augmented set, judged and read by mlcroissant."""

import json
import socket
from pathlib import Path

import mlcroissant
import pytest

from pipelines.storage.croissant import croissant_errors
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.tables import AUGMENTED, SYNTHETIC, read_table, write_table
from pipelines.synthesize.augmented import AugmentedError, write_augmented
from pipelines.synthesize.augmented_metadata import PublishedFile, write_metadata
from tests.synthesize.test_augmented import MODEL, real_rows, synthetic_row

STATED = {
    "license": "https://creativecommons.org/licenses/by/4.0/",
    "citeAs": "@misc{anytown}",
    "creator": [{"@type": "sc:Organization", "name": "A. Author"}],
    "publisher": {"@type": "sc:Organization", "name": "Anytown Hospital"},
    "version": "1.0.0",
    "datePublished": "2026-03-01",
    "url": "https://example.org/anytown",
}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The augmented set in a research zone, with the files that it points to."""
    table = SYNTHETIC.build(
        [*(synthetic_row(i, "D", "CC", True) for i in range(3)), synthetic_row(9, "A", "CC", False)]
    )
    folders = {name: tmp_path / "research" / name for name in ("level_a/dataset", "synthetic/images", "synthetic/set")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    write_table(folders["synthetic/images"] / "synthetic.parquet", SYNTHETIC, table)
    shard = folders["level_a/dataset"] / "shard-00000.arrow"
    shard.write_bytes(b"pictures")
    files = [
        PublishedFile(str(path.relative_to(tmp_path / "research")), path, sha256_of_file(path))
        for path in (shard, folders["synthetic/images"] / "synthetic.parquet")
    ]
    folder = folders["synthetic/set"]
    summary = write_augmented(real_rows(), table, folder=folder)
    write_metadata(folder, summary, title="Screening in Anytown", stated=STATED, files=files)
    return folder


def test_is_valid_and_its_records_load_offline(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    dataset = mlcroissant.Dataset(str(published / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    records = {record["images/image_id"].decode(): record for record in dataset.records("images")}
    rows = read_table(published / "augmented.parquet", AUGMENTED).to_pylist()
    assert {name: record["images/is_synthetic"] for name, record in records.items()} == {
        row["image_id"]: row["is_synthetic"] for row in rows
    }
    origins = {record["synthetic/synthetic_id"].decode(): record for record in dataset.records("synthetic")}
    kept = {name for name, record in origins.items() if record["synthetic/verdict"] == b"kept"}
    assert kept == {name for name, record in records.items() if record["images/is_synthetic"]} == {"S-0", "S-1", "S-2"}


def test_says_which_records_are_synthetic_and_what_they_are_not_for(published: Path) -> None:
    content = json.loads((published / "croissant.json").read_text())
    assert content["name"] == "Screening in Anytown, augmented with synthetic images"
    assert "11 mammograms of patients" in content["description"]
    assert "3 synthetic mammograms of nobody" in content["description"]
    assert "images/is_synthetic true (3)" in content["rai:dataCollection"]
    assert MODEL in content["rai:dataCollection"]
    assert "D 0 real and 3 synthetic" in content["rai:dataBiases"][0]
    assert any("weak label" in line for line in content["rai:dataAnnotationProtocol"])
    assert any("no validation or test split" in line for line in content["rai:dataLimitations"])
    assert (content["license"], content["publisher"]["name"]) == (STATED["license"], "Anytown Hospital")


def test_files_are_found_where_the_description_says(published: Path) -> None:
    content = json.loads((published / "croissant.json").read_text())
    files = {entry["@id"]: entry for entry in content["distribution"]}
    assert set(files) == {
        "augmented.parquet",
        "curriculum.json",
        "level_a/dataset/shard-00000.arrow",
        "synthetic/images/synthetic.parquet",
    }
    for entry in files.values():
        path = published / entry["contentUrl"]
        assert (entry["sha256"], entry["contentSize"]) == (sha256_of_file(path), f"{path.stat().st_size} B")


def test_an_invalid_description_is_not_published(published: Path) -> None:
    summary = write_augmented(real_rows(), SYNTHETIC.build([]), folder=published)
    with pytest.raises(AugmentedError, match="invalid"):
        write_metadata(published, summary, title="", stated={"license": 7, "creator": "x"}, files=[])
    write_metadata(published, summary, title="Anytown", stated=STATED, files=[])
    assert croissant_errors(published) == []

"""An export as a whole: what lies in it, that it verifies, that it tells no more than it should, and its bytes."""

import csv
import os
import subprocess

import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.curate.export import tables
from pipelines.curate.export.statement import Statement
from pipelines.curate.export.write import ExportError
from pipelines.storage.manifest import MANIFEST, read_manifest, unlike_manifest
from pipelines.storage.tables import DATASET, EXCLUSIONS, LABELS, PLAN, VOTES, read_table
from tests.curate.exported import digests_of, export, publish

FILES = {
    "README.md",
    "SHA256SUMS",
    "contact_sheet.png",
    "counts.png",
    "croissant.json",
    "data_dictionary.csv",
    "dataset.parquet",
    "exclusions.parquet",
    "labels.parquet",
    "plan.parquet",
    "pyramid/0005x0004-00000.arrow",
    "pyramid/0010x0008-00000.arrow",
    "pyramid/0020x0016-00000.arrow",
    "pyramid/0040x0032-00000.arrow",
    "shard-00000.arrow",
    "splits.csv",
    "torch_dataset.py",
    "votes.parquet",
}


@pytest.fixture
def published(level_b, tmp_path):
    return publish(level_b, tmp_path)


def test_holds_what_it_should_and_nothing_else(published, tmp_path):
    dataset, labels = published
    (dataset / "not_for_others.json").write_text("{}")
    export(dataset, labels, tmp_path / "export")
    assert set(digests_of(tmp_path / "export")) == FILES


def test_published_files_are_the_same_files_not_copies(published, tmp_path):
    export(*published, tmp_path / "export")
    for name in ("shard-00000.arrow", "dataset.parquet", "pyramid/0040x0032-00000.arrow"):
        assert (tmp_path / "export" / name).samefile(published[0] / name)


def test_where_links_are_refused_there_are_copies(published, tmp_path, monkeypatch):
    linked = digests_of_export(published, tmp_path / "linked")

    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copied = digests_of_export(published, tmp_path / "copied")
    assert copied == linked
    assert not (tmp_path / "copied" / "shard-00000.arrow").samefile(published[0] / "shard-00000.arrow")


def digests_of_export(published, folder, **options):
    export(*published, folder, **options)
    return digests_of(folder)


def test_same_inputs_same_bytes(published, tmp_path):
    one = digests_of_export(published, tmp_path / "one")
    assert digests_of_export(published, tmp_path / "two") == one
    other = digests_of_export(published, tmp_path / "three", statement=Statement(license="CC-BY-4.0"))
    assert {name for name in one if one[name] != other[name]} == {"README.md", "croissant.json", MANIFEST}


def test_manifest_verifies_with_coreutils_and_finds_a_flipped_byte(published, tmp_path):
    folder = tmp_path / "export"
    summary = export(*published, folder)
    assert read_manifest(folder).keys() == FILES - {MANIFEST}
    assert subprocess.run(["sha256sum", "--check", "--quiet", MANIFEST], cwd=folder, check=False).returncode == 0
    assert summary.manifest_sha256 == digests_of(folder)[MANIFEST]
    shard = folder / "shard-00000.arrow"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0x10
    shard.write_bytes(data)
    found = subprocess.run(["sha256sum", "--check", MANIFEST], cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert [line for line in found.stdout.splitlines() if line.endswith("FAILED")] == ["shard-00000.arrow: FAILED"]
    assert unlike_manifest(folder) == ["shard-00000.arrow"]


def test_what_was_changed_since_it_was_published_does_not_verify(published, tmp_path):
    stated = digests_of(published[0])
    path = published[0] / "pyramid/0005x0004-00000.arrow"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    export(*published, tmp_path / "export", stated=stated)
    assert unlike_manifest(tmp_path / "export") == ["pyramid/0005x0004-00000.arrow"]


def test_a_publication_without_its_tables_is_refused(published, tmp_path):
    stated = {k: v for k, v in digests_of(published[0]).items() if k != "plan.parquet"}
    with pytest.raises(ExportError, match=r"no plan\.parquet"):
        export(*published, tmp_path / "export", stated=stated)


def test_labels_and_statements_are_those_of_the_set_alone(build, tmp_path):
    rows = [{"patient": f"P-{n:02d}", "density": "ABCD"[n % 4]} for n in range(12)]
    level_b = build([*rows, {"density": None}, {"number": 3, "density": "D"}])
    dataset, labels = publish(level_b, tmp_path)
    export(dataset, labels, tmp_path / "export")
    index = read_table(tmp_path / "export/dataset.parquet", DATASET)
    kept = read_table(tmp_path / "export/labels.parquet", LABELS)
    assert kept["image_id"].to_pylist() == index["image_id"].to_pylist()
    assert kept["density"].to_pylist() == index["density"].to_pylist()
    assert read_table(labels / "labels.parquet", LABELS).num_rows == 14
    votes = read_table(tmp_path / "export/votes.parquet", VOTES)
    said = {f"L-{n}" for n in range(12)}
    assert set(votes["evidence_id"].to_pylist()) == said
    exclusions = read_table(tmp_path / "export/exclusions.parquet", EXCLUSIONS)
    assert sorted(exclusions["reason"].to_pylist()) == ["duplicate", "no_density"]


def test_split_manifest_says_what_the_index_says(published, tmp_path):
    export(*published, tmp_path / "export")
    with (tmp_path / "export/splits.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    index = read_table(tmp_path / "export/dataset.parquet", DATASET).to_pylist()
    assert lines == [{name: row[name] for name in ("image_id", "patient", "cluster", "split")} for row in index]


def test_dictionary_has_every_column_of_every_table(published, tmp_path):
    export(*published, tmp_path / "export")
    with (tmp_path / "export/data_dictionary.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    said = {}
    for line in lines:
        said.setdefault(line["file"], []).append(line["column"])
    for name in ("dataset", "labels", "votes", "exclusions", "plan"):
        assert said[f"{name}.parquet"] == ["*", *pq.read_schema(tmp_path / f"export/{name}.parquet").names]
    assert said["splits.csv"][1:] == ["image_id", "patient", "cluster", "split"]
    assert all(line["meaning"] and not line["meaning"].startswith("as in") for line in lines)
    density = next(r for r in lines if (r["file"], r["column"]) == ("dataset.parquet", "density"))
    assert (density["type"], density["allowed"], density["nullable"]) == ("string", "A|B|C|D", "no")
    age = next(r for r in lines if (r["file"], r["column"]) == ("dataset.parquet", "patient_age"))
    assert (age["unit"], age["at_least"], age["at_most"], age["nullable"]) == ("years", "0", "130", "yes")


def test_ledger_names_every_image_that_leaves(published, tmp_path):
    summary = export(*published, tmp_path / "export")
    (row,) = summary.ledger
    index = read_table(tmp_path / "export/dataset.parquet", DATASET).to_pylist()
    assert (row.path, row.sha256, row.operation) == (MANIFEST, summary.manifest_sha256, "export")
    assert row.inputs == tuple((r["image_id"], r["picture_sha256"]) for r in index)


def test_an_empty_set_can_leave_too(build, tmp_path):
    export(*publish(build([{"density": None}]), tmp_path), tmp_path / "export")
    folder = tmp_path / "export"
    assert unlike_manifest(folder) == []
    assert read_table(folder / "dataset.parquet", DATASET).num_rows == 0
    assert read_table(folder / "plan.parquet", PLAN).num_rows == 8
    assert "Splits without an image: train, validation, test." in (folder / "README.md").read_text()


def test_pieces_are_as_good_as_the_whole(published, tmp_path, monkeypatch):
    whole = digests_of_export(published, tmp_path / "whole")
    tables_whole = {n: pq.read_table(tmp_path / "whole" / n) for n in ("labels.parquet", "votes.parquet")}
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 7)
    pieces = digests_of_export(published, tmp_path / "pieces")
    for name, table in tables_whole.items():
        assert pq.read_table(tmp_path / "pieces" / name).equals(table)
    different = {name for name in whole if whole[name] != pieces[name]}
    assert different == {"labels.parquet", "votes.parquet", "croissant.json", MANIFEST}


def test_pictures_of_the_card_are_pictures(published, tmp_path):
    export(*published, tmp_path / "export")
    card = (tmp_path / "export/README.md").read_text()
    for name in ("contact_sheet.png", "counts.png"):
        assert f"({name})" in card
        with Image.open(tmp_path / "export" / name) as picture:
            assert min(picture.size) > 100

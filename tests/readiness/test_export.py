"""Figures of an export: each criterion fails when its own thing is broken in the files."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from pipelines.readiness.criteria import check, load_criteria
from pipelines.readiness.export import export_figures
from pipelines.storage.croissant import croissant_errors
from pipelines.storage.manifest import unlike_manifest
from tests.curate.conftest import build
from tests.curate.exported import export, publish

ORIGINALS = {"PAT0012345", "ACC-778812", "1.2.840.99.1.2.3", "MILLER", "77"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    rows = ({"patient": f"P-{n:02d}", "density": "ABCD"[n % 4]} for n in range(12))
    root = tmp_path_factory.mktemp("made")
    export(*publish(build(rows), root), root / "export")
    return root / "export"


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the export, to be broken."""
    return shutil.copytree(made, tmp_path / "export")


def results(folder):
    figures = export_figures(
        folder,
        unlike_manifest=len(unlike_manifest(folder)),
        croissant_errors=len(croissant_errors(folder)),
        identifiers=[ORIGINALS, set()],
    )
    return {r.criterion.id: r.holds for r in check("level_a/export", figures)}


def test_a_sound_export_keeps_every_criterion(folder):
    assert results(folder) == dict.fromkeys((c.id for c in load_criteria() if c.asset == "level_a/export"), True)


def broken(folder):
    return {name for name, holds in results(folder).items() if not holds}


def test_a_changed_file_is_found(folder):
    (folder / "contact_sheet.png").write_bytes(b"another")
    assert broken(folder) == {"export_whole"}


@pytest.mark.parametrize("file", ["labels.parquet", "shard-00000.arrow"])
def test_an_image_without_label_or_file_is_found(folder, file):
    if file == "labels.parquet":
        table = pq.ParquetFile(folder / file).read()
        pq.write_table(table.slice(1), folder / file)
    else:
        (folder / file).unlink()
    assert "export_accounts_for_every_image" in broken(folder)


@pytest.mark.parametrize("change", [("train", "test"), ("\n", "\nX,P,P,test\n")])
def test_a_split_manifest_that_says_otherwise_is_found(folder, change):
    text = (folder / "splits.csv").read_text()
    head, _, rest = text.partition("\n")
    (folder / "splits.csv").write_text(head + ("\n" + rest).replace(*change, 1))
    assert broken(folder) == {"export_whole", "export_accounts_for_every_image"}


def test_metadata_that_are_not_valid_are_found(folder):
    content = json.loads((folder / "croissant.json").read_text())
    del content["recordSet"][2]["field"][0]["source"]
    content["recordSet"][2]["field"][1]["source"]["fileObject"] = {"@id": "nowhere"}
    (folder / "croissant.json").write_text(json.dumps(content))
    assert "export_metadata_valid" in broken(folder)


@pytest.mark.parametrize("identifier", ["PAT0012345", "ACC-778812", "1.2.840.99.1.2.3"])
@pytest.mark.parametrize("file", ["README.md", "votes.parquet"])
def test_an_identifier_of_the_source_is_found(folder, identifier, file):
    if file == "README.md":
        with (folder / file).open("a") as card:
            card.write(f"\nSee ({identifier}).\n")
    else:
        table = pq.ParquetFile(folder / file).read()
        rows = table.to_pylist()
        rows[3]["rule"] = f"said of {identifier}, twice"
        pq.write_table(type(table).from_pylist(rows, schema=table.schema), folder / file)
    assert "export_tells_no_patient" in broken(folder)


def test_common_words_and_short_numbers_are_no_identifiers(folder):
    with (folder / "README.md").open("a") as card:
        card.write("\n77 of them by MILLER.\n")
    assert "export_tells_no_patient" not in broken(folder)

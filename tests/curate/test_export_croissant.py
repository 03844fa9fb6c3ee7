"""Croissant metadata, judged and read by mlcroissant from the folder alone."""

import json
import shutil
import socket
import subprocess
from collections import Counter

import mlcroissant
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.curate.export.statement import Statement
from pipelines.storage.croissant import croissant_errors
from tests.curate.exported import export, publish, twelve_patients

STATED = Statement(
    title="Screening in Anytown",
    license="https://creativecommons.org/licenses/by/4.0/",
    citation="@misc{anytown}",
    publisher="Anytown Hospital",
    creators=("A. Author", "B. Author"),
    url="https://example.org/anytown",
    version="2.1.0",
    date_published="2026-03-01",
    annotators="Six radiologists",
    maintenance="Renewed every year",
)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    export(*publish(twelve_patients(), root), root / "export", statement=STATED)
    return root / "export"


def metadata(folder):
    return json.loads((folder / "croissant.json").read_text())


def test_is_valid_and_all_records_load_offline(folder, no_network):
    dataset = mlcroissant.Dataset(str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    for record_set, file in {"images": "dataset", "labels": "labels", "votes": "votes", "plan": "plan"}.items():
        expected = pq.read_table(folder / f"{file}.parquet").to_pylist()
        records = list(dataset.records(record_set))
        assert len(records) == len(expected) > 0
        assert [plain(record) for record in records] == [
            {f"{record_set}/{name}": value for name, value in row.items()} for row in expected
        ]
    assert [r["splits/name"] for r in dataset.records("splits")] == ["train", "validation", "test"]


def plain(record):
    """A record with text as text, and null for what mlcroissant leaves as not-a-number."""
    return {
        name: value.decode() if isinstance(value, bytes) else None if is_nan(value) else value
        for name, value in record.items()
    }


def is_nan(value):
    return isinstance(value, float) and np.isnan(value)


def test_default_statement_is_valid_and_says_that_nothing_was_said(level_b, tmp_path):
    export(*publish(level_b, tmp_path), tmp_path / "export")
    content = metadata(tmp_path / "export")
    assert croissant_errors(tmp_path / "export") == []
    assert content["license"] == content["citeAs"] == content["publisher"]["name"] == "not stated"
    assert "datePublished" not in content


def test_an_empty_set_is_valid(build, tmp_path):
    export(*publish(build([{"density": None}]), tmp_path), tmp_path / "export")
    assert croissant_errors(tmp_path / "export") == []
    records = mlcroissant.Dataset(str(tmp_path / "export/croissant.json")).records("images")
    assert list(records) == []


def test_says_what_the_hospital_stated(folder):
    read = mlcroissant.Dataset(str(folder / "croissant.json")).metadata
    assert read.name == STATED.title
    assert read.license == [STATED.license]
    assert read.cite_as == STATED.citation
    assert [creator.name for creator in read.creators] == list(STATED.creators)
    assert (read.version, read.url) == (STATED.version, STATED.url)
    assert read.annotator_demographics == [STATED.annotators]
    assert read.data_release_maintenance_plan == STATED.maintenance


def test_distribution_has_each_file_with_the_digest_of_coreutils(folder):
    objects = [e for e in metadata(folder)["distribution"] if e["@type"] == "cr:FileObject"]
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {e["contentUrl"] for e in objects} == names - {"croissant.json", "SHA256SUMS"}
    printed = subprocess.run(
        ["sha256sum", *(e["contentUrl"] for e in objects)], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split(maxsplit=1)[1]: line.split()[0] for line in printed.splitlines()} == {
        e["contentUrl"]: e["sha256"] for e in objects
    }
    assert all(e["contentSize"] == f"{(folder / e['contentUrl']).stat().st_size} B" for e in objects)


def test_density_is_an_enumeration_and_split_is_a_split(folder):
    sets = {s["@id"]: s for s in metadata(folder)["recordSet"]}
    assert sets["densities"]["dataType"] == "sc:Enumeration"
    assert [row["densities/name"] for row in sets["densities"]["data"]] == list("ABCD")
    assert sets["splits"]["dataType"] == "cr:Split"
    assert [row["splits/url"] for row in sets["splits"]["data"]] == [
        "cr:TrainingSplit",
        "cr:ValidationSplit",
        "cr:TestSplit",
    ]
    fields = {f["name"]: f for f in sets["images"]["field"]}
    assert fields["split"]["references"] == {"field": {"@id": "splits/name"}}
    assert fields["density"]["references"] == {"field": {"@id": "densities/name"}}
    assert fields["shard_row"]["dataType"] == "sc:Integer"
    assert fields["patient_age"]["description"].endswith("(years)")


def test_rai_properties_quote_the_figures_of_the_tables(folder):
    content = metadata(folder)
    rows = pq.read_table(folder / "dataset.parquet").to_pylist()
    density = Counter(r["density"] for r in rows)
    shares = ", ".join(f"{name} {100 * density[name] / len(rows):.1f} %" for name in "ABCD")
    assert f"Density: {shares}." in content["rai:dataBiases"]
    labels = pq.read_table(folder / "labels.parquet").to_pylist()
    conflicts = sum(label["conflict"] for label in labels)
    assert f"Statements disagree for {conflicts} of {len(labels)} labels" in content["rai:dataAnnotationAnalysis"][0]
    statements = sum(len(json.loads(label["evidence"])) for label in labels)
    assert content["rai:annotationsPerItem"].startswith(f"{statements / len(labels):.2f} ")
    channels = Counter("+".join(json.loads(label["sources"])) for label in labels)
    for name, count in channels.items():
        assert any(f" on {name}: {count} " in line for line in content["rai:dataAnnotationProtocol"])
    few = next(line for line in content["rai:dataLimitations"] if line.startswith("Fewer than 100"))
    train = Counter((r["density"], r["view"]) for r in rows if r["split"] == "train")
    assert all(f"{d} {v}: {train[d, v]}" in few for d in "ABCD" for v in ("CC", "MLO"))
    assert any("2026c" in line and "113100" in line for line in content["rai:dataPreprocessingProtocol"])


def test_a_broken_file_is_told(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "export")
    content = metadata(folder)
    images = next(s for s in content["recordSet"] if s["@id"] == "images")
    images["field"][0]["source"]["fileObject"] = {"@id": "no_such_file"}
    (folder / "croissant.json").write_text(json.dumps(content))
    assert croissant_errors(folder) != []

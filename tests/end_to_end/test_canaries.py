"""No identifying value, path or report leaves the restricted zone, whatever fails on the way."""

import csv
import json
import os
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from pipelines.storage.tables import DATASET, INVENTORY, SYNTHETIC, read_table
from tests.end_to_end.runs import Ran, midar

BY_CHANCE = {"birth_date", "study_date", "prior_date"}
"""Another patient's shifted date can equal one of these by chance."""
KEPT_BY_PROFILE = {"station"}
"""The default profile retains device identity: StationName stays (PS3.15 E.3.8)."""


def canaries_of(run: Ran) -> list[str]:
    """The identifying strings that went into the archive and are long enough to tell."""
    with (run.truth / "canaries.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] not in BY_CHANCE | KEPT_BY_PROFILE]
    return sorted({row["value"] for row in rows if len(row["value"]) >= 5})


def spellings(canary: str) -> set[bytes]:
    """A canary in every encoding and escape in which text travels."""
    escaped = (canary, json.dumps(canary)[1:-1], urllib.parse.quote(canary), canary.replace("^", " "))
    return {text.encode(encoding) for text in escaped for encoding in ("utf-8", "latin-1") if _fits(text, encoding)}


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def survivors(canaries: list[str], places: list[Path], scratch: Path) -> set[tuple[str, str]]:
    """(file, what stands in it) of every canary in the bytes of the files below the places, in any case."""
    patterns = scratch / "patterns"
    patterns.write_bytes(b"\n".join(sorted({s for c in canaries for s in spellings(c)})) + b"\n")
    command = ["grep", "--recursive", "--text", "--only-matching", "--fixed-strings", "--ignore-case"]
    result = subprocess.run(
        [*command, "--file", patterns, "--", *places],
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    assert result.returncode in (0, 1), result.stderr
    lines = result.stdout.decode("latin-1").splitlines()
    return {(path, found) for path, _, found in (line.partition(":") for line in lines)}


def outside(run: Ran, scratch: Path) -> list[Path]:
    """Everything outside the restricted zone: files, their names, what was printed, what was left in temp."""
    places = [p for p in run.data.iterdir() if p.name != "restricted"] + [run.temporary]
    names = [str(p.relative_to(run.data.parent)) for place in places for p in place.rglob("*")]
    (scratch / "names").write_text("\n".join(names))
    (scratch / "printed").write_text(run.printed)
    return [*places, scratch / "names", scratch / "printed"]


def check(run: Ran, scratch: Path) -> None:
    canaries = canaries_of(run)
    assert len(canaries) > 200
    found = {text.lower() for _, text in survivors(canaries, [run.inbox], scratch)}
    assert len(found) > 0.5 * len(canaries), "the canaries are not in the archive"
    assert survivors(canaries, outside(run, scratch), scratch) == set()


@pytest.mark.xdist_group("demo")
def test_demo_lets_no_canary_out(demo: Ran, tmp_path: Path) -> None:
    check(demo, tmp_path)


@pytest.mark.xdist_group("demo")
def test_commands_for_auditors_let_no_canary_out(demo: Ran, tmp_path: Path) -> None:
    synthetic = read_table(demo.research / "synthetic/images/synthetic.parquet", SYNTHETIC)
    one = synthetic.column("synthetic_id").to_pylist()[0]
    for arguments in (("trace", one, "--all"), ("verify",), ("status",)):
        printed = tmp_path / arguments[0]
        printed.write_text(midar(*arguments, "--data", demo.data, temporary=demo.temporary, check=False).stdout)
        assert survivors(canaries_of(demo), [printed], tmp_path) == set()


@pytest.mark.xdist_group("demo")
def test_synthetic_files_name_no_patient_by_any_name(demo: Ran) -> None:
    """Neither what the hospital calls its patients and objects, nor the pseudonyms and ids of the training set."""
    known: set[str] = set()
    for path in (demo.data / "restricted/level_d/inventory").rglob("inventory.parquet"):
        for name in ("patient_id", "accession_number", "study_instance_uid", "series_instance_uid", "sop_instance_uid"):
            known |= {str(cell).strip("\0 ") for cell in read_table(path, INVENTORY)[name].to_pylist() if cell}
    dataset = read_table(demo.research / "level_a/dataset/dataset.parquet", DATASET)
    for name in ("image_id", "patient", "cluster", "study_instance_uid", "picture_sha256"):
        known |= {cell for cell in dataset[name].to_pylist() if cell}
    known = {name for name in known if len(name) >= 6}
    assert len(known) > 300
    files = sorted((demo.research / "synthetic/images").rglob("*.dcm"))
    assert files
    for path in files:
        header = path.read_bytes().split(b"\xe0\x7f\x10\x00")[0]
        assert b"SYNTHETIC" in header
        assert not [name for name in known if name.encode() in header]


@pytest.mark.xdist_group("small")
def test_small_run_lets_no_canary_out(small: Ran, tmp_path: Path) -> None:
    check(small, tmp_path)


@pytest.mark.parametrize("planted", ["müller-x".encode(), "MÜLLER-X".encode("latin-1"), rb"M\u00fcller-X"])
def test_search_finds_a_planted_canary(tmp_path: Path, planted: bytes) -> None:
    (tmp_path / "data/research").mkdir(parents=True)
    (tmp_path / "data/research/x.bin").write_bytes(b"\x00" + planted + b"\xff\n\x00")
    found = survivors(["Müller-X", "MÜLLER-X", "müller-x", "Nguyen"], [tmp_path / "data"], tmp_path)
    assert len(found) == 1

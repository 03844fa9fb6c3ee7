"""``midar crosswalk`` and ``midar deid-score`` on a pretend archive at level C; conflicts, origins, profiles there."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pydicom
import pytest
from typer.testing import CliRunner, Result

from assets.cli import app
from assets.level_c import Delivered, objects
from assets.level_d import inventory
from assets.resources import Ladder
from pipelines.archive.deliveries import list_deliveries, register
from pipelines.phantom.archive import write_archive
from pipelines.storage.tables import OBJECTS, read_table

HEADERS_ONLY = ("clean_pixel_data = true", "clean_pixel_data = false")
DEFAULT = Path(__file__).parents[2] / "pipelines" / "deidentify" / "profile.toml"


def climb(root: Path, inbox: Path, profile: str | None = None) -> tuple[Ladder, list[str], list[Any]]:
    """Levels D and C of every delivery, without the search for burned-in text unless a profile is given."""
    ladder = Ladder(data=str(root / "data"), inbox=str(inbox), processes=1)
    zones = ladder.zones
    (zones.vault / "profile.toml").write_text(profile or DEFAULT.read_text().replace(*HEADERS_ONLY))
    partitions = [register(zones.vault, ladder.key, d) for d in list_deliveries(zones.inbox)]
    results = []
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("delivery", partitions)
        for partition in partitions:
            results.append(
                dg.materialize(
                    [inventory, objects],
                    instance=instance,
                    partition_key=partition,
                    resources={"ladder": ladder},
                    raise_on_error=False,
                )
            )
    return ladder, partitions, results


def rows_of(ladder: Ladder, partition: str) -> list[dict[str, Any]]:
    return read_table(ladder.zones.publication("level_c/objects", partition) / "objects.parquet", OBJECTS).to_pylist()


def midar(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


class Climbed:
    def __init__(self, root: Path) -> None:
        self.root, self.inbox, self.truth = root, root / "inbox", root / "truth"
        write_archive(self.inbox, patients=3, seed=2, scale=0.1, deliveries=1, truth=self.truth)
        self.ladder, [self.partition], [self.result] = climb(root, self.inbox)
        self.rows = rows_of(self.ladder, self.partition)


@pytest.fixture(scope="module")
def climbed(tmp_path_factory: pytest.TempPathFactory) -> Climbed:
    return Climbed(tmp_path_factory.mktemp("vault"))


def test_level_c_stands_with_its_checks_and_facts(climbed: Climbed) -> None:
    assert climbed.result.success
    checks = {e.check_name: e for e in climbed.result.get_asset_check_evaluations()}
    assert {"no_identifier_left", "no_study_of_two_patients", "pseudonyms_in_crosswalk"} <= set(checks)
    assert {name for name, e in checks.items() if not e.passed} == {"pictures_searched_for_text"}  # not by its profile
    [made] = climbed.result.asset_materializations_for_node("level_c__objects")
    metadata = {name: value.value for name, value in made.metadata.items()}
    ladder = climbed.ladder
    profile = Delivered(ladder, climbed.partition).profile
    assert metadata["profile"] == profile.sha256
    assert metadata["PS3.15 edition"] == "2026c"
    assert metadata["key fingerprint"] == ladder.key.fingerprint
    assert "retain_device_identity" in metadata["options"]
    assert "clean_pixel_data" not in metadata["options"]
    written = [row for row in climbed.rows if row["status"] == "written"]
    assert f"| clinical | {len(written)} |" in metadata["origin"]
    assert "| unknown | 0 |" in metadata["conflicts"]
    assert {(r["profile_sha256"], r["edition"], r["key_fingerprint"]) for r in written} == {
        (profile.sha256, "2026c", ladder.key.fingerprint)
    }
    for row in written:
        by_tag = json.loads(row["actions_by_tag"])
        assert by_tag["00080018"] == {"U": 1}
        assert sum(json.loads(row["actions"]).values()) >= len(by_tag)


def test_images_and_reports_of_a_study_are_one_patients(climbed: Climbed) -> None:
    studies: dict[str, set[str]] = {}
    for row in climbed.rows:
        if row["status"] == "written":
            studies.setdefault(row["study_instance_uid"], set()).add(row["patient"])
    assert studies
    assert all(len(patients) == 1 for patients in studies.values())


def test_crosswalk_prints_originals_to_standard_output_alone(climbed: Climbed, caplog: Any) -> None:
    with (climbed.truth / "truth.csv").open(encoding="utf-8") as file:
        truth = list(csv.DictReader(file))
    data = climbed.root / "data"
    row = next(r for r in climbed.rows if r["modality"] == "MG" and r["status"] == "written")
    for column, original in (
        ("patient", "patient_id"),
        ("accession", "accession_number"),
        ("study_instance_uid", "study_instance_uid"),
        ("series_instance_uid", "series_instance_uid"),
        ("sop_instance_uid", "sop_instance_uid"),
    ):
        result = midar("crosswalk", row[column], "--data", data)
        assert result.exit_code == 0
        told = dict(line.split(": ", 1) for line in result.stdout.splitlines())
        assert told[original] in {t[original] for t in truth}
        assert not result.stderr
    assert not caplog.text
    days = int(re.search(r"days: (\d+)", midar("crosswalk", row["patient"], "--data", data).stdout)[1])
    assert 1 <= days <= 3650
    assert midar("crosswalk", "P-0123", "--data", data).exit_code == 2


def test_crosswalk_is_refused_without_the_vault(climbed: Climbed, tmp_path: Path) -> None:
    result = midar("crosswalk", "P-0123", "--data", tmp_path / "nowhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the vault is not there" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_score_of_a_pretend_archive(climbed: Climbed, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    arguments = ("--data", climbed.root / "data", "--inbox", climbed.inbox)
    result = midar("deid-score", climbed.truth / "answers.csv", *arguments, "--report", report)
    assert result.exit_code == 0
    with report.open() as file:
        verdicts = list(csv.DictReader(file))
    faults = {(v["action"], v["tag"], v["reason"]) for v in verdicts if v["passed"] == "0"}
    assert {action for action, _, _ in faults} <= {"pixels_hidden"}  # the search for burned-in text is off
    with (climbed.truth / "canaries.csv").open(encoding="utf-8") as file:
        canaries = {r["value"] for r in csv.DictReader(file) if len(r["value"]) > 5}
    told = report.read_text() + result.stdout
    assert [c for c in canaries if c in told] == []
    everything = (climbed.truth / "answers.csv").read_text() + "9.9.9,tag_retained,Rows,,\n"
    more = tmp_path / "more.csv"
    more.write_text(everything)
    assert "object_missing" in midar("deid-score", more, *arguments).stdout
    assert midar("deid-score", more, *arguments, "--at-least", "1").exit_code == 1
    more.write_text("sop_instance_uid,action\n9.9,nothing\n")
    assert midar("deid-score", more, *arguments).exit_code == 2
    assert midar("deid-score", tmp_path / "none.csv", *arguments).exit_code == 2


def _copy(source: Path, target: Path, **changes: Any) -> None:
    dataset = pydicom.dcmread(source)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target, enforce_file_format=True)


@pytest.fixture
def picture(climbed: Climbed) -> Path:
    with (climbed.truth / "truth.csv").open(encoding="utf-8") as file:
        row = next(
            r for r in csv.DictReader(file) if r["kind"] == "image" and r["role"] == "original" and not r["member"]
        )
    return climbed.inbox / row["path"]


def test_study_of_two_patients_is_refused_and_synthetic_told_apart(picture: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    _copy(picture, inbox / "a" / "1.dcm")
    _copy(picture, inbox / "b" / "1.dcm", PatientID="X1", SOPInstanceUID="2.25.901")
    _copy(picture, inbox / "b" / "2.dcm", StudyInstanceUID="2.25.902", SOPInstanceUID="2.25.903", SyntheticData="YES")
    _copy(picture, inbox / "c" / "1.dcm", StudyInstanceUID="2.25.904", SOPInstanceUID="2.25.905")
    _copy(picture, inbox / "c" / "2.dcm", StudyInstanceUID="2.25.904", SOPInstanceUID="2.25.906", PatientID="X2")
    _copy(picture, inbox / "c" / "3.dcm", StudyInstanceUID="2.25.907", SOPInstanceUID="2.25.908")
    ladder, partitions, results = climb(tmp_path, inbox)
    assert all(result.success for result in results)
    found = [sorted((row["status"], row["reason"] or row["origin"]) for row in rows_of(ladder, p)) for p in partitions]
    conflict = ("refused", "study_of_two_patients")
    assert found == [
        [("written", "clinical")],
        [conflict, ("written", "synthetic")],
        [conflict, conflict, ("written", "clinical")],
    ]
    standing = [(p, rows_of(ladder, p)) for p in partitions]
    climb(tmp_path, inbox)
    assert [(p, rows_of(ladder, p)) for p in partitions] == standing


def test_damaged_profile_is_a_clear_failure(picture: Path, tmp_path: Path) -> None:
    _copy(picture, tmp_path / "inbox" / "a" / "1.dcm")
    _, _, [result] = climb(tmp_path, tmp_path / "inbox", profile="options = [")
    [failure] = [e for e in result.all_node_events if e.is_step_failure]
    assert "the profile is not valid TOML" in failure.step_failure_data.user_failure_data.description


def test_damaged_crosswalk_is_a_clear_failure(picture: Path, tmp_path: Path) -> None:
    _copy(picture, tmp_path / "inbox" / "a" / "1.dcm")
    folder = tmp_path / "data" / "restricted" / "vault" / "crosswalk"
    folder.mkdir(parents=True)
    (folder / "D-old.siv").write_bytes(b"MIDARXW1 nothing")
    _, _, [result] = climb(tmp_path, tmp_path / "inbox")
    [failure] = [e for e in result.all_node_events if e.is_step_failure]
    assert "crosswalk of D-old in the vault is damaged" in failure.step_failure_data.user_failure_data.description

"""Whole pretend patients: four pictures, one study, kept whole or not at all."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from pipelines.storage.digests import sha256_of_file
from pipelines.storage.tables import DENSITIES, LATERALITIES, SYNTHETIC_PATIENTS, VIEWS, read_table
from pipelines.synthesize.patients import PatientsSummary, write_patients
from pipelines.synthesize.screening import Screen
from pipelines.synthesize.settings import SynthesisSettings
from tests.synthesize.cohort import Cohort

MODEL = "b2" * 32
SETTINGS = SynthesisSettings(patients=3, calibration_pictures=60)


@pytest.fixture(scope="module")
def screen(drawn: Cohort) -> Screen:
    return Screen.calibrated(drawn.training, drawn.held_back, lambda pictures, *_: np.zeros(len(pictures)), SETTINGS)


@pytest.fixture(scope="module")
def women(breast: Callable[..., np.ndarray], drawn: Cohort) -> Callable[..., np.ndarray]:
    """Draws women whom the cohort does not have; of number 1 one picture is a copy."""

    def call(seed: int, numbers: Sequence[int], densities: Sequence[str]) -> np.ndarray:
        made = []
        for number, density in zip(numbers, densities, strict=True):
            person = 5000 + 100 * seed + number
            four = np.stack([[breast(person, density, view, side) for view in VIEWS] for side in LATERALITIES])
            if number == 1:
                four[1, 0] = drawn.training.pictures[4]
            made.append(four)
        return np.stack(made)

    return call


@pytest.fixture
def write(women: Callable[..., np.ndarray], screen: Screen, tmp_path: Path) -> Callable[..., PatientsSummary]:
    def call(densities: str, folder: str = "out", **changes: Any) -> PatientsSummary:
        (tmp_path / folder).mkdir()
        arguments = {"screen": screen, "model_sha256": MODEL, "settings": SETTINGS, "folder": tmp_path / folder}
        return write_patients(changes.pop("women", women), densities, **arguments | changes)

    return call


def test_each_patient_is_one_study_of_four_pictures(write: Callable[..., PatientsSummary], tmp_path: Path) -> None:
    summary = write("BD")
    rows = read_table(tmp_path / "out/patients.parquet", SYNTHETIC_PATIENTS).to_pylist()
    kept = [row for row in rows if row["verdict"] == "kept"]
    assert (summary.wanted, summary.kept, 4 * summary.looked_at) == (6, 6, len(rows))
    assert Counter(row["density"] for row in kept) == {"B": 12, "D": 12}
    patients: dict[str, list[pydicom.Dataset]] = {}
    for row in kept:
        file = pydicom.dcmread(tmp_path / "out" / row["dicom"])
        patients.setdefault(row["synthetic_patient"], []).append(file)
        assert (file.SOPInstanceUID, file.StudyInstanceUID) == (row["sop_instance_uid"], row["study_instance_uid"])
        assert (file.ImageLaterality, file.ViewPosition) == (row["laterality"], row["view"])
        assert file.PatientID == f"SYNTHETIC-{row['synthetic_patient']}"
    assert len({files[0].StudyInstanceUID for files in patients.values()}) == len(patients) == 6
    for files in (sorted(files, key=lambda file: file.InstanceNumber) for files in patients.values()):
        shared = ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID")
        assert all(len({str(file[name].value) for file in files}) == 1 for name in shared)
        assert len({file.SOPInstanceUID for file in files}) == 4
        assert [(f.ImageLaterality, f.ViewPosition) for f in files] == [(s, v) for s in "LR" for v in ("CC", "MLO")]
        assert [file.InstanceNumber for file in files] == [1, 2, 3, 4]
        densities = {str(file.AcquisitionContextSequence[0].ConceptCodeSequence[0].CodeValue) for file in files}
        assert len(densities) == 1


def test_one_rejected_picture_rejects_the_patient(write: Callable[..., PatientsSummary], tmp_path: Path) -> None:
    write("B")
    rows = read_table(tmp_path / "out/patients.parquet", SYNTHETIC_PATIENTS).to_pylist()
    spoiled = {(row["laterality"], row["view"]): row for row in rows if row["number"] == 1}
    assert spoiled["R", "CC"]["reason"] == "copy"
    assert {row["verdict"] for row in spoiled.values()} == {"rejected"}
    assert all(row["reason"] and row["dicom"] is None for row in spoiled.values())
    assert "another_picture" in {row["reason"] for row in spoiled.values()}
    assert len({row["synthetic_patient"] for row in spoiled.values()}) == 1
    assert not (tmp_path / "out/patients" / spoiled["R", "CC"]["synthetic_patient"]).exists()


def test_right_breasts_are_mirrored_in_the_files_alone(
    write: Callable[..., PatientsSummary], women: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    write("C")
    rows = read_table(tmp_path / "out/patients.parquet", SYNTHETIC_PATIENTS).to_pylist()
    for row in (r for r in rows if r["number"] == 0 and r["verdict"] == "kept"):
        file = pydicom.dcmread(tmp_path / "out" / row["dicom"])
        picture = file.pixel_array if row["laterality"] == "L" else file.pixel_array[:, ::-1]
        drawn = women(0, [0], ["C"])[0, LATERALITIES.index(row["laterality"]), VIEWS.index(row["view"])]
        assert np.corrcoef(picture.ravel(), drawn.ravel())[0, 1] > 0.999
        assert file.PatientOrientation[0] == {"L": "A", "R": "P"}[row["laterality"]]


def test_the_ledger_leads_from_each_file_to_the_model(write: Callable[..., PatientsSummary], tmp_path: Path) -> None:
    summary = write("A")
    stated = {row.output: row for row in summary.ledger}
    rows = read_table(tmp_path / "out/patients.parquet", SYNTHETIC_PATIENTS).to_pylist()
    for row in (r for r in rows if r["verdict"] == "kept"):
        file = stated[row["sop_instance_uid"]]
        assert file.sha256 == sha256_of_file(tmp_path / "out" / row["dicom"])
        assert file.inputs == ((row["synthetic_id"], row["picture_sha256"]),)
        assert stated[row["synthetic_id"]].inputs == (("model", MODEL),)
    assert len(stated) == len(summary.ledger) == 24


def test_the_same_bytes_again_and_other_women_by_another_seed(
    write: Callable[..., PatientsSummary], tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        write("B", folder)
    contents = [
        {str(p.relative_to(tmp_path / f)): p.read_bytes() for p in (tmp_path / f).rglob("*") if p.is_file()}
        for f in ("one", "two")
    ]
    assert contents[0] == contents[1]
    assert {"patients.parquet", "patients.png"} < set(contents[0])
    other = write("B", "three", settings=SynthesisSettings(seed=1, patients=1, calibration_pictures=60))
    assert other.kept == 1
    assert not {row.output for row in other.ledger} & {r["synthetic_id"] for r in rows_of(tmp_path / "one")}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return read_table(folder / "patients.parquet", SYNTHETIC_PATIENTS).to_pylist()


def test_tries_come_to_an_end(write: Callable[..., PatientsSummary], drawn: Cohort, tmp_path: Path) -> None:
    def copies(seed: int, numbers: Sequence[int], densities: Sequence[str]) -> np.ndarray:
        return np.stack([drawn.training.pictures[:4].reshape(2, 2, 80, 64) for _ in numbers])

    summary = write("B", women=copies, settings=SynthesisSettings(patients=2, tries=3, calibration_pictures=60))
    assert (summary.looked_at, summary.kept, summary.ledger) == (6, 0, ())
    assert not (tmp_path / "out/patients.png").exists()


def test_the_sheet_hangs_right_before_left(
    write: Callable[..., PatientsSummary], women: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    write("D")
    with Image.open(tmp_path / "out/patients.png") as image:
        sheet = np.asarray(image).astype(float)
    left_cc = women(0, [0], ["D"])[0, 0, 0]
    for column, own in ((1, left_cc), (0, women(0, [0], ["D"])[0, 1, 0][:, ::-1])):
        shown = sheet[16:216, 120 + 168 * column : 280 + 168 * column]
        expected = np.asarray(Image.fromarray(np.ascontiguousarray(own)).resize((160, 200), Image.Resampling.BICUBIC))
        assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.99


def test_every_density_has_its_patients(write: Callable[..., PatientsSummary]) -> None:
    assert write(DENSITIES, settings=SynthesisSettings(patients=1, calibration_pictures=60)).kept == 4

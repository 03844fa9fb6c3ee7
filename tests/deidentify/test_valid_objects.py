"""What was valid stays valid: dciodvfy finds no error in an object's output that it did not find in its input."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet
from tests.deidentify.built_objects import BUILT, everything_of, sop_classes
from tests.deidentify.conftest import SECRETS, save
from tests.deidentify.settings import profile_of_only, profile_with


def errors(path: Path) -> set[str]:
    """The errors that dciodvfy reports, without the values of UIDs."""
    run = subprocess.run(["dciodvfy", path], capture_output=True, check=False)
    lines = (run.stdout + run.stderr).decode("latin-1").splitlines()
    return {re.sub(r"UID [\d.]+$|\b[\d.]{8,}", "UID", line) for line in lines if line.startswith("Error")}


def profiles(folder: Path) -> dict[str, Profile]:
    return {
        "default": profile_with(folder),
        "basic": profile_of_only(folder),
        "full dates": profile_of_only(
            folder, "retain_longitudinal_full_dates", "clean_structured_content", "clean_descriptors"
        ),
    }


@pytest.mark.parametrize("kind", BUILT)
def test_valid_objects_stay_valid(tmp_path: Path, pseudonyms: Pseudonyms, kind: str) -> None:
    with quiet():
        source = save(BUILT[kind](), tmp_path / "in.dcm")
    before = errors(source)
    assert before == set()
    for name, profile in profiles(tmp_path).items():
        target = tmp_path / "out.dcm"
        deidentify_object(source, target, file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
        assert errors(target) == set(), name
        data = target.read_bytes()
        assert [s for s in SECRETS if s.encode() in data] == []


@pytest.mark.parametrize("iod", sop_classes())
def test_objects_with_every_attribute_get_no_new_errors(tmp_path: Path, pseudonyms: Pseudonyms, iod: str) -> None:
    with quiet():
        source = save(everything_of(iod, sop_classes()[iod]), tmp_path / "in.dcm")
    before = errors(source)
    for name, profile in list(profiles(tmp_path).items())[:2]:
        target = tmp_path / "out.dcm"
        deidentify_object(source, target, file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
        assert errors(target) - before == set(), name


def test_the_oracle_sees_what_is_missing(tmp_path: Path) -> None:
    """The test above can fail."""
    made = BUILT["mammogram for presentation"]()
    del made["PatientName"]
    assert any("PatientName" in error for error in errors(save(made, tmp_path / "in.dcm")))


def test_equipment_of_before_stays_and_ours_is_stated_once(
    deidentified: Any, pseudonyms: Pseudonyms, profile: Profile, tmp_path: Path
) -> None:
    made = BUILT["mammogram for presentation"]()
    earlier = pydicom.Dataset()
    earlier.PurposeOfReferenceCodeSequence = [pydicom.Dataset()]
    purpose = earlier.PurposeOfReferenceCodeSequence[0]
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "109103", "DCM", "Modifying Equipment"
    earlier.Manufacturer, earlier.InstitutionName = "HOLOGIC, Inc.", "Klinikum Glimmerthal"
    made.ContributingEquipmentSequence = [earlier]
    first = deidentified(made)
    modifying, ours = first.ContributingEquipmentSequence
    assert modifying.PurposeOfReferenceCodeSequence[0].CodeValue == "109103"
    assert modifying.Manufacturer == "HOLOGIC, Inc."
    assert "InstitutionName" not in modifying
    assert ours.PurposeOfReferenceCodeSequence[0].CodeValue == "109104"
    target = tmp_path / "twice.dcm"
    deidentify_object(Path(first.filename), target, file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
    second = pydicom.dcmread(target)
    assert len(second.ContributingEquipmentSequence) == 2
    assert second.ContributingEquipmentSequence[1] == ours

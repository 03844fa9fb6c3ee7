from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipelines.deidentify import residual
from tests.deidentify.conftest import mammogram, save


def clean_one(**changes: Any) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = mammogram().SOPClassUID, "2.25.1"
    dataset.StudyDescription = "MAMMO SCREENING BREAST"
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    dataset.add_new(0x7FE00010, "OW", b"KOWALEWSKA  ")
    return dataset


@pytest.fixture(scope="module")
def identifiers(profile: Any) -> residual.Identifiers:
    return residual.identifiers_of(mammogram(), profile, "inbox:Fenwick%20Ursula/88123.dcm", days=400)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize(
    "left",
    [
        {"StudyDescription": "for kowalewska"},
        {"StationName": "JADWIGA"},
        {"SeriesDescription": "a MRN0098231 b"},
        {"ProtocolName": "x-ACC77182931"},
        {"OperatorsName": "Quastel"},
        {"StudyInstanceUID": "1.2.276.0.99.1.1"},
        {"StudyDate": "20180309"},
        {"PatientBirthDate": "19480229"},
        {"AcquisitionDateTime": "20180310101700"},
        {"SoftwareVersions": "Glimmerthal 2"},
        {"ImageComments": "Jadwiga called"},
        {"StudyID": "fenwick"},
        {"SeriesNumber": "88123"},
    ],
    ids=lambda left: next(iter(left)),
)
def test_finds_what_is_left(identifiers: Any, tmp_path: Path, left: dict[str, Any], syntax: Any) -> None:
    assert residual.scan(save(clean_one(**left), tmp_path / "x", syntax), identifiers) >= 1


def test_finds_it_in_a_nested_item(identifiers: Any, tmp_path: Path) -> None:
    item = Dataset()
    item.CodeMeaning = "Oberrauch"
    assert residual.scan(save(clean_one(ViewCodeSequence=[item]), tmp_path / "x"), identifiers) == 1


@pytest.mark.parametrize(
    "harmless",
    [
        {},
        {"StudyDescription": "MAMMO SCREENING R MLO Breast private"},
        {"Manufacturer": "HOLOGIC, Inc.", "ManufacturerModelName": "Selenia Dimensions", "StationName": "MAMMO2"},
        {"StudyDate": "20170202", "StudyTime": "101500"},
        {"StudyInstanceUID": "2.25.98812388123881238812388123"},
        {"StudyDescription": "quastelated idas do not count"},
    ],
)
def test_no_false_alarm(identifiers: Any, tmp_path: Path, harmless: dict[str, Any]) -> None:
    assert residual.scan(save(clean_one(**harmless), tmp_path / "x"), identifiers) == 0


def test_a_date_that_another_becomes_is_no_survivor(profile: Any, tmp_path: Path) -> None:
    dataset = mammogram(DateOfLastDetectorCalibration="20180308")
    identifiers = residual.identifiers_of(dataset, profile, days=1)
    assert b"20180308" not in identifiers.dates
    assert b"20180310" in identifiers.dates


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 100", "ISO_IR 144", "GB18030"])
def test_names_in_other_encodings(profile: Any, tmp_path: Path, charset: str) -> None:
    name = {"ISO_IR 144": "Люкceмбypг", "GB18030": "王小东"}.get(charset, "Bünßdörfer")
    source = mammogram(SpecificCharacterSet=charset, PatientName=f"{name}^X")
    identifiers = residual.identifiers_of(source, profile)
    left = clean_one(SpecificCharacterSet=charset, StudyDescription=f"of {name}")
    assert residual.scan(save(left, tmp_path / "x"), identifiers) >= 1


def test_survivors_compares_two_files(profile: Any, tmp_path: Path) -> None:
    source = save(mammogram(), tmp_path / "s")
    assert residual.survivors(source, save(clean_one(), tmp_path / "a"), profile) == 0
    assert residual.survivors(source, save(clean_one(StationName="Jadwiga"), tmp_path / "b"), profile) == 1

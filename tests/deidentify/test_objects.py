import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pipelines.deidentify.objects import RefusedError, deidentify_object
from tests.deidentify.conftest import SECRETS, code, mammogram, save

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]

KEPT = (
    "ImageType Modality PresentationIntentType Manufacturer ManufacturerModelName StationName PatientSex PatientSize "
    "PatientWeight BodyPartExamined KVP Exposure BodyPartThickness CompressionForce AnodeTargetMaterial FilterMaterial "
    "DeviceSerialNumber DetectorID PositionerType ImagerPixelSpacing ViewPosition ImageLaterality PatientOrientation "
    "BreastImplantPresent WindowCenter WindowWidth WindowCenterWidthExplanation PixelIntensityRelationship "
    "RescaleIntercept RescaleSlope Rows Columns BitsStored PixelData StudyTime AcquisitionTime SeriesDescription"
)


def test_no_secret_is_left_anywhere(deidentified: Any) -> None:
    written = deidentified(mammogram(), location="inbox:KOWALEWSKA_Jadwiga/MRN0098231/IM1.dcm")
    data = Path(written.filename).read_bytes().lower()
    assert [s for s in SECRETS if s.lower().encode() in data] == []


def test_what_mammography_needs_stays(deidentified: Any) -> None:
    original = mammogram()
    written = deidentified(mammogram())
    for keyword in KEPT.split():
        assert written[keyword].value == original[keyword].value, keyword
    assert written.AnatomicRegionSequence == original.AnatomicRegionSequence
    assert written.ViewCodeSequence == original.ViewCodeSequence


def test_intervals_and_times_of_day_are_kept(deidentified: Any) -> None:
    written = deidentified(mammogram())
    assert written.StudyDate != "20180309"
    days = [
        pydicom.valuerep.DA(written[k].value) for k in ("DateOfLastDetectorCalibration", "StudyDate", "ContentDate")
    ]
    assert [(day - days[0]).days for day in days] == [0, 36, 37]
    assert written.AcquisitionDateTime == written.AcquisitionDate + "101700.250000+0100"


def test_age_is_taken_from_the_birth_date(deidentified: Any) -> None:
    assert deidentified(mammogram()).PatientAge == "070Y"
    assert deidentified(mammogram(PatientBirthDate="19020101"), "old").PatientAge == "089Y"
    assert deidentified(mammogram(PatientAge="093Y"), "stated").PatientAge == "089Y"
    assert "PatientAge" not in deidentified(mammogram(PatientBirthDate="00000000"), "unknown")


def test_marks_of_deidentification(deidentified: Any) -> None:
    written = deidentified(mammogram())
    assert written.PatientIdentityRemoved == "YES"
    assert written.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [item.CodeValue for item in written.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113104", "113105", "113107", "113108", "113109", "113111"]
    (equipment,) = written.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109104"
    assert "ContributionDateTime" not in equipment


def test_references_stay_closed_and_standard_uids_stay(deidentified: Any) -> None:
    first = deidentified(mammogram(), "first")
    other = mammogram(SOPInstanceUID="1.2.276.0.99.3.7", AccessionNumber="ACC9")
    second = deidentified(other, "second")
    assert first.ReferencedImageSequence[0].ReferencedSOPInstanceUID == second.SOPInstanceUID
    assert first.ReferencedImageSequence[0].ReferencedSOPClassUID == first.SOPClassUID == mammogram().SOPClassUID
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID.startswith("2.25.")
    assert first.PatientID == second.PatientID == first.PatientName
    assert first.AccessionNumber != second.AccessionNumber
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID


def test_patients_without_id_are_not_merged(deidentified: Any) -> None:
    one = deidentified(mammogram(PatientID=""), "one")
    same_study = deidentified(mammogram(PatientID="", SOPInstanceUID="1.2.3.5"), "same")
    other_study = deidentified(mammogram(PatientID="", StudyInstanceUID="1.2.3.4"), "other")
    assert one.PatientID == same_study.PatientID
    assert one.PatientID != other_study.PatientID
    assert one.PatientID.startswith("P-")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
def test_transfer_syntax_and_pixels_stay(deidentified: Any, syntax: Any) -> None:
    original = mammogram()
    written = deidentified(mammogram(), syntax=syntax)
    assert written.file_meta.TransferSyntaxUID == syntax
    assert written.PixelData == original.PixelData
    assert written.preamble == b"\0" * 128
    assert [s for s in SECRETS if s.lower() in str(written).lower()] == []


def test_without_meta_information(tmp_path: Path, profile: Any, pseudonyms: Any) -> None:
    dataset = mammogram()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True, enforce_file_format=False)
    source = tmp_path / "bare"
    source.write_bytes(buffer.getvalue())
    deidentify_object(source, tmp_path / "out", file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
    written = pydicom.dcmread(tmp_path / "out")
    assert written.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert written.PixelData == dataset.PixelData


def test_what_hides_is_removed(deidentified: Any) -> None:
    dataset = mammogram()
    dataset.add_new(0x60000010, "US", 8)
    dataset.add_new(0x60003000, "OW", b"KOWALEWSKA  ")
    dataset.add_new(0x60000022, "LO", "KOWALEWSKA overlay")
    dataset.add_new(0x50000010, "US", 8)
    dataset.add_new(0x00081195, "UI", "1.2.276.0.99.9")
    dataset.add_new(0x00280068, "LO", "KOWALEWSKA unknown tag")
    dataset.add_new(0xFFFCFFFC, "OB", b"KOWALEWSKA  ")
    dataset.add_new(0x00281055, "LO", "NORMAL\\HARDER")
    dataset.add_new(0x00180050, "LO", "KOWALEWSKA thick")
    dataset.IconImageSequence = Sequence([Dataset()])
    dataset.IconImageSequence[0].add_new(0x7FE00010, "OW", b"KOWALEWSKA  ")
    written = deidentified(dataset)
    assert b"kowalewska" not in Path(written.filename).read_bytes().lower()
    assert not any(e.tag.group in (0x6000, 0x5000, 0xFFFC) or e.tag.is_private for e in written.iterall())
    assert written.SliceThickness is None
    assert "IconImageSequence" not in written


def test_sequences_encoded_as_un_are_walked(tmp_path: Path, profile: Any, pseudonyms: Any) -> None:
    item = Dataset()
    item.PatientName, item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID = (
        "Ghost^Wanda",
        "1.2.276.0.99.8",
        "1.2.3",
    )
    inner = Dataset()
    inner.ReferencedImageSequence = Sequence([item])
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, inner, implicit_vr=True, little_endian=True, enforce_file_format=False)
    content = buffer.getvalue()[8:]
    source = save(mammogram(ReferencedImageSequence=Sequence()), tmp_path / "un.dcm")
    empty = b"\x08\x00\x40\x11SQ\0\0" + bytes(4)
    assert empty in source.read_bytes()
    unknown = empty[:4] + b"UN\0\0" + len(content).to_bytes(4, "little") + content
    source.write_bytes(source.read_bytes().replace(empty, unknown))
    deidentify_object(source, tmp_path / "o", file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
    data = (tmp_path / "o").read_bytes()
    assert b"Ghost" not in data
    assert b"1.2.276.0.99.8" not in data
    assert pydicom.dcmread(tmp_path / "o").ReferencedImageSequence[0].ReferencedSOPInstanceUID.startswith("2.25.")


def test_names_in_code_strings_and_numbers_go(deidentified: Any) -> None:
    dataset = mammogram()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "KOWALEWSKA"]
    dataset.add_new(0x00181110, "DS", "660")
    dataset["KVP"]._value = "Jadwiga"
    written = deidentified(dataset)
    assert written.ImageType == ["ORIGINAL", "PRIMARY", "REMOVED"]
    assert written.KVP is None
    assert written.DistanceSourceToDetector == 660


def report() -> Dataset:
    def item(kind: str, name: Dataset, **content: Any) -> Dataset:
        made = Dataset()
        made.RelationshipType, made.ValueType = "CONTAINS", kind
        made.ConceptNameCodeSequence = Sequence([name])
        for keyword, value in content.items():
            setattr(made, keyword, value)
        return made

    d = mammogram()
    for keyword in ("PixelData", "Rows", "Columns", "BitsStored", "ImageLaterality"):
        del d[keyword]
    d.SOPClassUID, d.Modality, d.ValueType = "1.2.840.10008.5.1.4.1.1.88.22", "SR", "CONTAINER"
    observer = item("PNAME", code("121008", "DCM", "Person Observer Name"), PersonName="Oberrauch^Kaspar")
    finding = item("TEXT", code("121071", "DCM", "Finding"), TextValue="Mrs. Kowalewska: 5 mm mass, seen 03/09/2018.")
    local = item("TEXT", code("X1", "99LOCAL", "Remark"), TextValue="Discussed with Dr. Quastel.")
    accession = item("TEXT", code("121022", "DCM", "Accession Number"), TextValue="ACC77182931")
    density = item("CODE", code("111031", "DCM", "Breast composition"))
    density.ConceptCodeSequence = Sequence([code("129717001", "SCT", "Scattered fibroglandular densities")])
    dose = item("NUM", code("111637", "DCM", "Accumulated Average Glandular Dose"))
    dose.MeasuredValueSequence = Sequence([Dataset()])
    dose.MeasuredValueSequence[0].NumericValue = "1.7"
    day = item("DATE", code("111060", "DCM", "Study Date"), Date="20180309")
    uid = item("UIDREF", code("110180", "DCM", "Study Instance UID"), UID="1.2.276.0.99.1.1")
    d.ContentSequence = Sequence([observer, finding, local, accession, density, dose, day, uid])
    return d


def test_structured_report(deidentified: Any) -> None:
    written = deidentified(report())
    kinds = [item.ValueType for item in written.ContentSequence]
    assert kinds == ["PNAME", "TEXT", "TEXT", "CODE", "NUM", "DATE", "UIDREF"]
    observer, finding, local, density, dose, day, uid = written.ContentSequence
    assert observer.PersonName == "REMOVED"
    assert finding.TextValue == "Mrs. <NAME>: 5 mm mass, seen <DATE>."
    assert "Quastel" not in local.TextValue
    assert density.ConceptCodeSequence[0].CodeValue == "129717001"
    assert dose.MeasuredValueSequence[0].NumericValue == pytest.approx(1.7)
    assert day.Date == written.StudyDate
    assert written.StudyInstanceUID == uid.UID
    assert b"ACC77182931" not in Path(written.filename).read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "encapsulated_document"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.9.1.1"}, "waveform"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66"}, "raw_data"),
        ({"SOPClassUID": "1.2.840.113619.4.26"}, "private_sop_class"),
        ({"EncapsulatedDocument": b"%PDF"}, "encapsulated_document"),
    ],
)
def test_refused_as_a_whole(deidentified: Any, tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedError) as refused:
        deidentified(mammogram(**changes))
    assert refused.value.reason == reason
    assert not (tmp_path / "out" / "x.dcm").exists()


def test_presentation_state_with_text_and_capture_without_pixels(deidentified: Any) -> None:
    state = mammogram(SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1")
    state.GraphicAnnotationSequence = Sequence([Dataset()])
    state.GraphicAnnotationSequence[0].TextObjectSequence = Sequence([Dataset()])
    with pytest.raises(RefusedError, match="presentation_state_text"):
        deidentified(state)
    capture = mammogram(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    del capture["PixelData"]
    with pytest.raises(RefusedError, match="secondary_capture_without_pixels"):
        deidentified(capture, "capture")


def test_residual_gate_stops_what_cleaning_missed(deidentified: Any, tmp_path: Path, monkeypatch: Any) -> None:
    import pipelines.deidentify.objects as objects

    def forgetful(dataset: Dataset, cleaning: Any) -> None:
        dataset.PatientName = dataset.PatientID = cleaning.patient

    monkeypatch.setattr(objects, "clean", forgetful)
    with pytest.raises(RefusedError, match="residual_identifier"):
        deidentified(mammogram())
    assert not (tmp_path / "out" / "x.dcm").exists()


def test_exceptions_say_nothing(tmp_path: Path, profile: Any, pseudonyms: Any, caplog: Any, capfd: Any) -> None:
    dataset = mammogram()
    source = save(dataset, tmp_path / "KOWALEWSKA.dcm")
    data = source.read_bytes()
    source.write_bytes(data[:200] + b"KOWALEWSKA" * 30)
    with pytest.raises(RefusedError) as refused:
        deidentify_object(source, tmp_path / "o", file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
    assert "KOWALEWSKA" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    out, err = capfd.readouterr()
    assert "KOWALEWSKA" not in caplog.text + out + err


DETERMINISM = """
import sys, json
from pathlib import Path
from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.profile import load_profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.storage.keys import Key
source, target = map(Path, sys.argv[1:])
made = deidentify_object(source, target, file_id="f", location="", profile=load_profile(),
                         pseudonyms=Pseudonyms(Key(bytes(range(32)))))
print(json.dumps([made.actions, made.actions_by_tag]))
"""


def test_same_bytes_in_any_process(tmp_path: Path) -> None:
    source = save(mammogram(), tmp_path / "in.dcm")
    outputs = []
    for seed in ("1", "2"):
        target = tmp_path / seed
        run = subprocess.run(
            [sys.executable, "-c", DETERMINISM, source, target],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
            text=True,
        )
        outputs.append((target.read_bytes(), json.loads(run.stdout)))
    assert outputs[0] == outputs[1]
    assert outputs[0][1][0]["private"] == 2

import io
import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from pipelines.phantom.objects import Shot, image_object, to_bytes
from pipelines.phantom.patients import derive_uid, invent_exam, invent_person
from pipelines.phantom.vendors import DEFLATED, FILM, JPEG_LOSSLESS, VENDORS, Vendor

CASES = [(v, syntax, raw) for v in (*VENDORS, FILM) for syntax in sorted(set(v.syntaxes)) for raw in (False, True)]


def shoot(vendor: Vendor, syntax: str, raw: bool, laterality: str = "R", view: str = "MLO") -> Shot:
    bits = vendor.raw.bits if raw else vendor.gray.bits
    stored = np.random.default_rng(1).integers(0, 2**bits, (61, 48), dtype=np.uint16)
    return Shot(
        exam=invent_exam(3, invent_person(3, 7), vendor.name),
        vendor=vendor,
        model=vendor.models[0],
        syntax=syntax,
        laterality=laterality,
        view=view,
        number=3,
        raw=raw,
        stored=stored,
        spacing=0.28,
        nipple_left=laterality == "R",
        thickness=52.0,
        burned_in="NO",
        window_offset=0.0,
        sop_uid=derive_uid(vendor.uid_root, "sop"),
        series_uid=derive_uid(vendor.uid_root, "series"),
    )


def decode(ds: Dataset) -> np.ndarray:
    if ds.file_meta.TransferSyntaxUID == JPEG_LOSSLESS:
        return imagecodecs.jpeg_decode(next(generate_frames(ds.PixelData, number_of_frames=1)))
    return ds.pixel_array


@pytest.mark.parametrize(("vendor", "syntax", "raw"), CASES)
def test_pixels_survive_every_transfer_syntax(vendor: Vendor, syntax: str, raw: bool) -> None:
    shot = shoot(vendor, syntax, raw)
    ds = dcmread(io.BytesIO(to_bytes(image_object(shot))))
    assert ds.file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(decode(ds), shot.stored)
    assert ds.BitsStored == shot.bits
    assert str(ds.PatientName).startswith(shot.exam.person.family)


def test_jpeg_lossless_is_selection_value_one() -> None:
    ds = image_object(shoot(VENDORS[0], JPEG_LOSSLESS, raw=False))
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    scan = frame.index(b"\xff\xda")
    assert b"\xff\xc3" in frame[:200]
    assert frame[scan + 7] == 1


@pytest.mark.parametrize(("vendor", "syntax", "raw"), CASES)
def test_headers_are_valid(vendor: Vendor, syntax: str, raw: bool, tmp_path: Path) -> None:
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    if syntax == DEFLATED:
        syntax = vendor.syntaxes[0]  # the validator does not inflate
    path = tmp_path / "image.dcm"
    path.write_bytes(to_bytes(image_object(shoot(vendor, syntax, raw))))
    run = subprocess.run([validator, "-new", str(path)], capture_output=True, check=False)
    text = run.stderr.decode("utf-8", "replace")
    assert [line for line in text.splitlines() if line.startswith("Error")] == []
    assert ("MammographyImageForProcessing" if raw else "MammographyImageForPresentation") in text


@pytest.mark.parametrize(
    ("laterality", "view", "orientation"),
    [("R", "CC", ["P", "L"]), ("L", "CC", ["A", "R"]), ("R", "MLO", ["P", "FL"]), ("L", "MLO", ["A", "FR"])],
)
def test_orientation_follows_the_hanging(laterality: str, view: str, orientation: list[str]) -> None:
    ds = image_object(shoot(VENDORS[0], VENDORS[0].syntaxes[0], False, laterality, view))
    assert list(ds.PatientOrientation) == orientation
    assert (ds.ImageLaterality, ds.ViewPosition) == (laterality, view)


def test_identity_is_in_plain_nested_and_private_elements() -> None:
    for vendor in (*VENDORS, FILM):
        shot = shoot(vendor, vendor.syntaxes[0], raw=False)
        ds, person = image_object(shot), shot.exam.person
        assert person.patient_id in ds.ImageComments
        assert person.patient_id in ds.RequestAttributesSequence[0].ReasonForTheRequestedProcedure
        assert ds.OtherPatientIDsSequence[0].PatientID == person.other_id
        known = (person.family, person.patient_id, person.other_id, shot.exam.accession)
        private = [str(element.value) for element in ds if element.tag.is_private]
        assert any(word in text for word in known for text in private), vendor.name
        assert len({element.value for element in ds if element.tag.is_private_creator}) >= (vendor is not FILM)

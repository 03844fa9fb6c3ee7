"""The DICOM files: valid for an independent validator, readable by another toolkit, plainly synthetic."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from pipelines.synthesize.dicom import Origin, encode

MODEL = "3f" * 32


def origin(density: str = "D", view: str = "MLO", number: int = 7) -> Origin:
    return Origin("S-0123456789abcdef", MODEL, 11, number, density, view)


@pytest.fixture(scope="module")
def picture(breast: Callable[..., np.ndarray]) -> np.ndarray:
    return breast(3, "D", "MLO", rows=160)


def read(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(data))


def test_pixels_and_geometry(picture: np.ndarray) -> None:
    file = read(encode(picture, origin())[1])
    assert np.array_equal(file.pixel_array, picture)
    assert (file.Rows, file.Columns, file.BitsStored, file.PhotometricInterpretation) == (160, 128, 12, "MONOCHROME2")
    assert file.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert [float(s) * file.Rows for s in file.ImagerPixelSpacing] == pytest.approx([307.2, 307.2])


@pytest.mark.parametrize(("side", "view", "directions"), [
    ("L", "CC", ["A", "R"]), ("L", "MLO", ["A", "FR"]), ("R", "CC", ["P", "L"]), ("R", "MLO", ["P", "FL"]),
])  # fmt: skip
def test_a_right_breast_is_hung_as_films_are(side: str, view: str, directions: list[str], picture: np.ndarray) -> None:
    """Its chest wall is on the right, so that rows run to the back; the order of names is that of the real archive."""
    file = read(encode(picture, replace(origin(view=view), laterality=side))[1])
    assert np.array_equal(file.pixel_array, picture if side == "L" else picture[:, ::-1])
    assert (file.ImageLaterality, list(file.PatientOrientation)) == (side, directions)


def test_spacing_is_the_training_images_at_full_size(picture: np.ndarray) -> None:
    file = read(encode(picture, origin(), spacing=0.15)[1])
    assert [float(s) for s in file.ImagerPixelSpacing] == pytest.approx([0.15 * 1280 / 160] * 2)


def test_pictures_of_a_pretend_patient_are_one_study(picture: np.ndarray) -> None:
    files = [
        read(encode(picture, replace(origin(), synthetic_id=f"S-{n}", patient="W-7", instance=n))[1]) for n in (1, 2)
    ]
    for name in ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID"):
        assert files[0][name] == files[1][name]
    assert files[0].SOPInstanceUID != files[1].SOPInstanceUID
    assert [file.InstanceNumber for file in files] == [1, 2]
    assert "pretend patient W-7" in files[0].DerivationDescription
    alone = read(encode(picture, origin())[1])
    assert alone.StudyInstanceUID != files[0].StudyInstanceUID


def test_marked_synthetic(picture: np.ndarray) -> None:
    file = read(encode(picture, origin())[1])
    assert file[0x0008, 0x001C].value == "YES"
    assert list(file.ImageType) == ["DERIVED", "PRIMARY"]
    assert str(file.PatientName) == "SYNTHETIC^S-0123456789abcdef"
    assert file.PatientID.startswith("SYNTHETIC")
    for part in (MODEL, "seed 11", "number 7", "density D", "truncation 1"):
        assert part in file.DerivationDescription
    purpose = file.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0]
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109100", "DCM")
    assert purpose.CodeMeaning == "Synthesizing Equipment"


@pytest.mark.parametrize(
    ("density", "code"), [("A", "129716005"), ("B", "129717001"), ("C", "129718006"), ("D", "129719003")]
)
def test_density_and_view_are_coded(density: str, code: str, picture: np.ndarray) -> None:
    file = read(encode(picture, origin(density, "CC"))[1])
    composition = file.AcquisitionContextSequence[0]
    assert composition.ConceptNameCodeSequence[0].CodeValue == "129715009"
    assert composition.ConceptCodeSequence[0].CodeValue == code
    assert file.ViewCodeSequence[0].CodeValue == "399162004"


def test_no_dates_and_the_same_bytes(picture: np.ndarray) -> None:
    uid, data = encode(picture, origin())
    assert (uid, data) == encode(picture.copy(), origin())
    file = read(data)
    dated = [e for e in file.iterall() if e.VR in ("DA", "DT", "TM") and e.value]
    assert not dated
    assert uid == file.SOPInstanceUID == file.file_meta.MediaStorageSOPInstanceUID
    assert re.fullmatch(r"2\.25\.[1-9][0-9]*", uid)
    assert len(uid) <= 64


def test_other_pictures_have_other_uids(picture: np.ndarray) -> None:
    first, second = read(encode(picture, origin())[1]), read(encode(picture // 2, origin())[1])
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert len({first.SOPInstanceUID, first.SeriesInstanceUID, first.StudyInstanceUID}) == 3


def test_gray_values_beyond_12_bits_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="4095"):
        encode(picture + np.uint16(4095), origin())


@pytest.mark.parametrize(("rows", "view", "side"), [(20, "CC", "L"), (160, "MLO", "R"), (1280, "MLO", "L")])
def test_the_validator_finds_no_errors(
    rows: int, view: str, side: str, breast: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    """A validator older than the attribute knows no (0008,001C): that one line apart, there is no error."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed")
    path = tmp_path / "synthetic.dcm"
    whose = replace(origin(view=view), laterality=side, patient="W-1" if side == "R" else "", truncation=0.7)
    path.write_bytes(encode(breast(3, "D", view, rows=rows), whose)[1])
    unknown = "Error - Attribute with an even group number is not a recognized standard attribute - (0x0008,0x001c)"
    said = _validate(path)
    assert not [line for line in said if line.startswith("Error") and not line.startswith(unknown)]
    assert "MammographyImageForPresentation" in said
    plain = pydicom.dcmread(path)
    del plain[0x0008, 0x001C]
    plain.save_as(path)
    assert not [line for line in _validate(path) if line.startswith("Error")]


def _validate(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60)
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("side", ["L", "R"])
def test_another_toolkit_opens_it(side: str, picture: np.ndarray, tmp_path: Path) -> None:
    if shutil.which("dcm2pnm") is None:
        pytest.skip("dcmtk is not installed")
    path, png = tmp_path / "synthetic.dcm", tmp_path / "synthetic.png"
    path.write_bytes(encode(picture, replace(origin(), laterality=side))[1])
    subprocess.run(["dcm2pnm", "--write-png", str(path), str(png)], check=True, timeout=60, capture_output=True)
    seen = np.asarray(Image.open(png).convert("L")).astype(float)
    hung = picture if side == "L" else picture[:, ::-1]
    assert np.abs(seen - hung * (255 / 4095)).max() <= 1.5

"""A pretend mammogram full of identifiers, and what is needed to de-identify it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from pipelines.deidentify.profile import Profile, load_profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet
from pipelines.storage.keys import Key

MG = "1.2.840.10008.5.1.4.1.1.1.2"
SHARED = Path(__file__).parents[2].parent / "shared"

SECRETS = (
    "KOWALEWSKA", "Jadwiga", "MRN0098231", "ACC77182931", "19480229", "Oberrauch", "Glimmerthal", "5550171",
    "1.2.276.0.99.1", "1.2.276.0.99.2", "1.2.276.0.99.3",
)  # fmt: skip


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def mammogram(**changes: Any) -> Dataset:
    """A small, valid MG object of a patient with an unlikely name. ``changes`` set attributes by keyword."""
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 100"
    d.ImageType = ["ORIGINAL", "PRIMARY", ""]
    d.SOPClassUID, d.SOPInstanceUID = MG, "1.2.276.0.99.3.1"
    d.StudyDate, d.SeriesDate, d.AcquisitionDate, d.ContentDate = "20180309", "20180309", "20180310", "20180310"
    d.StudyTime, d.SeriesTime, d.AcquisitionTime, d.ContentTime = "101500", "101600", "101700.25", "101701"
    d.AcquisitionDateTime = "20180310101700.250000+0100"
    d.AccessionNumber, d.Modality, d.PresentationIntentType = "ACC77182931", "MG", "FOR PRESENTATION"
    d.Manufacturer, d.ManufacturerModelName, d.StationName = "HOLOGIC, Inc.", "Selenia Dimensions", "MAMMO2"
    d.InstitutionName, d.InstitutionAddress = "Klinikum Glimmerthal", "Seeweg 5, Glimmerthal"
    d.ReferringPhysicianName, d.OperatorsName = "Oberrauch^Kaspar^^Dr.", "Quastel^Ida"
    d.StudyDescription = "MAMMO SCREENING KOWALEWSKA"
    d.SeriesDescription = "R MLO"
    d.AnatomicRegionSequence = Sequence([code("76752008", "SCT", "Breast")])
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "KOWALEWSKA^Jadwiga", "MRN0098231", "19480229", "F"
    d.PatientSize, d.PatientWeight = "1.67", "68"
    d.OtherPatientIDsSequence = Sequence([Dataset()])
    d.OtherPatientIDsSequence[0].PatientID = "MRN0098231-B"
    d.PatientTelephoneNumbers, d.PatientComments = "5550171", "Jadwiga called"
    d.BodyPartExamined, d.KVP, d.Exposure, d.BodyPartThickness = "BREAST", "29", "71", "56"
    d.CompressionForce, d.AnodeTargetMaterial, d.FilterMaterial = "98.5", "TUNGSTEN", "RHODIUM"
    d.DeviceSerialNumber, d.DetectorID, d.DateOfLastDetectorCalibration = "SN-4471", "DET-9", "20180201"
    d.PositionerType, d.ImagerPixelSpacing, d.ViewPosition = "MAMMOGRAPHIC", ["0.07", "0.07"], "MLO"
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = (f"1.2.276.0.99.{n}.1" for n in (1, 2, 4))
    d.StudyID, d.SeriesNumber, d.InstanceNumber = "ST0098231", "1", "1"
    d.ImageLaterality, d.PatientOrientation = "R", ["P", "F"]
    d.ViewCodeSequence = Sequence([code("399368009", "SCT", "medio-lateral oblique")])
    d.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    d.ReferencedImageSequence = Sequence([Dataset()])
    d.ReferencedImageSequence[0].ReferencedSOPClassUID = MG
    d.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.276.0.99.3.7"
    d.add_new(0x00190010, "LO", "MAKER")
    d.add_new(0x00191001, "LO", "KOWALEWSKA private")
    d.BurnedInAnnotation, d.BreastImplantPresent = "NO", "NO"
    d.WindowCenter, d.WindowWidth = ["2047", "1800"], ["4096", "3000"]
    d.WindowCenterWidthExplanation = ["NORMAL", "HARDER"]
    d.PixelIntensityRelationship, d.PixelIntensityRelationshipSign = "LOG", 1
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = "0", "1", "US"
    pixels = np.arange(12 * 10, dtype=np.uint16).reshape(12, 10)
    d.SamplesPerPixel, d.PhotometricInterpretation, d.Rows, d.Columns = 1, "MONOCHROME2", *pixels.shape
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    d.LossyImageCompression, d.PresentationLUTShape = "00", "IDENTITY"
    d.add_new(0x7FE00010, "OW", pixels.tobytes())
    for keyword, value in changes.items():
        setattr(d, keyword, value)
    return d


def save(dataset: Dataset, path: Path, syntax: UID = ExplicitVRLittleEndian, preamble: bytes = b"\0" * 128) -> Path:
    """Write a data set as a Part 10 file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = preamble
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="session")
def key() -> Key:
    return Key(bytes(range(32)))


@pytest.fixture(scope="session")
def pseudonyms(key: Key) -> Pseudonyms:
    return Pseudonyms(key)


@pytest.fixture(scope="session")
def profile() -> Profile:
    return load_profile()


@pytest.fixture
def headers_only(tmp_path: Path) -> Profile:
    """The default profile without the search for burned-in text."""
    path = tmp_path / "profile.toml"
    default = Path("pipelines/deidentify/profile.toml")
    text = (
        (Path(__file__).parents[2] / default).read_text().replace("clean_pixel_data = true", "clean_pixel_data = false")
    )
    path.write_text(text)
    return load_profile(path)


@pytest.fixture
def deidentified(tmp_path: Path, profile: Profile, pseudonyms: Pseudonyms) -> Callable[..., Dataset]:
    """Write a data set, de-identify the file, and read the result; ``.filename`` is where it lies."""
    import pydicom

    from pipelines.deidentify.objects import deidentify_object

    def run(
        dataset: Dataset, name: str = "x", location: str = "", syntax: UID = ExplicitVRLittleEndian, **with_: Any
    ) -> Dataset:
        source = save(dataset, tmp_path / "in" / f"{name}.dcm", syntax)
        target = tmp_path / "out" / f"{name}.dcm"
        arguments = {"profile": profile, "pseudonyms": pseudonyms, **with_}
        deidentify_object(source, target, file_id=name, location=location, **arguments)
        return pydicom.dcmread(target)

    return run

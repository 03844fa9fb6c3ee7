"""Synthetic pictures as Digital Mammography X-Ray Images - For Presentation (PS3.3 A.26), plainly marked as synthetic.

The same picture and origin give the same bytes: UIDs are derived, and no date is written, since nothing was acquired.
"""

import hashlib
import uuid
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

_FULL_ROWS, _FULL_SPACING = 1280, 0.24
"""Spacing in mm of a picture of 1280 rows; a smaller one shows the same breast with larger pixels."""

_DENSITY_CODES = {
    "A": ("129716005", "Almost entirely fat"),
    "B": ("129717001", "Scattered fibroglandular densities"),
    "C": ("129718006", "Heterogeneously dense"),
    "D": ("129719003", "Extremely dense"),
}
"""PS3.16 CID 6000, Overall Breast Composition."""

_VIEW_CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}
"""PS3.16 CID 4014, View for Mammography."""

_ORIENTATIONS = {"CC": ["A", "R"], "MLO": ["A", "FR"]}
"""Of a left breast, whose chest wall is on the picture's left edge."""

_IMPLEMENTATION = UID("2.25.164927893046226853905632406420183562241")
_SPACE = uuid.UUID("7c1377a5-50d7-5b5c-9ab5-0a1d7b9c7f41")


@dataclass(frozen=True)
class Origin:
    """Where a synthetic picture comes from: all that fixes it."""

    synthetic_id: str
    model_sha256: str
    seed: int
    number: int
    density: str
    view: str

    @property
    def derivation(self) -> str:
        """The origin as a sentence for (0008,2111), at most 1,024 characters."""
        return (
            f"Synthetic mammogram, no patient was imaged. Drawn by a progressive GAN; generator SHA-256 "
            f"{self.model_sha256}; seed {self.seed}; number {self.number}; requested density {self.density}; "
            f"requested view {self.view}."
        )


def encode(picture: NDArray[np.uint16], origin: Origin) -> tuple[str, bytes]:
    """A picture (rows, columns) of 0…4095 as (SOP Instance UID, bytes of a DICOM file), Explicit VR Little Endian.

    Raises ValueError for gray values over 4095.
    """
    if picture.dtype != np.uint16 or (picture.size and picture.max() > 4095):
        raise ValueError("the picture is not uint16 of 0…4095")
    content = hashlib.sha256(np.ascontiguousarray(picture, "<u2").tobytes()).hexdigest()
    instance = _uid(origin, f"instance {content}")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.ImplementationVersionName = "MIDAR"
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SpecificCharacterSet = "ISO_IR 100"
    file.SOPClassUID = meta.MediaStorageSOPClassUID
    file.SOPInstanceUID = instance
    _identify(file, origin)
    _place(file, origin)
    _depict(file, picture)
    _declare_synthetic(file, origin)
    stream = BytesIO()
    dcmwrite(stream, file, enforce_file_format=True)
    return str(instance), stream.getvalue()


def _identify(file: Dataset, origin: Origin) -> None:
    """Patient, General Study, General Series, DX Series and General Equipment modules."""
    file.PatientName = f"SYNTHETIC^{origin.synthetic_id}"
    file.PatientID = f"SYNTHETIC-{origin.synthetic_id}"
    file.PatientBirthDate = ""
    file.PatientSex = ""
    file.StudyInstanceUID = _uid(origin, "study")
    file.StudyDate = ""
    file.StudyTime = ""
    file.StudyID = ""
    file.StudyDescription = "SYNTHETIC mammogram"
    file.AccessionNumber = ""
    file.ReferringPhysicianName = ""
    file.Modality = "MG"
    file.PresentationIntentType = "FOR PRESENTATION"
    file.SeriesInstanceUID = _uid(origin, "series")
    file.SeriesNumber = 1
    file.SeriesDescription = f"SYNTHETIC {origin.view}, density {origin.density}"
    file.Manufacturer = "MIDaR"
    file.ManufacturerModelName = "pGAN"
    file.SoftwareVersions = f"generator {origin.model_sha256[:16]}"
    file.InstanceNumber = 1


def _place(file: Dataset, origin: Origin) -> None:
    """DX Anatomy Imaged, Mammography Image and Acquisition Context modules."""
    file.BodyPartExamined = "BREAST"
    file.AnatomicRegionSequence = [_code("76752008", "SCT", "Breast")]
    file.ImageLaterality = "L"
    file.PatientOrientation = _ORIENTATIONS[origin.view]
    file.PositionerType = "NONE"
    file.OrganExposed = "BREAST"
    file.BreastImplantPresent = "NO"
    view = _code(_VIEW_CODES[origin.view][0], "SCT", _VIEW_CODES[origin.view][1])
    view.ViewModifierCodeSequence = []
    file.ViewCodeSequence = [view]
    file.ViewPosition = origin.view
    composition = Dataset()
    composition.ValueType = "CODE"
    composition.ConceptNameCodeSequence = [_code("129715009", "SCT", "Breast composition")]
    composition.ConceptCodeSequence = [
        _code(_DENSITY_CODES[origin.density][0], "SCT", _DENSITY_CODES[origin.density][1])
    ]
    file.AcquisitionContextSequence = [composition]


def _depict(file: Dataset, picture: NDArray[np.uint16]) -> None:
    """Image Pixel, DX Image and DX Detector modules: 12 bits in 16, brighter is denser."""
    file.SamplesPerPixel = 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.Rows, file.Columns = picture.shape
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PixelIntensityRelationship = "LOG"
    file.PixelIntensityRelationshipSign = -1
    file.RescaleIntercept, file.RescaleSlope, file.RescaleType = 0, 1, "US"
    file.PresentationLUTShape = "IDENTITY"
    file.WindowCenter, file.WindowWidth = 2048, 4096
    file.BurnedInAnnotation = "NO"
    file.LossyImageCompression = "00"
    spacing = f"{_FULL_SPACING * _FULL_ROWS / picture.shape[0]:.6g}"
    file.ImagerPixelSpacing = [spacing, spacing]
    file.DetectorType = ""
    file.PixelData = np.ascontiguousarray(picture, "<u2").tobytes()
    file["PixelData"].VR = "OW"


def _declare_synthetic(file: Dataset, origin: Origin) -> None:
    """Synthetic Data (0008,001C), derivation, and the synthesizing equipment (PS3.16 CID 7005)."""
    file.ImageType = ["DERIVED", "PRIMARY"]
    file.SyntheticData = "YES"
    file.DerivationDescription = origin.derivation
    file.ImageComments = "SYNTHETIC: not an image of a person, not for diagnosis"
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [_code("109100", "DCM", "Synthesizing Equipment")]
    equipment.Manufacturer = "MIDaR"
    equipment.ManufacturerModelName = "pGAN"
    equipment.SoftwareVersions = f"generator {origin.model_sha256[:16]}"
    equipment.ContributionDescription = f"generator SHA-256 {origin.model_sha256}"
    file.ContributingEquipmentSequence = [equipment]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _uid(origin: Origin, role: str) -> UID:
    """A UID of PS3.5 B.2 (2.25 and a name-based UUID), the same for the same origin and role."""
    return UID(f"2.25.{uuid.uuid5(_SPACE, f'{origin.synthetic_id} {role}').int}")

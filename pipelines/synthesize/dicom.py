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

FULL_ROWS, FULL_SPACING = 1280, 0.24
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

_ORIENTATIONS = {
    ("L", "CC"): ["A", "R"],
    ("L", "MLO"): ["A", "FR"],
    ("R", "CC"): ["P", "L"],
    ("R", "MLO"): ["P", "FL"],
}
"""Directions of rows and columns as films are hung: a left breast's chest wall is on the picture's left edge, a right
one's on the right."""

_IMPLEMENTATION = UID("2.25.164927893046226853905632406420183562241")
_SPACE = uuid.UUID("7c1377a5-50d7-5b5c-9ab5-0a1d7b9c7f41")


@dataclass(frozen=True)
class Origin:
    """Where a synthetic picture comes from: all that fixes it.

    ``truncation``: ψ that it was drawn with. ``patient``: the pretend patient whose ``laterality`` breast it shows, as
    the study's ``instance`` (1 …); a picture of nobody else's is a patient of its own.
    """

    synthetic_id: str
    model_sha256: str
    seed: int
    number: int
    density: str
    view: str
    truncation: float = 1.0
    patient: str = ""
    laterality: str = "L"
    instance: int = 1

    @property
    def person(self) -> str:
        """The pretend patient, or the picture itself."""
        return self.patient or self.synthetic_id

    @property
    def derivation(self) -> str:
        """The origin as a sentence for (0008,2111), at most 1,024 characters."""
        of_whom = f"; pretend patient {self.patient}" if self.patient else ""
        return (
            f"Synthetic mammogram, no patient was imaged. Drawn by a progressive GAN; generator SHA-256 "
            f"{self.model_sha256}; seed {self.seed}; number {self.number}; requested density {self.density}; "
            f"requested view {self.view}; truncation {self.truncation:g}{of_whom}. The pixel spacing is nominal."
        )


def encode(picture: NDArray[np.uint16], origin: Origin, spacing: float = FULL_SPACING) -> tuple[str, bytes]:
    """A picture (rows, columns) of 0…4095 as (SOP Instance UID, bytes of a DICOM file), Explicit VR Little Endian.

    Its chest wall is on the left; a right breast is written mirrored, as films are hung. ``spacing``: mm between pixels
    of the same breast at 1280 rows. Raises ValueError for gray values over 4095.
    """
    if picture.dtype != np.uint16 or (picture.size and picture.max() > 4095):
        raise ValueError("the picture is not uint16 of 0…4095")
    if origin.laterality == "R":
        picture = picture[:, ::-1]
    content = hashlib.sha256(np.ascontiguousarray(picture, "<u2").tobytes()).hexdigest()
    instance = _uid(origin.synthetic_id, f"instance {content}")
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
    _depict(file, picture, spacing)
    _declare_synthetic(file, origin)
    stream = BytesIO()
    dcmwrite(stream, file, enforce_file_format=True)
    return str(instance), stream.getvalue()


def study_uid(origin: Origin) -> str:
    """The Study Instance UID of a picture, the same for all pictures of a pretend patient."""
    return str(_uid(origin.person, "study"))


def _identify(file: Dataset, origin: Origin) -> None:
    """Patient, General Study, General Series, DX Series and General Equipment modules."""
    file.PatientName = f"SYNTHETIC^{origin.person}"
    file.PatientID = f"SYNTHETIC-{origin.person}"
    file.PatientBirthDate = ""
    file.PatientSex = ""
    file.StudyInstanceUID = study_uid(origin)
    file.StudyDate = ""
    file.StudyTime = ""
    file.StudyID = ""
    file.StudyDescription = "SYNTHETIC mammogram"
    file.AccessionNumber = ""
    file.ReferringPhysicianName = ""
    file.Modality = "MG"
    file.PresentationIntentType = "FOR PRESENTATION"
    file.SeriesInstanceUID = _uid(origin.person, "series")
    file.SeriesNumber = 1
    shown = "" if origin.patient else f" {origin.view},"
    file.SeriesDescription = f"SYNTHETIC{shown} density {origin.density}"
    file.Manufacturer = "MIDaR"
    file.ManufacturerModelName = "pGAN"
    file.SoftwareVersions = f"generator {origin.model_sha256[:16]}"
    file.InstanceNumber = origin.instance


def _place(file: Dataset, origin: Origin) -> None:
    """DX Anatomy Imaged, Mammography Image and Acquisition Context modules."""
    file.BodyPartExamined = "BREAST"
    file.AnatomicRegionSequence = [_code("76752008", "SCT", "Breast")]
    file.ImageLaterality = origin.laterality
    file.PatientOrientation = _ORIENTATIONS[origin.laterality, origin.view]
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


def _depict(file: Dataset, picture: NDArray[np.uint16], full_spacing: float) -> None:
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
    spacing = f"{full_spacing * FULL_ROWS / picture.shape[0]:.6g}"
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


def _uid(owner: str, role: str) -> UID:
    """A UID of PS3.5 B.2 (2.25 and a name-based UUID), the same for the same owner and role."""
    return UID(f"2.25.{uuid.uuid5(_SPACE, f'{owner} {role}').int}")

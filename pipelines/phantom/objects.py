"""DICOM objects: a picture and an exam become a Digital Mammography X-Ray Image as a hospital's archive holds it.

Follows the Digital Mammography X-Ray Image IOD (PS3.3 A.27) with everything that a header can give away about the
patient: names, ids, dates, addresses, staff, in plain elements, nested sequences, free text and private blocks.
"""

import io
from dataclasses import dataclass

import numpy as np
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID

from pipelines.phantom.grayscale import Stored, voi_luts, windows
from pipelines.phantom.patients import Exam, derive_uid, plain, spoken
from pipelines.phantom.vendors import JPEG_2000, JPEG_LOSSLESS, JPEG_LS, RLE, Vendor

FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"

VIEW_CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}


@dataclass(frozen=True)
class Shot:
    """One exposure, ready to be written. ``nipple_left``: which way the stored picture hangs.

    ``burned_in`` is what (0028,0301) claims, which need not be true; ``window_offset`` shifts the windows (brightness).
    """

    exam: Exam
    vendor: Vendor
    model: str
    syntax: str
    laterality: str
    view: str
    number: int
    raw: bool
    stored: Stored
    spacing: float
    nipple_left: bool
    thickness: float
    burned_in: str
    window_offset: float
    sop_uid: str
    series_uid: str

    @property
    def bits(self) -> int:
        """Bits stored."""
        return self.vendor.raw.bits if self.raw else self.vendor.gray.bits

    @property
    def sop_class(self) -> str:
        """SOP Class UID."""
        return FOR_PROCESSING if self.raw else FOR_PRESENTATION


def image_object(shot: Shot) -> Dataset:
    """The whole DICOM data set of an exposure, file meta and pixel data included."""
    ds = Dataset()
    ds.SpecificCharacterSet = shot.exam.person.charset
    ds.SOPClassUID, ds.SOPInstanceUID = shot.sop_class, shot.sop_uid
    _patient_and_study(ds, shot.exam)
    _series_and_equipment(ds, shot)
    _acquisition(ds, shot)
    _image(ds, shot)
    if not shot.raw:
        _voi(ds, shot)
    add_private(ds, shot.vendor, shot.exam, f"{shot.laterality}{shot.view}", shot.sop_uid)
    _pixels(ds, shot)
    ds.file_meta = file_meta(shot.sop_class, shot.sop_uid, shot.syntax, shot.exam.station)
    return ds


def file_meta(sop_class: str, sop_uid: str, syntax: str, station: str) -> FileMetaDataset:
    """File meta information; the station's application entity title is in it too."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_uid)
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = "PACSEXPORT_42"
    meta.SourceApplicationEntityTitle = station[:16]
    return meta


def to_bytes(ds: Dataset) -> bytes:
    """The data set as a DICOM file."""
    buffer = io.BytesIO()
    # Invented private values follow what vendors write, which is not always what the standard allows.
    before, pydicom_config.settings.writing_validation_mode = (
        pydicom_config.settings.writing_validation_mode,
        pydicom_config.IGNORE,
    )
    try:
        dcmwrite(buffer, ds, enforce_file_format=True)
    finally:
        pydicom_config.settings.writing_validation_mode = before
    return buffer.getvalue()


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """A code item (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _patient_and_study(ds: Dataset, exam: Exam) -> None:
    p = exam.person
    ds.PatientName, ds.PatientID = p.dicom_name, p.patient_id
    ds.PatientBirthDate, ds.PatientSex = f"{p.birth_date:%Y%m%d}", "F"
    ds.PatientAge = f"{exam.age:03d}Y"
    ds.IssuerOfPatientID = exam.institution
    ds.PatientAddress = f"{p.address}, {p.town}"
    ds.PatientTelephoneNumbers = p.phone
    ds.PatientComments = f"Contact {p.email}; insurance {p.insurance_id}"
    ds.MedicalRecordLocator = p.other_id
    other = Dataset()
    other.PatientID, other.TypeOfPatientID = p.other_id, "TEXT"
    other.IssuerOfPatientID = "INSURANCE"
    ds.OtherPatientIDsSequence = [other]
    ds.OtherPatientNames = f"{p.family}-{plain(p.given)}^{p.given}"
    ds.AdditionalPatientHistory = f"{spoken(p.dicom_name)}, born {p.birth_date:%d.%m.%Y}, no family history."
    ds.StudyInstanceUID, ds.StudyID, ds.AccessionNumber = exam.study_uid, exam.study_id, exam.accession
    ds.StudyDate, ds.StudyTime = f"{exam.date:%Y%m%d}", f"{exam.time:%H%M%S}"
    ds.ReferringPhysicianName = exam.referring
    ds.StudyDescription = f"MAMMO SCREENING {plain(p.family).upper()} {p.birth_date:%d.%m.%Y}"[:64]
    ds.PhysiciansOfRecord = exam.referring
    ds.NameOfPhysiciansReadingStudy = exam.reader
    procedure = code("24606-6", "LN", "Screening mammogram bilateral")
    ds.ProcedureCodeSequence = [procedure]


def _series_and_equipment(ds: Dataset, shot: Shot) -> None:
    exam, vendor = shot.exam, shot.vendor
    ds.Modality = "MG"
    ds.PresentationIntentType = "FOR PROCESSING" if shot.raw else "FOR PRESENTATION"
    ds.SeriesInstanceUID, ds.SeriesNumber = shot.series_uid, 60_000 + shot.number
    ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = ds.StudyDate
    ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = f"{exam.time:%H%M}{shot.number % 60:02d}"
    ds.SeriesDescription = f"{shot.laterality} {shot.view}"
    ds.PerformingPhysicianName, ds.OperatorsName = exam.reader, exam.operator
    operator = Dataset()
    operator.PersonIdentificationCodeSequence = [code(exam.serial[:6], "99STAFF", spoken(exam.operator))]
    operator.InstitutionName = exam.institution
    ds.OperatorIdentificationSequence = [operator]
    request = Dataset()
    request.RequestedProcedureID = request.ScheduledProcedureStepID = exam.request_id
    request.AccessionNumber = exam.accession
    request.ReasonForTheRequestedProcedure = f"Screening of {spoken(exam.person.dicom_name)} ({exam.person.patient_id})"
    request.RequestedProcedureDescription = f"Mammography {exam.person.family}"
    request.ScheduledProcedureStepDescription = "MAMMO SCREENING"
    ds.RequestAttributesSequence = [request]
    ds.PerformedProcedureStepID = exam.request_id
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = ds.StudyDate, ds.StudyTime
    ds.PerformedProcedureStepDescription = "MAMMO SCREENING"
    ds.Manufacturer, ds.ManufacturerModelName = vendor.manufacturer, shot.model
    ds.InstitutionName, ds.InstitutionAddress = exam.institution, exam.institution_address
    ds.InstitutionalDepartmentName = "Radiology"
    ds.StationName, ds.DeviceSerialNumber, ds.SoftwareVersions = exam.station, exam.serial, vendor.software
    ds.RequestingPhysician, ds.RequestedProcedureDescription = exam.referring, "MAMMO SCREENING"


def _acquisition(ds: Dataset, shot: Shot) -> None:
    vendor = shot.vendor
    target, material = vendor.targets[shot.number % len(vendor.targets)]
    ds.KVP, ds.ExposureTime = "29", "700"
    ds.XRayTubeCurrent, ds.Exposure, ds.ExposureInuAs = "100", "70", "70000"
    ds.AnodeTargetMaterial, ds.FilterMaterial, ds.FilterType = target, material, "STRIP"
    ds.FocalSpots, ds.Grid = "0.3", ["RECIPROCATING", "FOCUSED"]
    ds.BodyPartThickness, ds.CompressionForce = f"{shot.thickness:.0f}", "98"
    ds.OrganDose, ds.OrganExposed, ds.EntranceDoseInmGy = "0.0153", "BREAST", "5.98"
    ds.RelativeXRayExposure = "432"
    ds.DistanceSourceToDetector, ds.DistanceSourceToPatient = "660", "630"
    ds.EstimatedRadiographicMagnificationFactor = "1.05"
    ds.PositionerType, ds.PositionerPrimaryAngle = "MAMMOGRAPHIC", "0" if shot.view == "CC" else "45"
    ds.ExposureControlMode, ds.ExposureStatus = "AUTOMATIC", "NORMAL"
    ds.DetectorType, ds.DetectorConfiguration = vendor.detector_type, "AREA"
    ds.DetectorDescription, ds.DetectorID = vendor.detector_description, shot.exam.serial[:8]
    ds.DateOfLastDetectorCalibration, ds.TimeOfLastDetectorCalibration = ds.StudyDate, "070000"
    ds.DetectorConditionsNominalFlag = "YES"
    ds.FieldOfViewShape = "RECTANGLE"
    ds.FieldOfViewDimensions = [round(side * shot.spacing) for side in shot.stored.shape]
    ds.FieldOfViewOrigin, ds.FieldOfViewRotation = [0, 0], "0"
    ds.FieldOfViewHorizontalFlip = "NO" if shot.nipple_left == (shot.laterality == "R") else "YES"
    ds.ImagerPixelSpacing = [f"{shot.spacing:.8g}"] * 2
    ds.DetectorElementPhysicalSize = ds.DetectorElementSpacing = ds.ImagerPixelSpacing
    ds.DetectorActiveShape = "RECTANGLE"
    ds.AcquisitionContextSequence = []


def _image(ds: Dataset, shot: Shot) -> None:
    p, gray = shot.exam.person, shot.vendor.gray
    ds.ImageType = ["ORIGINAL" if shot.raw else "DERIVED", "PRIMARY"]
    if not shot.raw:
        ds.DerivationDescription = "Vendor processing"
    ds.InstanceNumber = shot.number
    ds.BodyPartExamined, ds.ImageLaterality, ds.ViewPosition = "BREAST", shot.laterality, shot.view
    ds.AnatomicRegionSequence = [code("76752008", "SCT", "Breast")]
    view = code(VIEW_CODES[shot.view][0], "SCT", VIEW_CODES[shot.view][1])
    view.ViewModifierCodeSequence = []
    ds.ViewCodeSequence = [view]
    row = "P" if shot.nipple_left else "A"
    column = {"CC": {"R": "L", "L": "R"}, "MLO": {"R": "FL", "L": "FR"}}[shot.view][shot.laterality]
    ds.PatientOrientation = [row, column]
    ds.BreastImplantPresent, ds.PartialView, ds.QualityControlImage = "NO", "NO", "NO"
    ds.BurnedInAnnotation, ds.LossyImageCompression = shot.burned_in, "00"
    ds.ImageComments = f"{spoken(p.dicom_name)} {p.patient_id} {shot.laterality}{shot.view}"
    ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
    ds.PhotometricInterpretation = "MONOCHROME1" if shot.raw else gray.photometric
    ds.PresentationLUTShape = "INVERSE" if ds.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"
    ds.Rows, ds.Columns = shot.stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, shot.bits, shot.bits - 1
    ds.PixelIntensityRelationship = "LIN" if shot.raw else "LOG"
    # Brightness of MONOCHROME2 falls with exposure; stored values of MONOCHROME1 rise with it (PS3.3 C.8.11.3.1.2).
    ds.PixelIntensityRelationshipSign = 1 if ds.PhotometricInterpretation == "MONOCHROME1" else -1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    if gray.padding and not shot.raw:
        ds.PixelPaddingValue = int(gray.black)


def _voi(ds: Dataset, shot: Shot) -> None:
    gray = shot.vendor.gray
    if "LUT" in gray.voi:
        ds.VOILUTSequence = [_lut_item(*entry) for entry in voi_luts(gray, shot.window_offset)]
    if "LINEAR" in gray.voi or "SIGMOID" in gray.voi:
        entries = windows(gray, shot.window_offset)
        ds.WindowCenter = [f"{center:g}" for _, center, _ in entries]
        ds.WindowWidth = [f"{width:g}" for _, _, width in entries]
        if any(name for name, _, _ in entries):
            ds.WindowCenterWidthExplanation = [name for name, _, _ in entries]
        if "SIGMOID" in gray.voi:
            ds.VOILUTFunction = "SIGMOID"


def _lut_item(explanation: str, descriptor: list[int], data: bytes) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.LUTExplanation = explanation
    item.add_new("LUTData", "OW", data)
    return item


def add_private(ds: Dataset, vendor: Vendor, exam: Exam, clinical_view: str, sop_uid: str) -> None:
    """Add the vendor's private blocks, which repeat some of what the exam knows about the patient."""
    for element in vendor.private:
        block = ds.private_block(element.group, element.creator, create=True)
        value = element.value.removeprefix("=")
        if value == element.value:
            value = private_value(value, exam, clinical_view, sop_uid)
        if element.vr in ("US", "SS", "UL"):
            block.add_new(element.element, element.vr, int(value))
        elif element.vr == "OB":
            data = value.encode("latin-1", "replace")
            block.add_new(element.element, "OB", data + b"\0" * (len(data) % 2))
        else:
            block.add_new(element.element, element.vr, value[:16] if element.vr == "SH" else value[:64])


def private_value(name: str, exam: Exam, clinical_view: str, sop_uid: str) -> str:
    """What the private element called ``name`` in the vendors' tables holds."""
    p = exam.person
    latin = plain(spoken(p.dicom_name).replace(" ", "_"))
    return {
        "name": p.dicom_name,
        "family": p.family,
        "name_and_id": f"{p.dicom_name.split('=')[0]} {p.patient_id}",
        "patient_id": p.patient_id,
        "birth_date": f"{p.birth_date:%Y%m%d}",
        "study_date": f"{exam.date:%Y%m%d}",
        "accession": exam.accession,
        "request_id": exam.request_id,
        "referring": exam.referring,
        "operator": exam.operator,
        "institution": exam.institution,
        "clinical_view": clinical_view,
        "questionnaire": f"{latin} phone {p.phone}",
        "file_name": f"{p.folder_name}_{clinical_view}.pfile",
        "history": f"<patient name='{latin}' id='{p.patient_id}' born='{p.birth_date:%Y-%m-%d}'/>",
        "private_uid": derive_uid("2.25.", sop_uid, "private"),
    }[name]


def _pixels(ds: Dataset, shot: Shot) -> None:
    stored = np.ascontiguousarray(shot.stored, "<u2")
    if shot.syntax in _ENCODERS:
        ds.PixelData = encapsulate([_ENCODERS[shot.syntax](stored, shot.bits)])
        ds["PixelData"].VR = "OB"
    else:
        ds.PixelData = stored.tobytes()
        ds["PixelData"].VR = "OW"


def _jpeg_lossless(stored: Stored, bits: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpeg_encode(stored, lossless=True, predictor=1, bitspersample=bits))


def _jpeg_ls(stored: Stored, bits: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegls_encode(stored))


def _jpeg_2000(stored: Stored, bits: int) -> bytes:
    import imagecodecs

    return bytes(
        imagecodecs.jpeg2k_encode(stored, level=0, reversible=True, codecformat="j2k", bitspersample=bits, numthreads=1)
    )


def _rle(stored: Stored, bits: int) -> bytes:
    from rle import encode_pixel_data

    rows, columns = stored.shape
    frame = {"rows": rows, "columns": columns, "samples_per_pixel": 1, "number_of_frames": 1}
    frame |= {"bits_allocated": 16, "bits_stored": bits, "pixel_representation": 0}
    return bytes(encode_pixel_data(stored.tobytes(), byteorder="<", photometric_interpretation="MONOCHROME2", **frame))


_ENCODERS = {JPEG_LOSSLESS: _jpeg_lossless, JPEG_LS: _jpeg_ls, JPEG_2000: _jpeg_2000, RLE: _rle}

"""Objects of mammography and its neighbours that dciodvfy finds nothing, or little, wrong with, and maximal ones."""

import json
from importlib.resources import files
from typing import Any

import highdicom
import numpy as np
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from pipelines.deidentify.reading import tags_of
from tests.deidentify.conftest import code, mammogram

STORAGE = "1.2.840.10008.5.1.4.1.1."
ROOT = "1.2.276.0.99."


def _with(dataset: Dataset, **values: Any) -> Dataset:
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _item(**values: Any) -> Dataset:
    return _with(Dataset(), **values)


def mammography(intent: str = "FOR PRESENTATION") -> Dataset:
    """A mammogram with all that its IOD requires, and sequences that name people and orders."""
    made = mammogram(PresentationIntentType=intent, SpecificCharacterSet="ISO_IR 100")
    for tag in (0x00190010, 0x00191001):
        del made[tag]
    made.ImageType = ["ORIGINAL", "PRIMARY", ""]
    made.DetectorType, made.PatientState, made.AcquisitionContextSequence = "DIRECT", "", Sequence()
    made.ImageLaterality, made.OrganExposed, made.PatientPosition = "R", "BREAST", ""
    made.BurnedInAnnotation, made.PixelSpacing = "NO", ["0.07", "0.07"]
    made.OtherPatientIDsSequence[0].TypeOfPatientID = "TEXT"
    made.PositionReferenceIndicator, made.DetectorDescription = "", "a-Se"
    made.PresentationLUTShape, made.LossyImageCompression = "IDENTITY", "00"
    made.PartialView = "NO"
    made.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence = Sequence([code("121311", "DCM", "Localizer")])
    person = _item(
        PersonIdentificationCodeSequence=Sequence([code("JD", "99L", "Jane Doe")]), InstitutionName="Glimmerthal"
    )
    made.OperatorIdentificationSequence = made.PerformingPhysicianIdentificationSequence = Sequence([person])
    made.PerformingPhysicianName = "Oberrauch^Kaspar"
    made.RequestAttributesSequence = Sequence(
        [_item(RequestedProcedureID="RP1", ScheduledProcedureStepID="SPS1", RequestedProcedureDescription="MAMMO")]
    )
    made.ReferencedPerformedProcedureStepSequence = Sequence(
        [_item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.3", ReferencedSOPInstanceUID=f"{ROOT}8.1")]
    )
    made.UDISequence = Sequence([_item(UniqueDeviceIdentifier="(01)00643169001763")])
    if intent == "FOR PROCESSING":
        made.SOPClassUID = STORAGE + "1.2.1"
        for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation"):
            del made[keyword]
    return made


def tomosynthesis() -> Dataset:
    """A Breast Tomosynthesis image of two frames (PS3.3 section A.65)."""
    made = mammography()
    for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "RescaleIntercept", "RescaleSlope"):
        del made[keyword]
    del made["RescaleType"]
    _with(
        made,
        SOPClassUID=STORAGE + "13.1.3",
        ImageType=["ORIGINAL", "PRIMARY", "TOMOSYNTHESIS", "NONE"],
        NumberOfFrames=2,
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="TOMOSYNTHESIS",
        ContentQualification="RESEARCH",
        AcquisitionNumber=1,
        SoftwareVersions="1.2",
        FrameLaterality="R",
    )
    made.PixelData = bytes(12 * 10 * 2 * 2)
    anatomy = _item(AnatomicRegionSequence=made.AnatomicRegionSequence, FrameLaterality="R")
    shared = _item(
        PixelMeasuresSequence=Sequence([_item(PixelSpacing=["0.1", "0.1"], SliceThickness="1")]),
        FrameAnatomySequence=Sequence([anatomy]),
        FrameVOILUTSequence=Sequence([_item(WindowCenter="500", WindowWidth="1000")]),
        PixelValueTransformationSequence=Sequence([_item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")]),
    )
    frame_type = _item(
        FrameType=["ORIGINAL", "PRIMARY", "TOMOSYNTHESIS", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="TOMOSYNTHESIS",
    )
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    made.PerFrameFunctionalGroupsSequence = Sequence(
        [
            _item(
                FrameContentSequence=Sequence(
                    [
                        _item(
                            FrameAcquisitionNumber=1,
                            FrameReferenceDateTime="20180310101700",
                            FrameAcquisitionDateTime="20180310101700",
                            FrameAcquisitionDuration=10.0,
                            StackID="1",
                            InStackPositionNumber=n,
                        )
                    ]
                ),
                XRay3DFrameTypeSequence=Sequence([frame_type]),
                PlanePositionSequence=Sequence([_item(ImagePositionPatient=["0", "0", str(n)])]),
                PlaneOrientationSequence=Sequence([_item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])]),
            )
            for n in (1, 2)
        ]
    )
    return made


def secondary_capture() -> Dataset:
    """A Secondary Capture image, by highdicom."""
    made: Dataset = highdicom.sc.SCImage(
        pixel_array=np.zeros((8, 8), np.uint8),
        photometric_interpretation="MONOCHROME2",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=f"{ROOT}1.1",
        series_instance_uid=f"{ROOT}2.9",
        sop_instance_uid=f"{ROOT}3.9",
        series_number=9,
        instance_number=1,
        manufacturer="Glimmer",
        patient_id="MRN0098231",
        patient_name="KOWALEWSKA^Jadwiga",
        patient_birth_date="19480229",
        patient_sex="F",
        accession_number="ACC77182931",
        study_id="ST0098231",
        study_date="20180309",
        study_time="101500",
        referring_physician_name="Oberrauch^Kaspar",
        laterality="R",
    )
    return made


def presentation_state() -> Dataset:
    """A Grayscale Softcopy Presentation State without text, by highdicom."""
    made: Dataset = highdicom.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[_referable()],
        series_instance_uid=f"{ROOT}2.5",
        series_number=5,
        sop_instance_uid=f"{ROOT}3.5",
        instance_number=1,
        manufacturer="Glimmer",
        manufacturer_model_name="Model",
        software_versions="1",
        device_serial_number="1",
        content_label="MARKS",
        content_description="of Jadwiga Kowalewska",
        content_creator_name="Oberrauch^Kaspar",
        concept_name=highdicom.sr.CodedConcept("113018", "DCM", "Best In Set"),
    )
    made.Laterality = "R"
    return made


def _referable() -> Dataset:
    made = mammography()
    made.file_meta = Dataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def structured_report(kind: str) -> Dataset:
    """A report of one of the SR IODs: ``basic``, ``enhanced``, ``comprehensive``, ``cad`` or ``dose``."""
    number = {"basic": "88.11", "enhanced": "88.22", "comprehensive": "88.33", "cad": "88.50", "dose": "88.67"}[kind]
    made = mammogram()
    made.OtherPatientIDsSequence[0].TypeOfPatientID = "TEXT"
    for tag in tags_of(made):
        if tag >> 16 in (0x0018, 0x0019, 0x0028, 0x0054, 0x7FE0):
            del made[tag]
    for keyword in (
        "ImageType", "PresentationIntentType", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime",
        "PatientOrientation", "ViewCodeSequence", "ReferencedImageSequence", "AnatomicRegionSequence",
        "FrameOfReferenceUID", "ImageLaterality", "OperatorsName", "StationName",
    ):  # fmt: skip
        if keyword in made:
            del made[keyword]
    image = _item(ReferencedSOPClassUID=STORAGE + "1.2", ReferencedSOPInstanceUID=f"{ROOT}3.7")
    series = _item(SeriesInstanceUID=f"{ROOT}2.1", ReferencedSOPSequence=Sequence([image]))
    evidence = _item(StudyInstanceUID=f"{ROOT}1.1", ReferencedSeriesSequence=Sequence([series]))
    observer = _item(
        VerifyingObserverName="Oberrauch^Kaspar",
        VerifyingObserverIdentificationCodeSequence=Sequence(),
        VerifyingOrganization="Klinikum Glimmerthal",
        VerificationDateTime="20180310120000",
    )
    request = _item(
        StudyInstanceUID=f"{ROOT}1.1",
        ReferencedStudySequence=Sequence(),
        AccessionNumber="ACC77182931",
        PlacerOrderNumberImagingServiceRequest="P1",
        FillerOrderNumberImagingServiceRequest="F1",
        RequestedProcedureID="RP1",
        RequestedProcedureDescription="MAMMO",
        RequestedProcedureCodeSequence=Sequence(),
    )
    _with(
        made,
        SOPClassUID=STORAGE + number,
        Modality="SR",
        ReferencedPerformedProcedureStepSequence=Sequence(),
        PerformedProcedureCodeSequence=Sequence(),
        CompletionFlag="COMPLETE",
        VerificationFlag="VERIFIED",
        VerifyingObserverSequence=Sequence([observer]),
        ReferencedRequestSequence=Sequence([request]),
        CurrentRequestedProcedureEvidenceSequence=Sequence([evidence]),
        ValueType="CONTAINER",
        ContinuityOfContent="SEPARATE",
        ConceptNameCodeSequence=Sequence([code("111400", "DCM", "Breast Imaging Report")]),
        ContentSequence=Sequence(_content(image)),
        InstanceNumber="1",
        SoftwareVersions="1",
        DeviceSerialNumber="SN-4471",
    )
    if kind == "dose":
        made.ConceptNameCodeSequence = Sequence([code("113701", "DCM", "X-Ray Radiation Dose Report")])
    return made


def _content(image: Dataset) -> list[Dataset]:
    def content(kind: str, concept: Dataset, relation: str = "CONTAINS", **values: Any) -> Dataset:
        return _item(RelationshipType=relation, ValueType=kind, ConceptNameCodeSequence=Sequence([concept]), **values)

    return [
        content(
            "PNAME", code("121008", "DCM", "Person Observer Name"), "HAS OBS CONTEXT", PersonName="Oberrauch^Kaspar"
        ),
        content("TEXT", code("121071", "DCM", "Finding"), TextValue="A mass of Mrs. Kowalewska, seen 03/09/2018."),
        content(
            "CODE",
            code("111031", "DCM", "Image Library"),
            ConceptCodeSequence=Sequence([code("129717001", "SCT", "Scattered fibroglandular densities")]),
        ),
        content("UIDREF", code("112040", "DCM", "Tracking Unique Identifier"), UID=f"{ROOT}6.1"),
        _item(RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=Sequence([image])),
    ]


BUILT = {
    "mammogram for presentation": mammography,
    "mammogram for processing": lambda: mammography("FOR PROCESSING"),
    "tomosynthesis": tomosynthesis,
    "secondary capture": secondary_capture,
    "presentation state": presentation_state,
    **{
        f"{kind} report": lambda kind=kind: structured_report(kind)
        for kind in ("basic", "enhanced", "comprehensive", "cad", "dose")
    },
}

_VALUES: dict[str, Any] = {
    "UI": "", "DA": "20180309", "DT": "20180309101112", "TM": "101112", "AS": "045Y", "DS": "7.5", "IS": "7",
    "PN": "Zeromski^Jan", "CS": "YES", "AE": "AETITLE", "SH": "Breast", "LO": "Breast", "LT": "Breast",
    "ST": "Breast", "UT": "Breast", "UC": "Breast", "UR": "http://x.y/", "AT": 0x00100010,
    **dict.fromkeys(("US", "SS", "UL", "SL", "SV", "UV"), 1), **dict.fromkeys(("FL", "FD"), 1.0),
}  # fmt: skip
_LEFT_OUT = frozenset({"EncapsulatedDocument", "WaveformSequence", "IconImageSequence", "TextObjectSequence"})


def sop_classes() -> dict[str, str]:
    """One SOP Class of each IOD for which the project has Types, by the IOD's name."""
    import csv

    with (files("pipelines.deidentify") / "iods.csv").open() as file:
        found = {row["iod"]: row["sop_class_uid"] for row in csv.DictReader(file)}
    del found["encapsulated-pdf"]
    return found


def everything_of(iod: str, sop_class_uid: str, depth: int = 4) -> Dataset:
    """An object with every attribute of every module of an IOD, down to some depth of sequences."""
    standard = files("highdicom") / "_standard"
    modules, attributes = (
        json.loads((standard / f"{name}.json").read_text()) for name in ("iod_module_map", "module_attribute_map")
    )
    places: dict[tuple[str, ...], list[str]] = {}
    for module in modules[iod]:
        for row in attributes[module["key"]]:
            places.setdefault(tuple(row["path"]), []).append(row["keyword"])

    def fill(dataset: Dataset, path: tuple[str, ...]) -> Dataset:
        for keyword in places.get(path, ()):
            tag = tag_for_keyword(keyword)
            if tag is None or tag >> 16 in (0x5000, 0x6000) or tag >= 0x7FE00000 or keyword in _LEFT_OUT:
                continue
            vr = dictionary_VR(tag).split(" or ")[0]
            if vr != "SQ":
                count = int(dictionary_VM(tag).split("-")[0])
                value = f"{ROOT}77.{tag}" if vr == "UI" else _VALUES.get(vr, bytes(8))
                dataset.add_new(tag, vr, [value] * count if count > 1 and vr in _VALUES else value)
            elif len(path) < depth:
                dataset.add_new(tag, "SQ", [fill(Dataset(), (*path, keyword))])
        return dataset

    made = fill(Dataset(), ())
    _with(made, SOPClassUID=sop_class_uid, SOPInstanceUID=f"{ROOT}3.1", SpecificCharacterSet="ISO_IR 100")
    if any(module["key"] == "image-pixel" for module in modules[iod]):
        _with(made, Rows=4, Columns=4, BitsAllocated=16, BitsStored=12, HighBit=11, PixelRepresentation=0)
        _with(made, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", NumberOfFrames=1)
        made.add_new(0x7FE00010, "OW", bytes(32))
    return made

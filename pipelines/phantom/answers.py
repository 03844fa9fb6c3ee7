"""The answers to a pretend archive: what de-identification should make of every object, row by row, for a scorer.

The columns are those of ``midar deid-score``; the ten actions are all asked for. What is asked is what the default
profile promises: patient's characteristics, device and acquisition stay, dates move, ids change, and what names the
patient, her house or its staff goes, be it in a plain element, an item, free text or a private block.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from pipelines.phantom.acquisition import Taken
from pipelines.phantom.annotation import Box
from pipelines.phantom.patients import Exam, plain, spoken

_KEPT_TAGS = (
    "Rows", "Columns", "BitsStored", "PixelRepresentation", "WindowCenter", "ImagerPixelSpacing",
    "AnatomicRegionSequence", "ViewCodeSequence", "AcquisitionContextSequence", "BreastImplantPresent",
    "PhotometricInterpretation",
)  # fmt: skip
_KEPT_TEXT = (
    "Modality", "PresentationIntentType", "ImageLaterality", "ViewPosition", "BodyPartExamined", "PatientSex",
    "PatientAge", "KVP", "Exposure", "BodyPartThickness", "CompressionForce", "AnodeTargetMaterial", "FilterMaterial",
    "Manufacturer", "ManufacturerModelName", "SeriesDescription", "PositionerType", "LossyImageCompression",
    "ViewCodeSequence.CodeValue", "AnatomicRegionSequence.CodeValue",
)  # fmt: skip
_NOT_NULL = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate", "PatientIdentityRemoved")
_REMOVED = (
    "PatientName", "PatientAddress", "PatientTelephoneNumbers", "PatientComments", "MedicalRecordLocator",
    "OtherPatientNames", "AdditionalPatientHistory", "ReferringPhysicianName", "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy", "StudyID", "PerformingPhysicianName", "OperatorsName", "InstitutionName",
    "InstitutionAddress", "RequestingPhysician", "ImageComments", "IssuerOfPatientID", "PerformedProcedureStepID",
    "OtherPatientIDsSequence.PatientID", "OperatorIdentificationSequence.InstitutionName",
    "RequestAttributesSequence.RequestedProcedureID", "RequestAttributesSequence.AccessionNumber",
)  # fmt: skip
_DATES = (
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "PatientBirthDate",
    "DateOfLastDetectorCalibration",
)
_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_EVIDENCE = "CurrentRequestedProcedureEvidenceSequence"
_TOO_OLD = 89
_TEXT_VRS = ("LO", "SH", "LT", "ST", "UT", "PN", "CS", "DA")


@dataclass(frozen=True)
class AnswerRow:
    """One row of answers.csv; see ``midar deid-score``."""

    sop_instance_uid: str
    action: str
    tag: str = ""
    value: str = ""
    box: str = ""


def answers_of(dataset: Dataset, taken: Taken) -> Iterator[AnswerRow]:
    """The answers to one picture, given as it is delivered."""
    uid = taken.shot.sop_uid
    for action, tag, value in _about_tags(dataset, taken):
        yield AnswerRow(uid, action, tag, value)
    if taken.box:
        yield AnswerRow(uid, "pixels_hidden", box=_box(taken.box))
        if taken.marker:
            yield AnswerRow(uid, "pixels_retained", box=_box(taken.marker))
    else:
        yield AnswerRow(uid, "pixels_retained")


def answers_of_report(dataset: Dataset, exam: Exam) -> Iterator[AnswerRow]:
    """The answers to one structured report: what names people goes, what it refers to is found under its new UID."""

    def row(action: str, tag: str, value: str = "") -> AnswerRow:
        return AnswerRow(dataset.SOPInstanceUID, action, tag, value or _value(dataset, tag))

    yield row("text_retained", "Modality")
    yield row("text_retained", "ConceptNameCodeSequence.CodeValue")
    for tag in ("PatientName", "ReferringPhysicianName", "InstitutionName", "StudyID"):
        yield row("text_removed", tag)
    if "VerifyingObserverSequence" in dataset:
        yield row("text_removed", "VerifyingObserverSequence.VerifyingObserverName")
    for number, item in enumerate(dataset.ContentSequence):
        if "TextValue" in item:
            names = f"{spoken(exam.person.dicom_name)} {exam.person.birth_date:%d.%m.%Y}"
            yield row("text_removed", f"ContentSequence[{number}].TextValue", names)
        if "PersonName" in item:
            yield row("text_removed", f"ContentSequence[{number}].PersonName", spoken(exam.reader))
    for tag in ("StudyDate", "ContentDate", "PatientBirthDate"):
        yield row("date_shifted", tag)
    series = f"{_EVIDENCE}.ReferencedSeriesSequence"
    for tag in (*_UIDS, f"{_EVIDENCE}.StudyInstanceUID", f"{series}.SeriesInstanceUID"):
        yield row("uid_consistent", tag)
    yield row("uid_consistent", f"{series}.ReferencedSOPSequence.ReferencedSOPInstanceUID")
    yield row("patid_consistent", "PatientID")


def _about_tags(dataset: Dataset, taken: Taken) -> Iterator[tuple[str, str, str]]:
    exam = taken.shot.exam
    for tag in _KEPT_TAGS:
        if tag in dataset:
            yield "tag_retained", tag, ""
    for tag in _KEPT_TEXT:
        if tag != "PatientAge" or exam.age <= _TOO_OLD:
            yield "text_retained", tag, _value(dataset, tag)
    for tag in _NOT_NULL:
        yield "text_notnull", tag, ""
    for tag in _REMOVED:
        yield "text_removed", tag, _value(dataset, tag)
    names = f"{exam.person.family} {plain(exam.person.family)} {exam.person.birth_date:%d.%m.%Y}"
    yield "text_removed", "StudyDescription", names
    reason = f"{spoken(exam.person.dicom_name)} {exam.person.patient_id}"
    yield "text_removed", "RequestAttributesSequence.ReasonForTheRequestedProcedure", reason
    yield "text_removed", "RequestAttributesSequence.RequestedProcedureDescription", exam.person.family
    staff = "OperatorIdentificationSequence.PersonIdentificationCodeSequence.CodeMeaning"
    yield "text_removed", staff, spoken(exam.operator)
    for element in taken.shot.vendor.private:
        block = dataset.private_block(element.group, element.creator)
        if not element.value.startswith("=") and block[element.element].VR in _TEXT_VRS:
            tag = f'({element.group:04X},"{element.creator}",{element.element:02X})'
            yield "text_removed", tag, str(block[element.element].value)
    for tag in _DATES:
        yield "date_shifted", tag, _value(dataset, tag)
    for tag in _UIDS:
        yield "uid_changed", tag, _value(dataset, tag)
        yield "uid_consistent", tag, _value(dataset, tag)
    yield "patid_consistent", "PatientID", exam.person.patient_id


def _value(dataset: Dataset, path: str) -> str:
    """The value at a path of keywords, each sequence's first item; several values joined by a backslash."""
    *sequences, keyword = path.split(".")
    for sequence in sequences:
        dataset = dataset[sequence][0]
    value = dataset[keyword].value
    text = "\\".join(map(str, value)) if dataset[keyword].VM > 1 else str(value)
    return re.sub(r"[\^=]+", " ", text).strip() if dataset[keyword].VR == "PN" else text


def _box(box: Box) -> str:
    return " ".join(map(str, box))

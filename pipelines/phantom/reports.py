"""What radiologists said about density: report texts, and structured reports (SR) as DICOM objects.

The wording of breast composition follows BI-RADS 4th (2003) and 5th edition (2013). Codes of the structured reports:
SNOMED CT, or the retired SNOMED RT codes that older systems wrote (PS3.16 CID 6000).
"""

import random
from collections.abc import Sequence

from pydicom.dataset import Dataset

from pipelines.phantom.objects import add_private, code, file_meta
from pipelines.phantom.patients import Exam, spoken
from pipelines.phantom.vendors import EXPLICIT, IMPLICIT, Vendor

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
MAMMOGRAPHY_CAD_SR = "1.2.840.10008.5.1.4.1.1.88.50"

SCT_DENSITY = {
    "A": ("129716005", "Almost entirely fat"),
    "B": ("129717001", "Scattered fibroglandular densities"),
    "C": ("129718006", "Heterogeneously dense"),
    "D": ("129719003", "Extremely dense"),
}
SRT_DENSITY = {
    "A": ("F-01711", "Almost entirely fat"),
    "B": ("F-01712", "Scattered fibroglandular densities"),
    "C": ("F-01713", "Heterogeneously dense"),
    "D": ("F-01714", "Extremely dense"),
}

_WORDING = {
    "A": (
        "The breasts are almost entirely fatty.",
        "Breast composition: a. The breasts are almost entirely fatty.",
        "The breast tissue is almost entirely fat (less than 25% glandular).",
        "ACR density category A.",
        "BREAST DENSITY: BI-RADS 1, fatty breasts.",
    ),
    "B": (
        "There are scattered areas of fibroglandular density.",
        "Breast composition: b. There are scattered areas of fibroglandular density.",
        "There are scattered fibroglandular densities (approximately 25-50% glandular).",
        "ACR density category B.",
        "BREAST DENSITY: BI-RADS 2, scattered fibroglandular tissue.",
    ),
    "C": (
        "The breasts are heterogeneously dense, which may obscure small masses.",
        "Breast composition: c. The breasts are heterogeneously dense, which may obscure small masses.",
        "The breast tissue is heterogeneously dense (approximately 51-75% glandular). This could obscure detection of "
        "small masses.",
        "ACR density category C.",
        "BREAST DENSITY: BI-RADS 3, heterogeneously dense.",
    ),
    "D": (
        "The breasts are extremely dense, which lowers the sensitivity of mammography.",
        "Breast composition: d. The breasts are extremely dense, which lowers the sensitivity of mammography.",
        "The breast tissue is extremely dense (greater than 75% glandular). This may lower the sensitivity of "
        "mammography.",
        "ACR density category D.",
        "BREAST DENSITY: BI-RADS 4, extremely dense.",
    ),
}

_FINDINGS = (
    "No suspicious mass, architectural distortion or suspicious calcifications are seen in either breast.",
    "Benign vascular calcifications are noted bilaterally. No dominant mass is seen.",
    "A stable oval circumscribed 7 mm mass in the upper outer quadrant of the left breast is unchanged.",
    "Skin and nipples are unremarkable. Normal sized lymph nodes in both axillae.",
)
_ASSESSMENTS = ("BI-RADS Category 1: Negative.", "BI-RADS Category 2: Benign.", "ASSESSMENT: Benign (BI-RADS 2).")


def report_text(exam: Exam, density: str | None, rng: random.Random) -> str:
    """A screening report; ``density`` A…D is worded after either edition, None leaves it unmentioned."""
    p, name = exam.person, spoken(exam.person.dicom_name)
    title = rng.choice(("Mrs.", "Ms.", "Patient"))
    lines = [
        f"BILATERAL DIGITAL SCREENING MAMMOGRAM {exam.date:%d.%m.%Y}",
        f"Patient: {name}, DOB {p.birth_date:%d.%m.%Y}, MRN {p.patient_id}, Acc. {exam.accession}",
        f"HISTORY: {exam.age} year old woman, routine screening. Referred by Dr. {spoken(exam.referring)}.",
        f"COMPARISON: {exam.prior_date:%d.%m.%Y}." if rng.random() < 0.6 else "COMPARISON: None available.",
        "TECHNIQUE: Standard CC and MLO views of both breasts were obtained.",
    ]
    findings = [rng.choice(_FINDINGS)]
    if density is not None:
        findings.insert(0, rng.choice(_WORDING[density]))
    lines.append("FINDINGS: " + " ".join(findings))
    lines.append(f"IMPRESSION: {rng.choice(_ASSESSMENTS)} {title} {p.family} was informed in writing at {p.address}.")
    lines.append(f"Dictated by Dr. {spoken(exam.reader)}, {exam.institution}. Questions: {p.phone}")
    return "\n".join(lines)


def structured_report(
    exam: Exam,
    vendor: Vendor,
    statements: Sequence[tuple[str | None, str]],
    images: Sequence[tuple[str, str, str]],
    *,
    cad: bool,
    legacy: bool,
    sop_uid: str,
    series_uid: str,
) -> Dataset:
    """A Mammography CAD SR (``cad``) or an Enhanced SR with the breast composition, coded in SCT or ``legacy`` SRT.

    ``statements``: (laterality L, R or None for both breasts together, density); ``images``: (series UID, SOP Class
    UID, SOP Instance UID) of what it speaks of.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = exam.person.charset
    ds.SOPClassUID, ds.SOPInstanceUID = MAMMOGRAPHY_CAD_SR if cad else ENHANCED_SR, sop_uid
    _sr_header(ds, exam, vendor, images, cad, series_uid)
    composition = [_composition(laterality, density, legacy) for laterality, density in statements]
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    title = ("111036", "Mammography CAD Report") if cad else ("111400", "Breast Imaging Report")
    ds.ConceptNameCodeSequence = [code(title[0], "DCM", title[1])]
    language = _code_item("HAS CONCEPT MOD", ("121049", "DCM", "Language of Content Item and Descendants"), _ENGLISH)
    library = _container(("111028", "DCM", "Image Library"), [_image_item(*image) for image in images])
    if cad:
        ds.ContentSequence = [language, library, _cad_summary(composition), *_cad_states()]
    else:
        observer = _item("HAS OBS CONTEXT", "PNAME", ("121008", "DCM", "Person Observer Name"))
        observer.PersonName = exam.reader
        narrative = _item("CONTAINS", "TEXT", ("111412", "DCM", "Narrative Summary"))
        narrative.TextValue = f"Screening of {spoken(exam.person.dicom_name)}, born {exam.person.birth_date:%d.%m.%Y}."
        ds.ContentSequence = [language, observer, library, *composition, narrative]
    ds.file_meta = file_meta(ds.SOPClassUID, sop_uid, IMPLICIT if legacy else EXPLICIT, exam.station)
    return ds


def _sr_header(
    ds: Dataset, exam: Exam, vendor: Vendor, images: Sequence[tuple[str, str, str]], cad: bool, series_uid: str
) -> None:
    p = exam.person
    ds.PatientName, ds.PatientID, ds.PatientSex = p.dicom_name, p.patient_id, "F"
    ds.PatientBirthDate = f"{p.birth_date:%Y%m%d}"
    ds.StudyInstanceUID, ds.StudyID, ds.AccessionNumber = exam.study_uid, exam.study_id, exam.accession
    ds.StudyDate, ds.StudyTime = f"{exam.date:%Y%m%d}", f"{exam.time:%H%M%S}"
    ds.ReferringPhysicianName = exam.referring
    ds.Modality, ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = "SR", series_uid, 9000, 1
    ds.SeriesDescription = "Breast density" if cad else f"Report {exam.person.family}"
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.Manufacturer, ds.InstitutionName = vendor.manufacturer if cad else "Nordkap RIS", exam.institution
    ds.ManufacturerModelName, ds.SoftwareVersions = "DensityCAD" if cad else "ReportStation", "3.1"
    ds.DeviceSerialNumber, ds.StationName = exam.serial, exam.station
    ds.ContentDate, ds.ContentTime = ds.StudyDate, "173000"
    ds.PerformedProcedureCodeSequence = []
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED" if cad else "VERIFIED"
    if not cad:
        verifier = Dataset()
        verifier.VerifyingOrganization, verifier.VerifyingObserverName = exam.institution, exam.reader
        verifier.VerificationDateTime = f"{exam.date:%Y%m%d}173500"
        verifier.VerifyingObserverIdentificationCodeSequence = []
        ds.VerifyingObserverSequence = [verifier]
    evidence = Dataset()
    evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = exam.study_uid, []
    for series, sop_class, sop in images:
        item, reference = Dataset(), _reference(sop_class, sop)
        item.SeriesInstanceUID, item.ReferencedSOPSequence = series, [reference]
        evidence.ReferencedSeriesSequence.append(item)
    ds.CurrentRequestedProcedureEvidenceSequence = [evidence]
    add_private(ds, vendor, exam, "SR", ds.SOPInstanceUID)


_ENGLISH = ("en", "RFC5646", "English")


def _composition(laterality: str | None, density: str, legacy: bool) -> Dataset:
    """The content item that states the breast composition, of one breast or of both."""
    scheme, concept, values = ("SRT", "F-01710", SRT_DENSITY) if legacy else ("SCT", "129715009", SCT_DENSITY)
    value, meaning = values[density]
    item = _code_item("CONTAINS", (concept, scheme, "Breast composition"), (value, scheme, meaning))
    sides = {
        "R": ("24028007", "SCT", "Right"),
        "L": ("7771000", "SCT", "Left"),
        None: ("51440002", "SCT", "Right and left"),
    }
    item.ContentSequence = [_code_item("HAS CONCEPT MOD", ("272741003", "SCT", "Laterality"), sides[laterality])]
    return item


def _cad_summary(composition: list[Dataset]) -> Dataset:
    """CAD Processing and Findings Summary, from which the findings of breast composition hang."""
    summary = _code_item(
        "CONTAINS",
        ("111017", "DCM", "CAD Processing and Findings Summary"),
        ("111242", "DCM", "All algorithms succeeded; with findings"),
    )
    findings = []
    for item in composition:
        finding = _code_item(
            "INFERRED FROM", ("111059", "DCM", "Single Image Finding"), ("129715009", "SCT", "Breast composition")
        )
        item.RelationshipType = "HAS PROPERTIES"
        intent = ("111150", "DCM", "Presentation Required: Rendering device is expected to present")
        finding.ContentSequence = [_code_item("HAS CONCEPT MOD", ("111056", "DCM", "Rendering Intent"), intent), item]
        findings.append(finding)
    summary.ContentSequence = findings
    return summary


def _cad_states() -> list[Dataset]:
    succeeded, not_attempted = ("111222", "DCM", "Succeeded"), ("111225", "DCM", "Not Attempted")
    return [
        _code_item("CONTAINS", ("111064", "DCM", "Summary of Detections"), not_attempted),
        _code_item("CONTAINS", ("111065", "DCM", "Summary of Analyses"), succeeded),
    ]


def _item(relationship: str, value_type: str, name: tuple[str, str, str]) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = [code(*name)]
    return item


def _code_item(relationship: str, name: tuple[str, str, str], value: tuple[str, str, str]) -> Dataset:
    item = _item(relationship, "CODE", name)
    item.ConceptCodeSequence = [code(*value)]
    return item


def _container(name: tuple[str, str, str], content: list[Dataset]) -> Dataset:
    item = _item("CONTAINS", "CONTAINER", name)
    item.ContinuityOfContent, item.ContentSequence = "SEPARATE", content
    return item


def _image_item(series_uid: str, sop_class: str, sop_uid: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = [_reference(sop_class, sop_uid)]
    return item


def _reference(sop_class: str, sop_uid: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, sop_uid
    return reference

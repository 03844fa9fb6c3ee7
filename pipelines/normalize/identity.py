"""What a picture is: a standard 2-D mammogram to be kept, or something else, with the reason.

Mammography is recognized by everything available, since real archives hold files without Modality or SOP Class. What
only the pixels can tell (no breast, contradictions with the header) is judged in ``breast``.
"""

import re
from dataclasses import dataclass

import pydicom
from pydicom import uid

from pipelines.normalize.decode import DecodeError, PixelDescription, describe
from pipelines.normalize.header import integer, items, number, text, texts
from pipelines.normalize.vendor import is_lossy, is_mammography_model, manufacturer, model, vendor_group
from pipelines.normalize.view import STANDARD_VIEWS, VIEW_CODES, Projection, read_projection

SMALLEST_SIDE = 100
"""Pixels: a picture with a shorter side is a stub."""

MAGNIFIED = 1.3
"""Estimated Radiographic Magnification Factor (0018,1114) above which a view is a magnification view; contact views
state 1 to about 1.1, magnification views 1.5 to 2."""

_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
_MAMMOGRAPHY = frozenset({uid.DigitalMammographyXRayImageStorageForPresentation, _FOR_PROCESSING})
_TOMOSYNTHESIS = frozenset(
    {uid.BreastTomosynthesisImageStorage, "1.2.840.10008.5.1.4.1.1.13.1.4", "1.2.840.10008.5.1.4.1.1.13.1.5"}
)  # and breast projection X-ray, for presentation and for processing
_PROJECTION_MODALITIES = frozenset({"", "MG", "CR", "DX", "RG", "OT", "SC"})
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_FILM = frozenset({"DF", "DI", ""})  # Conversion Type: digitized film, digital interface
_BREAST_CODES = frozenset({"T-04000", "76752008", "T-04020", "73056007", "T-04030", "80248007"})
_VIEWS = frozenset(VIEW_CODES.values()) - {"SPECIMEN"}
_HARMLESS_MODIFIERS = frozenset({"implant_displaced", "nipple_in_profile"})

_DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "ViewPosition", "AcquisitionDeviceProcessingDescription")
_WORDS = (
    ("flat_field", r"FLAT[ _-]?FIELD"),
    ("test_object", r"\bQUALITY CONTROL\b|\bACR PHANTOM\b|\bTEST OBJECT\b|\bMTF\b"),
    ("specimen", r"\bSPECIMEN"),
    ("biopsy", r"\bBIOPSY\b|\bSTEREO(TACTIC|TAXIS)?\b|\bNEEDLE\b|\bWIRE LOC|\bGALACTOGRA"),
    ("synthetic_2d", r"\bC-?VIEW\b|\bINTELLIGENT ?2D\b|\bINSIGHT ?2D\b|\bV-?PREVIEW\b|\bS-?VIEW\b|\bSYNTHETIC\b"),
    ("contrast_subtracted", r"\bSUBTRACT|\bRECOMBINED\b|\bCESM SUB\b|\bCEDM SUB\b|\bDES[- ]?SUB"),
    ("magnification", r"\bMAG(NIFICATION|NIFIED)?\b"),
    ("spot", r"\bSPOT\b"),
)
_IMAGE_TYPES = (
    ("synthetic_2d", {"GENERATED_2D", "SYNTHETIC_2D", "TOMO_2D"}),
    ("tomosynthesis", {"TOMOSYNTHESIS", "TOMO", "TOMO_PROJ", "VOLUME", "TOMO PROJECTION"}),
    ("contrast_subtracted", {"SUBTRACTION", "SUBTRACTED", "RECOMBINED", "HIGH_ENERGY", "ENERGY_PROP_WT"}),
    ("biopsy", {"STEREO", "STEREO_SCOUT", "STEREO_PLUS", "STEREO_MINUS", "SCOUT"}),
)


@dataclass(frozen=True)
class Identity:
    """What the header says of a picture. ``exclusion`` is the reason to leave it out, or None."""

    exclusion: str | None
    laterality: str | None
    view: str | None
    chest_wall: str | None
    manufacturer: str
    model: str
    presentation_intent: str | None
    lossy: bool | None
    vendor_group: str
    patient_age: float | None
    flags: tuple[str, ...]


def identify(dataset: pydicom.Dataset) -> Identity:
    """Read everything the header tells and decide whether the picture is a standard 2-D mammogram.

    ``view`` is CC, MLO or None. Raises nothing: a header that says nothing gives ``not_mammography``.
    """
    projection = read_projection(dataset)
    evidence = _mammography(dataset, projection)
    maker, model_name, intent, lossy = manufacturer(dataset), model(dataset), _intent(dataset), is_lossy(dataset)
    flags = list(projection.contradictions)
    if evidence == "inferred":
        flags.append("mammography_inferred")
    if projection.laterality is None:
        flags.append("laterality_unknown")
    if projection.view is None:
        flags.append("view_unknown")
    if maker == "unknown":
        flags.append("vendor_unknown")
    return Identity(
        exclusion=_exclusion(dataset, projection, evidence),
        laterality=projection.laterality,
        view=projection.view if projection.view in STANDARD_VIEWS else None,
        chest_wall=projection.chest_wall,
        manufacturer=maker,
        model=model_name,
        presentation_intent=intent,
        lossy=lossy,
        vendor_group=vendor_group(maker, model_name, intent, lossy),
        patient_age=years(text(dataset, "PatientAge")),
        flags=tuple(flags),
    )


def years(age: str) -> float | None:
    """An Age String (PS3.5 6.2: number and D, W, M or Y) in years; None where it is none, zero or above 130."""
    found = re.fullmatch(r"\s*(\d{1,4}(?:\.\d+)?)\s*([DWMY])\s*", age.upper())
    if not found:
        return None
    value = float(found[1]) / {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}[found[2]]
    return round(value, 4) if 0 < value <= 130 else None


def _intent(dataset: pydicom.Dataset) -> str | None:
    declared = text(dataset, "PresentationIntentType").upper()
    if declared in ("FOR PRESENTATION", "FOR PROCESSING"):
        return declared
    sop_class = text(dataset, "SOPClassUID")
    if sop_class in _MAMMOGRAPHY:
        return "FOR PROCESSING" if sop_class == _FOR_PROCESSING else "FOR PRESENTATION"
    return None


def _mammography(dataset: pydicom.Dataset, projection: Projection) -> str | None:
    """``certain``, ``inferred`` (a near-empty header that only resembles one of mammography), or None."""
    modality = text(dataset, "Modality").upper()
    if modality == "MG" or text(dataset, "SOPClassUID") in _MAMMOGRAPHY | _TOMOSYNTHESIS:
        return "certain"
    if modality not in _PROJECTION_MODALITIES:
        return None
    regions = {text(item, "CodeValue") for item in items(dataset, "AnatomicRegionSequence")}
    if (
        "BREAST" in text(dataset, "BodyPartExamined").upper()
        or regions & _BREAST_CODES
        or projection.view in _VIEWS
        or is_mammography_model(dataset)
        or text(dataset, "BreastImplantPresent")
    ):
        return "certain"
    sided = text(dataset, "ImageLaterality").upper() in ("L", "R")
    other_anatomy = text(dataset, "BodyPartExamined") or regions or text(dataset, "ViewPosition")
    large = min(integer(dataset, "Rows", 0), integer(dataset, "Columns", 0)) >= 1000
    if modality == "" and sided and not other_anatomy and (large or "PartialView" in dataset):
        return "inferred"
    return None


def _exclusion(dataset: pydicom.Dataset, projection: Projection, evidence: str | None) -> str | None:
    """The first reason to leave a picture out, the plainest first.

    A picture that says of itself that it is synthetic (PS3.3 C.12.1) shows no patient and must not be taken for one.
    """
    if not any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return "no_pixels"
    if text(dataset, "SyntheticData").upper() == "YES":
        return "synthetic_data"
    if evidence is None:
        return "not_mammography"
    sop_class = text(dataset, "SOPClassUID")
    types = set(texts(dataset, "ImageType"))
    for reason, names in _IMAGE_TYPES:
        if types & names:
            return reason
    if sop_class in _TOMOSYNTHESIS or integer(dataset, "NumberOfFrames", 1) > 1:
        return "tomosynthesis"
    if integer(dataset, "SamplesPerPixel", 1) != 1 or text(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        return "not_grayscale"
    described = " / ".join(text(dataset, keyword).upper() for keyword in _DESCRIPTIONS)
    for reason, pattern in _WORDS:
        if re.search(pattern, described):
            return reason
    if sop_class == _SECONDARY_CAPTURE and text(dataset, "ConversionType").upper() not in _FILM:
        return "secondary_capture"
    if text(dataset, "PatientSex").upper() == "M":
        return "male"
    return _view_exclusion(dataset, projection) or _size_exclusion(dataset)


def _view_exclusion(dataset: pydicom.Dataset, projection: Projection) -> str | None:
    modifiers = projection.modifiers
    paddle = text(dataset, "PaddleDescription").upper()
    if projection.view == "SPECIMEN":
        return "specimen"
    if "magnification" in modifiers or (number(dataset, "EstimatedRadiographicMagnificationFactor") or 0) > MAGNIFIED:
        return "magnification"
    if "spot" in modifiers or "SPOT" in paddle:
        return "spot"
    if "BIOP" in paddle:
        return "biopsy"
    if text(dataset, "BreastImplantPresent").upper() == "YES" and "implant_displaced" not in modifiers:
        return "implant"
    if (projection.view and projection.view not in STANDARD_VIEWS) or modifiers - _HARMLESS_MODIFIERS:
        return "view_other"
    return None


def _size_exclusion(dataset: pydicom.Dataset) -> str | None:
    try:
        description: PixelDescription = describe(dataset)
    except DecodeError:
        return None  # decoding gives this reason as a failure
    return "stub" if min(description.rows, description.columns) < SMALLEST_SIDE else None

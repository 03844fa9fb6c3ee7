"""Which objects are refused as a whole: what they are made of cannot be cleaned, or not by these means."""

from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary

_DIRECTORY = "1.2.840.10008.1.3.10"
_STORAGE = "1.2.840.10008.5.1.4."

_PREFIXES = (
    ("1.2.840.10008.5.1.4.1.1.104.", "encapsulated_document"),
    ("1.2.840.10008.5.1.4.1.1.9.", "waveform"),
    ("1.2.840.10008.5.1.4.1.1.66", "raw_data"),
    (_DIRECTORY, "dicomdir"),
)
_RAW_DATA_ALONE = "1.2.840.10008.5.1.4.1.1.66"
_PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_GRAPHIC_ANNOTATIONS, _TEXT_OBJECTS = 0x00700001, 0x00700008
_ENCAPSULATED, _WAVEFORMS = 0x00420011, 0x54000100


def reason_to_refuse(dataset: Dataset, sop_class_uid: str) -> str | None:
    """The reason code for which an object is refused, by its SOP Class and content; None where it can be cleaned."""
    if not sop_class_uid:
        return "no_sop_class"
    for prefix, reason in _PREFIXES:
        exact = prefix in (_RAW_DATA_ALONE, _DIRECTORY)
        if sop_class_uid == prefix or (not exact and sop_class_uid.startswith(prefix)):
            return reason
    if sop_class_uid not in UID_dictionary and not sop_class_uid.startswith(_STORAGE):
        return "private_sop_class"
    if _ENCAPSULATED in dataset:
        return "encapsulated_document"
    if _WAVEFORMS in dataset:
        return "waveform"
    if sop_class_uid.startswith(_PRESENTATION_STATES) and _holds_text(dataset):
        return "presentation_state_text"
    if sop_class_uid.startswith(_SECONDARY_CAPTURE) and not any(tag in dataset for tag in _PIXELS):
        return "secondary_capture_without_pixels"
    return None


def _holds_text(dataset: Dataset) -> bool:
    """Whether a presentation state annotates with text; one whose annotations cannot be read counts as such."""
    if _GRAPHIC_ANNOTATIONS not in dataset:
        return False
    try:
        return any(_TEXT_OBJECTS in item for item in dataset[_GRAPHIC_ANNOTATIONS].value)
    except Exception:  # noqa: BLE001 - whatever a damaged sequence does to the parser, it may hold text
        return True

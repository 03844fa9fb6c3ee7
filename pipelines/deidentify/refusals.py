"""Which objects are refused as a whole: what they are made of cannot be cleaned, or not by these means.

An object is judged by its SOP Class (PS3.4 section B.5, PS3.6 annex A) and by what it holds, whatever it calls itself.
"""

from collections.abc import Collection

from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary

from pipelines.deidentify.elements import items_of, text_of
from pipelines.deidentify.raw_values import has


class RefusedError(ValueError):
    """An object cannot be passed on; ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_DIRECTORY = "1.2.840.10008.1.3.10"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SECONDARY_CAPTURE = _STORAGE + "7"

_CLASSES = {
    _DIRECTORY: "dicomdir",
    _STORAGE + "66": "raw_data",
    _STORAGE + "8": "standalone_graphics",
    _STORAGE + "9": "standalone_graphics",
    _STORAGE + "129": "standalone_graphics",
    _STORAGE + "68.1": "surface_scan",
    _STORAGE + "68.2": "surface_scan",
    _STORAGE + "77.1.4": "photograph",
    _STORAGE + "77.1.4.1": "photograph",
    _STORAGE + "200.1": "not_of_a_patient",
    _STORAGE + "200.3": "not_of_a_patient",
    _STORAGE + "200.7": "not_of_a_patient",
    "1.2.840.10008.5.1.4.38.1": "not_of_a_patient",
    "1.2.840.10008.5.1.4.39.1": "not_of_a_patient",
    "1.2.840.10008.5.1.4.43.1": "not_of_a_patient",
    "1.2.840.10008.5.1.4.44.1": "not_of_a_patient",
    "1.2.840.10008.5.1.4.45.1": "not_of_a_patient",
}
"""Storage SOP Classes whose objects are refused: bare overlays and curves, photographs and scans of a body's surface
(nothing here finds a face in them), protocols and templates (they state no patient, naming one would break them)."""

_PREFIXES = (
    (_STORAGE + "104.", "encapsulated_document"),
    (_STORAGE + "9.", "waveform"),
    (_STORAGE + "201.", "not_of_a_patient"),
)
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_TEXT_BOXES = frozenset({0x00700008, 0x00720424})
_ANNOTATIONS = frozenset({0x0070, 0x0072})
_OVERLAYS = frozenset(range(0x6000, 0x6100))
_ENCAPSULATED, _WAVEFORMS = 0x00420011, 0x54000100
_HIGH_BIT, _BITS_STORED, _POSITION = 0x00280102, 0x00280101, 0x0102


def reason_to_refuse(dataset: Dataset, sop_class_uid: str, options: Collection[str] = ()) -> str | None:
    """The reason code for which an object is refused, by its SOP Class and content; None where it can be cleaned.

    ``options`` are those of the profile that are on: with Clean Graphics texts of presentation states are cleaned, and
    without Clean Pixel Data overlays within the pixel data cannot be.
    """
    reason = _refused_class(sop_class_uid)
    if reason:
        return reason
    if has(dataset, _ENCAPSULATED):
        return "encapsulated_document"
    if has(dataset, _WAVEFORMS):
        return "waveform"
    groups = {tag >> 16 for tag in dataset._dict}
    if "clean_graphics" not in options and not _ANNOTATIONS.isdisjoint(groups) and _holds_text_boxes(dataset):
        return "presentation_state_text"
    if "clean_pixel_data" not in options and not _OVERLAYS.isdisjoint(groups) and _holds_overlay_in_pixels(dataset):
        return "overlay_in_pixels"
    is_capture = sop_class_uid == _SECONDARY_CAPTURE or sop_class_uid.startswith(_SECONDARY_CAPTURE + ".")
    if is_capture and not any(has(dataset, tag) for tag in _PIXELS):
        return "secondary_capture_without_pixels"
    return None


def _refused_class(sop_class_uid: str) -> str | None:
    if not sop_class_uid:
        return "no_sop_class"
    if sop_class_uid in _CLASSES:
        return _CLASSES[sop_class_uid]
    for prefix, reason in _PREFIXES:
        if sop_class_uid.startswith(prefix):
            return reason
    if sop_class_uid.startswith(_STORAGE):
        return None
    if sop_class_uid not in UID_dictionary:
        return "private_sop_class"
    name, kind = UID_dictionary[sop_class_uid][:2]
    is_storage = kind == "SOP Class" and "Storage" in name and "Commitment" not in name
    return None if is_storage else "no_storage_class"


def _holds_text_boxes(dataset: Dataset) -> bool:
    """Whether an object annotates with text, at any depth; a sequence that cannot be read counts as if it did."""
    for tag in sorted(int(tag) for tag in dataset._dict if tag >> 16 in _ANNOTATIONS):
        if tag in _TEXT_BOXES:
            return True
        element = dataset.get_item(tag)
        if element is None or str(element.VR) not in ("SQ", "UN", "None"):
            continue
        items = items_of(dataset, tag)
        if items is None:
            return tag == 0x00700001
        if any(map(_holds_text_boxes, items)):
            return True
    return False


def _holds_overlay_in_pixels(dataset: Dataset) -> bool:
    """Whether an overlay plane lies in unused bits of the pixel data, as it once could (PS3.5 section 8.1.2)."""
    if not any(has(dataset, tag) for tag in _PIXELS):
        return False
    high, stored = _number(dataset, _HIGH_BIT), _number(dataset, _BITS_STORED)
    positions = [
        _number(dataset, int(tag)) for tag in dataset._dict if tag >> 16 in _OVERLAYS and tag & 0xFFFF == _POSITION
    ]
    return any(position != 0 and not high - stored < position <= high for position in positions)


def _number(dataset: Dataset, tag: int) -> int:
    text = text_of(dataset, tag)
    return int(text) if text.isdecimal() else -1

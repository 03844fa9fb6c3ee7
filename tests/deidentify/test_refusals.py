from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID_dictionary

from pipelines.deidentify.refusals import reason_to_refuse
from tests.deidentify.conftest import mammogram

STORAGE = "1.2.840.10008.5.1.4.1.1."
GSPS = STORAGE + "11.1"
ON = ("clean_pixel_data",)

REFUSED = {
    "": "no_sop_class",
    "1.2.840.10008.1.3.10": "dicomdir",
    STORAGE + "66": "raw_data",
    **dict.fromkeys((STORAGE + f"104.{n}" for n in range(1, 6)), "encapsulated_document"),
    **dict.fromkeys((STORAGE + end for end in ("9.1.1", "9.1.2", "9.2.1", "9.4.1", "9.5.1", "9.100.1")), "waveform"),
    **dict.fromkeys((STORAGE + end for end in ("8", "9", "129")), "standalone_graphics"),
    **dict.fromkeys((STORAGE + end for end in ("77.1.4", "77.1.4.1")), "photograph"),
    **dict.fromkeys((STORAGE + end for end in ("68.1", "68.2")), "surface_scan"),
    **dict.fromkeys((STORAGE + end for end in ("200.1", "200.3", "200.7", "201.1")), "not_of_a_patient"),
    **dict.fromkeys((f"1.2.840.10008.5.1.4.{end}.1" for end in (38, 39, 43, 44, 45)), "not_of_a_patient"),
    **dict.fromkeys(("1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.20.1", "1.2.840.10008.1.2.1"), "no_storage_class"),
    **dict.fromkeys(("1.2.840.113619.4.26", "1.2.276.0.48.5.1.4.1.1.7"), "private_sop_class"),
}  # fmt: skip

CLEANED = [
    "1", "1.1", "1.2", "1.2.1", "2", "2.1", "3.1", "4", "4.1", "4.2", "6.1", "12.1", "13.1.3", "13.1.4", "20", "30",
    "66.1", "66.2", "66.3", "66.4", "66.5", "67", "77.1.5.1", "77.1.6", "78.1", "88.11", "88.22", "88.33", "88.50",
    "88.59", "88.67", "90.1", "128", "131", "200.2", "481.1", "481.2", "481.3", "481.5",
]  # fmt: skip


@pytest.mark.parametrize(("sop_class_uid", "reason"), REFUSED.items())
def test_refused_by_sop_class(sop_class_uid: str, reason: str) -> None:
    assert reason_to_refuse(mammogram(), sop_class_uid, ON) == reason


@pytest.mark.parametrize("ending", CLEANED)
def test_cleaned(ending: str) -> None:
    assert STORAGE + ending in UID_dictionary
    assert reason_to_refuse(mammogram(), STORAGE + ending, ON) is None


def test_reasons_are_codes_and_every_document_class_is_among_them() -> None:
    for uid, (name, kind, *_) in UID_dictionary.items():
        reason = reason_to_refuse(mammogram(), uid, ON)
        assert reason is None or reason.replace("_", "").isalpha()
        if kind == "SOP Class" and ("Encapsulated" in name or "Waveform" in name) and "Storage" in name:
            assert reason in ("encapsulated_document", "waveform") or "SR" in name or "Communication" in name, name


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"EncapsulatedDocument": b"%PDF"}, "encapsulated_document"), ({"WaveformSequence": Sequence()}, "waveform")],
)
def test_refused_by_what_it_holds(changes: dict[str, Any], reason: str) -> None:
    assert reason_to_refuse(mammogram(**changes), mammogram().SOPClassUID, ON) == reason


def annotated(sequence: str, text: str) -> Dataset:
    dataset = mammogram(SOPClassUID=GSPS)
    item = Dataset()
    setattr(item, text, Sequence([Dataset()]))
    setattr(dataset, sequence, Sequence([item]))
    return dataset


def test_text_of_presentation_states() -> None:
    state = annotated("GraphicAnnotationSequence", "TextObjectSequence")
    assert reason_to_refuse(state, GSPS, ON) == "presentation_state_text"
    assert reason_to_refuse(state, GSPS, (*ON, "clean_graphics")) is None
    assert reason_to_refuse(annotated("GraphicAnnotationSequence", "GraphicObjectSequence"), GSPS, ON) is None
    display = annotated("StructuredDisplayImageBoxSequence", "GraphicAnnotationSequence")
    display.StructuredDisplayTextBoxSequence = Sequence([Dataset()])
    assert reason_to_refuse(display, STORAGE + "131", ON) == "presentation_state_text"


def test_annotations_that_cannot_be_read_count_as_text() -> None:
    state = mammogram(SOPClassUID=GSPS)
    state[0x00700001] = RawDataElement(BaseTag(0x00700001), "SQ", 3, b"\xff\xff\xff", 0, False, True)
    assert reason_to_refuse(state, GSPS, ON) == "presentation_state_text"


def test_overlays_within_pixels_need_their_cleaning() -> None:
    dataset = mammogram()
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 12)
    assert reason_to_refuse(dataset, dataset.SOPClassUID, ON) is None
    assert reason_to_refuse(dataset, dataset.SOPClassUID, ()) == "overlay_in_pixels"


def test_captures_without_pixels() -> None:
    dataset = mammogram()
    del dataset["PixelData"]
    for ending in ("7", "7.1", "7.4"):
        assert reason_to_refuse(dataset, STORAGE + ending, ON) == "secondary_capture_without_pixels"
    assert reason_to_refuse(dataset, STORAGE + "77.1.6", ON) is None


def test_overlays_that_only_say_where_they_would_be() -> None:
    dataset = mammogram()
    dataset.add_new(0x60000102, "US", 0)
    assert reason_to_refuse(dataset, dataset.SOPClassUID, ()) is None
    dataset[0x60000102].value = 15
    assert reason_to_refuse(dataset, dataset.SOPClassUID, ()) == "overlay_in_pixels"
    del dataset["PixelData"]
    assert reason_to_refuse(dataset, dataset.SOPClassUID, ()) is None

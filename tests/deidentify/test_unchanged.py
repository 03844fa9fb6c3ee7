from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from pipelines.deidentify.unchanged import Unchanged, unchanged_before
from tests.deidentify.conftest import mammogram


def _raw(tag: int, vr: str, value: bytes) -> RawDataElement:
    return RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)


def test_only_the_same_element_is_known() -> None:
    unchanged = Unchanged()
    unchanged.remember(0x00180060, _raw(0x00180060, "DS", b"29"), "K")
    assert unchanged.action(0x00180060, _raw(0x00180060, "DS", b"29")) == "K"
    assert unchanged.action(0x00180060, _raw(0x00180060, "DS", b"30")) is None
    assert unchanged.action(0x00180060, _raw(0x00180060, "LO", b"29")) is None
    assert unchanged.action(0x00181152, _raw(0x00181152, "DS", b"29")) is None


def test_what_more_than_the_value_decides_is_not_remembered() -> None:
    unchanged = Unchanged()
    for tag, vr in (
        (0x00080020, "DA"), (0x0008002A, "DT"), (0x00080018, "UI"), (0x00191008, "LO"), (0x60000022, "LO"),
        (0x00080005, "CS"), (0x0040A160, "UT"), (0x00081110, "SQ"),
    ):  # fmt: skip
        unchanged.remember(tag, _raw(tag, vr, b"1.2 "), "K")
        assert unchanged.action(tag, _raw(tag, vr, b"1.2 ")) is None
    unchanged.remember(0x00204000, _raw(0x00204000, "LT", b"a" * 2000), "K")
    assert unchanged.action(0x00204000, _raw(0x00204000, "LT", b"a" * 2000)) is None


def test_another_study_forgets_what_this_one_kept(deidentified: Any) -> None:
    """Sharp is a word of a description until a patient is called so."""
    first = mammogram(SeriesDescription="L CC Sharp", PatientName="Doe^Jane", StudyInstanceUID="1.2.276.0.99.1.7")
    second = mammogram(SeriesDescription="L CC Sharp", PatientName="Sharp^Rose", StudyInstanceUID="1.2.276.0.99.1.8")
    assert deidentified(first).SeriesDescription == "L CC Sharp"
    assert "Sharp" not in deidentified(second).SeriesDescription
    assert deidentified(first).SeriesDescription == "L CC Sharp"


def test_encoding_and_class_tell_objects_apart(profile: Any) -> None:
    class Cleaning:
        def __init__(self, deny: Any, sop_class_uid: str) -> None:
            self.profile, self.deny, self.sop_class_uid = profile, deny, sop_class_uid

    from pipelines.deidentify.deny import deny_list

    one = mammogram()
    one.set_original_encoding(False, True, "iso8859")
    other = mammogram()
    other.set_original_encoding(True, True, "iso8859")
    deny = deny_list(names=["Doe^Jane"])
    known: Any = unchanged_before(one, Cleaning(deny, "1.2"))
    assert unchanged_before(one, Cleaning(deny, "1.2")) is known
    assert unchanged_before(other, Cleaning(deny, "1.2")) is not known
    assert unchanged_before(one, Cleaning(deny, "1.3")) is not known
    assert unchanged_before(one, Cleaning(deny_list(names=["Roe^Al"]), "1.2")) is not known

from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify.deny import deny_list
from pipelines.deidentify.descriptions import described_by_codes
from pipelines.deidentify.policies import cleaned_by, is_harmless_code
from tests.deidentify.conftest import code, mammogram

DENY = deny_list(names=["Kowalewska^Jadwiga"], ids=["MRN0098231"])


@pytest.mark.parametrize(
    ("policy", "value", "cleaned"),
    [
        ("remove", "R MLO", ""),
        ("keep", "Kowalewska R MLO", "Kowalewska R MLO"),
        ("vocabulary", "R MLO", "R MLO"),
        ("vocabulary", "R MLO Kowalewska Xqzzt", "R MLO"),
        ("detect", "R MLO by Xqzzt on 2018-03-05", "R MLO by <NAME> on <DATE>"),
        ("names", "ADS_54.10 installed 2018-03-05 by Dr. Xqzzt", "ADS_54.10 installed 2018-03-05 by Dr. <NAME>"),
        ("identifiers", "Room Kowalewska 123456", "Room <NAME> 123456"),
        ("code", "MRN0098231", ""),
        ("code", "R-10242", "R-10242"),
    ],
)
def test_policies(policy: str, value: str, cleaned: str) -> None:
    assert cleaned_by(policy, value, "LO", DENY) == cleaned


def test_dates_in_header_text_move_and_ages_are_capped() -> None:
    text = "Compared with 2018-03-05. A 93-year-old woman."
    cleaned = cleaned_by("detect", text, "UT", DENY, days=10, oldest=89)
    assert cleaned == "Compared with 2018-02-23. An over 89-year-old woman."


@pytest.mark.parametrize("value", ["MEDIUM_FAT", "RHODIUM", "ORIGINAL", "TE_2"])
def test_harmless_codes(value: str) -> None:
    assert is_harmless_code(value, DENY)
    assert not is_harmless_code("KOWALEWSKA", DENY)


@pytest.mark.parametrize(
    "value", ["Fluorodeoxyglucose F^18^", "medio-lateral oblique", "Gall bladder", "Device Observer Serial Number"]
)
def test_meanings_of_standard_codes_stay(value: str) -> None:
    assert cleaned_by("vocabulary", value, "LO", DENY) == value


def test_what_the_codes_say() -> None:
    dataset = mammogram()
    dataset.ProcedureCodeSequence = Sequence([code("24606-6", "LN", "Screening mammography")])
    assert described_by_codes(dataset, 0x0008103E, DENY) == "R MLO"
    assert described_by_codes(dataset, 0x00081030, DENY) == "Screening mammography"
    dataset.ProcedureCodeSequence[0].CodeMeaning = "Screening for Xqzzt"
    assert described_by_codes(dataset, 0x00081030, DENY) == ""
    del dataset.ViewPosition
    assert described_by_codes(dataset, 0x0008103E, DENY) == "R MLO"
    assert described_by_codes(Dataset(), 0x0008103E, DENY) == ""


def test_a_description_that_names_somebody_becomes_what_the_codes_say(deidentified: Callable[..., Any]) -> None:
    dataset = mammogram(SeriesDescription="Kowalewska repeat", StudyDescription="MAMMO SCREENING")
    made = deidentified(dataset)
    assert (made.SeriesDescription, made.StudyDescription) == ("R MLO", "MAMMO SCREENING")


def test_moved_text_dates_agree_with_header_dates_and_raise_no_false_alarm(deidentified: Callable[..., Any]) -> None:
    from datetime import datetime, timedelta

    dataset = mammogram()
    first = deidentified(dataset)
    days = (datetime(2018, 3, 9) - datetime.strptime(first.StudyDate, "%Y%m%d")).days
    later = datetime(2018, 3, 9) + timedelta(days)
    dataset = mammogram(CommentsOnRadiationDose="", UnformattedTextValue=f"on {later:%Y%m%d} and 2018-03-09")
    made = deidentified(dataset, name="y")
    moved = datetime(2018, 3, 9) - timedelta(days)
    assert made.UnformattedTextValue == f"on 20180309 and {moved:%Y-%m-%d}"

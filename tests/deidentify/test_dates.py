"""Dates, times and ages: what each form becomes, and that intervals keep their length."""

from datetime import date, datetime, timedelta
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify import dates
from tests.deidentify.conftest import mammogram

DAYS = st.integers(1, 3650)


@given(st.dates(date(11, 1, 1)), st.dates(date(11, 1, 1)), DAYS)
def test_days_keep_their_distance(one: date, other: date, days: int) -> None:
    moved = [dates.moved_date(f"{day:%Y%m%d}".zfill(8), days) for day in (one, other)]
    first, second = (datetime.strptime(str(day), "%Y%m%d").date() for day in moved)
    assert second - first == other - one
    assert one - first == timedelta(days)


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2090, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.integers(0, 6),
    DAYS,
)
def test_moments_keep_their_distance_whatever_the_zone(at: datetime, zone: int, digits: int, days: int) -> None:
    sign, (hours, minutes) = "-" if zone < 0 else "+", divmod(abs(zone), 60)
    fraction = f".{at.microsecond:06d}"[: digits + 1] if digits else ""
    rest = at.strftime("%H%M%S") + fraction + f"{sign}{hours:02d}{minutes:02d}"
    moved = dates.moved_date_time(at.strftime("%Y%m%d") + rest, days)
    assert moved is not None
    assert moved[8:] == rest
    assert datetime.strptime(moved[:8], "%Y%m%d") == datetime(at.year, at.month, at.day) - timedelta(days)


@settings(max_examples=300)
@given(st.text(alphabet="0123456789.+-: \0Z٣", max_size=24), DAYS)
def test_no_form_crashes_or_passes_unmoved(text: str, days: int) -> None:
    for moved in (dates.moved_date(text, days), dates.moved_date_time(text, days)):
        assert moved is None or moved.isascii()
    moved = dates.moved_date(text, days)
    assert moved is None or moved.strip() != text.strip(" \0") or moved in ("", "-")


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("20200229", "20190301"),
        ("20190228", "20180228"),
        ("2020.02.29", "20190301"),
        ("2020-02-29", "20190301"),
        ("20200229-20200301", "20190301-20190302"),
        ("-20200301", "-20190302"),
        ("00010101", None),
        ("0000", None),
        ("00000229", None),
        ("20190229", None),
        ("2020022", None),
        ("٢٠٢٠٠٢٢٩", None),
        ("19480229 Jadwiga", None),
    ],
)
def test_dates_a_year_back(value: str, moved: str | None) -> None:
    assert dates.moved_date(value, 365) == moved


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("20200229235959.999999-0330", "20190301235959.999999-0330"),
        ("202002", "201902"),
        ("2020", "2019"),
        ("2020+0100", "2019+0100"),
        ("20200229-20200301", None),
        ("00010101000000", None),
        ("00000000000000", None),
        ("2020022910111", None),
    ],
)
def test_date_times_a_year_back(value: str, moved: str | None) -> None:
    assert dates.moved_date_time(value, 365) == moved


@pytest.mark.parametrize(
    ("age", "capped"),
    [
        ("045Y", "045Y"), ("089Y", "089Y"), ("090Y", "089Y"), ("120Y", "089Y"), ("1080M", "089Y"), ("1079M", "089Y"),
        ("1067M", "088Y"), ("999M", "999M"), ("4698W", "089Y"), ("999W", "999W"), ("33000D", "089Y"), ("012D", "012D"),
        ("45y", "045Y"), ("732.0m", "732M"), (" 007Y\0", "007Y"), ("45", None), ("Y", None), ("old", None),
        ("04٥Y", None),
    ],
)  # fmt: skip
def test_ages_in_every_unit(age: str, capped: str | None) -> None:
    assert dates.capped_age(age, 89) == capped


@given(st.dates(date(1900, 1, 1), date(2000, 1, 1)), st.integers(0, 40_000))
def test_an_age_is_the_number_of_birthdays(birth: date, later: int) -> None:
    day = birth + timedelta(later)
    birthdays = sum(
        (year, birth.month, birth.day) <= (day.year, day.month, day.day) for year in range(birth.year + 1, 2200)
    )
    age = dates.age_at(birth, day)
    assert age is not None
    assert birthdays == (int(age[:3]) if age[3] == "Y" else int(age[:3]) // 12)


def test_in_an_object(deidentified: Any, profile: Any, pseudonyms: Any) -> None:
    made = mammogram(StudyDate="20160229", AcquisitionDateTime="20160301000000.5-0500", ContentDate="2016.03.01")
    made.DateOfLastCalibration, made.TimeOfLastCalibration = ["20151231", "20160101"], ["235959", "000000.25"]
    made.ScheduledProcedureStepStartDate = "00000000"
    nested = Dataset()
    nested.PatientAge, nested.PatientBirthDate, nested.PatientBirthTime = "093Y", "19230105", "1010"
    nested.AcquisitionDate = "00010101"
    made.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = Sequence([nested])
    written = deidentified(made)
    days = timedelta(pseudonyms.days(written.PatientID, profile.most_days))

    def moved(*day: int) -> str:
        return f"{date(*day) - days:%Y%m%d}"

    assert written.StudyDate == moved(2016, 2, 29)
    assert written.AcquisitionDateTime == moved(2016, 3, 1) + "000000.5-0500"
    assert written.ContentDate == moved(2016, 3, 1)
    assert list(written.DateOfLastCalibration) == [moved(2015, 12, 31), moved(2016, 1, 1)]
    assert list(written.TimeOfLastCalibration) == ["235959", "000000.25"]
    assert not written.get("ScheduledProcedureStepStartDate")
    inner = written.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0]
    assert inner.PatientAge == "089Y"
    assert not inner.PatientBirthDate
    assert "PatientBirthTime" not in inner
    assert inner.get("AcquisitionDate") in (None, "", "19000101")


def test_the_age_that_is_stated_is_the_one_of_the_dates(deidentified: Any) -> None:
    for birth, study in (("19480229", "20180228"), ("19480229", "20180301"), ("20171231", "20180309")):
        written = deidentified(mammogram(PatientBirthDate=birth, StudyDate=study), f"{birth}{study}")
        ages = [pydicom.valuerep.DA(value) for value in (birth, study)]
        assert written.PatientAge == dates.age_at(*ages)
        assert not written.PatientBirthDate

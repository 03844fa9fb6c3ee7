import hashlib
import hmac
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.deidentify import dates
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.storage.keys import Key


def test_ids_are_keyed_hmacs(pseudonyms: Pseudonyms) -> None:
    digest = hmac.new(bytes(range(32)), b"accession\0ACC1", hashlib.sha256).hexdigest()
    assert pseudonyms.accession(" ACC1 ") == "A-" + digest[:14]
    assert len(pseudonyms.accession("x")) == 16
    number = int(hmac.new(bytes(range(32)), b"uid\x001.2.3", hashlib.sha256).hexdigest()[:32], 16)
    assert pseudonyms.uid("1.2.3\0") == f"2.25.{number}"
    assert pseudonyms.uid("") == ""


def test_another_key_gives_other_ids(pseudonyms: Pseudonyms) -> None:
    other = Pseudonyms(Key(bytes(32)))
    assert other.patient("1") != pseudonyms.patient("1")
    assert other.uid("1.2") != pseudonyms.uid("1.2")


def test_issuer_tells_patients_apart(pseudonyms: Pseudonyms) -> None:
    assert pseudonyms.patient("1", "A") != pseudonyms.patient("1", "B") != pseudonyms.patient("1")


@given(st.text(min_size=1, max_size=20))
def test_days_are_in_range(patient: str) -> None:
    assert 1 <= Pseudonyms(Key(bytes(32))).days(patient, 3650) <= 3650


@given(st.datetimes(datetime(1910, 1, 1), datetime(2090, 1, 1)), st.integers(0, 40_000), st.integers(1, 3650))
def test_intervals_are_kept_to_the_second(moment: datetime, later: int, days: int) -> None:
    other = moment + timedelta(seconds=later * 977)

    def moved(at: datetime) -> datetime:
        text = dates.moved_date_time(at.strftime("%Y%m%d%H%M%S"), days)
        assert text is not None
        return datetime.strptime(text, "%Y%m%d%H%M%S")

    assert moved(other) - moved(moment) == other.replace(microsecond=0) - moment.replace(microsecond=0)


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("20200301", "20200229"),
        ("2004.01.19", "20040118"),
        ("20040101-20040131", "20031231-20040130"),
        ("20040101-", "20031231-"),
        ("00000000", None),
        ("20230230", None),
        ("someday", None),
    ],
)
def test_dates(value: str, moved: str | None) -> None:
    assert dates.moved_date(value, 1) == moved


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("20200301101112.123456+0100", "20200229101112.123456+0100"),
        ("20200301", "20200229"),
        ("2020030110-0500", "2020022910-0500"),
        ("202003", "202003"),
        ("2020", "2020"),
        ("20200301Jane", None),
        ("2020-03-01", None),
    ],
)
def test_date_times(value: str, moved: str | None) -> None:
    assert dates.moved_date_time(value, 1) == moved


def test_ages() -> None:
    from datetime import date

    assert dates.age_at(date(1948, 2, 29), date(2018, 2, 28)) == "069Y"
    assert dates.age_at(date(1948, 2, 29), date(2018, 3, 1)) == "070Y"
    assert dates.age_at(date(2018, 1, 1), date(2019, 6, 1)) == "017M"
    assert dates.age_at(date(2019, 1, 1), date(2018, 1, 1)) is None
    assert dates.capped_age("089Y", 89) == "089Y"
    assert dates.capped_age("104Y", 89) == "089Y"
    assert dates.capped_age("060W", 89) == "060W"
    assert dates.capped_age("90", 89) is None

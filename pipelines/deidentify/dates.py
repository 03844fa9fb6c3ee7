"""Moving dates by whole days (PS3.5 section 6.2: DA, DT): intervals keep their length and times of day stay."""

import re
from datetime import date, timedelta

_DA = re.compile(r"(\d{4})[.:-]?(\d{2})[.:-]?(\d{2})", re.ASCII)
_DT = re.compile(r"(\d{4})(\d{2})?(\d{2})?(.*)", re.DOTALL | re.ASCII)
_TIME_OF_DAY = re.compile(r"(?:\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?(?:[+-]\d{4})?", re.ASCII)
_TM = re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?", re.ASCII)


def moved_date(value: str, days: int) -> str | None:
    """A DA value, or a range of two, moved into the past; or None. Forms of old (``2004.01.19``) too."""
    parts = value.strip(" \0").split("-")
    if len(parts) == 2 and all(len(part) in (0, 8) for part in parts):
        moved = [_moved_day(part, days) if part else "" for part in parts]
        return None if None in moved else "-".join(m for m in moved if m is not None)
    return _moved_day(value.strip(" \0"), days)


def moved_date_time(value: str, days: int) -> str | None:
    """A DT value moved into the past; None where it is none. Time of day, fraction and offset from UTC stay.

    A value without a day (or month) moves by its middle day (or month) and stays as short as it was.
    """
    match = _DT.fullmatch(value.strip(" \0"))
    if match is None:
        return None
    year, month, day, rest = match.groups()
    if not _TIME_OF_DAY.fullmatch(rest) or (not day and rest[:1].isdecimal()):
        return None
    moved = _moved_day(year + (month or "07") + (day or "15"), days)
    if moved is None:
        return None
    return moved[: 8 if day else 6 if month else 4] + rest


def is_time(value: str) -> bool:
    """Whether a text is a TM value, or several."""
    return all(_TM.fullmatch(part.strip(" \0")) or not part.strip(" \0") for part in value.split("\\"))


def day_of(value: str) -> date | None:
    """The day that a DA or DT value names, or None."""
    match = _DA.match(value.strip(" \0"))
    if match is None:
        return None
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def age_at(birth: date, day: date) -> str | None:
    """The age on a day as an AS value: months up to two years, then years; None where it is no likely age."""
    months = (day.year - birth.year) * 12 + day.month - birth.month - (day.day < birth.day)
    if not 0 <= months < 12 * 130:
        return None
    return f"{months:03d}M" if months < 24 else f"{months // 12:03d}Y"


def capped_age(value: str, oldest: int) -> str | None:
    """An AS value, at most so many years; None where it is no age. Forms like ``45y`` and ``732.0m`` too."""
    match = re.fullmatch(r"(\d{1,5})(?:\.0*)?([DWMY])", value.strip(" \0").upper(), re.ASCII)
    if match is None:
        return None
    number, unit = int(match[1]), match[2]
    years = number / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[unit]
    if years >= oldest + 1:
        return f"{oldest:03d}Y"
    return f"{number:03d}{unit}" if number <= 999 else f"{int(years):03d}Y"


def _moved_day(value: str, days: int) -> str | None:
    match = _DA.fullmatch(value)
    if match is None:
        return None
    try:
        moved = date(*map(int, match.groups())) - timedelta(days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"

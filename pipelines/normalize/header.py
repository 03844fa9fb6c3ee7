"""Reading header elements that may be absent, empty, of the wrong type or without meaning: never an exception.

Everything above pydicom reads through these functions, so that a broken element costs its own value alone.
"""

import math
import warnings
from collections.abc import Iterator, Sequence

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue


def values(dataset: pydicom.Dataset, keyword: str) -> tuple[object, ...]:
    """All values of an element; empty where it is absent, empty or cannot be converted."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings quote values
            value = dataset[tag].value
    except Exception:  # noqa: BLE001 - conversion of a broken element raises whatever it likes
        return ()
    if value is None or value == "":
        return ()
    return tuple(value) if isinstance(value, (list, tuple, MultiValue, pydicom.Sequence)) else (value,)


def text(dataset: pydicom.Dataset, keyword: str) -> str:
    """The first value as text without surrounding space; empty where there is none."""
    found = values(dataset, keyword)
    return str(found[0]).strip(" \0") if found else ""


def texts(dataset: pydicom.Dataset, keyword: str) -> tuple[str, ...]:
    """All values as upper-case text."""
    return tuple(str(value).strip(" \0").upper() for value in values(dataset, keyword))


def numbers(dataset: pydicom.Dataset, keyword: str) -> tuple[float, ...]:
    """All values as finite numbers; empty where any of them is not."""
    found = []
    for value in values(dataset, keyword):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return ()
        if not math.isfinite(number):
            return ()
        found.append(number)
    return tuple(found)


def number(dataset: pydicom.Dataset, keyword: str) -> float | None:
    """The first value as a finite number, or None."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def integer(dataset: pydicom.Dataset, keyword: str, default: int) -> int:
    """The first value as an integer, or the default."""
    found = number(dataset, keyword)
    return default if found is None else int(found)


def items(dataset: pydicom.Dataset, keyword: str) -> Sequence[pydicom.Dataset]:
    """The items of a sequence; empty where there is none."""
    return [item for item in values(dataset, keyword) if isinstance(item, pydicom.Dataset)]


def functional_groups(dataset: pydicom.Dataset, keyword: str) -> Iterator[pydicom.Dataset]:
    """The items of a macro's sequence in the shared, then in the first frame's functional groups (PS3.3 C.7.6.16)."""
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in items(dataset, groups)[:1]:
            yield from items(group, keyword)

"""Structured reports: content items by their concept (PS3.15 Table E.3.4-1), the Clean Structured Content Option.

An item whose concept the table removes goes with what it contains; a text that it replaces becomes a dummy; an age is
capped. References to items by their position (PS3.3 section C.17.3.2.5) follow the items that stay; one to an item that
is gone goes as well. What stays is then cleaned element by element like any other (``engine``): dates move, UIDs are
replaced, names become dummies, text goes through detection.
"""

from collections.abc import Iterator
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify import values
from pipelines.deidentify.cleaning import Cleaning
from pipelines.deidentify.confidentiality import concept_rule_of
from pipelines.deidentify.elements import items_of, text_of, values_of
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.refusals import RefusedError

_CONTENT = 0x0040A730
_VALUE_TYPE, _CONCEPT_NAME, _REFERENCE = 0x0040A040, 0x0040A043, 0x0040DB73
_UID, _TEXT_VALUE, _NUMERIC_VALUE, _UNITS, _MEASURED = 0x0040A124, 0x0040A160, 0x0040A30A, 0x004008EA, 0x0040A300
_EXACT_VALUES = (0x0040A161, 0x0040A162, 0x0040A163)
_CODE_VALUE, _SCHEME = 0x00080100, 0x00080102
_MOVABLE = frozenset({"DATE", "TIME", "DATETIME"})
_IMPLIED = {
    0x0040A121: "DATE",
    0x0040A122: "TIME",
    0x0040A120: "DATETIME",
    0x0040A123: "PNAME",
    _UID: "UIDREF",
    _TEXT_VALUE: "TEXT",
    _MEASURED: "NUM",
    _NUMERIC_VALUE: "NUM",
    0x0040A168: "CODE",
}
_AGES = frozenset({("121033", "DCM"), ("397669002", "SCT"), ("424144002", "SCT"), ("30525-0", "LN"), ("29553-5", "LN")})
_DEVICE_TYPES = frozenset((code, "DCM") for code in ("113878", "113879", "121014", "121015", "121194", "121195"))
"""Manufacturer and model name of a device, of a device that observes, and of one that is the subject."""
_PER_YEAR = {"a": 1.0, "mo": 12.0, "wk": 52.18, "d": 365.25, "h": 8766.0, "min": 525960.0}
_DEEPEST = 64

_Place = tuple[int, ...]
_ROOT: _Place = (1,)
_DOCUMENT = 0
"""The root item, which is the data set itself: its place, and what stands for its identity."""


def clean_content(cleaning: Cleaning, items: Sequence) -> None:
    """Remove or replace the items of a content tree; those that stay are not yet cleaned themselves.

    ``items`` are those of its root. Raises RefusedError where the tree cannot be read, or is deeper than any report.
    """
    at = {_ROOT: _DOCUMENT, **{place: id(item) for place, item in _walk(items)}}
    _prune(cleaning, items)
    while True:
        there = {_DOCUMENT: _ROOT, **{id(item): place for place, item in _walk(items)}}
        broken = {id(item) for _, item in _walk(items) if _REFERENCE in item and at.get(_target(item)) not in there}
        if not broken:
            break
        _drop(items, broken)
    for _, item in _walk(items):
        if _REFERENCE in item:
            place = there[at[_target(item)]]
            item[_REFERENCE] = DataElement(_REFERENCE, "UL", list(place))


def _walk(items: Sequence, place: _Place = _ROOT) -> Iterator[tuple[_Place, Dataset]]:
    """Every item of a tree by its place: the numbers, from 1, of the items that lead to it; the root's is 1."""
    if len(place) > _DEEPEST:
        raise RefusedError("nested_too_deeply")
    for number, item in enumerate(items, start=1):
        yield (*place, number), item
        yield from _walk(_below(item), (*place, number))


def _below(item: Dataset) -> Sequence:
    if _CONTENT not in item:
        return Sequence()
    items = items_of(item, _CONTENT)
    if items is None:
        raise RefusedError("sequence_unreadable")
    return items


def _target(item: Dataset) -> _Place:
    numbers = values_of(item, _REFERENCE)
    return tuple(int(number) for number in numbers) if all(n.isdecimal() for n in numbers) else ()


def _prune(cleaning: Cleaning, items: Sequence) -> None:
    items[:] = [item for item in items if _stays(cleaning, item)]
    for item in items:
        _prune(cleaning, _below(item))
        _close(item)


def _drop(items: Sequence, broken: set[int]) -> None:
    items[:] = [item for item in items if id(item) not in broken]
    for item in items:
        _drop(_below(item), broken)
        _close(item)


def _close(item: Dataset) -> None:
    """No sequence without items (PS3.3 section C.17.3): the attribute goes where none is left."""
    if _CONTENT in item and not _below(item):
        del item[_CONTENT]


def _stays(cleaning: Cleaning, item: Dataset) -> bool:
    value_type = _value_type(item)
    concept = _code(item, _CONCEPT_NAME)
    rule = concept_rule_of(*concept, value_type)
    decided = cleaning.profile.decide_rule(rule).action if rule else "K"
    action = _action(decided, value_type)
    if action == "X":
        cleaning.count(_CONCEPT_NAME, "X")
        return False
    if value_type == "TEXT" and action == "D":
        item[_TEXT_VALUE] = DataElement(_TEXT_VALUE, "UT", values.REMOVED)
    if value_type == "UIDREF" and rule and action == "K":
        cleaning.retained_uids.add(text_of(item, _UID))
    if value_type == "TEXT" and rule and decided == "K":
        cleaning.text_policies[text_of(item, _TEXT_VALUE)] = cleaning.profile.policies["retained"]
    elif value_type == "TEXT" and concept in _DEVICE_TYPES:
        policy = cleaning.profile.fields.get("ManufacturerModelName", "names")
        cleaning.text_policies[text_of(item, _TEXT_VALUE)] = policy
    if value_type == "NUM" and concept in _AGES:
        _cap_age(item, cleaning.profile.oldest)
    return True


def retained_uids(dataset: Dataset, profile: Profile) -> set[str]:
    """UIDs in an object's content tree, before it is cleaned, that an option retains by the concept of their item."""
    found = set()
    for _, item in _walk(_below(dataset)):
        if _UID in item and _value_type(item) == "UIDREF":
            rule = concept_rule_of(*_code(item, _CONCEPT_NAME), "UIDREF")
            if rule and _action(profile.decide_rule(rule).action, "UIDREF") == "K":
                found.add(text_of(item, _UID))
    return found


def _value_type(item: Dataset) -> str:
    """An item's value type, as stated or as told by the attribute that holds its value."""
    stated = text_of(item, _VALUE_TYPE).strip(" \0")
    return stated or next((kind for tag, kind in _IMPLIED.items() if tag in item), "")


def _action(decided: str, value_type: str) -> str:
    """X, D or K. Of a choice of X and D it is D, which no template forbids; dates are the engine's to move."""
    if decided == "C" or (value_type in _MOVABLE and decided != "X"):
        return "K"
    return "D" if "D" in decided else decided


def _code(item: Dataset, tag: int) -> tuple[str, str]:
    """Code value and scheme of an item's coded attribute; empty where it has none that can be read."""
    codes = items_of(item, tag) if tag in item else None
    if not codes:
        return "", ""
    return text_of(codes[0], _CODE_VALUE).strip(" \0"), text_of(codes[0], _SCHEME).strip(" \0")


def _cap_age(item: Dataset, oldest: int) -> None:
    """Cap a measured age at so many years, in the unit (UCUM) in which it is given; one in no such unit goes."""
    measured = items_of(item, _MEASURED) if _MEASURED in item else Sequence([item])
    for value in measured or ():
        per_year = _PER_YEAR.get(_code(value, _UNITS)[0].strip("[]"), 0.0)
        age = _number(text_of(value, _NUMERIC_VALUE))
        if _NUMERIC_VALUE not in value or (age is not None and per_year and age < (oldest + 1) * per_year):
            continue
        capped: Any = f"{oldest * per_year:.0f}" if per_year and age is not None else None
        value[_NUMERIC_VALUE] = DataElement(_NUMERIC_VALUE, "DS", capped)
        for tag in _EXACT_VALUES:
            if tag in value:
                del value[tag]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

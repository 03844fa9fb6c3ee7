"""Structured reports: content items by their concept (PS3.15 Table E.3.4-1), the Clean Structured Content Option.

An item whose concept the table removes goes with what it contains; one that it replaces gets a dummy. What stays is
then cleaned element by element like any other (``engine``): dates move, UIDs are replaced, text goes through detection.
"""

from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify import values
from pipelines.deidentify.confidentiality import concept_rule_of
from pipelines.deidentify.elements import text_of
from pipelines.deidentify.engine import Cleaning

_VALUE_TYPE, _CONCEPT_NAME = 0x0040A040, 0x0040A043
_TEXT_VALUE, _PERSON_NAME = 0x0040A160, 0x0040A123
_CODE_VALUE, _SCHEME = 0x00080100, 0x00080102
_MOVABLE = frozenset({"DATE", "TIME", "DATETIME"})


def clean_content(cleaning: Cleaning, items: Sequence) -> None:
    """Remove or replace content items by their concepts; the items that stay are not yet cleaned themselves."""
    kept = [item for item in items if _stays(cleaning, item)]
    if len(kept) < len(items):
        items[:] = kept


def _stays(cleaning: Cleaning, item: Dataset) -> bool:
    value_type = text_of(item, _VALUE_TYPE).strip()
    action = _action(cleaning, item, value_type)
    if action == "X":
        cleaning.count(_CONCEPT_NAME, "X")
        return False
    if value_type == "PNAME":
        item[_PERSON_NAME] = DataElement(_PERSON_NAME, "PN", values.REMOVED)
    elif value_type == "TEXT" and action == "D":
        item[_TEXT_VALUE] = DataElement(_TEXT_VALUE, "UT", values.REMOVED)
    return True


def _action(cleaning: Cleaning, item: Dataset, value_type: str) -> str:
    """X, D or K; a choice of X and D is X, a concept that the table does not name is K."""
    rule = concept_rule_of(*_concept(item), value_type)
    if rule is None:
        return "K"
    action = cleaning.profile.decide_rule(rule).action
    if action == "C":
        return "K"
    if action == "D" and value_type in _MOVABLE:
        return "K"
    return action.split("/")[0]


def _concept(item: Dataset) -> tuple[str, str]:
    """Code value and scheme of an item's concept name; empty where it has none that can be read."""
    try:
        names: Any = item[_CONCEPT_NAME].value if _CONCEPT_NAME in item else ()
        return (text_of(names[0], _CODE_VALUE).strip(), text_of(names[0], _SCHEME).strip()) if names else ("", "")
    except Exception:  # noqa: BLE001 - a concept that cannot be read is no concept of the table
        return "", ""

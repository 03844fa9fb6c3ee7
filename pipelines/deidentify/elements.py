"""Elements of a data set: their VR, values and items, as written or as the dictionary has them; setting new ones."""

from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID_dictionary

from pipelines.deidentify.confidentiality import rule_of

PIXELS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010})
_STANDARD_ROOT = "1.2.840.10008."


def items_of(dataset: Dataset, tag: int) -> Sequence | None:
    """A sequence's items, also of one that is encoded as UN; None where it cannot be parsed."""
    try:
        value = dataset[tag].value
        for item in value if isinstance(value, Sequence) else ():
            item.keys()
    except Exception:  # noqa: BLE001 - whatever a damaged sequence does to the parser, it is not copied
        return None
    return value if isinstance(value, Sequence) else None


def vr_of(dataset: Dataset, tag: int) -> str:
    """An element's VR: as written, or the dictionary's where none or UN is written."""
    raw = dataset.get_item(tag)
    vr = str(raw.VR) if raw is not None and raw.VR else ""
    if vr in ("", "UN"):
        vr = vr_in_dictionary(tag) or "UN"
    return vr.split(" or ")[-1] if " or " in vr else vr


def vr_in_dictionary(tag: int) -> str:
    """An attribute's VR in the dictionary, or in the confidentiality table where the dictionary lacks it; or ""."""
    if dictionary_has_tag(tag):
        return str(dictionary_VR(tag))
    rule = rule_of(tag)
    return rule.vr if rule else ""


def set_value(dataset: Dataset, tag: int, vr: str, value: Any) -> None:
    """Put a value in place of an element's."""
    dataset[tag] = DataElement(tag, vr, value)


def set_several(dataset: Dataset, tag: int, vr: str, new: list[str]) -> None:
    """Put texts in place of an element's values, where they differ."""
    if values_of(dataset, tag) != new or str(dataset[tag].VR) != vr:
        set_value(dataset, tag, vr, new[0] if len(new) == 1 else new or None)


def values_of(dataset: Dataset, tag: int) -> list[str]:
    """An element's values as text; none where they cannot be decoded."""
    try:
        value = dataset[tag].value
    except Exception:  # noqa: BLE001 - whatever a damaged value does to the parser, there is no value
        return []
    if value is None:
        return []
    several = isinstance(value, (MultiValue, list, tuple))
    return [str(v) for v in (value if several else [value])]


def text_of(dataset: Dataset, tag: int) -> str:
    """An element's values as one text, empty where there are none."""
    return "\\".join(values_of(dataset, tag)) if tag in dataset else ""


def is_standard_uid(uid: str) -> bool:
    """Whether a UID is one that the standard defines, and so names no instance."""
    return uid in UID_dictionary or (uid.startswith(_STANDARD_ROOT) and uid.count(".") <= 10 and len(uid) <= 32)

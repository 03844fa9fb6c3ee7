"""Elements of a data set: their VR, values and items, as written or as the dictionary has them; setting new ones."""

import re
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID_dictionary

from pipelines.deidentify.confidentiality import rule_of
from pipelines.deidentify.raw_values import element_at, has, plain_values, put_text, sequence_at

PIXELS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010})
_STANDARD_UID = re.compile(r"1\.2\.840\.10008(?:\.[1-9][0-9]{0,3}){1,8}")
_UID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")


def items_of(dataset: Dataset, tag: int) -> Sequence | None:
    """A sequence's items, also of one that is encoded as UN; None where it cannot be parsed."""
    found = sequence_at(dataset, tag)
    if found is not None:
        return found
    raw = element_at(dataset, tag)
    try:
        if raw is not None and raw.VR in (None, "", "UN") and vr_in_dictionary(tag) == "SQ":
            read_as(dataset, tag, "SQ")
        value = dataset[tag].value
        for item in value if isinstance(value, Sequence) else ():
            item.keys()
    except Exception:  # noqa: BLE001 - whatever a damaged sequence does to the parser, it is not copied
        return None
    return value if isinstance(value, Sequence) else None


def read_as(dataset: Dataset, tag: int, vr: str) -> bool:
    """Give an element that was written without VR, or as UN, a VR; False where its bytes are not at hand any more.

    A sequence's items that were written as UN are in the implicit VR transfer syntax (PS3.5 section 6.2.2).
    """
    raw = element_at(dataset, tag)
    value = raw.value if raw is not None else None
    implicit, little = (True, True) if raw is not None and raw.VR and vr == "SQ" else dataset.original_encoding
    if isinstance(raw, RawDataElement) and not raw.VR:
        implicit, little = raw.is_implicit_VR, raw.is_little_endian
    if not isinstance(value, bytes) or implicit is None or little is None:
        return False
    dataset[tag] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, implicit, little)
    return True


def vr_of(dataset: Dataset, tag: int) -> str:
    """An element's VR: as written, or the dictionary's where none or UN is written."""
    raw = element_at(dataset, tag)
    vr = str(raw.VR) if raw is not None and raw.VR else ""
    if vr in ("", "UN"):
        vr = vr_in_dictionary(tag) or "UN"
    return vr.split(" or ")[-1] if " or " in vr else vr


@lru_cache(maxsize=1 << 14)
def vr_in_dictionary(tag: int) -> str:
    """An attribute's VR in the dictionary, or in the confidentiality table where the dictionary lacks it; or ""."""
    if dictionary_has_tag(tag) or repeater_has_tag(tag):
        return str(dictionary_VR(tag))
    rule = rule_of(tag)
    return rule.vr if rule else ""


def set_value(dataset: Dataset, tag: int, vr: str, value: Any) -> None:
    """Put a value in place of an element's."""
    if not put_text(dataset, tag, vr, value):
        dataset[tag] = DataElement(tag, vr, value)


def set_several(dataset: Dataset, tag: int, vr: str, new: list[str]) -> None:
    """Put texts in place of an element's values, where they differ."""
    if values_of(dataset, tag) != new or vr_of(dataset, tag) != vr:
        set_value(dataset, tag, vr, new[0] if len(new) == 1 else new or None)


def values_of(dataset: Dataset, tag: int) -> list[str]:
    """An element's values as text; none where they cannot be decoded."""
    plain = plain_values(element_at(dataset, tag))
    if plain is not None:
        return list(plain)
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
    return "\\".join(values_of(dataset, tag)) if has(dataset, tag) else ""


def is_standard_uid(uid: str) -> bool:
    """Whether a UID is one that the standard defines, and so names no instance."""
    return uid in UID_dictionary or _STANDARD_UID.fullmatch(uid) is not None


def is_uid(text: str) -> bool:
    """Whether a text has the form of a UID (PS3.5 section 9.1)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None

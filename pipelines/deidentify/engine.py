"""The header engine: every element of an object, at any depth, is removed, emptied, replaced, cleaned or kept.

What is done to an attribute follows PS3.15 Table E.1-1 under a ``Profile``. Beyond the table's letter:

- attributes that neither the table nor the dictionary knows, private ones, overlays, curves, group lengths, and what
  follows the pixel data are removed;
- text in attributes that the table does not name is cleaned, numbers and codes that are no such are removed, UIDs that
  are not the standard's own are replaced, person names are emptied, network addresses and locations removed;
- what cannot be decoded is removed.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID_dictionary

from pipelines.deidentify import dates, values
from pipelines.deidentify.confidentiality import rule_of, type_of
from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.elements import (
    PIXELS,
    is_standard_uid,
    items_of,
    set_several,
    set_value,
    text_of,
    values_of,
    vr_in_dictionary,
    vr_of,
)
from pipelines.deidentify.policies import cleaned_by, is_harmless_code
from pipelines.deidentify.profile import Decision, Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import tags_of

_LAST = 0x7FE00010
_PATIENT_ID, _PATIENT_NAME, _ACCESSION = 0x00100020, 0x00100010, 0x00080050
_CONTENT_SEQUENCE = 0x0040A730
_REQUIRED_IN_CODES = frozenset({"CodeMeaning", "CodeValue", "CodingSchemeDesignator", "LongCodeValue"})


@dataclass
class Cleaning:
    """What the cleaning of one object needs to know, and its count of actions by tag.

    ``clean_content`` cleans the items of a structured report's content tree before their own elements are.
    """

    profile: Profile
    pseudonyms: Pseudonyms
    patient: str
    deny: DenyList
    sop_class_uid: str
    clean_content: Callable[["Cleaning", Sequence], None]
    actions: Counter[tuple[int, str]] = field(default_factory=Counter)
    moved_dates: set[str] = field(default_factory=set)

    @property
    def days(self) -> int:
        """By how many days this patient's dates move into the past; 0 where dates do not move."""
        if not self.profile.is_on("retain_longitudinal_modified_dates"):
            return 0
        return self.pseudonyms.days(self.patient, self.profile.most_days)

    def count(self, tag: int, action: str) -> None:
        """Count an action on a tag; private attributes are counted together."""
        self.actions[tag if (tag >> 16) % 2 == 0 else 0x00010001, action] += 1


def clean(dataset: Dataset, cleaning: Cleaning, path: tuple[str, ...] = ()) -> None:
    """Clean a data set, or a sequence item under the sequences named by ``path``, in place."""
    for tag in tags_of(dataset):
        decision = cleaning.profile.decide(tag)
        if (tag >> 16) % 2:
            _remove(dataset, tag, cleaning, "private")
        elif _is_refuse(tag, path):
            _remove(dataset, tag, cleaning, "X")
        elif tag in (_PATIENT_ID, _PATIENT_NAME, _ACCESSION):
            _pseudonymize(dataset, tag, cleaning)
        elif decision is not None:
            _obey(dataset, tag, decision, cleaning, path)
        elif dictionary_has_tag(tag):
            _keep(dataset, tag, cleaning, path)
        else:
            _remove(dataset, tag, cleaning, "X")


def _is_refuse(tag: int, path: tuple[str, ...]) -> bool:
    """Command, file meta and directory elements, group lengths, curves, overlays, icons' pixels, trailing elements."""
    group = tag >> 16
    if group <= 0x0006 or not tag & 0xFFFF:
        return True
    if 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF:
        return True
    return tag > _LAST or (tag in PIXELS and bool(path))


def _remove(dataset: Dataset, tag: int, cleaning: Cleaning, action: str) -> None:
    del dataset[tag]
    cleaning.count(tag, action)


def _pseudonymize(dataset: Dataset, tag: int, cleaning: Cleaning) -> None:
    """The patient's and the order's ids: the same pseudonym wherever they stand, another one for another value."""
    if tag == _ACCESSION:
        value = text_of(dataset, tag)
        new = cleaning.pseudonyms.accession(value) if value else ""
    else:
        new = cleaning.patient
    set_value(dataset, tag, "PN" if tag == _PATIENT_NAME else "SH" if tag == _ACCESSION else "LO", new)
    cleaning.count(tag, "Z")


def _obey(dataset: Dataset, tag: int, decision: Decision, cleaning: Cleaning, path: tuple[str, ...]) -> None:
    action = decision.action
    if action in ("K", "C"):
        done = _retained(dataset, tag, decision, cleaning, path)
        if done:
            cleaning.count(tag, done)
            return
        rule = rule_of(tag)
        action = rule.basic if rule else "X"
    cleaning.count(tag, _act(dataset, tag, _resolved(action, tag, cleaning, path), cleaning, path))


def _resolved(action: str, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> str:
    """One action of several, by the attribute's Type at its place; where that is unknown, one that is valid anyhow.

    What the table would remove though its IOD requires it (RequestedProcedureID in reports) is emptied instead.
    """
    if action == "X/Z/U*":
        return "U"
    if action in ("D", "U"):
        return action
    choices = action.split("/")
    kind = type_of(cleaning.sop_class_uid, path, tag)
    if kind is None and action == "X/Z" and vr_in_dictionary(tag) == "SQ":
        return "U"
    if kind is None and len(choices) > 1:
        kind = 1 if "D" in choices else 2
    if kind == 1:
        return "D" if action != "X" or vr_in_dictionary(tag) != "SQ" else "X"
    if kind == 2:
        return "D" if action == "X/D" else "Z"
    return choices[0]


def _act(dataset: Dataset, tag: int, action: str, cleaning: Cleaning, path: tuple[str, ...]) -> str:
    """Do one action of the Basic Profile; returns the action that was done."""
    vr = vr_of(dataset, tag)
    if action == "U" and vr == "SQ" and _keep_sequence(dataset, tag, cleaning, path):
        return "U"
    if vr == "UI" and action in ("U", "D"):
        _replace_uids(dataset, tag, cleaning, every=True)
        return "U"
    if action == "Z":
        set_value(dataset, tag, vr, Sequence() if vr == "SQ" else None)
        return "Z"
    if action == "D":
        set_value(dataset, tag, vr, _dummy_sequence(dataset, tag, cleaning) if vr == "SQ" else values.dummy(vr))
        return "D"
    del dataset[tag]
    return "X"


def _retained(dataset: Dataset, tag: int, decision: Decision, cleaning: Cleaning, path: tuple[str, ...]) -> str:
    """Do what an option says (K or C); "" where it cannot be done and the Basic Profile's action applies."""
    vr = vr_of(dataset, tag)
    if tag == _CONTENT_SEQUENCE:
        return _clean_content(dataset, tag, cleaning, path)
    if vr == "SQ":
        return decision.action if _keep_sequence(dataset, tag, cleaning, path) else ""
    if vr in ("DA", "DT", "TM"):
        return _move(dataset, tag, vr, cleaning)
    if keyword_for_tag(tag) == "TimezoneOffsetFromUTC":
        value = text_of(dataset, tag).strip()
        return decision.action if len(value) == 5 and value[1:].isdecimal() else ""
    if decision.action == "K":
        return _kept(dataset, tag, vr, cleaning, path, retained=True)
    if vr not in values.TEXT | {"CS"}:
        return ""
    kind = "long_descriptors" if vr in values.LONG_TEXT else "short_descriptors"
    return "C" if _clean_text(dataset, tag, vr, cleaning, kind) else ""


def _keep(dataset: Dataset, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> None:
    """Keep an element that the table does not name if it is what it claims to be, cleaned as its VR asks."""
    vr = vr_of(dataset, tag)
    done = ""
    if values.agrees(vr, vr_in_dictionary(tag)):
        done = _kept(dataset, tag, vr, cleaning, path, retained=False)
    if not done and keyword_for_tag(tag) in _REQUIRED_IN_CODES:
        set_value(dataset, tag, vr, values.REMOVED)
        done = "D"
    elif not done:
        del dataset[tag]
    cleaning.count(tag, done or "X")


def _kept(dataset: Dataset, tag: int, vr: str, cleaning: Cleaning, path: tuple[str, ...], *, retained: bool) -> str:
    """Keep an element, cleaned as its VR asks: K, C or U; "" where it is not what it claims to be.

    ``retained``: an option names it, so that its UIDs and words stay but for what the object's own header names.
    """
    if vr == "SQ":
        return "K" if _keep_sequence(dataset, tag, cleaning, path) else ""
    if vr == "UI":
        return "K" if retained else _replace_uids(dataset, tag, cleaning, every=False)
    if vr in values.TEXT:
        kind = "retained" if retained else "other_long" if vr in values.LONG_TEXT else "other_short"
        return _clean_text(dataset, tag, vr, cleaning, kind)
    if vr in ("DA", "DT", "TM"):
        return _move(dataset, tag, vr, cleaning)
    if vr in ("DS", "IS"):
        return "K" if _is_numeric(dataset, tag) else ""
    if vr == "CS":
        return "K" if all(is_harmless_code(v, cleaning.deny) for v in values_of(dataset, tag)) else ""
    if vr == "AS":
        return _cap_age(dataset, tag, cleaning.profile.oldest)
    if vr == "PN":
        set_value(dataset, tag, vr, None)
        return "Z"
    return "K" if retained or vr not in ("AE", "UR", "UN") else ""


def _keep_sequence(dataset: Dataset, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> bool:
    items = items_of(dataset, tag)
    if items is None:
        return False
    for item in items:
        clean(item, cleaning, (*path, keyword_for_tag(tag)))
    return True


def _clean_content(dataset: Dataset, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> str:
    items = items_of(dataset, tag)
    if items is None:
        return ""
    cleaning.clean_content(cleaning, items)
    if path and not items:
        del dataset[tag]
        return "X"
    return "C" if _keep_sequence(dataset, tag, cleaning, path) else ""


def _dummy_sequence(dataset: Dataset, tag: int, cleaning: Cleaning) -> Sequence:
    """One item with the elements of the first one, each with a dummy value: valid, and empty of meaning."""
    items = items_of(dataset, tag)
    if not items:
        return Sequence()
    item = Dataset()
    for element in tags_of(items[0]):
        if (element >> 16) % 2 or _is_refuse(element, ("",)) or not dictionary_has_tag(element):
            continue
        vr = vr_of(items[0], element)
        if vr == "SQ":
            item[element] = DataElement(element, "SQ", _dummy_sequence(items[0], element, cleaning))
        elif vr == "UI":
            item[element] = DataElement(element, "UI", values_of(items[0], element) or None)
            _replace_uids(item, element, cleaning, every=False)
        elif keyword_for_tag(element) == "CodingSchemeDesignator":
            item[element] = DataElement(element, "SH", "99MIDAR")
        else:
            item[element] = DataElement(element, vr, values.dummy(vr))
    return Sequence([item])


def _replace_uids(dataset: Dataset, tag: int, cleaning: Cleaning, *, every: bool) -> str:
    """Replace instance UIDs; ``every`` also those under the standard's root that it does not define. Returns U or K."""
    old = [v.strip(" \0") for v in values_of(dataset, tag)]
    keep: Callable[[str], bool] = (lambda uid: uid in UID_dictionary) if every else is_standard_uid
    new = [uid if keep(uid) else cleaning.pseudonyms.uid(uid) for uid in old]
    set_several(dataset, tag, "UI", new)
    return "K" if new == old else "U"


def _move(dataset: Dataset, tag: int, vr: str, cleaning: Cleaning) -> str:
    """Move the dates of an element and keep its times; "" where a value is neither, or no dates stay."""
    profile = cleaning.profile
    if not profile.is_on("retain_longitudinal_modified_dates") and not profile.is_on("retain_longitudinal_full_dates"):
        return ""
    old = values_of(dataset, tag)
    if vr == "TM":
        return "K" if all(map(dates.is_time, old)) else ""
    moved = dates.moved_date if vr == "DA" else dates.moved_date_time
    new = [moved(v, cleaning.days) if v.strip(" \0") else "" for v in old]
    days = [day for day in new if day is not None]
    if len(days) < len(new):
        return ""
    cleaning.moved_dates.update(part for day in days for part in day[:17].split("-") if part)
    set_several(dataset, tag, vr, days)
    return "C" if cleaning.days else "K"


def _clean_text(dataset: Dataset, tag: int, vr: str, cleaning: Cleaning, kind: str) -> str:
    """Clean an element's texts by policy: K where nothing had to go, C where something did, "" where nothing stays."""
    policy = cleaning.profile.fields.get(keyword_for_tag(tag)) or cleaning.profile.policies[kind]
    if policy == "remove":
        return ""
    old = values_of(dataset, tag)
    new = [cleaned_by(policy, value, vr, cleaning.deny) for value in old]
    if new == old:
        return "K"
    if any(before.strip() and not after.strip() for before, after in zip(old, new, strict=True)):
        return ""
    set_several(dataset, tag, vr, new)
    return "C"


def _is_numeric(dataset: Dataset, tag: int) -> bool:
    raw = dataset.get_item(tag)
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes):
        return values.is_numeric(raw.value)
    return all(map(values.is_numeric, values_of(dataset, tag)))


def _cap_age(dataset: Dataset, tag: int, oldest: int) -> str:
    old = values_of(dataset, tag)
    new = [dates.capped_age(v, oldest) if v.strip() else "" for v in old]
    ages = [age for age in new if age is not None]
    if len(ages) < len(new):
        return ""
    set_several(dataset, tag, "AS", ages)
    return "K" if new == old else "C"

"""Values that stay, cleaned as their VR asks (PS3.5 section 6.2): codes, UIDs, dates and times, ages, numbers, texts.

Each function does so in place and returns what was done: K (kept), C (cleaned), U (UIDs replaced), or "" where the
value is not what it claims to be, or nothing of it may stay. What happens then is the ``engine``'s to decide.
"""

import re

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary

from pipelines.deidentify import dates, values
from pipelines.deidentify.binary_text import holds_text, without_icc_texts
from pipelines.deidentify.cleaning import Cleaning
from pipelines.deidentify.descriptions import described_by_codes
from pipelines.deidentify.dictionary import keyword_for_tag
from pipelines.deidentify.elements import is_standard_uid, set_several, set_value, values_of, vr_in_dictionary
from pipelines.deidentify.policies import cleaned_by, compact_dates, is_harmless_code
from pipelines.deidentify.raw_values import element_at

_CHARACTER_SET, _CHARACTER_SET_NAME = 0x00080005, re.compile(r"|ISO[ _-](2022[ _-])?IR[ _-]\d{1,3}|GB18030|GBK")
_TEXT_VALUE = 0x0040A160


def keep_codes(dataset: Dataset, tag: int, cleaning: Cleaning, *, retained: bool = False) -> str:
    """Keep code strings that say nothing of anybody; of several, what else there is after the first becomes a dummy.

    ``retained``: an option names the attribute, so that words stay that are not known.
    """
    old = values_of(dataset, tag)
    if tag == _CHARACTER_SET:
        return "K" if all(_CHARACTER_SET_NAME.fullmatch(value) for value in old) else ""
    harmless = [is_harmless_code(value, cleaning.deny, any_word=retained) for value in old]
    new = [value if stays else values.REMOVED for value, stays in zip(old, harmless, strict=True)]
    if new == old:
        return "K"
    if new[0] == values.REMOVED:
        return ""
    set_several(dataset, tag, "CS", new)
    return "C"


def replace_uids(dataset: Dataset, tag: int, cleaning: Cleaning, *, every: bool) -> str:
    """Replace instance UIDs; ``every`` also those under the standard's root that it does not define. Returns U or K.

    Where the option Retain UIDs is on, those that the table does not name stay, as those do that they may refer to.
    """
    if not every and cleaning.profile.is_on("retain_uids"):
        return "K"
    old = [v.strip(" \0") for v in values_of(dataset, tag)]
    new = [new_uid(uid, cleaning, every=every) for uid in old]
    set_several(dataset, tag, "UI", new)
    return "K" if new == old else "U"


def new_uid(uid: str, cleaning: Cleaning, *, every: bool) -> str:
    """The pseudonym of an instance UID, a UID of the standard's own as it is; ``every`` as in ``replace_uids``."""
    return uid if (uid in UID_dictionary if every else is_standard_uid(uid)) else cleaning.pseudonyms.uid(uid)


def move_times(dataset: Dataset, tag: int, vr: str, cleaning: Cleaning, *, retained: bool = False) -> str:
    """Move the dates of an element and keep its times; "" where a value is neither, or no dates stay.

    ``retained``: an option names it, so that it stays even where neither date option is on.
    """
    kept = ("retain_longitudinal_modified_dates", "retain_longitudinal_full_dates")
    if not retained and not any(map(cleaning.profile.is_on, kept)):
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


def rename_titles(dataset: Dataset, tag: int, cleaning: Cleaning) -> str:
    """Replace Application Entity titles, the same by the same (PS3.15 Table E.1-1, action C)."""
    old = [value.strip(" \0") for value in values_of(dataset, tag)]
    new = ["AE-" + cleaning.pseudonyms.key.identify("title", value, 12) if value else "" for value in old]
    set_several(dataset, tag, "AE", new)
    return "C"


def clean_texts(dataset: Dataset, tag: int, vr: str, cleaning: Cleaning, kind: str) -> str:
    """Clean an element's texts by policy: K where nothing had to go, C where something did, "" where nothing stays."""
    old = values_of(dataset, tag)
    policy = cleaning.profile.fields.get(keyword_for_tag(tag)) or cleaning.profile.policies[kind]
    if tag == _TEXT_VALUE and old:
        policy = cleaning.text_policies.get(old[0], policy)
    if policy == "remove":
        return ""
    how = {"days": cleaning.text_days, "oldest": cleaning.profile.oldest, "model": cleaning.profile.model}
    new = [cleaned_by(policy, value, vr, cleaning.deny, **how) for value in old]
    if new == old:
        return "K"
    if policy == "detect":
        cleaning.moved_dates.update(compact_dates(new))
    said = described_by_codes(dataset, tag, cleaning.deny) if policy == "vocabulary" else ""
    if said and len(said) <= values.LENGTHS.get(vr, len(said)):
        new = [said]
    elif any(before.strip() and not after.strip() for before, after in zip(old, new, strict=True)):
        return ""
    set_several(dataset, tag, vr, new)
    return "C"


def is_numeric(dataset: Dataset, tag: int) -> bool:
    """Whether an element's values, DS or IS, are numbers."""
    raw = element_at(dataset, tag)
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes):
        return values.is_numeric(raw.value)
    return all(map(values.is_numeric, values_of(dataset, tag)))


def keep_binary_numbers(dataset: Dataset, tag: int, vr: str) -> str:
    """Keep binary numbers, unless the last of them is there in part.

    Numbers among which text stands do not stay. Of bytes or words (``OB or OW``) they are words where the file does not
    say: an explicit encoding has to.
    """
    raw = dataset.get_item(tag)
    if not isinstance(raw, RawDataElement):
        return "K"
    if len(raw.value or b"") % values.SIZES[vr] or holds_text(raw.value or b""):
        return ""
    if raw.VR is None and vr_in_dictionary(tag) == "OB or OW":
        set_value(dataset, tag, vr, raw.value)
    return "K"


def keep_bytes(dataset: Dataset, tag: int, vr: str) -> str:
    """Keep bytes in which no text stands, and profiles of color without theirs."""
    raw = dataset.get_item(tag)
    value = raw.value if raw is not None else None
    if not isinstance(value, bytes) or not value:
        return "K"
    if keyword_for_tag(tag) == "ICCProfile":
        clean = without_icc_texts(value)
        if clean is None:
            return ""
        if clean != value:
            set_value(dataset, tag, vr, clean)
            return "C"
        return "K"
    return "" if holds_text(value) else "K"


def cap_ages(dataset: Dataset, tag: int, oldest: int) -> str:
    """Keep ages, at most so many years."""
    old = values_of(dataset, tag)
    new = [dates.capped_age(v, oldest) if v.strip() else "" for v in old]
    ages = [age for age in new if age is not None]
    if len(ages) < len(new):
        return ""
    set_several(dataset, tag, "AS", ages)
    return "K" if new == old else "C"

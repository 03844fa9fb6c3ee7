"""The text policies of the profile: how much of a header's text stays. How identifying text is found is ``text``'s."""

import re

from pipelines.deidentify import values
from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.text import clean_text, keep_known_words, remove_denied
from pipelines.deidentify.vocabulary import is_known

POLICIES = ("remove", "vocabulary", "detect", "names", "identifiers", "code")

_WORD_OF_A_CODE = re.compile(r"[^\W\d_]{6,}")


def cleaned_by(policy: str, value: str, vr: str, deny: DenyList) -> str:
    """A text cleaned by a policy; empty where nothing may stay, or what is left does not fit the VR."""
    if policy == "remove":
        return ""
    if policy == "vocabulary":
        new, _ = keep_known_words(value, deny)
    elif policy == "detect":
        new, _ = clean_text(value, deny, unknown_names=vr in values.LONG_TEXT)
    elif policy == "names":
        new, _ = clean_text(remove_denied(value, deny)[0], kinds=("EMAIL", "LOCATION", "NAME"))
    else:
        new, _ = remove_denied(value, deny)
    if policy == "code" and (new != value or not all(map(is_known, _WORD_OF_A_CODE.findall(value)))):
        return ""
    fits = values.is_code_string(new) if vr == "CS" else len(new) <= values.LENGTHS.get(vr, len(new))
    return new if fits or new == value else ""


def is_harmless_code(value: str, deny: DenyList) -> bool:
    """Whether a CS value is a code or known words, and names nobody of the object's own header."""
    if keep_known_words(value)[1] == 0:
        return True
    return values.is_code_string(value.strip(" \0").upper()) and remove_denied(value, deny)[1] == 0

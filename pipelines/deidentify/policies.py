"""The text policies of the profile: how much of a header's text stays. How identifying text is found is ``text``'s."""

import re
from collections.abc import Iterable
from functools import lru_cache

from pipelines.deidentify import values
from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.text import clean_text, keep_known_words, remove_denied
from pipelines.deidentify.text_dates import dates_in
from pipelines.deidentify.vocabulary import is_known

POLICIES = ("remove", "vocabulary", "detect", "keep", "names", "identifiers", "code")

_HELD = 1 << 13
"""Answers that are held: the objects of a study repeat their texts."""

_WORD_OF_A_CODE = re.compile(r"[^\W\d_]{6,}")


@lru_cache(maxsize=_HELD)
def cleaned_by(
    policy: str,
    value: str,
    vr: str,
    deny: DenyList,
    *,
    days: int | None = None,
    oldest: int | None = None,
    model: str = "",
) -> str:
    """A text cleaned by a policy; empty where nothing may stay, or what is left does not fit the VR.

    ``days``, ``oldest`` and ``model`` are ``text.clean_text``'s, for the policy ``detect``.
    """
    if policy == "remove":
        return ""
    if policy == "keep":
        return value
    if policy == "vocabulary":
        new, _ = keep_known_words(value, deny)
    elif policy == "detect":
        new, _ = clean_text(value, deny, unknown_names=True, days=days, oldest=oldest, model=model)
    elif policy == "names":
        new, _ = clean_text(value, deny, kinds=("EMAIL", "LOCATION", "NAME"))
    else:
        new, _ = remove_denied(value, deny)
    if policy == "code" and (new != value or not all(map(is_known, _WORD_OF_A_CODE.findall(value)))):
        return ""
    fits = values.is_code_string(new) if vr == "CS" else len(new) <= values.LENGTHS.get(vr, len(new))
    return new if fits or new == value else ""


def compact_dates(texts: Iterable[str]) -> set[str]:
    """The days that texts name, as DA values: the residual scan must not take a moved one for one that was left."""
    return {f"{found.day:%Y%m%d}" for text in texts for found in dates_in(text) if found.day}


@lru_cache(maxsize=_HELD)
def is_harmless_code(value: str, deny: DenyList) -> bool:
    """Whether a CS value is a code or known words, and names nobody of the object's own header."""
    if _is_known_throughout(value):
        return True
    return values.is_code_string(value.strip(" \0").upper()) and remove_denied(value, deny)[1] == 0


@lru_cache(maxsize=_HELD)
def _is_known_throughout(value: str) -> bool:
    return keep_known_words(value)[1] == 0

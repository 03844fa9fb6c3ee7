"""The text policies of the profile: how much of a header's text stays. How identifying text is found is ``text``'s."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from pipelines.deidentify import values
from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.text import clean_text, keep_known_words, remove_denied
from pipelines.deidentify.text_dates import dates_in
from pipelines.deidentify.vocabulary import code_terms, is_known

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
    value, given = visible(value), value
    if policy == "vocabulary":
        new, _ = keep_known_words(value, deny)
    elif policy == "detect":
        new, _ = clean_text(value, deny, unknown_names=True, days=days, oldest=oldest, model=model)
    elif policy == "names":
        new, _ = clean_text(value, deny, kinds=("EMAIL", "LOCATION", "NAME"))
    else:
        new, _ = remove_denied(value, deny)
    is_code = new == value and value.isascii() and all(map(is_known, _WORD_OF_A_CODE.findall(value)))
    if policy == "code" and not is_code:
        return ""
    fits = values.is_code_string(new) if vr == "CS" else len(new) <= values.LENGTHS.get(vr, len(new))
    return new if fits or new == given else ""


def visible(value: str) -> str:
    """A text without what nobody sees: it ends at a NUL, other control characters are blanks, and characters that only
    say how to lay out (soft hyphens, joiners, marks of direction) go."""
    if value.isprintable():
        return value
    kinds = {c: unicodedata.category(c) for c in set(value) if not c.isprintable()}
    shown: dict[str, str | int | None] = {
        c: "" if kind == "Cf" else " " for c, kind in kinds.items() if kind in ("Cc", "Cf") and c not in "\t\n\f\r"
    }
    return value.split("\0", 1)[0].translate(str.maketrans(shown))


def compact_dates(texts: Iterable[str]) -> set[str]:
    """The days that texts name, as DA values: the residual scan must not take a moved one for one that was left."""
    return {f"{found.day:%Y%m%d}" for text in texts for found in dates_in(text) if found.day}


@lru_cache(maxsize=_HELD)
def is_harmless_code(value: str, deny: DenyList, *, any_word: bool = False) -> bool:
    """Whether a CS value is made of known words and terms, or a code without words, and names nobody of the header.

    ``any_word``: it may hold words that are not known, too.
    """
    if _is_known_throughout(value):
        return True
    words = _WORD_OF_A_CODE.findall(value)
    return (
        values.is_code_string(value.strip(" \0").upper())
        and (any_word or all(is_known(word) or word.lower() in code_terms() for word in words))
        and remove_denied(value, deny)[1] == 0
    )


@lru_cache(maxsize=_HELD)
def _is_known_throughout(value: str) -> bool:
    return keep_known_words(value)[1] == 0

"""The vocabulary: words that DICOM, mammography and plain English use, by which an unknown word is told."""

import re
from functools import cache, lru_cache
from pathlib import Path

_LETTERS = frozenset("abcdlmrswxyz")
_SHORT_CODE = re.compile(r"[a-z]?\d{1,3}[a-z]{0,2}")


@cache
def words() -> frozenset[str]:
    """All words, in small letters."""
    return frozenset(Path(__file__).with_name("vocabulary.txt").read_text(encoding="utf-8").split())


@cache
def code_meanings() -> frozenset[str]:
    """Meanings of DICOM's codes, in small letters, that hold more than known words (Fluorodeoxyglucose F^18^)."""
    return frozenset(Path(__file__).with_name("code_meanings.txt").read_text(encoding="utf-8").splitlines())


@cache
def code_terms() -> frozenset[str]:
    """Words that DICOM's code strings are made of, in small letters, and that are no words elsewhere."""
    lines = Path(__file__).with_name("code_terms.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def names() -> frozenset[str]:
    """Frequent names of persons, in small letters, that are no vocabulary even where a term's stem is spelled alike."""
    lines = Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def word_names() -> tuple[frozenset[str], frozenset[str]]:
    """Given names and family names, in small letters, that are also words of English."""
    lines = Path(__file__).with_name("word_names.txt").read_text(encoding="utf-8").splitlines()
    given, family = " ".join(line for line in lines if not line.startswith("#")).split("|")
    return frozenset(given.split()), frozenset(family.split())


@cache
def eponyms() -> frozenset[str]:
    """Words in small letters that terms are named after (Gail, Paget), and makers, which are names of persons, too."""
    lines = Path(__file__).with_name("eponyms.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@lru_cache(maxsize=1 << 16)
def is_known(token: str) -> bool:
    """Whether a token says nothing of a person: a known word, a letter such as L, a code such as 4V."""
    small = token.lower().replace("’", "'").removesuffix("'s").replace("'", "")
    if len(small) <= 1:
        return small in _LETTERS or small.isdecimal()
    if small[-1].isdecimal() and small.rstrip("0123456789") in words() and len(small) > 4:
        return True
    if small in words() or _SHORT_CODE.fullmatch(small) is not None:
        return True
    return small not in names() and (small.removesuffix("s") in words() or small.removesuffix("es") in words())

"""The vocabulary: words that DICOM, mammography and plain English use, by which an unknown word is told."""

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

_LETTERS = frozenset("abcdflmnrstuwxyz")
_SHORT_CODE = re.compile(r"[a-z]?\d{1,3}[a-z]{0,3}|[a-z]{2}\d{1,3}|\d{1,4}x\d{1,4}s?|(?:19|20)\d\d")

_PROCEDURE = re.compile(
    r"(?:190(?:00|01|30|8[1-6])|191(?:0[015]|2[056])|192(?:8[1-8]|9[0-8])|100(?:0[4-9]|1[0-2]|2[12]|3[56])|385(?:00|05|25)"
    r"|38792|38900|76(?:098|37[67]|604|64[125]|882|942|999)|770(?:0[23]|1[12]|2[12]|3[12]|4[6-9]|5[1-9]|6[1-7]|8[0-2])"
    r"|78195|88(?:10[4-8]|112|17[237]|30[0579]|32[135]|33[13]|34[124]|36[0-9]|37[1-7])|0159T|042[23]T|G0(?:20[246]|279"
    r"|101|297)|A(?:46[48][18]|9270|9500|9520|9541|957\d|9585)|C890[3-8]|IMG\d{2,5})(?:-(?:\d\d|[A-Z]{2})){0,2}"
)
"""Codes of procedures (CPT, HCPCS) that breast imaging is billed by; they name nobody."""


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
def census_names() -> tuple[frozenset[str], frozenset[str]]:
    """Given names and family names, in small letters, of the United States' census, that are no vocabulary."""
    lines = Path(__file__).with_name("census_names.txt").read_text(encoding="utf-8").splitlines()
    given, family = " ".join(line for line in lines if not line.startswith("#")).split("|")
    return frozenset(given.split()), frozenset(family.split())


@cache
def english_words() -> frozenset[str]:
    """Common English words, in small letters, that are neither vocabulary nor anybody's name."""
    lines = Path(__file__).with_name("english_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


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


def without_accents(text: str) -> str:
    """A text in compatibility decomposition (NFKD) without its combining marks: é is e."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


@lru_cache(maxsize=1 << 16)
def is_known(token: str) -> bool:
    """Whether a token says nothing of a person: a known word, a letter such as L, a code such as 4V."""
    small = token.lower().replace("’", "'").removesuffix("'s").replace("'", "")
    if len(small) <= 1:
        return small in _LETTERS or small.isdecimal()
    letters = small.rstrip("0123456789")
    if letters != small and len(letters) > 3 and letters in words():
        return True
    if small in words() or _SHORT_CODE.fullmatch(small) is not None:
        return True
    return small not in names() and (small.removesuffix("s") in words() or small.removesuffix("es") in words())


def is_procedure(token: str) -> bool:
    """Whether a token is the code of a procedure, with modifiers or without."""
    return _PROCEDURE.fullmatch(token) is not None

"""The residual scan: no identifier that a source file, its study or its path states may stand in what was written.

It knows nothing of how an object was cleaned: it reads the written file anew and searches its values and the bytes of
its header; not the pixel data. No identifiers are generic words, numbers of
fewer than five digits, and what is shorter than four characters; a person's name made of known words ("Rose^Long") is
one as a whole.
"""

import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pipelines.deidentify import dates, values
from pipelines.deidentify.carried import bytes_of
from pipelines.deidentify.deny import is_placeholder, name_words
from pipelines.deidentify.identifiers import HeaderIdentifiers, identifiers_in, kept_texts, merged
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.raw_elements import TooShortError, UnusualError, elements_in, items_in
from pipelines.deidentify.reading import Header, quiet, read_header
from pipelines.deidentify.structured import retained_uids
from pipelines.deidentify.vocabulary import is_known, names, without_accents

_SHORTEST = 4
_DUMMY_DAY = str(values.dummy("DA"))
_LONG = 8
_WORDS = re.compile(r"[^\W_]+")
_PLACE_WORDS = re.compile(r"[^\W_]{5,}")
_UIDS = re.compile(r"\d(?:\.\d+){4,}")
_NUMBERS_WITH_DOTS = re.compile(rb"[0-9.]{8,}")
_UTF8 = ("utf-8", "latin-1")


@dataclass(frozen=True)
class Identifiers:
    """What to search for, as bytes in small letters.

    ``terms`` stand alone between what is no letter or digit. So do those of ``soft``, by the text that they encode;
    they count only where no kept element of the source has that text. ``uids`` and ``dates`` (DA) are numbers.
    """

    terms: frozenset[bytes] = frozenset()
    soft: Mapping[str, frozenset[bytes]] = field(default_factory=dict)
    uids: frozenset[bytes] = frozenset()
    dates: frozenset[bytes] = frozenset()

    def __or__(self, other: "Identifiers") -> "Identifiers":
        return Identifiers(
            self.terms | other.terms, {**self.soft, **other.soft}, self.uids | other.uids, self.dates | other.dates
        )

    def without_dates(self, days: Iterable[str]) -> "Identifiers":
        """All but dates (DA) that others have become."""
        return replace(self, dates=self.dates - {day.encode() for day in days})

    def without_uids(self, uids: Iterable[str]) -> "Identifiers":
        """All but these UIDs, which an option retains."""
        retained = {uid.strip(" \0").encode("latin-1", "replace") for uid in uids}
        return replace(self, uids=self.uids - retained) if retained else self


def identifiers_of(dataset: Dataset, profile: Profile, location: str = "", days: int = 0) -> Identifiers:
    """The identifiers that an object's header, before it is cleaned, and its path state.

    ``location`` is the inventory's; ``days`` is by how much the patient's dates move: a date that another one of the
    object becomes is not searched for.
    """
    with quiet():
        found, kept = identifiers_in(dataset, profile), kept_texts(dataset, profile)
    both = terms_of(found, days) | terms_of_path(location, uids=not profile.is_on("retain_uids"))
    return Identifiers(both.terms, {t: e for t, e in both.soft.items() if not _is_used(t, kept)}, both.uids, both.dates)


@lru_cache(maxsize=8)
def terms_of(found: HeaderIdentifiers, days: int = 0) -> Identifiers:
    """What is searched for of what headers name; ``days`` as in ``identifiers_of``."""
    encodings = (*_UTF8, *sorted(found.encodings))
    strong = {text for text in found.ids if _is_telling(text)}
    strong |= {text.lstrip("0") for text in strong if text.isdecimal() and len(text.lstrip("0")) >= 6}
    strong |= {w for text in found.removed_places for w in _PLACE_WORDS.findall(text) if not is_known(w)}
    for name in found.names:
        strong.update(_name_terms(name))
    moved = {dates.moved_date(day, days) for day in found.days} if days else set()
    return Identifiers(
        frozenset(e for term in strong for e in _encoded(term, encodings))
        | {raw.lower() for raw in found.raw if len(raw) >= _SHORTEST},
        {text: frozenset(_encoded(text, encodings)) for text in found.texts},
        frozenset(uid.encode("latin-1", "replace") for uid in found.uids if len(uid) >= _LONG),
        frozenset(day.encode() for day in found.days - moved if day > _DUMMY_DAY) if days else frozenset(),
    )


@lru_cache(maxsize=64)
def terms_of_path(location: str, *, uids: bool = True) -> Identifiers:
    """The parts of a file's path in a delivery (``inbox:``, percent-encoded) that may identify; UIDs if ``uids``."""
    scheme, _, quoted = location.partition(":")
    path = urllib.parse.unquote(quoted, errors="replace") if scheme == "inbox" else ""
    words = {w for w in _WORDS.findall(path) if len(w) >= (5 if w.isdecimal() else _SHORTEST) and not is_known(w)}
    return Identifiers(
        soft={word: frozenset(_encoded(word, _UTF8)) for word in words},
        uids=frozenset(uid.encode() for uid in _UIDS.findall(path) if uids and len(uid) >= _LONG),
    )


def _name_terms(name: str) -> Iterator[str]:
    """The words of a person's name that are unknown, and the whole of it.

    Of a name whose words are all known the whole is searched for as names are written with a caret or comma, and with
    a space only where one of the words is a frequent name: "Test^Mammo" is no reason to refuse a "TEST MAMMO".
    """
    words = [word for group in name.split("=") for word in name_words(group)]
    unknown = [word for word in words if not is_known(word)]
    yield from filter(_is_telling, unknown)
    if len(words) < 2:
        return
    pairs = [pair for one, other in pairwise(words) for pair in ((one, other), (other, one))]
    yield from (f"{one}{mark}{other}" for one, other in pairs for mark in ("^", ", ", ","))
    if unknown:
        yield name
        yield from (one + other for one, other in pairs if len(one + other) >= _LONG)
    elif any(word.lower() in names() for word in words):
        yield from (f"{one} {other}" for one, other in pairs)


def _is_telling(term: str) -> bool:
    """Whether a word is long enough, no small number, no placeholder and no generic word."""
    if len(term.encode()) < _SHORTEST or is_placeholder(term) or (term.isdecimal() and len(term.lstrip("0")) < 5):
        return False
    return sum(map(str.isdigit, term)) >= _SHORTEST or not all(is_known(w) for w in _WORDS.findall(term))


def _encoded(term: str, encodings: Iterable[str]) -> Iterator[bytes]:
    """A term in the encodings, in small and in capital letters beyond ASCII, and without accents."""
    spellings = {term}
    if not term.isascii():
        spellings |= {term.lower(), term.upper(), without_accents(term)} - {""}
    for spelling in spellings:
        for encoding in encodings:
            try:
                yield spelling.encode(encoding).lower()
            except (UnicodeEncodeError, LookupError):
                continue


def _is_used(text: str, kept: frozenset[str]) -> bool:
    """Whether a text is a kept element's own, or a word that one uses."""
    if text in kept:
        return True
    small = text.lower()
    return _WORDS.fullmatch(text) is not None and any(
        small == word.lower() for value in kept if len(value) >= len(text) for word in _WORDS.findall(value)
    )


def scan(path: Path, identifiers: Identifiers, kept: Callable[[], frozenset[str]] = frozenset) -> int:
    """How many of the identifiers stand in a DICOM file's header.

    What is nowhere among its bytes is in none of its values, so that these are taken apart only where something is.

    ``kept`` gives the texts of the source's kept elements; it is asked only where a soft term was found. Raises what
    pydicom raises for an unreadable file.
    """
    with quiet():
        header = read_header(path)
        data = _header_bytes(path, header)
        terms = [term for term in identifiers.terms if term in data]
        soft = {text: encoded for text, encoded in identifiers.soft.items() if any(e in data for e in encoded)}
        values = b"\0".join(_values(header.elements)).lower() if terms or soft else b""
    hits = sum(_stands(term, values, data) for term in terms)
    stated = [text for text, encoded in soft.items() if any(_stands(e, values, data) for e in encoded)]
    if stated:
        used = kept()
        hits += sum(not _is_used(text, used) for text in stated)
    runs = _NUMBERS_WITH_DOTS.findall(data) if identifiers.uids or identifiers.dates else []
    hits += len(identifiers.uids & _numbers_with_dots(runs))
    hits += len(identifiers.dates & {part[:8] for run in runs for part in run.split(b".") if len(part) >= _LONG})
    return hits


def survivors(
    source: Path,
    written: Path,
    profile: Profile,
    location: str = "",
    days: int = 0,
    study: HeaderIdentifiers | None = None,
) -> int:
    """How many identifiers of a source file, of its path and of ``study`` stand in the file written from it."""
    with quiet():
        dataset = read_header(source).dataset
        found = identifiers_in(dataset, profile)
        retained = retained_uids(dataset, profile)
    every = merged((found, study)) if study else found
    terms = terms_of(every, days) | terms_of_path(location, uids=not profile.is_on("retain_uids"))
    return scan(written, terms.without_uids(retained), lambda: kept_texts(dataset, profile))


def _stands(term: bytes, values: bytes, data: bytes) -> bool:
    """Whether a term stands alone in values, or, if it is a long one, anywhere in the bytes of the header."""
    if term in values and re.search(rb"(?<![0-9a-z])" + re.escape(term) + rb"(?![0-9a-z])", values) is not None:
        return True
    return len(term) >= _LONG and not term.isdigit() and term in data


def _numbers_with_dots(found: Iterable[bytes]) -> set[bytes]:
    """What may be a UID: runs of digits and dots, also without a first or last character that is a neighbor's byte."""
    runs = {run.strip(b".") for run in found}
    return runs | {run[1:] for run in runs} | {run[:-1] for run in runs} | {run[1:-1] for run in runs}


def _values(elements: Mapping[BaseTag, Any]) -> Iterator[bytes]:
    for element in elements.values():
        if not isinstance(element, RawDataElement):
            if element.VR == "SQ":
                for item in element.value:
                    yield from _values(item._dict)
            else:
                yield str(element.value).encode("utf-8", "replace")
        elif element.value and (element.VR == "SQ" or element.value[:4] == b"\xfe\xff\x00\xe0"):
            yield from _values_of_items(element)
        elif element.value:
            yield element.value


def _values_of_items(element: RawDataElement) -> Iterator[bytes]:
    data, implicit, little = element.value or b"", element.is_implicit_VR, element.is_little_endian
    try:
        items = list(items_in(data, 0, len(data), implicit=implicit, little=little))
        inside = [elements_in(data, a, b, implicit=implicit, little=little)[0] for a, b, _ in items]
    except (UnusualError, TooShortError):
        yield data
        return
    for elements in inside:
        yield from _values(elements)


def _header_bytes(path: Path, header: Header) -> bytes:
    """The bytes before the pixel data, in small letters."""
    pixels = header.pixels
    with bytes_of(path, header) as whole:
        return whole.read(0, pixels.begin if pixels else whole.size).lower()

"""The residual scan: no identifier that a source file states may stand anywhere in the header made from it.

It knows nothing of how the header was cleaned: it reads the written file anew and searches its values and bytes. The
pixel data's bytes are not searched. Generic words and numbers of fewer than five digits are no identifiers.
"""

import re
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.charset import convert_encodings
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial

from pipelines.deidentify import dates
from pipelines.deidentify.deny import ID_KEYWORDS, PLACE_KEYWORDS, is_placeholder, name_words
from pipelines.deidentify.elements import PIXELS, is_standard_uid
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.reading import quiet, read_raw, tags_of
from pipelines.deidentify.vocabulary import is_known

_SHORTEST = 4
_LONG = 8
_TEXT_VRS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN", "OB"})
_DECIMAL = re.compile(r"[-+]?[\d.]*(?:[eE][-+]?\d+)?")
_PRINTABLE = re.compile(r"[ -~]*")


@dataclass(frozen=True)
class Identifiers:
    """What to search for: byte strings in small letters, each alone between what is no letter or digit."""

    terms: frozenset[bytes]
    dates: frozenset[bytes]


@dataclass
class _Found:
    strong: set[str]
    weak: set[str]
    kept: set[str]
    days: set[str]
    uids: set[str]
    raw: set[bytes]


def identifiers_of(dataset: Dataset, profile: Profile, location: str = "", days: int = 0) -> Identifiers:
    """The identifiers that an object's header, before it is cleaned, and its path state.

    ``location`` is the inventory's; ``days`` is by how much the patient's dates move: a date that another one of the
    object becomes is not searched for.
    """
    found = _Found(set(), set(), set(), set(), set(), set())
    with quiet():
        _collect(dataset, profile, found)
        encodings = _encodings(dataset)
    strong = found.strong | set(_path_words(location, found.kept))
    weak = {w for w in found.weak - found.kept if len(w) >= 6 and not _is_generic(w)}
    terms = {t for t in strong if _is_telling(t)} | {u for u in found.uids if len(u) >= _LONG} | weak
    moved = {dates.moved_date(day, days) for day in found.days} if days else set()
    encoded = {e for term in terms for e in _encoded(term, encodings)}
    return Identifiers(
        frozenset(encoded | {raw.lower() for raw in found.raw if len(raw) >= _SHORTEST}),
        frozenset(day.encode() for day in found.days - moved if day > "1900") if days else frozenset(),
    )


def scan(path: Path, identifiers: Identifiers) -> int:
    """How many of the identifiers stand in a DICOM file's header. Raises what pydicom raises for an unreadable file."""
    data = _header_bytes(path)
    with quiet():
        values = b"\0".join(_values(pydicom.dcmread(path, force=True, stop_before_pixels=True)))
    values = values.lower()
    hits = 0
    for term in identifiers.terms:
        long = len(term) >= _LONG and not term.isdigit()
        hits += _stands_alone(term, values) or (long and term in data)
    return hits + sum(re.search(rb"(?<!\d)" + day, values) is not None for day in identifiers.dates)


def survivors(source: Path, written: Path, profile: Profile, location: str = "", days: int = 0) -> int:
    """How many identifiers of a source file stand in the file written from it."""
    with quiet():
        dataset = read_raw(source)
    return scan(written, identifiers_of(dataset, profile, location, days))


def _collect(dataset: Dataset, profile: Profile, found: _Found) -> None:
    for tag in tags_of(dataset):
        if tag in PIXELS:
            continue
        raw = getattr(dataset.get_item(tag), "value", None)
        try:
            element = dataset[tag]
            vr, value = str(element.VR), element.value
        except Exception:  # noqa: BLE001 - a value that cannot be decoded is searched for as it is
            if isinstance(raw, bytes) and len(raw) <= 1024:
                found.raw.add(raw.strip(b" \0"))
            continue
        if vr == "SQ":
            for item in value or ():
                _collect(item, profile, found)
            continue
        if value is None:
            continue
        several = value if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]
        for one in several:
            _sort(tag, vr, one, raw, profile, found)


def _sort(tag: int, vr: str, value: object, raw: object, profile: Profile, found: _Found) -> None:
    """Put one value among the strong or weak identifiers, the dates, the UIDs, or what is kept."""
    text = _as_text(value, vr)
    if not text:
        return
    decision = profile.decide(tag)
    keyword = keyword_for_tag(tag)
    if vr == "UI":
        if not is_standard_uid(text) and (decision is None or decision.action not in ("K", "C")):
            found.uids.add(text)
    elif vr in ("DA", "DT"):
        day = dates.moved_date(text[:8], 0)
        if day:
            found.days.add(day)
    elif vr == "PN":
        _add_name(text, raw, found)
    elif keyword in ID_KEYWORDS:
        found.strong.add(text)
    elif keyword in PLACE_KEYWORDS and decision and decision.action not in ("K", "C"):
        found.strong.update(w for w in re.findall(r"[^\W_]{5,}", text) if not is_known(w))
    elif vr in _TEXT_VRS and decision is not None and decision.action not in ("K", "C"):
        found.weak.add(text)
    else:
        found.kept.add(text)


def _add_name(text: str, raw: object, found: _Found) -> None:
    words = [w for group in text.split("=") for w in name_words(group)]
    found.strong.update(w for w in words if not is_known(w))
    if len(words) > 1 and not all(map(is_known, words)):
        found.strong.add(text)
    if isinstance(raw, bytes) and not raw.isascii():
        found.raw.update(part.strip(b" \0") for part in re.split(rb"[\^=\\]", raw) if not part.isascii())


def _as_text(value: object, vr: str) -> str:
    if isinstance(value, bytes):
        if len(value) > 1024:
            return ""
        value = value.decode("latin-1")
        if not _PRINTABLE.fullmatch(value.strip("\0 ")):
            return ""
    return str(value).strip("\0 \r\n")


def _is_telling(term: str) -> bool:
    """Whether a word is long enough, no small number, no placeholder and no generic word."""
    if len(term.encode()) < _SHORTEST or is_placeholder(term) or (term.isdecimal() and len(term.lstrip("0")) < 5):
        return False
    return not all(is_known(w) for w in re.findall(r"[^\W_]+", term))


def _is_generic(text: str) -> bool:
    if _DECIMAL.fullmatch(text):
        return not text.isdecimal() or len(text) < 6
    return all(is_known(w) for w in re.findall(r"[^\W_]+", text))


def _path_words(location: str, kept: set[str]) -> Iterator[str]:
    """The parts of a file's path that may identify; words that the kept header itself uses (a vendor's) are none."""
    scheme, _, quoted = location.partition(":")
    path = urllib.parse.unquote(quoted, errors="replace") if scheme == "inbox" else ""
    used = {w.lower() for text in kept for w in re.findall(r"[^\W_]+", text)}
    for word in re.findall(r"[^\W_]+", path):
        enough = len(word) >= 5 if word.isdecimal() else len(word) >= _SHORTEST
        if enough and word.lower() not in used and not is_known(word):
            yield word
    yield from re.findall(r"\d(?:\.\d+){4,}", path)


def _encodings(dataset: Dataset) -> list[str]:
    try:
        return ["utf-8", "latin-1", *convert_encodings(dataset.get("SpecificCharacterSet") or "ISO_IR 6")]
    except Exception:  # noqa: BLE001 - a character set that is not known adds no encoding
        return ["utf-8", "latin-1"]


def _encoded(term: str, encodings: Iterable[str]) -> Iterator[bytes]:
    for encoding in encodings:
        try:
            yield term.encode(encoding).lower()
        except (UnicodeEncodeError, LookupError):
            continue


def _stands_alone(term: bytes, data: bytes) -> bool:
    if term not in data:
        return False
    return re.search(rb"(?<![0-9a-z])" + re.escape(term) + rb"(?![0-9a-z])", data) is not None


def _values(dataset: Dataset) -> Iterator[bytes]:
    for tag in tags_of(dataset):
        raw = dataset.get_item(tag)
        element = dataset[tag] if raw is None or not isinstance(raw.value, bytes) or raw.VR in ("SQ", None) else None
        if element is not None and element.VR == "SQ":
            for item in element.value:
                yield from _values(item)
        elif raw is not None and isinstance(raw.value, bytes):
            yield raw.value
        elif element is not None:
            yield str(element.value).encode()


def _header_bytes(path: Path) -> bytes:
    """The bytes before the pixel data, in small letters; a deflated data set's as they are."""
    with path.open("rb") as file, quiet():
        read_partial(file, stop_when=lambda tag, vr, length: tag in PIXELS)
        end = file.tell()
        file.seek(0)
        return file.read(end).lower()

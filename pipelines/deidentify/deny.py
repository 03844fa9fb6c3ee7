"""The deny list: what a study's own headers call its patient, staff and hospital, in the spellings that text uses."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pipelines.deidentify.dates import day_of
from pipelines.deidentify.reading import tags_of
from pipelines.deidentify.vocabulary import is_known

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "oe"})
_MONTHS = [rf"{m[:3]}(?:{m[3:]})?" for m in ("january", "february", "march", "april", "may", "june", "july", "august")]
_MONTHS += [rf"{m[:3]}t?(?:{m[3:]})?" for m in ("september", "october", "november", "december")]
_PLACEHOLDERS = frozenset(
    {
        "anon", "anonym", "anonymous", "anonymized", "anonymised", "deidentified", "none", "unknown",
        "removed", "dummy",
    }
)  # fmt: skip

ID_KEYWORDS = frozenset(
    {
        "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "AdmissionID", "ServiceEpisodeID",
        "RequestedProcedureID", "ScheduledProcedureStepID", "PerformedProcedureStepID",
        "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest", "MilitaryRank",
        "PatientTelephoneNumbers", "MedicalRecordLocator", "ClinicalTrialSubjectID",
    }
)  # fmt: skip
PLACE_KEYWORDS = frozenset(
    {
        "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "PatientAddress",
        "RequestingService", "IssuerOfPatientID", "CountryOfResidence", "RegionOfResidence",
        "CurrentPatientLocation", "ResponsibleOrganization",
    }
)  # fmt: skip
DATE_KEYWORDS = frozenset({"PatientBirthDate"})


@dataclass(frozen=True)
class DenyList:
    """Words and phrases (in any case), and two-letter names (in their case), that must not stay in a study's texts."""

    names: frozenset[str] = frozenset()
    short_names: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    dates: frozenset[str] = field(default=frozenset())

    def __or__(self, other: "DenyList") -> "DenyList":
        return DenyList(
            self.names | other.names,
            self.short_names | other.short_names,
            self.ids | other.ids,
            self.dates | other.dates,
        )

    @cached_property
    def patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        """Kind and compiled expression; group ``x`` is what goes."""
        found = []
        for kind, terms, flags in (
            ("ID", self.ids, re.IGNORECASE),
            ("DATE", self.dates, re.IGNORECASE),
            ("NAME", self.names, re.IGNORECASE),
            ("NAME", self.short_names, re.NOFLAG),
        ):
            if terms:
                longest_first = sorted(terms, key=lambda term: (-len(term), term))
                found.append((kind, re.compile(rf"(?<!\w)(?P<x>{'|'.join(longest_first)})(?!\w)", flags)))
        return found


def deny_list_of(dataset: Dataset) -> DenyList:
    """The deny list of one object: person names, ids and places of its header at any depth."""
    names: list[str] = []
    places: list[str] = []
    ids: list[str] = []
    births: list[str] = []
    for keyword, vr, value in _texts(dataset):
        if vr == "PN":
            names.append(value)
        elif keyword in PLACE_KEYWORDS:
            places.append(value)
        elif keyword in ID_KEYWORDS:
            ids.append(value)
        elif keyword in DATE_KEYWORDS:
            births.append(value)
    return deny_list(names=names, places=places, ids=ids, dates=births)


def deny_list(
    *, names: Iterable[str] = (), places: Iterable[str] = (), ids: Iterable[str] = (), dates: Iterable[str] = ()
) -> DenyList:
    """A deny list of person names (any PN form), places (generic words pass), ids and dates (DA)."""
    long: set[str] = set()
    short: set[str] = set()
    for name in names:
        _add_name(name, long, short)
    for place in places:
        for word in _words(place):
            if len(word) >= 3 and not is_known(word) and not word.isdecimal():
                long.update(map(re.escape, _spellings(word)))
    id_terms = {term for value in ids for term in _id_terms(value)}
    date_terms = {term for value in dates for term in _date_terms(value)}
    return DenyList(frozenset(long), frozenset(short), frozenset(id_terms), frozenset(date_terms))


def _texts(dataset: Dataset) -> Iterable[tuple[str, str, str]]:
    """Keyword, VR and value of the names, ids and places in a header, at any depth; what cannot be read is left out."""
    for tag in tags_of(dataset):
        raw = dataset.get_item(tag)
        keyword = keyword_for_tag(tag)
        vr = str(getattr(raw, "VR", None) or "")
        if vr not in ("SQ", "PN", "UN", "") and keyword not in ID_KEYWORDS | PLACE_KEYWORDS | DATE_KEYWORDS:
            continue
        try:
            element = dataset[tag]
            value = element.value
        except Exception:  # noqa: BLE001 - whatever a damaged value does to the parser, it holds no name to look for
            continue
        if element.VR == "SQ":
            for item in value:
                yield from _texts(item)
        elif value:
            values = value if isinstance(value, (MultiValue, list)) else [value]
            yield from ((keyword, str(element.VR), str(one)) for one in values)


def is_placeholder(text: str) -> bool:
    """Whether a text stands for a value that is not there (ANONYMOUS, NONE …)."""
    return text.lower() in _PLACEHOLDERS


def name_words(name: str) -> list[str]:
    """The parts of a person name (PS3.5 section 6.2.1) of at least two letters, placeholders left out."""
    parts = re.split(r"[\^=,\s.'’_/()\[\]-]+", name)
    return [p for p in parts if len(p) >= 2 and not p.isdecimal() and p.lower() not in _PLACEHOLDERS]


def _add_name(name: str, long: set[str], short: set[str]) -> None:
    for group in name.split("="):
        parts = name_words(group)
        for part in parts:
            if len(part) >= 3 or not part.isascii():
                for spelling in _spellings(part):
                    long.add(re.escape(spelling))
                    long.add(r"[ .]".join(map(re.escape, spelling)))
            elif not is_known(part):
                short.add(re.escape(part))
        for first, second in pairwise(parts):
            long.add(re.escape(first + second))
            long.add(re.escape(second + first))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'’]+", text)


def _spellings(word: str) -> set[str]:
    decomposed = unicodedata.normalize("NFKD", word)
    folded = "".join(c for c in decomposed if not unicodedata.combining(c))
    return {s for s in (word, word.upper(), word.casefold(), decomposed, folded, word.translate(_UMLAUTS)) if s}


def _id_terms(value: str) -> set[str]:
    parts = re.findall(r"[A-Za-z]+|\d+", value)
    joined = "".join(parts)
    if len(joined) < 3 or joined.lower() in _PLACEHOLDERS or (joined.isalpha() and is_known(joined)):
        return set()
    terms = {re.escape(value.strip()), r"[-_. /]?".join(parts)}
    if joined.isdecimal() and len(joined.lstrip("0")) >= 4:
        terms.add(r"0*" + joined.lstrip("0"))
    return terms


def _date_terms(value: str) -> set[str]:
    day = day_of(value)
    if day is None:
        return set()
    y, yy, m, d = rf"{day.year:04d}", rf"(?:{day.year:04d}|{day.year % 100:02d})", rf"0?{day.month}", rf"0?{day.day}"
    month = rf"{_MONTHS[day.month - 1]}\.?"
    return {
        rf"{y}[-/. ]{m}[-/. ]{d}",
        rf"{day.year:04d}{day.month:02d}{day.day:02d}",
        rf"{m}[-/. ]{d}[-/. ]{yy}",
        rf"{d}[-/. ]{m}[-/. ]{yy}",
        rf"{day.day:02d}{day.month:02d}{day.year:04d}",
        rf"{day.month:02d}{day.day:02d}{day.year:04d}",
        rf"{month}[ -]?{d}(?:st|nd|rd|th)?,?[ -]+{yy}",
        rf"{d}(?:st|nd|rd|th|\.)?[ -]?{month},?[ -]?{yy}",
    }

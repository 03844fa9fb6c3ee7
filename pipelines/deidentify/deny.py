"""The deny list: what a study's own headers call its patient, staff and hospital, in the spellings that text uses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from itertools import permutations

from pipelines.deidentify.dates import day_of
from pipelines.deidentify.text_names import widened
from pipelines.deidentify.text_words import LISTS
from pipelines.deidentify.vocabulary import is_known, without_accents

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "oe"})
_STROKES = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_TWO_LETTERS = re.compile(r"([aou])e")
_INSIDE = 5
_DIGITS = re.compile(r"\d+")
_REPEATS = re.compile(r"\{\d,\d\}|0\*")
_LETTER = r"[^\W\d_]"
_WORD = re.compile(rf"{_LETTER}(?:{_LETTER}|[\u0300-\u036f])+")
_SHORT_AHEAD = re.compile(rf"(?<![^\W_])({_LETTER}{{2}})[ '’-]$")
_SHORT_BEHIND = re.compile(rf"[ '’-]({_LETTER}{{2}})(?![^\W_])")
_SPACED = re.compile(rf"(?<![^\W_]){_LETTER}(?:[ .\-_]{{1,2}}{_LETTER}){{2,40}}(?![^\W_])")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_MONTHS = [rf"{m[:3]}(?:{m[3:]})?" for m in ("january", "february", "march", "april", "may", "june", "july", "august")]
_MONTHS += [rf"{m[:3]}t?(?:{m[3:]})?" for m in ("september", "october", "november", "december")]
_PLACE_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_GENERIC = frozenset(LISTS["generic_places"])
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
    """What must not stay in a study's texts; ``found_in`` says where it stands.

    ``names`` and ``places`` hold folded words of at least three letters, ``short_names`` words of two in their case or
    in capitals,
    ``parts`` what is looked for inside longer words (of scripts without spaces), ``ids`` and ``dates`` expressions,
    ``days`` the same dates as days, ``phrases`` names of places made of known words (Pine Hollow Clinic) as a whole,
    ``particles`` folded words of two letters that stand in names.
    """

    names: frozenset[str] = frozenset()
    short_names: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    dates: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    days: frozenset[date] = frozenset()
    phrases: frozenset[str] = frozenset()
    particles: frozenset[str] = frozenset()

    def __or__(self, other: "DenyList") -> "DenyList":
        return DenyList(
            self.names | other.names,
            self.short_names | other.short_names,
            self.ids | other.ids,
            self.dates | other.dates,
            self.places | other.places,
            self.parts | other.parts,
            self.days | other.days,
            self.phrases | other.phrases,
            self.particles | other.particles,
        )

    def found_in(self, text: str) -> list[tuple[int, int, str]]:
        """Start, end and kind (NAME, LOCATION, ID, DATE) of what stands in a text; they may overlap."""
        found = [*self._words_in(text), *self._spaced_in(text)] if self._has_words else []
        found = [(*widened(text, a, b), kind) if kind == "NAME" else (a, b, kind) for a, b, kind in found]
        if any(mark in text for mark in self._id_marks):
            found += [(m.start(), m.end(), "ID") for m in self._id_pattern.finditer(text)]
        if any(year in text for year in self._years):
            found += [(m.start(), m.end(), "DATE") for m in self._date_pattern.finditer(text)]
        if self.phrases:
            found += [(m.start(), m.end(), "LOCATION") for m in self._phrase_pattern.finditer(text)]
        for part in self.parts:
            found += [(m.start(), m.end(), "NAME") for m in re.finditer(re.escape(part), text)]
        return found

    @cached_property
    def _has_words(self) -> bool:
        return bool(self.names or self.short_names or self.places)

    @cached_property
    def _id_marks(self) -> frozenset[str]:
        """Of each id its longest number, which stands in whatever text holds the id: others need no expressions."""
        return frozenset(max(_DIGITS.findall(_REPEATS.sub("", term)), key=len, default="") for term in self.ids)

    @cached_property
    def _years(self) -> frozenset[str]:
        """The last two digits of each date's year, which all ways to write it end or begin with."""
        return frozenset(f"{day.year % 100:02d}" for day in self.days)

    @cached_property
    def _id_pattern(self) -> re.Pattern[str]:
        return _any_of(self.ids)

    @cached_property
    def _date_pattern(self) -> re.Pattern[str]:
        return _any_of(self.dates)

    @cached_property
    def _phrase_pattern(self) -> re.Pattern[str]:
        return _any_of(self.phrases)

    @cached_property
    def _long_names(self) -> tuple[frozenset[str], tuple[int, ...]]:
        """Names that are looked for at either end of a longer word, and their lengths."""
        long = frozenset(name for name in self.names if len(name) >= _INSIDE and not is_known(name))
        return long, tuple(sorted(set(map(len, long)), reverse=True))

    def _words_in(self, text: str) -> Iterable[tuple[int, int, str]]:
        for match in _WORD.finditer(text):
            word = match.group()
            if len(word) < 3:
                if word in self.short_names:
                    yield match.start(), match.end(), "NAME"
                continue
            spellings = _spellings(word)
            if not self.names.isdisjoint(spellings):
                yield self._with_particles(text, match.start(), match.end())
            elif not self.places.isdisjoint(spellings):
                yield match.start(), match.end(), "LOCATION"
            elif len(word) > _INSIDE and word.isascii() and not is_known(word):
                yield from self._ends_of(match.start(), word.lower())

    def _with_particles(self, text: str, start: int, end: int) -> tuple[int, int, str]:
        """A name with the words of two letters beside it that the study's names hold too (Te, a known one)."""
        behind = _SHORT_BEHIND.match(text, end)
        if behind and _fold(behind[1]) in self.particles:
            end = behind.end()
        ahead = _SHORT_AHEAD.search(text[max(0, start - 4) : start])
        if ahead and _fold(ahead[1]) in self.particles:
            start -= len(ahead.group())
        return start, end, "NAME"

    def _ends_of(self, start: int, word: str) -> Iterable[tuple[int, int, str]]:
        names, lengths = self._long_names
        for length in lengths:
            if length < len(word) and word[:length] in names:
                yield start, start + length, "NAME"
            if length < len(word) and word[-length:] in names:
                yield start + len(word) - length, start + len(word), "NAME"

    def _spaced_in(self, text: str) -> Iterable[tuple[int, int, str]]:
        for match in _SPACED.finditer(text):
            joined = _fold("".join(c for c in match.group() if c.isalpha()))
            if joined in self.names or any(len(name) >= 4 and name in joined for name in self.names):
                yield match.start(), match.end(), "NAME"


def deny_list(
    *, names: Iterable[str] = (), places: Iterable[str] = (), ids: Iterable[str] = (), dates: Iterable[str] = ()
) -> DenyList:
    """A deny list of person names (any PN form), places (generic words pass), ids and dates (DA)."""
    names, places = list(names), list(places)
    long: set[str] = set()
    short: set[str] = set()
    parts: set[str] = set()
    for name in names:
        _add_name(name, long, short, parts)
    words = {
        spelling
        for place in places
        for word in _WORD.findall(place)
        if len(word) >= 3 and not is_known(word)
        for spelling in _spellings(word)
    }
    dates = list(dates)
    return DenyList(
        names=frozenset(long),
        short_names=frozenset(short),
        ids=frozenset(term for value in ids for term in _id_terms(value)),
        dates=frozenset(term for value in dates for term in _date_terms(value)),
        places=frozenset(words - long),
        parts=frozenset(parts),
        days=frozenset(day for day in map(day_of, dates) if day),
        particles=frozenset(_fold(w) for name in names for w in name_words(name) if len(w) == 2),
        phrases=frozenset(phrase for place in places for phrase in _place_phrases(place)),
    )


def _place_phrases(place: str) -> Iterable[str]:
    """The words of a place's name that are known but not generic, as they follow one another (Pine Hollow), or the
    whole name where one of its words alone is (Juniper Breast Center)."""
    for part in re.split(r"[,;|()/]+", place):
        words = _PLACE_WORD.findall(part)
        own = [i for i, word in enumerate(words) if word.lower() not in _GENERIC]
        several = words[own[0] : own[-1] + 1] if len(own) > 1 else words
        if own and len(several) > 1 and all(map(is_known, several)):
            yield r"[\s-]+".join(map(re.escape, several))


def is_placeholder(text: str) -> bool:
    """Whether a text stands for a value that is not there (ANONYMOUS, NONE …)."""
    return text.lower() in _PLACEHOLDERS


def name_words(name: str) -> list[str]:
    """The parts of a person name (PS3.5 section 6.2.1) of at least two letters, placeholders left out."""
    parts = re.split(r"[\^=,\s.'’_/()\[\]-]+", name)
    return [p for p in parts if len(p) >= 2 and not p.isdecimal() and p.lower() not in _PLACEHOLDERS]


def _add_name(name: str, long: set[str], short: set[str], parts: set[str]) -> None:
    for group in name.split("="):
        words = name_words(group)
        parts.update(word for word in words if _UNSPACED.search(word))
        for word in words:
            if len(word) >= 3:
                long.update(_spellings(word))
                long.update(spelling + "s" for spelling in _spellings(word) if len(spelling) >= 4)
            elif not is_known(word) and not _UNSPACED.search(word):
                short.update((word, word.capitalize(), word.upper()) if word[0].isupper() else (word,))
        whole = ["".join(name_words(component)) for component in group.split("^")]  # van den Heuvel^Mei-Ling
        for several in (words[:5], [part for part in whole if part][:3]):
            for first, second in permutations(several, 2):
                for one in _spellings(first):
                    long.update(one + other for other in _spellings(second))
        for word in words if len(words) > 1 else ():
            initials = {_fold(other)[:1] for other in words if other != word}
            long.update(
                initial + spelling for spelling in _spellings(word) if len(spelling) >= 4 for initial in initials
            )


@lru_cache(maxsize=1 << 16)
def _spellings(word: str) -> frozenset[str]:
    """The ways in which a word is written without accents, in small letters: Müller is muller and mueller."""
    if word.isascii():
        small = word.lower()
        return frozenset((small, _TWO_LETTERS.sub(r"\1", small) if len(small) >= 5 else small))
    return frozenset((_fold(word), _fold(word.translate(_UMLAUTS))))


def _fold(word: str) -> str:
    return without_accents(word.casefold().translate(_STROKES))


def _any_of(terms: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(sorted(terms, key=_longest_first))})(?![^\W_])", re.I)


def _longest_first(term: str) -> tuple[int, str]:
    return -len(term), term


def _id_terms(value: str) -> set[str]:
    """An id with any separator between its letters and numbers, without leading zeros, and its long number alone."""
    parts = re.findall(r"[^\W\d_]+|\d+", value)
    joined = "".join(parts)
    if len(joined) < 3 or joined.lower() in _PLACEHOLDERS or (joined.isalpha() and is_known(joined)):
        return set()
    if joined.isdecimal() and len(joined.lstrip("0")) < 3:
        return {re.escape(value.strip())}
    terms = {r"[-_. /:#]{0,2}".join(map(_number_or_word, parts))}
    terms.update(
        _number_or_word(part)
        for part in parts
        if part.isdecimal()
        and len(part.lstrip("0")) >= 5
        and not (re.fullmatch(r"(?:18|19|20)\d{6}", part) and day_of(part))
    )
    return terms


def _number_or_word(part: str) -> str:
    bare = part.lstrip("0")
    return rf"0*{bare}" if part.isdecimal() and bare else re.escape(part)


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

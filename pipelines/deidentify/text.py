"""Free text: what identifies is found by presidio-analyzer with recognizers of our own, and replaced by its kind.

The engine runs without a language model: presidio's no-op engine is passed to it explicitly, so nothing is downloaded.
A local spaCy model may join it (``ner``). What the study's headers name is found by the deny list itself (``deny``).
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.patterns import AGES, COMPILED, PLACE_NOUNS
from pipelines.deidentify.text_dates import TextDate, dates_in
from pipelines.deidentify.text_names import eponym_terms, names_in
from pipelines.deidentify.text_numbers import numbers_in
from pipelines.deidentify.text_words import is_strange, says_nothing
from pipelines.deidentify.vocabulary import code_meanings, english_words, is_known, is_procedure

Span = tuple[int, int, str]

_NOTHING = DenyList()
_ORDER = ("EMAIL", "DATE", "ID", "PHONE", "LOCATION", "NAME")
_STRIPPED = " \t\r\n-_,;:/|.()[]{}*#&+=\\'\"<>"
_PIECE = 4000
_LAST = 4
_CUT = re.compile(r"\n|(?<=[.;])[ \t]|[ \t]")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_LETTER_BY_LETTER = re.compile(r"(?:[^\W\d_] ){4}")
_ADDRESS = re.compile(r"@|://|www\.", re.IGNORECASE)
_TWO_DIGITS = re.compile(r"\d[^\w\s]{0,2}\w")
_DIGIT = re.compile(r"\d")
_JOINED = re.compile(r"[ \t,.^-]*(?:(?i:st|saint|ni|nic|mac|de|la|del|van|von|der|den|bin|al|el|o)\b[ \t.'’-]*){0,2}")
_MONTH_AND_DAY = re.compile(r"(?<![\w./-])(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])(?![\w./-])")
_SAINTS = frozenset(("St", "Saint", "Sankt", "San", "Santa"))
_ARTICLE = re.compile(r"(?<![^\W_])([Aa]) $")
_BLANKS = re.compile(r"\s+")
_PLACE_WORD = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"<[A-Z]+>|[^\W_]+(?:['’][^\W_]+)*")


def clean_text(
    text: str,
    deny: DenyList = _NOTHING,
    *,
    unknown_names: bool = False,
    kinds: Sequence[str] = _ORDER,
    days: int | None = None,
    oldest: int | None = None,
    model: str = "",
) -> tuple[str, int]:
    """Replace what identifies by ``<NAME>``, ``<DATE>``, ``<ID>``, ``<PHONE>``, ``<EMAIL>`` or ``<LOCATION>``.

    ``deny`` is what the study's headers name. With ``unknown_names`` a capitalized word outside the vocabulary counts
    as a name; ``kinds`` limits what is looked for. With ``days`` a date that is clear, and no birth date, is not
    replaced but moved so many days into the past in its own notation (0: it stays). Ages above ``oldest`` become "over
    89". ``model`` is the folder of a local spaCy model whose persons and places count too. Returns the cleaned text and
    the number of pieces replaced or moved.
    """
    if not text or text.isspace():
        return text, 0
    spans = deny.found_in(text)
    for start, piece in _pieces(text):
        wanted = kinds if model else _possible(piece, kinds)
        if wanted:
            spans += [(start + a, start + b, kind) for a, b, kind in _detected(piece, wanted, unknown_names, model)]
    ages = _ages(text, oldest) if oldest is not None else {}
    spans += ages
    if not spans:
        return text, 0
    written = {f"{start}:{end}": said for (start, end, _), said in ages.items()}
    return _replaced(text, spans, {**_moves(text, spans, deny, days), **written, "AGE": f"over {oldest}"})


def remove_denied(text: str, deny: DenyList) -> tuple[str, int]:
    """Replace only what the study's headers name; returns the text and the number of pieces replaced."""
    spans = deny.found_in(text)
    return _replaced(text, spans, {}) if spans else (text, 0)


def keep_known_words(text: str, deny: DenyList = _NOTHING) -> tuple[str, int]:
    """Keep the words of a description that are in the vocabulary and identify nobody; the rest is left out.

    A field for which the object's codes say nothing keeps what this leaves: known words name nobody, and a study
    without any description is of less use. A word that is a part of the patient's name, too,
    goes, be it in a code's meaning.
    Returns the text, without brackets and separators that lost their words, and the number of words left out.
    """
    if " ".join(text.lower().split()) in code_meanings():
        return text, 0
    numbers = list(_unexplained(text))
    if "/" in text:
        numbers += [(*match.span(), "DATE") for match in _MONTH_AND_DAY.finditer(text)]
    cleaned, count = clean_text(_replaced(text, numbers, {})[0] if numbers else text, deny)
    count += len(numbers)
    kept: list[str] = []
    end = 0
    terms: frozenset[int] | None = None
    for match in _WORD.finditer(cleaned):
        between, end, token = cleaned[end : match.start()], match.end(), match.group()
        if token.startswith("<"):
            kept.append(" ")
        elif is_known(token) or is_procedure(token):
            kept += [between, token]
        else:
            terms = eponym_terms(cleaned) if terms is None else terms
            kept += [between, token] if match.start() in terms else [" "]
            count += match.start() not in terms
    if not count:
        return text, 0
    return _BLANKS.sub(" ", "".join([*kept, cleaned[end:]])).strip(_STRIPPED), count


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """A long text in pieces cut at blanks, so that time grows with length alone."""
    start = 0
    while len(text) - start > _PIECE:
        cuts = [m.end() for m in _CUT.finditer(text, start + _PIECE // 2, start + _PIECE)]
        lines = [cut for cut in cuts if text[cut - 1] == "\n"]
        end = lines[-1] if lines else cuts[-1] if cuts else start + _PIECE
        yield start, text[start:end]
        start = end
    yield start, text[start:]


def _possible(text: str, kinds: Sequence[str]) -> Sequence[str]:
    """The kinds that can be in a text at all: without digits no numbers, among words that say nothing no names."""
    plain = all(map(says_nothing, _LETTERS.findall(text))) and "^" not in text and not _LETTER_BY_LETTER.search(text)
    digits = _DIGIT.search(text) is not None
    without = {"NAME"} if plain else set()
    without |= set() if _ADDRESS.search(text) else {"EMAIL"}
    without |= set() if digits else {"DATE", "ID", "PHONE"} | ({"LOCATION"} if plain else set())
    return [kind for kind in kinds if kind not in without] if without else kinds


def _detected(text: str, kinds: Sequence[str], unknown_names: bool, model: str) -> list[Span]:
    """What presidio's analyzer reports; it is not asked, nor imported, where none of its recognizers finds anything."""
    finders = _finders(unknown_names)
    if not model and not any(found for kind in kinds for found in finders[kind](text)):
        return []
    analyzer, nothing = _analyzer(unknown_names, model)
    return [(r.start, r.end, r.entity_type) for r in analyzer.analyze(text, "en", list(kinds), nlp_artifacts=nothing)]


def _ages(text: str, oldest: int) -> dict[Span, str]:
    """Ages above the oldest, and what stands in their place; an article before one changes with it."""
    ages = {}
    for match in (m for pattern in AGES for m in pattern.finditer(text)):
        if not match["x"].isdecimal() or oldest < int(match["x"]) < 130:
            article = _ARTICLE.search(text, max(0, match.start("x") - 3), match.start("x"))
            start = article.start() if article else match.start("x")
            ages[(start, match.end("x"), "AGE")] = f"{article[1]}n over {oldest}" if article else f"over {oldest}"
    return ages


def _moves(text: str, spans: Iterable[Span], deny: DenyList, days: int | None) -> dict[str, str]:
    """What stands in place of a date that moves, or of a bare year, by ``start:end``.

    A year that is not of birth identifies nobody (45 CFR 164.514(b)(2)(i)(C)): where dates do not move, it stays.
    """
    if not any(kind == "DATE" for _, _, kind in spans):
        return {}
    birth = [span[:2] for span in deny.found_in(text) if span[2] == "DATE"]
    moves = {}
    for found in _dates_of(text):
        own = found.day in deny.days or any(start < found.end and found.start < end for start, end in birth)
        if days is None:
            new = text[found.start : found.end] if found.is_year and not own else None
        else:
            new = None if own else found.moved(text, days)
        if new is not None:
            moves[f"{found.start}:{found.end}"] = new
    return moves


def _replaced(text: str, spans: list[Span], written: dict[str, str]) -> tuple[str, int]:
    """Overlapping spans become one, named after the longest; so do names that nothing but a separator parts."""
    merged: list[Span] = []
    longest = 0
    for start, end, kind in sorted(spans, key=lambda s: (s[0], -s[1], (*_ORDER, "AGE").index(s[2]))):
        if merged and start < merged[-1][1]:
            first, last, known = merged[-1]
            merged[-1] = (first, max(last, end), kind if end - start > longest else known)
            longest = max(longest, end - start)
            continue
        longest = end - start
        if merged and kind == merged[-1][2] == "NAME" and _JOINED.fullmatch(text, merged[-1][1], start):
            merged[-1] = (merged[-1][0], end, kind)
        else:
            merged.append((start, end, kind))
    pieces, last, count = [], 0, 0
    for start, end, kind in merged:
        said = written.get(f"{start}:{end}") if kind in ("DATE", "AGE") else None
        new = said or (written["AGE"] if kind == "AGE" else f"<{kind}>")
        count += new != text[start:end]
        pieces += [text[last:start], new]
        last = end
    return "".join([*pieces, text[last:]]), count


@contextmanager
def _without_torch() -> Iterator[None]:
    """Let presidio be imported without torch, which spaCy would load for models that nothing here uses.

    A worker then starts in half the time and holds 180 MB less. Torch that is loaded already stays, and can be later.
    """
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["torch"]


@cache
def _finders(unknown_names: bool) -> dict[str, Callable[[str], Iterable[tuple[int, int]]]]:
    """What our recognizers find in a text, by kind: start and end. They are asked twice of a text that holds something,
    by us and by presidio, and find it once."""
    finders: dict[str, Callable[[str], Iterable[tuple[int, int]]]] = {
        "DATE": _dates,
        "LOCATION": _locations,
        "NAME": lambda text: names_in(text, unknown=unknown_names),
        "EMAIL": _matches("EMAIL"),
        **{kind: _numbers(kind) if unknown_names else _matches(kind) for kind in ("ID", "PHONE")},
    }
    return {kind: _remembered(find) for kind, find in finders.items()}


def _remembered(find: Callable[[str], Iterable[tuple[int, int]]]) -> Callable[[str], Iterable[tuple[int, int]]]:
    @lru_cache(maxsize=_LAST)
    def found(text: str) -> tuple[tuple[int, int], ...]:
        return tuple(find(text))

    return found


@lru_cache(maxsize=_LAST)
def _dates_of(text: str) -> tuple[TextDate, ...]:
    return tuple(dates_in(text))


@cache
def _analyzer(unknown_names: bool = True, model: str = "") -> tuple[Any, Any]:
    """The analyzer and the empty artifacts that its engine gives for any text, made once per process."""
    import logging

    with _without_torch():
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NoOpNlpEngine

    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL + 1)  # its lines may hold what was analyzed
    engine = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
    engine.load()
    own, enhancer = _presidio_classes()
    recognizers = [own(_finders(unknown_names))]
    if model:
        from pipelines.deidentify.ner import entities_by_kind, load_model

        recognizers.append(own(entities_by_kind(load_model(model))))
    registry = RecognizerRegistry(recognizers=recognizers, supported_languages=["en"])
    analyzer = AnalyzerEngine(
        registry=registry, nlp_engine=engine, supported_languages=["en"], context_aware_enhancer=enhancer()
    )
    return analyzer, engine.process_text("", "en")


def _matches(kind: str) -> Callable[[str], Iterable[tuple[int, int]]]:
    patterns, marks = COMPILED[kind], _ADDRESS if kind == "EMAIL" else _TWO_DIGITS

    def find(text: str) -> Iterable[tuple[int, int]]:
        return [m.span("x") for p in patterns for m in p.finditer(text)] if marks.search(text) else ()

    return find


def _numbers(kind: str) -> Callable[[str], Iterable[tuple[int, int]]]:
    """Numbers that look like one kind, and those that nothing explains."""
    by_pattern = _matches(kind)

    def find(text: str) -> Iterable[tuple[int, int]]:
        found = [span for span in by_pattern(text) if not is_procedure(text[slice(*span)])]
        return [*found, *((start, end) for start, end, its in _unexplained(text) if its == kind)]

    return find


@lru_cache(maxsize=_LAST)
def _unexplained(text: str) -> tuple[Span, ...]:
    """Numbers that nothing explains, but for dates."""
    found = numbers_in(text)
    days = _dates(text) if found else []
    return tuple((a, b, kind) for a, b, kind in found if not any(a < end and start < b for start, end in days))


def _dates(text: str) -> list[tuple[int, int]]:
    return [(each.start, each.end) for each in _dates_of(text)]


def _locations(text: str) -> Iterator[tuple[int, int]]:
    """Addresses; institutions, and towns behind a postal code but no street, where one of their words is strange."""
    if _DIGIT.search(text):
        for pattern in COMPILED["LOCATION"]:
            yield from (match.span("x") for match in pattern.finditer(text))
        for match in (m for p in COMPILED["TOWN"] for m in p.finditer(text)):
            if is_strange(match["w"]) or text[max(0, match.start() - 2) : match.start()] == ", ":
                yield match.span("x")
    if not PLACE_NOUNS.search(text):
        return
    for match in (m for p in COMPILED["PLACE"] for m in p.finditer(text)):
        words = [w for name in ("w", "w2") if name in match.re.groupindex for w in _words_of(match, name)]
        strange = [start for start, word in words if _is_of_a_place(word)]
        if strange:
            begins = match.start("w") == match.start("x")
            yield (strange[0] if begins and strange[0] < match.end("w") else match.start("x")), match.end("x")


def _is_of_a_place(word: str) -> bool:
    """Whether a word tells one institution from another: a strange or a plain English one, or a saint."""
    return word in _SAINTS or is_strange(word) or word.lower() in english_words()


def _words_of(match: re.Match[str], name: str) -> list[tuple[int, str]]:
    return [(match.start(name) + w.start(), w.group()) for w in _PLACE_WORD.finditer(match[name] or "")]


@cache
def _presidio_classes() -> tuple[Any, Any]:
    """A recognizer that reports what functions find, and an enhancer by context that leaves scores alone."""
    from presidio_analyzer import LocalRecognizer, RecognizerResult
    from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer

    class Recognizer(LocalRecognizer):
        """Reports what functions find, by kind, with full confidence: a missing checksum or cue drops nothing."""

        def __init__(self, finders: dict[str, Callable[[str], Iterable[tuple[int, int]]]]) -> None:
            self._finders = finders
            super().__init__(supported_entities=list(finders), supported_language="en")

        def load(self) -> None:
            """Nothing is loaded."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[Any]:
            """All that is found of the kinds that are asked for."""
            return [
                RecognizerResult(kind, start, end, 1.0)
                for kind, find in self._finders.items()
                if kind in entities
                for start, end in find(text)
            ]

    class Unenhanced(ContextAwareEnhancer):
        """There is no context to score by: cues are in the expressions."""

        def __init__(self) -> None:
            super().__init__(0.0, 0.0, 0, 0)

        def enhance_using_context(self, text: str, raw_results: list[Any], *_: Any, **__: Any) -> list[Any]:
            """The results as they are."""
            return raw_results

    return Recognizer, Unenhanced

"""Free text: what identifies is found by presidio-analyzer with recognizers of our own, and replaced by its kind.

The engine runs without a language model: presidio's no-op engine is passed to it explicitly, so nothing is downloaded.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.patterns import COMPILED
from pipelines.deidentify.vocabulary import is_known

_NOTHING = DenyList()
_ORDER = ("EMAIL", "DATE", "ID", "PHONE", "LOCATION", "NAME")
_CAPITALIZED = re.compile(r"(?<![\w<])[^\W\d_a-z][\w]*(?:['’][\w]+)?(?![\w>])")
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_STRIPPED = " \t\r\n-_,;:/|.()[]{}*#&+=\\'\"<>"


def clean_text(
    text: str, deny: DenyList = _NOTHING, *, unknown_names: bool = False, kinds: Sequence[str] = _ORDER
) -> tuple[str, int]:
    """Replace what identifies by ``<NAME>``, ``<DATE>``, ``<ID>``, ``<PHONE>``, ``<EMAIL>`` or ``<LOCATION>``.

    ``deny`` is what the study's headers name. With ``unknown_names`` a capitalized word outside the vocabulary counts
    as a name; ``kinds`` limits what is looked for. Returns the cleaned text and the number of pieces replaced.
    """
    if not text or text.isspace():
        return text, 0
    analyzer, nothing = _analyzer()
    results = analyzer.analyze(
        text, "en", nlp_artifacts=nothing, ad_hoc_recognizers=_deny_recognizers(deny), entities=list(kinds)
    )
    spans = [(r.start, r.end, r.entity_type) for r in results]
    if unknown_names:
        spans += [(m.start(), m.end(), "NAME") for m in _CAPITALIZED.finditer(text) if _is_strange(m.group())]
    return _replaced(text, spans)


def remove_denied(text: str, deny: DenyList) -> tuple[str, int]:
    """Replace only what the study's headers name; returns the text and the number of pieces replaced."""
    spans = [(m.start("x"), m.end("x"), kind) for kind, pattern in deny.patterns for m in pattern.finditer(text)]
    return _replaced(text, spans) if spans else (text, 0)


def keep_known_words(text: str, deny: DenyList = _NOTHING) -> tuple[str, int]:
    """Keep the words of a description that are in the vocabulary and identify nobody; the rest is left out.

    Returns the text, without brackets and separators that lost their words, and the number of words left out.
    """
    cleaned, count = clean_text(text, deny)
    kept: list[str] = []
    end = 0
    for match in re.finditer(r"<[A-Z]+>|[^\W_]+(?:['’][^\W_]+)*", cleaned):
        between, end, token = cleaned[end : match.start()], match.end(), match.group()
        if token.startswith("<"):
            kept.append(" ")
        elif is_known(token):
            kept += [between, token]
        else:
            kept.append(" ")
            count += 1
    if not count:
        return text, 0
    return re.sub(r"\s+", " ", "".join([*kept, cleaned[end:]])).strip(_STRIPPED), count


def _is_strange(word: str) -> bool:
    return len(word) > 1 and not all(is_known(part) for part in _TOKEN.findall(word))


def _replaced(text: str, spans: list[tuple[int, int, str]]) -> tuple[str, int]:
    """Overlapping spans become one, named after the longest; so do names that nothing but a separator parts."""
    merged: list[tuple[int, int, str]] = []
    longest = 0
    for start, end, kind in sorted(spans, key=lambda s: (s[0], -s[1], _ORDER.index(s[2]))):
        if merged and start < merged[-1][1]:
            first, last, known = merged[-1]
            merged[-1] = (first, max(last, end), kind if end - start > longest else known)
            longest = max(longest, end - start)
            continue
        longest = end - start
        if merged and kind == merged[-1][2] and not text[merged[-1][1] : start].strip(" \t,.^-"):
            merged[-1] = (merged[-1][0], end, kind)
        else:
            merged.append((start, end, kind))
    pieces, last = [], 0
    for start, end, kind in merged:
        pieces += [text[last:start], f"<{kind}>"]
        last = end
    return "".join([*pieces, text[last:]]), len(merged)


@cache
def _analyzer() -> tuple[Any, Any]:
    """The analyzer and the empty artifacts that its engine gives for any text, made once per process."""
    import logging

    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL + 1)  # its lines may hold what was analyzed
    engine = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
    engine.load()
    registry = RecognizerRegistry(
        recognizers=[_recognizer(kind, COMPILED[kind]) for kind in _ORDER], supported_languages=["en"]
    )
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    return analyzer, engine.process_text("", "en")


def _deny_recognizers(deny: DenyList) -> list[Any]:
    key = id(deny)
    held = _DENY_RECOGNIZERS.get(key)
    if held is None or held[0] is not deny:
        _DENY_RECOGNIZERS.clear()
        held = (deny, [_recognizer(kind, (pattern,)) for kind, pattern in deny.patterns])
        _DENY_RECOGNIZERS[key] = held
    return held[1]


_DENY_RECOGNIZERS: dict[int, tuple[DenyList, list[Any]]] = {}


def _recognizer(kind: str, patterns: tuple[re.Pattern[str], ...]) -> Any:
    return _recognizer_class()(kind, patterns)


@cache
def _recognizer_class() -> Any:
    from presidio_analyzer import LocalRecognizer, RecognizerResult

    class GroupRecognizer(LocalRecognizer):
        """Reports the group ``x`` of its expressions' matches, so that the cue around it stays."""

        def __init__(self, kind: str, patterns: tuple[re.Pattern[str], ...]) -> None:
            self.patterns = patterns
            super().__init__(supported_entities=[kind], name=f"{kind.title()}Recognizer", supported_language="en")

        def load(self) -> None:
            """Nothing is loaded."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[Any]:
            """All matches, each with full confidence."""
            kind = self.supported_entities[0]
            found = []
            for pattern in self.patterns:
                for match in pattern.finditer(text):
                    found.append(RecognizerResult(kind, match.start("x"), match.end("x"), 1.0))
            return found

    return GroupRecognizer

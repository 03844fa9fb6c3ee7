"""Density from report text: sentence rules for the BI-RADS 4th and 5th editions, kept as data in report_rules.toml.

A report is cut into sections (history and comparison do not count), those into sentences. In a sentence look-alikes
and mandated notices are masked; each density found keeps its place unless a negation or another time takes it back,
and gets the side that its clause names. A sentence that says two densities of one side (a range, a legend) says none.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipelines.label.statement import Statement
from pipelines.label.table import GRADES

RULES = Path(__file__).with_name("report_rules.toml")
"""English."""

NEAR = 160
"""Characters before a density in which a negation or another time may stand."""

LEGEND = 3
"""A sentence that names as many different densities explains the scale."""

_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)|\n\s*\n|\n\s*[-*•]\s*|\s\|\s")


@dataclass(frozen=True)
class Wording:
    """A pattern that names a density: a fixed one, or (None) the one in the pattern's group ``grade``."""

    pattern: re.Pattern[str]
    density: str | None
    needs_context: bool


@dataclass(frozen=True)
class Rules:
    """Compiled rules of one language."""

    heading: re.Pattern[str]
    kinds: dict[str, str]
    wordings: tuple[Wording, ...]
    context: re.Pattern[str]
    lookalikes: re.Pattern[str]
    notices: re.Pattern[str]
    denied_before: re.Pattern[str]
    denied_after: re.Pattern[str]
    sides: re.Pattern[str]
    side_follows: re.Pattern[str]
    separators: re.Pattern[str]


@dataclass(frozen=True)
class _Mention:
    start: int
    end: int
    density: str


@cache
def load_rules(path: Path = RULES) -> Rules:
    """Read and compile the rules. Raises KeyError or re.error where the file is not sound."""
    data = tomllib.loads(path.read_text())
    sides, sections = data["sides"], data["sections"]
    kinds = {name: kind for kind in ("ignored", "counted", "left", "right") for name in sections[kind]}
    names = "|".join(re.escape(n).replace(r"\ ", r"\s+") for n in sorted(kinds, key=len, reverse=True))
    # A heading begins a line or a sentence and ends in a colon or at the line's end; unknown ones are in capitals.
    known = rf"(?P<known>(?i:{names}))[ \t]*(?::|(?=\n|\Z))"
    heading = rf"(?:^|(?<=\n)|(?<=[.;!?])|(?<=[.;!?]\s))[ \t]*(?:{known}|[A-Z][A-Z /&-]{{3,48}}:)"
    either = f"(?P<both>{sides['both']})|(?P<left>{sides['left']})|(?P<right>{sides['right']})"
    wordings = [
        *((w["pattern"], w["density"], w) for w in data["wording"]),
        *((_filled(w["pattern"], data), None, w) for w in data["code"]),
    ]
    return Rules(
        heading=re.compile(heading),
        kinds=kinds,
        wordings=tuple(Wording(re.compile(p), d, w.get("needs_context", False)) for p, d, w in wordings),
        context=re.compile(data["context"]),
        lookalikes=_any_of(data["masks"]["lookalikes"]),
        notices=_any_of(data["masks"]["notices"]),
        denied_before=_any_of(data["context_before"]["denied"]),
        denied_after=_any_of(data["context_after"]["denied"]),
        sides=re.compile(either),
        side_follows=re.compile(f"{sides['follows']}(?:{either})"),
        separators=re.compile(sides["separators"]),
    )


def read_report(text: str, rules: Rules | None = None) -> tuple[Statement, ...]:
    """Every statement of density in a report, in order, each once; none where the report does not say."""
    rules = rules or load_rules()
    statements: dict[Statement, None] = {}
    for side, passage in _passages(text.translate(_PLAIN), rules):
        for sentence in _SENTENCE_END.split(passage):
            plain = " ".join(sentence.lower().split())
            statements |= dict.fromkeys(_read_sentence(plain, side, rules))
    return tuple(statements)


def _passages(text: str, rules: Rules) -> Iterator[tuple[str | None, str]]:
    """The passages that count, with the side that their heading names; a heading stays with its text."""
    marks = list(rules.heading.finditer(text))
    starts = [0, *(m.start() for m in marks)]
    ends = [*(m.start() for m in marks), len(text)]
    for mark, start, end in zip([None, *marks], starts, ends, strict=True):
        name = " ".join((mark["known"] or "").lower().split()) if mark else ""
        kind = rules.kinds.get(name, "counted")
        if kind == "ignored" and mark:
            # A blank line after the section's text ends it: what follows has no heading of its own.
            body = text[mark.end() : end]
            gap = re.search(r"\S[^\n]*\n[ \t]*\n", body)
            if gap:
                yield None, body[gap.end() :]
        else:
            yield {"left": "L", "right": "R"}.get(kind), text[start:end]


def _read_sentence(sentence: str, heading_side: str | None, rules: Rules) -> Iterator[Statement]:
    if rules.notices.search(sentence):
        return
    masked = rules.lookalikes.sub(lambda m: " " * len(m[0]), sentence)
    mentions = _mentions(masked, rules)
    if not mentions or len({m.density for m in mentions}) >= LEGEND:
        return
    said: dict[str | None, set[str]] = defaultdict(set)
    for mention, side in zip(mentions, _sides(masked, mentions, heading_side, rules), strict=True):
        before = masked[max(0, mention.start - NEAR) : mention.start]
        denied = rules.denied_before.search(before) or rules.denied_after.match(masked[mention.end :])
        if not denied:
            said[side].add(mention.density)
    for side, densities in said.items():
        if len(densities) == 1:
            yield Statement(side, densities.pop())


def _mentions(sentence: str, rules: Rules) -> list[_Mention]:
    """Where densities are named, left to right; of overlapping ones the longest counts."""
    has_context = rules.context.search(sentence) is not None
    found = [
        _Mention(m.start(), m.end(), wording.density or GRADES[m["grade"]])
        for wording in rules.wordings
        if has_context or not wording.needs_context
        for m in wording.pattern.finditer(sentence)
    ]
    kept: list[_Mention] = []
    for mention in sorted(found, key=lambda m: (m.start - m.end, m.start)):
        if all(mention.end <= k.start or k.end <= mention.start for k in kept):
            kept.append(mention)
    return sorted(kept, key=lambda m: m.start)


def _sides(sentence: str, mentions: list[_Mention], heading_side: str | None, rules: Rules) -> list[str | None]:
    """The side that each mention speaks of: named before it in its clause, right after it, or last in the sentence."""
    bounds = [0]
    for mention, following in pairwise(mentions):
        cuts = [c.end() for c in rules.separators.finditer(sentence, mention.end, following.start)]
        bounds.append(cuts[-1] if cuts else mention.end)
    sides = []
    last: re.Match[str] | None = None
    for start, mention in zip(bounds, mentions, strict=True):
        before = [*rules.sides.finditer(sentence, start, mention.start)]
        after = rules.side_follows.match(sentence, mention.end)
        named = before[-1] if before else after or last
        sides.append(_side(named) if named else heading_side)
        last = named
    return sides


def _side(match: re.Match[str]) -> str | None:
    if match["both"]:
        return None
    return "L" if match["left"] else "R"


def _filled(pattern: str, data: dict[str, Any]) -> str:
    for name in ("grade", "letter", "number", "end"):
        pattern = pattern.replace("{" + name + "}", data[name])
    return pattern


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p})" for p in patterns))

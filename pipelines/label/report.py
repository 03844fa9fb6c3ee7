"""Density from report text: sentence rules for the BI-RADS 4th and 5th editions, kept as data in report_rules.toml.

Of the options of a form only the ticked ones are read. A report is cut into sections (history and comparison do not
count), those into sentences. In a sentence look-alikes and mandated notices are masked; each density found keeps its
place unless a negation or another time takes it back, and gets the side that its clause names. A sentence that says two
densities of one side (a range, a legend) says none.
"""

import re
import tomllib
import unicodedata
from bisect import bisect_left
from collections import defaultdict, deque
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

_PLAIN = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2010": "-",
        "\u2011": "-",
        "\u2013": "-",
        "\u2014": "-",
    }
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff")
)
_BROKEN_WORD = re.compile(r"(?<=[a-z])-[ \t]*\r?\n[ \t]*(?=[a-z])")
_LINE = re.compile(r"[^\n]+")
_PARENTHESIS = re.compile(r"\([^()]*\)")
_SENTENCE_END = re.compile(
    r"(?<=[.!?])\s+(?=\S)|\n\s*\n|\n\s*[-*•]\s*|\s\|\s"
    # a line that ends in a code, or that begins with a number or a name and a colon
    r"|(?<=[\s:(][A-Da-d1-4])[ \t]*\n"
    r"|\n(?=[ \t#]*(?:\d{1,2}[.)]\s|[^\W\d][\w /()&-]{0,40}:))"
)


@dataclass(frozen=True)
class Wording:
    """A pattern that names a density: a fixed one, or (None) the one in the pattern's group ``grade``."""

    rule: str
    pattern: re.Pattern[str]
    density: str | None
    needs_context: bool
    weak: bool


@dataclass(frozen=True)
class Rules:
    """Compiled rules of one language."""

    heading: re.Pattern[str]
    box: re.Pattern[str]
    side_cell: re.Pattern[str]
    options: re.Pattern[str]
    abbreviations: re.Pattern[str]
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
    """A density named from ``start`` to ``end``; the class itself stands ``at`` (behind words such as density:)."""

    start: int
    at: int
    end: int
    density: str
    wording: Wording


@cache
def load_rules(path: Path = RULES) -> Rules:
    """Read and compile the rules. Raises KeyError or re.error where the file is not sound."""
    data = tomllib.loads(path.read_text())
    sides, sections = data["sides"], data["sections"]
    kinds = {name: kind for kind in ("ignored", "counted", "left", "right") for name in sections[kind]}
    names = "|".join(re.escape(n).replace(r"\ ", r"\s+") for n in sorted(kinds, key=len, reverse=True))
    # A heading begins a line or a sentence and ends in a colon or at the line's end; unknown ones are in capitals.
    known = rf"(?P<known>(?i:{names}))[ \t]*(?:(?=\([^()\n]{{0,120}}\)[ \t]*:)|:|(?=\n|\Z))"
    heading = rf"(?:^|(?<=\n)|(?<=[.;!?])|(?<=[.;!?]\s))[ \t]*(?:{known}|[A-Z][A-Z /&-]{{3,48}}:)"
    title = rf"(?:^|(?<=\n))(?=[^\na-z]{{4,60}}(?:\n|\Z))[^\n]*?\b(?:{sections['titles']})\b[^\n]*"
    either = f"(?P<both>{sides['both']})|(?P<left>{sides['left']})|(?P<right>{sides['right']})"
    wordings = [
        Wording(
            rule=f"{data['language']}_{w['id']}",
            pattern=re.compile(_filled(w["pattern"], data)),
            density=w.get("density"),
            needs_context=w.get("needs_context", False),
            weak=w.get("weak", False),
        )
        for w in (*data["wording"], *data["code"])
    ]
    return Rules(
        heading=re.compile(f"{heading}|{title}"),
        box=re.compile(f"(?P<ticked>{data['boxes']['ticked']})|{data['boxes']['empty']}"),
        side_cell=re.compile(rf"(?i)(?<!\S)((?:{sides['left']}|{sides['right']})(?: breast)?)[ \t]*\|[ \t]*"),
        options=_any_of(data["masks"]["options"]),
        abbreviations=re.compile(rf"(?i)\b({data['abbreviations']})\.(?=\s)"),
        kinds=kinds,
        wordings=tuple(wordings),
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
    plain_text = _BROKEN_WORD.sub("", unicodedata.normalize("NFKC", text).translate(_PLAIN))
    read_text = rules.side_cell.sub(r"\n\1: ", _LINE.sub(lambda line: _ticked(line[0], rules), plain_text))
    for side, passage in _passages(rules.abbreviations.sub(r"\1", read_text), rules):
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
            gap = re.compile(r"\n[ \t\r]*\n").search(body, len(body) - len(body.lstrip()))
            if gap:
                yield None, body[gap.end() :]
        else:
            yield {"left": "L", "right": "R"}.get(kind), text[start:end]


def _read_sentence(sentence: str, heading_side: str | None, rules: Rules) -> Iterator[Statement]:
    if rules.notices.search(sentence):
        return
    masked = rules.lookalikes.sub(lambda m: " " * len(m[0]), rules.options.sub("", sentence))
    masked = _PARENTHESIS.sub(lambda m: " " if _is_legend(_mentions(m[0], rules)) else m[0], masked)
    mentions = _mentions(masked, rules)
    if not mentions or _is_legend(mentions):
        return
    said: dict[str | None, dict[str, Wording]] = defaultdict(dict)
    for mention, side in zip(mentions, _sides(masked, mentions, heading_side, rules), strict=True):
        before = [masked[max(0, place - NEAR) : place] for place in {mention.start, mention.at}]
        denied = any(map(rules.denied_before.search, before)) or rules.denied_after.match(masked, mention.end)
        if not denied:
            said[side].setdefault(mention.density, mention.wording)
    for side, densities in said.items():
        strong = {d: w for d, w in densities.items() if not w.weak} or densities
        if len(strong) == 1:
            yield from (Statement(side, density, wording.rule) for density, wording in strong.items())


def _is_legend(mentions: list[_Mention]) -> bool:
    return len({m.density for m in mentions}) >= LEGEND


def _ticked(line: str, rules: Rules) -> str:
    """A line of a form without the options that are not ticked; boxes stand before their options, or behind them."""
    boxes = list(rules.box.finditer(line))
    if not boxes:
        return line
    behind = not line[boxes[-1].end() :].strip()
    start = line.rfind(":", 0, boxes[0].start()) + 1 if behind else boxes[0].start()
    kept = [line[:start]]
    for number, box in enumerate(boxes):
        if box["ticked"] and behind:
            kept.append(line[boxes[number - 1].end() if number else start : box.start()])
        elif box["ticked"]:
            kept.append(line[box.end() : boxes[number + 1].start() if number + 1 < len(boxes) else len(line)])
    return " ".join(kept)


def _mentions(sentence: str, rules: Rules) -> list[_Mention]:
    """Where densities are named, left to right; of overlapping ones the longest counts."""
    has_context = rules.context.search(sentence) is not None
    found = [
        _Mention(m.start(), m.start("grade" if wording.density is None else 0), m.end(), _density(wording, m), wording)
        for wording in rules.wordings
        if has_context or not wording.needs_context
        for m in wording.pattern.finditer(sentence)
    ]
    kept: list[_Mention] = []
    for mention in sorted(found, key=lambda m: (m.start - m.end, m.start)):
        at = bisect_left(kept, mention.start, key=lambda k: k.start)
        if (at == 0 or kept[at - 1].end <= mention.start) and (at == len(kept) or mention.end <= kept[at].start):
            kept.insert(at, mention)
    return kept


def _density(wording: Wording, found: re.Match[str]) -> str:
    return wording.density or GRADES[found["grade"]]


def _sides(sentence: str, mentions: list[_Mention], heading_side: str | None, rules: Rules) -> list[str | None]:
    """The side that each mention speaks of: named before it in its clause, right after it, since the mention before it
    ended, or last in the sentence."""
    bounds = [(0, 0)]
    for mention, following in pairwise(mentions):
        cuts = [c.end() for c in rules.separators.finditer(sentence, mention.end, following.start)]
        bounds.append((cuts[0], cuts[-1]) if cuts else (mention.end, mention.end))
    sides = []
    last: re.Match[str] | None = None
    for (ended, start), mention in zip(bounds, mentions, strict=True):
        before = _last(rules.sides.finditer(sentence, start, mention.at))
        after = rules.side_follows.match(sentence, mention.end)
        named = before or after or _last(rules.sides.finditer(sentence, ended, mention.at)) or last
        sides.append(_side(named) if named else heading_side)
        last = named
    return sides


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    return next(iter(deque(matches, maxlen=1)), None)


def _side(match: re.Match[str]) -> str | None:
    if match["both"]:
        return None
    return "L" if match["left"] else "R"


def _filled(pattern: str, data: dict[str, Any]) -> str:
    for name in ("grade", "letter", "number", "end", "percent"):
        pattern = pattern.replace("{" + name + "}", data[name])
    return pattern


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p})" for p in patterns))

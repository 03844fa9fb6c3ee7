"""Dates in free text: found in any notation, and moved in the notation in which they stand.

A date that is one day (or month, or year) and no birth date can be moved; one that could be two days (03/04/2018 where
nothing else in the text tells day from month), that lacks its year, or that is none, cannot. Dates of a month or year
move by their middle day, as values of VR DT do (``dates``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "en_short": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "de_short": "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "fr_short": "janv févr mars avr mai juin juil août sept oct nov déc",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "es_short": "ene feb mar abr may jun jul ago sep oct nov dic",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
}
_TABLES = {style: names.split() for style, names in _MONTHS.items()}
_VARIANTS = {
    "sept": "Sep",
    "fevrier": "février",
    "aout": "août",
    "decembre": "décembre",
    "maerz": "März",
    "marz": "März",
}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_NAMES = sorted({n.lower() for names in _TABLES.values() for n in names} | set(_VARIANTS), key=lambda n: (-len(n), n))
_BARE_MONTH = rf"(?=[adefgjlmnos])(?:{'|'.join(n for n in _NAMES if n not in ('may', 'mai', 'mar', 'mars'))})"
_MONTH = rf"(?=[adefgjlmnos])(?P<mon>{_BARE_MONTH}|mars?|(?-i:May|MAY|Mai|MAI|may(?= \d)|mai(?= \d)))"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:(?:18|19|20)\d\d)"
_ANY_YEAR = rf"(?:{_YEAR}|['’]?\d\d(?!\d))"
_ORDINAL = r"(?:st|nd|rd|th)"
_START, _END = r"(?<![^\W_])(?<!\d[./-])", r"(?![^\W_])(?![./-]\d)"
_WEEKDAY = rf"(?:(?P<wd>{'|'.join(_WEEKDAYS)}),? )?"
_TIME = r"(?:T\d\d(?::?\d\d){0,2}(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?)?"
_CUE = (
    r"(?:on|dated?|by|since|from|until|till|before|after|through|thru|am|vom|bis|seit|le|du|el|del|dob|seen|done"
    r"|performed"
    r"|visit|exam|study|comparison|sent|mri|dexa|pet|ct|mammo|mammogram|ultrasound|booster|due|drawn|overread"
    r"|mri of|answered|called|spoke|paged|faxed|mailed|scheduled|rescheduled|received|returned|read|signed"
    r"|dictated|given|placed"
    r"|drawn|log|lmp|dose|(?:planned|scheduled|booked) for|lm|msg|message|cancell?ed|appt|appointment|surgery"
    r"|biopsy|bx|results?|path|us of|study of|exam of"
    r"|mammogram of)"
)
_YEAR_CUE = (
    r"(?:in|since|from|until|till|before|after|during|year|circa|around|early|late|mid|dated?|im jahr|seit|en|depuis"
    r"|desde)"
)
_NO_UNIT = r"(?! ?(?:%|x\b|×|mm|cm|µ|ms|kg|ml|mg|gy|mgy|pixel|px|hu\b|images|slices|women|patients))"

_NUMBERS, _LONG_NUMBER, _LONG_YEAR = r"\d[-/.] ?\d", r"\d{8}", r"(?:19|20)\d\d"
_A_MONTH = rf"{_BARE_MONTH}|ma[iry]"
_PATTERNS = [
    (mark, re.compile(pattern, re.IGNORECASE))
    for mark, pattern in (
        # 2018-03-05, 2018/3/5, 2018.03.05, with a time of day after T
        (
            _NUMBERS,
            rf"(?<![^\W_])(?<![.]){_WEEKDAY}(?P<y>{_YEAR})(?P<sep>[-/.])(?P<m>0?[1-9]|1[0-2])(?P=sep)(?P<d>{_DAY})"
            rf"{_TIME}(?!\d)(?!\.\d)",
        ),
        # 03/05/2018, 5.3.18, 03-05-2018, 5. 3. 2018; day and month in either order
        (
            _NUMBERS,
            rf"{_START}{_WEEKDAY}(?P<a>{_DAY})(?P<sep>\. ?|[/-])(?P<b>{_DAY})(?P=sep)(?P<y>{_ANY_YEAR}){_END}",
        ),
        # 20170509, with a time of day
        (
            _LONG_NUMBER,
            r"(?<![^\W_])(?<!\d[.])(?P<y>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])"
            r"(?:T?\d{4}(?:\d\d(?:\.\d+)?)?)?(?![^\W_])",
        ),
        # March 3, 2018; March 3rd; Mar. 3 2018
        (
            _A_MONTH,
            rf"(?<![^\W_]){_WEEKDAY}{_MONTH}\.?[ -]?(?P<d>{_DAY})(?P<ord>{_ORDINAL})?"
            rf"(?:(?:,? |,|-| of )(?P<y>{_ANY_YEAR}))?{_END}",
        ),
        # 03-MAR-2018, 3. März 2018, 3rd of March, 3 de marzo de 2018, 03MAR2018
        (
            _A_MONTH,
            rf"{_START}{_WEEKDAY}(?P<d>{_DAY})(?P<ord>{_ORDINAL}|\.|er|º)?(?: of | de |[ /-])?{_MONTH}\.?"
            rf"(?:(?: of | de | del |,? |[/-])?(?P<y>{_ANY_YEAR}))?(?![^\W_])",
        ),
        # Mar 2018, March of 2018, Mar-18, Mar '18
        (_A_MONTH, rf"(?<![^\W_]){_MONTH}\.?(?:,? (?:of |de )?|[-/])(?P<y>{_YEAR}|['’]\d\d|(?<=-)\d\d){_END}"),
        # 03/2018, 3-2018, 03.2018, 2018-03
        (_NUMBERS, rf"{_START}(?P<m>0?[1-9]|1[0-2])(?P<sep>[/.-])(?P<y>{_YEAR}){_END}"),
        (_NUMBERS, rf"{_START}(?P<y>{_YEAR})(?P<sep>-)(?P<m>0[1-9]|1[0-2]){_END}"),
        # 3/5 after a word that speaks of dates
        (
            _NUMBERS,
            rf"\b(?:{_CUE}:?|again|attempt \d|screening of|board|meeting|conf(?:erence)?|clinic"
            rf"|rounds) (?P<x>{_DAY}[/.]{_DAY}\.?)(?![^\W_])(?![./-]\d)(?! ?(?:mm|cm|x\b|×|%|m?Gy|m[glL]|kVp?|mAs"
            rf"|mSv|kg|cc|[µu]m|min|hrs?|h)(?![^\W_]))",
        ),
        # 6/30, whose second number is no month, as no share of nodes; 18.04. of German
        (
            _NUMBERS,
            rf"{_START}(?<!score )(?<!grade )(?<!images )(?<!image )(?<!slices )(?<!slice )(?<!N[0-3] \()"
            rf"(?P<x>(?:0?[1-9]|1[0-2])/(?:1[3-9]|2\d"
            rf"|3[01]))(?![^\W_])(?![./-]\d)"
            r"(?! ?(?:mm|cm|%|nodes?|LN|lymph|cores?|samples?|positive|axillary|sentinel))",
        ),
        (_NUMBERS, rf"{_START}(?P<x>(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.)(?![^\W_])(?!\d)"),
        # 12/10 and 8/6, whose first number is larger, as no share is; 4/2 in a list of dates
        (
            _NUMBERS,
            rf"{_START}(?<!score )(?<!grade )(?<!RADS )(?<!gravida )(?<!para )(?<!ratio )"
            rf"(?P<x>{'|'.join(rf'0?{m}/0?[1-{m - 1}]' for m in range(3, 10))}|1[0-2]/(?:0?[1-9]"
            rf"|1[01]))(?![^\W_])(?![./-]\d)"
            r"(?! ?(?:mm|cm|%|nodes?|LN|lymph|cores?|samples?|positive|axillary|sentinel|hpf|HPF|views?))",
        ),
        (
            _NUMBERS,
            rf"(?:(?<=\D\d/\d)|(?<=\D\d\d/\d)|(?<=\D\d/\d\d)|(?<=\D\d\d/\d\d))(?:,| and|, and| &) (?P<x>(?:0?[1-9]"
            rf"|1[0-2])/(?:0?[1-9]|[12]\d"
            rf"|3[01])){_END}{_NO_UNIT}",
        ),
        # 1/6, 4/12 and 5/2/2019: the first of a list of dates
        (
            _NUMBERS,
            rf"{_START}(?P<x>(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01]))(?=(?:,| and| &|, and) (?:0?[1-9]"
            rf"|1[0-2])/(?:0?[1-9]"
            r"|[12]\d|3[01])(?![^\W_]))",
        ),
        # 9/10 9a, 2/8 1:45p, 8/10 10:12: before a time of day
        (
            _NUMBERS,
            rf"{_START}(?P<x>(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01]))(?=,?(?: at| @)? (?:[01]?\d"
            rf"|2[0-3])(?::[0-5]\d ?[ap]?m?|[ap]m?)"
            r"(?![^\W_]))",
        ),
        # 2015 after a word that speaks of years
        (_LONG_YEAR, rf"\b{_YEAR_CUE}[ -](?P<x>(?P<y>(?:19|20)\d\d)){_END}{_NO_UNIT}"),
    )
]
_DIGIT = re.compile(r"\d")
_MARKS = {mark: re.compile(mark, re.IGNORECASE) for mark, _ in _PATTERNS}
_YEAR_BEHIND = re.compile(
    r"(?:,|,? and|,? &|,? und|/|;) ?(?P<x>(?:19|20)\d\d)(?![\w.-]*\d)(?! ?(?:mm|cm|ml|mg|cc|Gy|%))"
)
_BIRTH = re.compile(
    r"(?:\bd\.?o\.?b\b|\bborn\b|birth|\bgeb(?:\.|oren\b)|\bn[ée]e? le\b|naissance|nacid[oa]|nacimiento|nat[oa] il)"
    r"[^\d\n]{0,20}$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TextDate:
    """A date of a text: where it stands, the day it names (or None), and its parts' places."""

    start: int
    end: int
    day: date | None
    parts: dict[str, tuple[int, int]]
    style: str = ""

    @property
    def is_year(self) -> bool:
        """Whether it names a year alone."""
        return self.day is not None and self.parts.keys() == {"y"}

    def moved(self, text: str, days: int) -> str | None:
        """The date as it stands in ``text``, so many days earlier; None where it cannot be moved."""
        if self.day is None:
            return None
        try:
            new = self.day - timedelta(days)
        except OverflowError:
            return None
        pieces, last = [], self.start
        for name, (start, end) in sorted(self.parts.items(), key=lambda part: part[1]):
            written = text[start:end]
            pieces += [text[last:start], self._rewritten(name, written, new, self._is_padded(text))]
            last = end
        return "".join([*pieces, text[last : self.end]])

    def _is_padded(self, text: str) -> bool:
        """Whether days and months below ten are written with a zero."""
        written = [text[slice(*self.parts[name])] for name in ("d", "m") if name in self.parts]
        return all(len(number) == 2 and ("mon" not in self.parts or number[0] == "0") for number in written)

    def _rewritten(self, name: str, written: str, new: date, padded: bool) -> str:
        if name == "y":
            mark = written[: len(written) - len(written.lstrip("'’"))]
            return f"{mark}{new.year % 100:02d}" if len(written) - len(mark) == 2 else f"{new.year:04d}"
        if name in ("d", "m"):
            number = new.day if name == "d" else new.month
            return f"{number:02d}" if padded else str(number)
        if name == "mon":
            return _cased(_TABLES[self.style][new.month - 1], written)
        if name == "wd":
            return _cased(_WEEKDAYS[new.weekday()], written)
        if written.lower() not in ("st", "nd", "rd", "th"):
            return "." if written == "." else written if new.day == 1 else ""
        ending = {1: "st", 2: "nd", 3: "rd"}.get(new.day % 10 if new.day // 10 != 1 else 0, "th")
        return _cased(ending, written)


def dates_in(text: str) -> list[TextDate]:
    """All dates of a text, none overlapping another, in order."""
    if not _DIGIT.search(text):
        return []
    marked = {mark for mark, pattern in _MARKS.items() if pattern.search(text)}
    found: list[TextDate] = []
    matches = [match for mark, pattern in _PATTERNS if mark in marked for match in pattern.finditer(text)]
    matches.sort(key=lambda m: (_span(m)[0], -_span(m)[1]))
    order = _order(matches)
    last = -1
    for match in matches:
        start, end = _span(match)
        if start >= last and not _is_nothing(match):
            found.append(_read(match, text, order))
            years = list(_years_behind(text, end))
            found += years
            last = years[-1].end if years else end
    return found


def _years_behind(text: str, end: int) -> Iterator[TextDate]:
    """The years of a list that goes on behind a date: 3/2018, 2019 and 2020."""
    while match := _YEAR_BEHIND.match(text, end):
        end = match.end("x")
        yield TextDate(match.start("x"), end, date(int(match["x"]), 7, 15), {"y": match.span("x")})


def _span(match: re.Match[str]) -> tuple[int, int]:
    return match.span("x") if "x" in match.re.groupindex else match.span()


def _is_nothing(match: re.Match[str]) -> bool:
    """Whether what looks like month and day is a word and a number: "mar 3" may be, "dec 45" is not."""
    groups = match.groupdict()
    month = groups.get("mon") or ""
    return month.islower() and len(month) <= 3 and not groups.get("y")


def _order(matches: list[re.Match[str]]) -> str:
    """Whether day or month comes first in this text's dates with strokes: "dm", "md", or "" where nothing tells."""
    orders = set()
    for match in matches:
        groups = match.groupdict()
        if groups.get("a") and not groups["sep"].startswith("."):
            first, second = int(groups["a"]), int(groups["b"])
            if first > 12 >= second:
                orders.add("dm")
            elif second > 12 >= first:
                orders.add("md")
    return orders.pop() if len(orders) == 1 else ""


def _read(match: re.Match[str], text: str, order: str) -> TextDate:
    start, end = _span(match)
    groups = {name: match.span(name) for name, value in match.groupdict().items() if value and name not in ("x", "sep")}
    if "a" in groups:
        a, b = groups.pop("a"), groups.pop("b")
        first, second = int(text[slice(*a)]), int(text[slice(*b)])
        dotted = match["sep"].startswith(".")
        day_first = second <= 12 and (first > 12 or first == second or order == "dm" or dotted)
        month_first = first <= 12 and (second > 12 or order == "md") and not day_first
        if not day_first and not month_first:
            return TextDate(start, end, None, {})
        groups["d"], groups["m"] = (a, b) if day_first else (b, a)
    if "y" not in groups or _BIRTH.search(text[max(0, start - 40) : start]):
        return TextDate(start, end, None, {})
    style = _style(match) if "mon" in groups else ""
    month = _TABLES[style].index(_named(style, match["mon"])) + 1 if style else 0
    if not month and "m" in groups:
        month = int(text[slice(*groups["m"])])
    day = int(text[slice(*groups["d"])]) if "d" in groups else 15
    try:
        return TextDate(start, end, date(_year(match["y"]), month or 7, day), groups, style)
    except ValueError:
        return TextDate(start, end, None, {})


def _year(written: str) -> int:
    """A year; of two digits, one from 1950 to 2049."""
    digits = written.lstrip("'’")
    number = int(digits)
    return number if len(digits) == 4 else number + (2000 if number < 50 else 1900)


def _style(match: re.Match[str]) -> str:
    """The language and length in which a month is written; English where several share the word."""
    month, whole = match["mon"], match.group()
    styles = list(_TABLES)
    if " de " in whole:
        styles.sort(key=lambda style: not style.startswith("es"))
    elif (match.groupdict().get("ord") or "") == ".":
        styles.sort(key=lambda style: not style.startswith("de"))
    return next(style for style in styles if _named(style, month))


def _named(style: str, month: str) -> str:
    """A month as its table has it, or ""."""
    small = _VARIANTS.get(month.lower(), month).lower()
    return next((name for name in _TABLES[style] if name.lower() == small), "")


def _cased(word: str, like: str) -> str:
    return word.upper() if like.isupper() else word.lower() if like.islower() else word[:1].upper() + word[1:]

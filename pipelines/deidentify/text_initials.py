"""Initials and logins in free text: how staff sign notes, and how systems name who did something.

Two or three capitals count where they stand as a signature does (behind a role, "by", a dash, at the end of a note).
Small letters count where they are no word and a system's line names a user (behind "by", before a time), or where they
are an initial and a frequent family name.
"""

import re
from collections.abc import Iterator

from pipelines.deidentify.text_words import is_login, is_strange

_LOGIN = re.compile(
    r"(?i:\b(?:transcribed|typed|uploaded|scanned|imported|entered|created|edited|dictated|verified|signed|logged"
    r"|user|sent|login|transcriptionist|typist|scribe|final|finalized|forwarded|routed|assigned|addended)\b"
    r"(?:[^.\n;]{0,50}?\b(?:by|user|login|to))?[ :]+)(?P<x>[a-z][a-z]{2,20}\d{0,4})(?![^\W_])"
)
_INITIALS = re.compile(
    r"(?<![^\W_])by (?P<x>(?!US|CT|MR|IR|PT|OT|GP|ED|NM|MD|OB|CC|RN|RT|AI|BB|OR|XR)[A-Z]{2})(?= [\d(]| on\b"
    r"| *[.;,\n]| *$)"
    r"|[.!?\n)] ?[-–—/] ?(?P<y>[A-Z]{2,3})[ .]*$"
    r"|[.!?] (?P<t>(?!RT|LT|BI|CC|US|MG|MR|NA|OK|PO|UQ|AP)[A-Z]{2})[ .]*$"
    r"|(?<![^\W_])(?:and|by|with) (?P<w>[A-Z]{2})(?=,? (?:RN|RT|MD|DO|NP|PA)(?![^\W_]))"
    r"|(?<![^\W_])(?P<r>[A-Z]{2}),? (?i:rt\(r\))"
    r"|[.!?\n)] ?[-–—/]? ?(?P<z>[A-Z]{2,3})(?=[,/]? ?\d[\d/.-]{2,9}(?:,? \d\d?:?\d\d)?[ .]*$)"
)
_TYPIST = re.compile(
    r"\d/(?P<x>(?!wk|yr|mo|hr|hpf|kg|ml|dl|cc|min|day|sec|mm|cm|lb|hf|ms|px)[a-z]{2,3})(?=[ .]*(?:\n|$))"
    r"|(?<![^\W_/])(?P<y>[A-Z]{2,3}/[a-z]{2,3})(?=[ .]*(?:\n|$))"
    r"|\d\d ?/ ?(?P<z>[A-Z]{2,3})(?=[ .]*(?:\n|$))"
    r"|(?<![^\W_])D/T:? (?P<u>[A-Z]{2,3}/[A-Z]{2,3})(?![^\W_])|[.!?] (?P<t>[A-Z]{2,3}/[A-Z]{2,3})(?=[ .]*(?:\n|$))"
    r"|(?<![^\W_])(?i:thx|thanks|ty|rgds|regards)[,. !]{1,2}[-–]? ?(?P<v>[A-Z]{2,3})(?=[ .]*(?:\n|$))"
)
_SMALL_WORD = re.compile(r"(?<![^\W_])[a-z]{5,20}(?![^\W_])")
_LOGIN_CUE = re.compile(r"by|user|login|ist:|scribe:|sent to|(?:forward|rout|assign)ed to", re.IGNORECASE)
_BY_LOGIN = re.compile(
    r"(?<![^\W_])(?i:(?:by|user|admin|tech|rad|operator|importer|sender|[dt]:|authori[sz]ed"
    r"|typist)[:= ]) ?(?P<x>[a-z]{4,20}\d{0,3})(?![^\W_])"
)
_LOGIN_BEHIND = re.compile(r" [-–] (?P<x>[a-z]{5,20}\d{0,3})[ .]*$")
_LOGIN_AT = re.compile(
    r"(?<!\d)\d\d:\d\d (?P<x>[a-z]{4,20}\d{0,3}): |(?:^|[.\n] )(?P<y>[a-z]{4,20}\d{0,3}) \d\d:\d\d(?!\d)"
)
_TECHNOLOGIST = re.compile(
    r"(?<![^\W_])(?i:tech(?:nologist)?s?|technician|radiographer|mammographer|initials?|operator|rt|reader(?: \d)?"
    r"|arbitration|arbiter|reviewer|rad|signed|initialed|scribe"
    r"|transcriptionist|typist|operator \d|float|(?:entered|system|interviewed|reviewed|checked|transcribed"
    r"|screened) by)\.?[:= ]{1,2}"
    r"(?P<x>(?!BY|ON|AT|AND|MD|BUT|NOT|THE|WAS)[A-Z]{2,3}|[A-Z]\.[ ]?[A-Z]\.)(?![^\W_])"
)


def initials_in(text: str, *, logins: bool = True) -> Iterator[tuple[int, int]]:
    """Start and end of the initials in a text, and of the ``logins``: not where words that are not known go anyway."""
    yield from (match.span("x") for match in _TECHNOLOGIST.finditer(text))
    for pattern in (_INITIALS, _TYPIST):
        yield from (match.span(match.lastgroup or 0) for match in pattern.finditer(text))
    if not logins:
        return
    for match in _LOGIN.finditer(text) if _LOGIN_CUE.search(text) else ():
        if is_strange(match["x"]):
            yield match.span("x")
    for pattern in (_LOGIN_AT, _BY_LOGIN, _LOGIN_BEHIND):
        found = ((match, match[match.lastgroup or 0]) for match in pattern.finditer(text))
        yield from (match.span(match.lastgroup or 0) for match, word in found if is_strange(word) or is_login(word))
    yield from (match.span() for match in _SMALL_WORD.finditer(text) if is_login(match.group()))

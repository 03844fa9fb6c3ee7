"""Numbers in free text that nothing explains: they go, as strange capitalized words do.

Ids, extensions and confirmation codes have as many shapes as there are hospitals, while what clinical text counts and
measures has few. So a number stays where it is short, a measure, a time of day, a year, a code of a standard or part of
a product's name; a longer one that is none of these is taken for an identifier, and so is a short one behind a cue of
one (entry no. RSL-219).
"""

import re

from pipelines.deidentify.text_words import LISTS
from pipelines.deidentify.vocabulary import is_known, is_procedure

Numbered = tuple[int, int, str]
"""Start, end, and ID or PHONE."""

_FEW = 3
"""Most digits of a number that needs no explanation."""

_CHUNK = re.compile(r"\w+(?:[-./:,#+\\×_*–]\w+)*")
_DIGIT, _DIGITS = re.compile(r"\d"), re.compile(r"\d+")
_MANY = re.compile(
    r"(?:\d\D{0,2}){4}|[A-Z]{2}\d{2,}[A-Z]|#|(?<![^\W_])(?i:no|n[°ºr]|num|id|ref|log|code|entry|ticket|conf|batch"
    r"|lot|order|claim"
    r"|policy|invoice|job|badge)\b"
)

_NUMBER = r"\d{1,4}(?:[.,]\d{1,4})?"
_UNIT = (
    r"(?:mm|cm|cmfn|cc|m[lLgG]|mcg|[µu]g|g|kg|lbs?|[mc]?Gy|mSv|k[Vv]p?|m[Aa][Ss]?|[kM]eV|MV|s|secs?|seconds?|ms"
    r"|min(?:ute)?s?"
    r"|h|hrs?|hours?|h?rs|days?|d|wks?|weeks?|mos?|months?|y(?:ea)?rs?|yo|%|percent|deg(?:rees?)?|°|[kM]?Hz|T|Fr|F|ga?"
    r"|gauge|N|daN|kPa|mmHg|HU|IU|units?|mCi|[µu]Ci|[kM]Bq|px|pixels?|dpi|bits?|[kKMG]B|images?|films?|views?|slices?"
    r"|frames?|cores?|samples?|passes|nodes?|cells?|women|men|patients|cases|exams|examinations|fractions?"
    r"|projections?|matrix|times|Uhr|people|screens|n[gm]|mol|cps|steps/s|rads?|gr[ae]y|levels)"
)
_MEASURE_BEHIND = re.compile(
    rf"[ \t-]?(?:x[ \t]?\d|{_UNIT}(?![^\W_]))|[ \t]?[×%°]|/(?=[a-zA-Z])|[ \t]?(?:am|pm|[ap]\.m)\b", re.I
)
_SHAPES = re.compile(
    r"(?:"
    r"(?:[01]?\d|2[0-4])[:.h][0-5]\d(?:[:.][0-5]\d)?(?:[-–](?:[01]?\d|2[0-4])[:.h][0-5]\d)?(?:[aApP][mM]?|hrs?|h)?"
    rf"|{_NUMBER}(?:[xX×*]{_NUMBER})+[a-zA-Zµ]{{0,3}}"  # 14x11x9mm
    rf"|\d{{1,4}}[.,]\d{{1,3}}{_UNIT}?|[0-2]\d?[.,]\d{{4}}"  # 12.25mm, 0.1875
    rf"|{_NUMBER}[-–]?{_UNIT}"  # 1500ml
    r"|\d{1,3}/\d{1,3}|\d{1,2}(?:/\d{1,2}){2,4}|\d{1,3}(?:\.\d)?/1,?000"
    r"|8\d{3}/[0-369]"  # 128/76, 5/4/4, a morphology of ICD-O
    r"|(?:[a-zA-Z]{1,4}/){0,2}1[.,]73 ?m?[2²]?"  # of a body's surface
    r"|\d{1,3}[-–]\d{1,3}"  # 5-10
    r"|\d{1,3}(?:,\d{3})+"  # 10,000
    r"|(?:FY)?(?:19|20)\d\d(?:[-–/](?:(?:19|20)?\d\d|[a-z]+))?s?"  # 2015-2017, 1990s, 2015-present
    r"|[A-TV-Z]\d[0-9A-Z]\.[0-9A-Z]{1,4}"  # an ICD-10 code
    r"|[ypcram]{0,3}T(?:is|[0-4x])[a-d]?(?:mi)?[, ]?[ypcram]{0,3}N[0-3x].{0,8}"  # a TNM stage
    r"|RID\d{1,5}|NCT\d{8}|1\.2\.840\.10008(?:\.\d{1,4}){1,8}"
    r"|1:\d{1,3}(?:,?\d{3})*"  # a dilution
    r"|[cgp]\.[^\W\d_]{0,4}\d{1,5}[-+_\w*>]{0,16}|\d{3,4}(?:del|ins|dup)[A-Z]{1,4}"  # a variant of a gene
    r")",
)
_CODE_CUE = re.compile(
    r"(?<![^\W_])(?:CPT|HCPCS|CCSD(?: code)?|NHRPL|MBS|OHIP|[Ii]tems?(?: (?:[Nn]umbers?|[Nn]os?\.?))?"
    r"|(?:[Ff]ee|[Bb]illing|[Rr]evenue|[Tt]ariff|[Ss]ervice) [Cc]ode|ICD(?:-?(?:9|10))?(?:-CM)?|SNOMED|SCT|LOINC"
    r"|SRT|DCM"
    r"|CID|RadLex|OPS|CCAM|EBM|GOÄ|procedure code|exam code|code CCAM|EN|IEC|ISO|FDA|trial|TMIST|ECOG|ACOSOG|NSABP|SWOG"
    r"|Alliance|protocol|model|mod\.|Modell|modèle)[ :=#.(]{1,3}$"
)
_COUNT_CUE = re.compile(
    r"(?:(?<![\w/])(?:[Bb][- ]?values?|TR|TE|TI|FOV|matrix|bandwidth|dose|DLP|DAP|level|per|of|SNR|CNR|[MP]PV|EI"
    r"|index|row"
    r"|column|mean|median|counts?|plt|platelets|WBC)[ :=#.(]{1,3}|(?<![\w/])[bnxyzXYZ] ?= ?)$"
)
_BETWEEN_CODES = re.compile(r"[/+,]")
_LISTED = re.compile(r"(?:,|;|/|,? and| &| \+)? ?")
_VERSION = re.compile(r"(?i:[vV]|ver|version|rev|release|software|sw|build|firmware|update|algorithm)\.?[ :]{0,2}$")
_DOTTED = re.compile(r"(?i:v|rev)?\d{1,4}(?:[._]\d{1,5}){1,4}[a-z]?\d?", re.I)
_CLOCK = re.compile(r"(?:[01]\d|2[0-3])[0-5]\d(?:[-–](?:[01]\d|2[0-3])[0-5]\d)?(?:h|hrs)?")
_HOURS = re.compile(r"(?:0[6-9]|1\d|20)[0-5][05](?:[-–](?:0[6-9]|1\d|2[0-3])[0-5][05])?")
"""A working day's full five minutes, as schedules write them: one in fifty of all numbers of four digits."""
_CLOCK_CUE = re.compile(
    r"(?:(?<![^\W_])(?i:at|arr|sched(?:uled)?|compl(?:eted)?|chk|time|@|from|until|till|to|by|since|paged|called"
    r"|begin|began|start(?:ed)?|end(?:ed)?|stop|in"
    r"|out|arrived?|admission|slot|shift|session|hours|scan|um|à|a las)|@|(?:^|\n)[DT]:|[-/.]\d\d(?:\d\d)?|(?:19"
    r"|20)\d\d(?:\d{4})?|>|[-–])[ :,(]{1,2}$|(?:^|\n)$"
)
_CLOCK_BEHIND = re.compile(
    r"[ ]?(?:start|slot|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,5}|hrs?|hours|h|Uhr|[A-Z][DS]T)(?![^\W_])"
)
_PHONE_CUE = re.compile(
    r"(?<![^\W_])(?i:t[eé]l(?:e(?:phone|fon|fono|fax))?|ph(?:one)?|fax|pagers?|pgr|bpr|beeper|bleep|mob(?:ile)?|cell"
    r"|handy|ext(?:ension|ns?)?|call(?: back)?|dial|durchwahl|line|hotline|desk|direct|front desk|office|home|work"
    r"|(?:reading|work) ?room|voicemail|vm|switchboard|poste|apparat|c|h|w|o|p|f|x|vmail|text)"
    r"(?i: ?(?:no|nr|number|at|on|is))?[.:# ()]{1,3}$"
)
_PHONE_SHAPE = re.compile(r"x\d{3,6}|(?:x|\d[- ])?\d{1,2}-\d{4}|\d{3}[.-]\d{4}|\d[- ]?\d{3}[.-]\d{4}")
_DIALED = re.compile(r"(?:\+|\(?0)[\d()]{1,6} [\d ()-]{5,16}")
_ID_CUE = re.compile(
    r"(?:(?P<what>[^\W\d_]+)[. ]{0,2})?(?:#|(?<![^\W_])(?i:no|nr|num|number|n[°º]|id|ids|ref|reference|code|entry"
    r"|ticket"
    r"|conf(?:irmation)?|tracking|badge|batch|lic|licen[cs]e|billing|lot|order|claim|policy|invoice|voucher|job"
    r"|serial|barcode|token|pin|kennung|nummer|num[eé]ro)\b)[.:# ]{0,3}$"
)
_COUNTED = frozenset(LISTS["counted"])
_PRODUCTS = frozenset(LISTS["makers"] | LISTS["products"])
_PHRASE_AHEAD = re.compile(r"(?:[^\W_]+[ /-]{1,2}){1,4}$")
_GROUPS_AHEAD = re.compile(r"(?<![\w.,:/-])(?:\(0\)|(?:\+?\d{1,5} ){1,6})$")
_PREFIX = re.compile(r"(?<![^\W_])([A-Z]{2,4}) $")
_TAIL = re.compile(
    r" ?/ ?\d{1,4}(?![\w/]|[.,:]\d)|(?:(?<=\d{4})|(?<=\d{3})) (?:[A-Z]{1,2}|\d[A-Z]?)(?=[.,;)\n]|\s{2}|$)"
)
_PLATE = re.compile(r"[A-Z]{2,4}\d{2,}[A-Z]{1,3}")
_NEXT_GROUP = re.compile(r" (\d{2,5})(?![\w.,/:-]*\w)")
_GROUPED = re.compile(r"(?<![\w.,/:-])\+?\d{1,5}(?:(?: ?[-–/.] ?| )\d{2,5}){2,6}(?![^\W_]|[.,/:-]\w)")
_PARTS = re.compile(r"[-./:,#+\\×_*–]")
_BETWEEN_WORDS = re.compile(r"[ /-]+")
_LEAST_GROUPED = 8
_MOST_COUNTED = 5


def numbers_in(text: str) -> list[Numbered]:
    """The numbers of a text that are no clinical ones, as far as that can be told from the words about them."""
    if _MANY.search(text) is None:
        return []
    found = [_grouped(text, m) for m in _GROUPED.finditer(text) if _is_grouped(text, m)]
    code_end = -1
    for match in _CHUNK.finditer(text):
        chunk = match.group()
        if _DIGIT.search(chunk) is None:
            continue
        if _is_code(chunk, text, match.start(), code_end):
            code_end = match.end()
            continue
        ahead, behind = text[max(0, match.start() - 40) : match.start()], text[match.end() : match.end() + 16]
        if _is_clinical(chunk, ahead, behind):
            continue
        start, end = _whole(text, match.start(), match.end())
        is_phone = _PHONE_SHAPE.fullmatch(chunk) or _PHONE_CUE.search(ahead) or _DIALED.fullmatch(text, start, end)
        found.append((start, end, "PHONE" if is_phone else "ID"))
    return found


def _is_code(chunk: str, text: str, start: int, before: int) -> bool:
    """Whether a number is a code of a standard, or a count, by the word before it; or one more of a list of such."""
    if len(_DIGIT.findall(chunk)) > _LEAST_GROUPED:
        return False
    if before >= 0 and len(chunk) in range(4, 8) and _LISTED.fullmatch(text, before, start) is not None:
        return True
    ahead = text[max(0, start - 24) : start]
    counted = chunk.isdecimal() and len(chunk) <= _MOST_COUNTED and _COUNT_CUE.search(ahead) is not None
    return counted or _CODE_CUE.search(ahead) is not None


def _is_clinical(chunk: str, ahead: str, behind: str) -> bool:
    """Whether a number with what is joined to it is explained."""
    digits = len(_DIGIT.findall(chunk))
    cue = _ID_CUE.search(ahead)
    counted = cue is not None and (cue["what"] or "").lower().removesuffix("s") in _COUNTED
    if digits <= _FEW and not (len(chunk) > 5 and _PLATE.fullmatch(chunk) and not is_known(chunk)):
        return cue is None or counted or (chunk.isdecimal() and digits < _FEW) or _SHAPES.fullmatch(chunk) is not None
    dialed = _PHONE_CUE.search(ahead) is not None
    has_shape = _SHAPES.fullmatch(chunk) is not None
    if _HOURS.fullmatch(chunk) is not None and cue is None and not dialed:
        return True
    if _CLOCK.fullmatch(chunk) is not None and (_CLOCK_CUE.search(ahead) or _CLOCK_BEHIND.match(behind)):
        return True
    if dialed and not has_shape:
        return False
    if all(map(is_procedure, _BETWEEN_CODES.split(chunk))):
        return True
    if has_shape:
        return cue is None or counted or "." in chunk or ":" in chunk
    if _PHONE_SHAPE.fullmatch(chunk) is not None:
        return False
    if chunk.isdecimal() and _MEASURE_BEHIND.match(behind) is not None and digits <= 5:
        return True
    if cue is None and (_is_all_short(chunk) or _is_made_of_words(chunk)):
        return True
    if _DOTTED.fullmatch(chunk) is not None and (_VERSION.search(ahead) or chunk[0] in "vV" or _is_product(ahead)):
        return True
    is_word = len(chunk) - digits > _FEW and is_known(chunk)
    return digits <= 5 and (is_word or (cue is None and _is_product(ahead)))


def _is_all_short(chunk: str) -> bool:
    """Whether a chain of parts has none of several digits, and words beside them: T1-T2, 2D/3D, L2-3/R1-2."""
    parts = _PARTS.split(chunk)
    return all(len(_DIGIT.findall(part)) <= 2 for part in parts) and len(_DIGIT.findall(chunk)) <= 2 * len(parts) - 2


def _is_made_of_words(chunk: str) -> bool:
    """Whether a name joined by underscores is made of known words and short codes: ax_dwi_b50_b800_ADC."""
    parts = chunk.split("_")
    return sum(part.isalpha() for part in parts) > 1 and all(map(is_known, parts))


def _is_product(ahead: str) -> bool:
    """Whether a maker or product is named a few words before."""
    phrase = _PHRASE_AHEAD.search(ahead)
    return phrase is not None and not _PRODUCTS.isdisjoint(_BETWEEN_WORDS.split(phrase.group().lower()))


def _grouped(text: str, match: re.Match[str]) -> Numbered:
    spaced = match.group().replace(" ", "").isdecimal()
    is_phone = not spaced or _PHONE_CUE.search(text[max(0, match.start() - 24) : match.start()])
    return match.start(), match.end(), "PHONE" if is_phone else "ID"


def _is_grouped(text: str, match: re.Match[str]) -> bool:
    """Whether digits in groups are one number: an account's, a phone's."""
    groups = _DIGITS.findall(match.group())
    many = sum(map(len, groups)) >= _LEAST_GROUPED and max(map(len, groups)) >= _FEW
    return many and _MEASURE_BEHIND.match(text, match.end()) is None


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """A number with the groups of digits beside it: 9 242-2682, 12 3456 7890; and letters before: ABCD 1234 5678."""
    groups = _GROUPS_AHEAD.search(text[max(0, start - 30) : start])
    first = start - len(groups.group()) if groups else start
    last = end
    while (group := _NEXT_GROUP.match(text, last)) and not _MEASURE_BEHIND.match(text, group.end()):
        last = group.end()
    if tail := _TAIL.match(text, last):
        last = tail.end()
    letters = _PREFIX.search(text[max(0, first - 6) : first])
    return first - len(letters.group()) if letters and not is_known(letters[1]) else first, last

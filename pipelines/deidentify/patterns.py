"""What identifying text looks like: regular expressions by kind of entity. The group ``x`` is what goes.

Cue words stay (``Dr.``, ``MRN:``), so that a sentence can still be read. Case counts unless a pattern says otherwise.
"""

import re

_MAY = r"(?-i:May|MAY)(?! (?i:be|not|have|also|reflect|represent)\b)"
_MONTH = (
    rf"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|{_MAY}|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?|Januar|Februar|M[äa]rz|(?-i:Mai)|Juni|Juli|Oktober|Dezember|janvier|f[ée]vrier|mars"
    r"|avril|juin|juillet|ao[uû]t|septembre|octobre|novembre|d[ée]cembre|enero|febrero|marzo|abril|mayo|junio|julio"
    r"|agosto|septiembre|octubre|noviembre|diciembre)"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:(?:19|20)\d{2}|'?\d{2})"
_LONG_YEAR = r"(?:18|19|20)\d{2}"
_NAME = r"(?:[A-ZÀ-ÖØ-Þ](?:[\w]*['’-])?[\w]+|[A-ZÀ-ÖØ-Þ]\.)"
_PARTICLES = (
    r"(?:(?:[Dd]e|[Dd]el|[Dd]ella|[Dd]i|[Dd]a|[Dd]os|[Ll]a|[Ll]e|[Vv]an|[Vv]on|[Dd]en|[Dd]er|[Tt]er|[Zz]u)[ \t]+)*"
)
_NAMES = rf"{_PARTICLES}{_NAME}(?:,?[ \t^]+{_PARTICLES}{_NAME}){{0,3}}"
_TITLE = r"(?:Dr|DR|Mr|MR|Mrs|MRS|Ms|MS|Miss|MISS|Prof|PROF|Professor|Doctor|DOCTOR|Herr|Frau|Mme|Sra|Sr|Sig|Nurse|Rev)"
_CREDENTIAL = r"(?:M\.?D\.?|D\.?O\.?|Ph\.?D\.?|R\.?N\.?|RT(?:\(R\))?(?:\(M\))?|R\.T\.|FACR|MBBS|FRCR|MS, ?MD)"
_NAME_CUE = (
    r"(?i:patient(?:'s)?(?: name)?|name|physician|radiologist|provider|technologist|tech|attn|attending|resident|cc"
    r"|dear|referr(?:ed|ing|al)(?: physician)?(?: by)?"
    r"|(?:dictated|transcribed|signed|interpreted|reviewed|reported|read) by"
    r"|(?:verified|approved|performed) by|electronically signed|(?:discussed|reviewed) with"
    r"|daughter|mother|sister|husband|wife|son)"
)
_BY = r"(?i:dictated|transcribed|signed|interpreted|reviewed|reported|read|verified|approved|performed|referred)"
_ID = r"[A-Za-z]{0,5}[-_.:/]?\d[\w./-]*\w|\d{2,}"
_ID_CUE = (
    r"(?i:MRN|acc[.#]?|patient id(?:entifier)?|pat\.? ?id|id|SSN|social security|accession"
    r"|(?:medical )?record|case|order|visit|chart|account|policy|NHS|insurance|license|serial)"
    r"(?i:(?: number| num| no)?\.?)"
)
_PLACE = r"(?:Hospital|Clinic|Medical Center|Medical Centre|Infirmary|Klinikum|Krankenhaus)"
_SPOKEN_PHONE = r"(?:tel(?:ephone)?|ph(?:one)?|fax|pager|beeper|mobile|cell|ext(?:ension)?|call)"

PATTERNS: dict[str, tuple[str, ...]] = {
    "DATE": (
        # 2018-03-05, 2018/3/5, 2018.03.05, with a time of day after T
        rf"(?<![\d.])(?P<x>{_LONG_YEAR}([-/.])(?:0?[1-9]|1[0-2])\2{_DAY}(?:T\d{{1,2}}(?::?\d\d){{0,2}}(?:\.\d+)?Z?)?)(?![\d])(?!\.\d)",
        # 03/05/2018, 5.3.18, 03-05-2018, and day and month the other way round
        rf"(?<![\d./-])(?P<x>{_DAY}([/.-]){_DAY}\2(?:{_LONG_YEAR}|\d{{2}}))(?![\d])(?![./-]\d)",
        # 20170509, with a time of day after it
        rf"(?<!\d)(?P<x>{_LONG_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{{6}})?)(?!\d)",
        # March 3, 2018; March 3rd; 03-MAR-2018; 3. März 2018; Mar 2018
        rf"(?i:\b(?P<x>{_MONTH}\.?[ -]?{_DAY}(?:st|nd|rd|th)?(?:,?[ -]+{_YEAR})?)\b(?![./]?\d))",
        rf"(?i:\b(?P<x>{_DAY}(?:st|nd|rd|th|\.)?(?:[ -]?of)?[ -]?{_MONTH}\.?(?:,?[ -]?{_YEAR})?)\b)",
        rf"(?i:\b(?P<x>{_MONTH}\.?,?[ -]+(?:of )?{_LONG_YEAR})\b)",
        # 03/2018, 3-2018
        rf"(?<![\d./-])(?P<x>(?:0?[1-9]|1[0-2])[/-]{_LONG_YEAR})(?![\d/-])",
        # 3/5 after a word that speaks of dates
        rf"(?i:\b(?:on|dated?|since|from|until|dob|of)[: ]+)(?P<x>{_DAY}/{_DAY})(?![\d/])",
    ),
    "PHONE": (
        r"(?<![\w.])(?P<x>(?:\+\d{1,3}[ .-]?)?\(\d{2,5}\)[ .-]?\d{3,4}[ .-]?\d{3,4})(?!\w)",
        r"(?<![\w.])(?P<x>(?:\+?1[ .-])?\d{3}[ .-]\d{3}[ .-]\d{4}(?: ?(?:x|ext\.?) ?\d+)?)(?![\w])",
        r"(?<![\w.])(?P<x>\d{3}-\d{4})(?![\w-])",
        r"(?<!\w)(?P<x>\+\d{1,3}(?:[ ./-]?\d{2,5}){2,5})(?!\w)",
        rf"(?i:\b{_SPOKEN_PHONE}(?: (?:no|number))?[.:# ]{{1,3}})"
        r"(?P<x>\+?\(?\d[\d ()./-]{1,18}\d)",
    ),
    "ID": (
        r"\b(?P<x>\d{3}-\d{2}-\d{4})\b",
        r"(?<![\w.])(?P<x>\d{3} \d{3} \d{4})(?!\w)",
        rf"\b{_ID_CUE}(?i: ?(?:is|was|#|no\.?|number))?[:#= ]{{1,3}}(?P<x>{_ID})",
        r"(?<![\w.])(?P<x>\d{6,})(?![\w])",
        r"(?<![\w.])(?P<x>[A-Za-z]{1,5}[-_]?\d{5,}[A-Za-z]?)(?!\w)",
        r"(?<![\w.])(?P<x>[0-2](?:\.(?:0|[1-9]\d*)){5,})(?![\w])",
        r"(?<![\w.])(?P<x>\d{1,3}(?:\.\d{1,3}){3})(?![\w.])",
    ),
    "EMAIL": (r"(?<![\w.+-])(?P<x>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)", r"(?i:\b(?P<x>(?:https?|ftp)://\S+|www\.\S+))"),
    "LOCATION": (
        r"\b(?P<x>\d{1,5} (?:[NSEW]\.? )?[A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,3} "
        r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Square|Sq|Highway|Hwy)\b\.?)",
        r"\b(?P<x>[A-ZÄÖÜ][\wäöüß-]+(?:stra(?:ß|ss)e|str\.|weg|gasse|platz) \d{1,4}[a-z]?)\b",
        r"\b(?P<x>[A-Z]{2},? \d{5}(?:-\d{4})?)\b",
        rf"(?P<x>\b(?:[A-Z][\w'’.-]+ ){{1,4}}{_PLACE})\b",
    ),
    "NAME": (
        rf"\b{_TITLE}\b\.?[ \t]*(?P<x>{_NAMES})",
        rf"(?<!\w)(?P<x>{_NAMES}),? {_CREDENTIAL}(?!\w)",
        rf"\b{_NAME_CUE}(?i: (?:is|was|named|by))?[:=,][ \t]*(?P<x>{_NAMES})",
        rf"\b{_BY}(?i: by| with)[ \t]+(?P<x>{_NAMES})",
        r"(?<![\w^])(?P<x>[A-Za-zÀ-ÖØ-öø-ÿ'’-]{2,}\^[A-Za-zÀ-ÖØ-öø-ÿ'’-]+(?:\^[\w'’.-]*)*)",
    ),
}

COMPILED = {kind: tuple(re.compile(p) for p in patterns) for kind, patterns in PATTERNS.items()}

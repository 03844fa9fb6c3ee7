"""What identifying text looks like: regular expressions by kind of entity. The group ``x`` is what goes.

Cue words stay (``MRN:``, ``pager``), so that a sentence can still be read. Every repetition is bounded or can be read
in one way only, so that no text takes more than linear time. Dates are ``text_dates``', names ``text_names``'.
"""

import re

_B, _E = r"(?<![^\W_])", r"(?![^\W_])"
_ID = r"(?!\d{1,2}[.,]\d{1,2}(?!(?!x\b)\w|\.\d))(?:[A-Za-z]{0,6}[-_.:/]?\d(?:[-_./]?[^\W_]){1,30}|\d{2,})"
_STRONG_CUE = (
    r"(?i:MRN|acc[.#]|accession|patient[- ]id(?:entifier)?|pat\.? ?id|id|SSN|social security|medical record|NHS"
    r"|insurance"
    r"|chart|policy|account|license|licence|serial|hospital|provider|NPI|registration|requisition|claim|specimen"
    r"|histology"
    r"|hcpc|gmc|nmc|medicare|medicaid|reg\.?|subject|(?:prior )?auth(?:orization|orisation)?|hpe|uhid|ur"
    r"|pathology|aktenzeichen|fallnummer|versichertennummer|patientennummer|dossier|expediente|historia)"
)
_WEAK_CUE = r"(?i:acc|record|case|order|visit|encounter|study|exam|examination|request|label)"
_NUMBER = r"(?i: ?(?:number|num|no\.?|nr\.?|n[°º]|id|#))"
_PLACE_NOUN = (
    r"(?i:Hospital|Clinic|Medical (?:Center|Centre|Group)|(?:Breast|Imaging|Cancer|Health|Women['’]s"
    r"|Diagnostic) (?:Center|Centre"
    r"|Clinic|Associates|Institute)|Infirmary|Radiology(?: Associates| Group)?|Imaging(?: Associates| Partners"
    r"| Group)?|Health"
    r"(?: System|care| Mission)?|University|Institute|Foundation|(?:NHS )?(?:Foundation )?Trust|Medical Practice"
    r"|Surgery"
    r"|Teleradiology|(?:Screening|Medicine|Genetics|Imaging|Health) Service|Town Hall|(?:High|Primary) School"
    r"|Klinikum|Krankenhaus|Klinik|Spital)"
)
_PLACE_FIRST = (
    r"(?i:(?:Universitäts|Kreis|Stadt|Marien|Bezirks)?(?:klinikum|krankenhaus|klinik|spital)"
    r"|Centre Hospitalier(?: Universitaire"
    r"| Régional)?|H[oô]pital|Clinique|Cl[ií]nica|Hospital(?: Universitario| General| Clínico)?|University"
    r"|Université|Universidad"
    r"|Policlinico|Ospedale|Ziekenhuis|Praxis|Institut)"
)
_OF = r"(?:[ \t](?:of|de|de la|de l['’]|del|du|des|di|von|am|St\.?|Saint|Sankt|San|Santa))?"
_WORD = r"[^\W\d_a-z][\w'’-]*\.?"
_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Square|Sq|Highway|Hwy"
    r"|Parkway|Pkwy"
    r"|Terrace|Close|Crescent)"
)
_STATES = (
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]"
)
_PROVINCES = "AB|BC|MB|N[BLSTU]|ON|PEI?|QC|SK|YT"
_SPOKEN_PHONE = (
    r"(?i:t[eé]l(?:e(?:phone|fon|fono|fax))?|t[eé]l[eé]phone|ph(?:one)?|fax|pager|beeper|bleep|mobile|cell|handy"
    r"|pgr|mob|ext(?:ension|n)?|call|dial|durchwahl|poste|loc\.?|local)"
)

PATTERNS: dict[str, tuple[str, ...]] = {
    "PHONE": (
        rf"{_B}(?P<x>(?:\+?\d{{1,3}}[ .-]?)?\(\d{{2,5}}\)[ .-]?\d{{2,4}}[ .-]?\d{{2,5}}){_E}",
        rf"{_B}(?<!\d[.-])(?P<x>(?:\+?1[ .-])?\d{{3}}([ .-])\d{{3}}\2\d{{4}}(?: ?(?:x|ext\.?) ?\d{{1,6}})?){_E}",
        rf"{_B}(?<!\d[.-])(?P<x>\d{{3}}-\d{{4}}){_E}(?!-)",
        rf"(?<![^\W_])(?=\+(?:\D{{0,3}}\d){{7}})(?P<x>\+\d{{1,3}}(?:[ ./-]{{0,2}}\(?\d{{1,9}}\)?){{2,7}}){_E}",
        rf"{_B}{_SPOKEN_PHONE}(?i: ?(?:no|nr|number|centre|center|back|line|him|her|on"
        rf"|at)\b)?[.:# ]{{1,3}}(?P<x>[+(]?\d(?:(?! \d\d?:\d\d)[\d ()./-]){{1,18}}\d)(?! ?(?:mm"
        rf"|cm)\b)",
        rf"{_B}(?P<x>0\d(?:[ .]\d\d){{4}}){_E}",
        rf"{_B}(?i:(?:reading|work) ?room|front desk|reception|scheduling|desk)[:,]? (?P<x>\d{{4,5}}){_E}",
        rf"{_B}\d\d:\d\d \((?P<x>\d{{4,5}})\)",
        rf"{_B}(?!\d{{4}}-[0-2]\d[0-5]\d{_E})(?P<x>0\d{{2,4}} ?[/-] ?\d{{4,8}}){_E}",
        rf"{_B}(?P<x>0\d{{2,4}} \d{{3,4}} ?\d{{3,4}}){_E}",
        rf"(?<![^\W_])(?<!\d )(?<!\d, )(?P<x>13 \d\d \d\d){_E}(?! ?(?:mm|cm|%|x\b|\d))",
        rf"(?<=\d )(?P<x>x\d{{3,6}}){_E}(?! ?(?:x|mm|cm|px))",
        rf"{_B}(?P<x>(?:1-?8\d\d-|\d{{3}}-)(?=[A-Z0-9-]*[A-Z])[A-Z0-9][A-Z0-9-]{{2,9}}[A-Z0-9]){_E}",
    ),
    "ID": (
        rf"{_B}(?<!\d[-.])(?P<x>\d{{3}}-\d{{2}}-\d{{4}}){_E}",
        rf"{_B}(?<!\d[ .])(?P<x>\d{{3}} \d{{3}} \d{{4}}){_E}",
        rf"{_B}{_STRONG_CUE}{_NUMBER}?(?i: (?:is|was|reads))?[:#= ]{{1,3}}(?P<x>(?:[A-Z]{{2,4}} )?{_ID}){_E}",
        rf"{_B}{_WEAK_CUE}(?:{_NUMBER}[:#= ]{{0,3}}|[#:] ?"
        rf"| )(?![A-TV-Z]\d[0-9A-Z]\.)(?P<x>{_ID}){_E}(?<!\b\d)(?<!\b\d\d)(?! ?(?:mm|cm|%"
        rf"|images)\b)",
        rf"{_B}(?<!\d[.,])(?P<x>\d{{6,}})(?![^\W_])(?!\.\d)",
        rf"{_B}(?!NCT\d{{8}}{_E})(?P<x>[A-Za-z]{{1,6}}[-_./]?\d{{5,}}[A-Za-z]?){_E}",
        rf"{_B}(?P<x>(?:[A-Z]/)?\d\d/\d{{5,9}}){_E}",
        rf"{_B}(?P<x>\d{{4}} \d{{5}} \d){_E}",
        rf"{_B}(?:No|Nr|Nº|№)\.? ?(?P<x>\d{{5,}}){_E}",
        rf"{_B}(?P<x>[A-Z]{{1,3}}\d\d-\d{{3,7}}(?:-[A-Z]?\d{{1,2}})?){_E}",
        rf"{_B}(?<!\d[-./])(?P<x>\d{{2,4}}-\d{{5,9}}){_E}",
        rf"{_B}(?<!\d\.)(?!1\.2\.840\.10008\.)(?P<x>[0-2](?:\.\d{{1,39}}){{5,}}){_E}",
        rf"{_B}(?<!\d\.)(?<!\b[Vv]ersion )(?<!\b[Ss]oftware )(?<!\b[Ss][Ww] )"
        rf"(?<!\b[Rr]elease )(?<!\b[Rr]ev )(?P<x>\d{{1,3}}(?:\.\d{{1,3}}){{3}})"
        r"(?![^\W_])(?!\.\d)",
    ),
    "EMAIL": (
        r"(?<![\w.+-])(?P<x>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})",
        r"(?i:\b(?P<x>(?:https?|ftp)://\S{1,500}|www\.\S{1,500}))",
    ),
    "LOCATION": (
        rf"{_B}(?P<x>\d{{1,5}}[A-Z]? (?:[NSEW]\.? )?{_WORD}(?: {_WORD}){{0,2}} {_STREET}\b\.?)",
        r"\b(?P<x>[^\W\d_a-z][\w-]{1,40}?(?:stra(?:ß|ss)e|str\.|weg|gasse|platz|allee|ufer) \d{1,4} ?[a-z]?)\b",
        rf"\b(?P<x>(?:Am|An der|An den|Im|In der|Auf dem|Zum|Zur) {_WORD} \d{{1,4}}[a-z]?)\b",
        r"\b(?P<x>\d{1,4},? (?i:bis |ter )?(?i:rue|avenue|boulevard|bd|place|chemin|impasse|allée|quai|calle|plaza"
        r"|via|viale)"
        rf"(?: (?:de la|de l['’]|de|du|des|del|della))? ?{_WORD}(?: {_WORD}){{0,2}})",
        rf"\b(?P<x>(?i:calle|avenida|avda\.|plaza|paseo) (?:de la |de |del )?{_WORD}(?: {_WORD})?,? \d{{1,4}})\b",
        rf"\b(?P<x>(?:{_WORD} ){{0,2}}{_WORD},? (?:{_STATES}),? \d{{5}}(?:-\d{{4}})?)\b",
        rf"{_B}(?P<x>(?:{_STATES}),? \d{{5}}(?:-\d{{4}})?){_E}",
        rf"{_B}(?P<x>[A-Z]{{1,2}}\d[\dA-Z]? \d[A-Z]{{2}}){_E}",
        rf"{_B}(?P<x>[AC-FHKNPRTV-Y]\d[\dW] (?=[A-Z]{{0,3}}\d)[\dAC-FHKNPRTV-Y]{{4}}){_E}",
        rf"{_B}(?P<x>(?:(?:{_PROVINCES}),? )?[A-Z]\d[A-Z] \d[A-Z]\d){_E}",
        rf"{_B}(?P<x>(?:NSW|VIC|QLD|SA|WA|TAS|ACT|NT),? \d{{4}}){_E}",
        rf"{_B}(?P<x>Co\. {_WORD}){_E}",
        rf"(?i:\bP\.? ?O\.? Box )(?P<x>\d{{1,7}}){_E}",
    ),
    "TOWN": (rf"{_B}(?P<x>(?:[A-Z]{{1,2}}-)?\d{{4,5}} (?P<w>{_WORD}(?: (?:am|an der) {_WORD})?))",),
    "PLACE": (
        rf"\b(?P<x>(?P<w>(?:{_WORD} (?:(?:of|de|and|for|&) )?){{1,5}}){_PLACE_NOUN}(?:[ \t]+of (?P<w2>{_WORD}))?)\b",
        rf"\b(?P<x>{_PLACE_FIRST}{_OF}{_OF}[ \t](?P<w>{_WORD}(?:[ -]{_WORD}){{0,2}}))",
    ),
}
"""LOCATION's subdivision: TOWN and PLACE count only where one of the words ``w`` is strange to the vocabulary."""

PLACE_NOUNS = re.compile(
    r"hosp|clini|cl[ií]ni|medical|cent[er]|institut|infirm|radiology|imaging|health|universi|foundation|klinik"
    r"|spital|haus"
    r"|h[oô]pital|policl|osped|zieken|praxis",
    re.IGNORECASE,
)
"""What every institution's noun holds: a text without it names none."""

COMPILED = {kind: tuple(re.compile(p) for p in patterns) for kind, patterns in PATTERNS.items()}

AGES = (
    # 93-year-old, 93 years old, 93 y/o, 93yo, 93 ans, 93-jährige
    re.compile(
        r"(?<![\d.,/-])(?P<x>\d{2,3})(?=[- ]?(?:years?[- ]old|years? of age|y[./]?o\b|yrs?[- ]old|y\.o\.|-?jährige"
        r"|ans\b|años\b))",
        re.IGNORECASE,
    ),
    # aged 91, age: 91, age of 91
    re.compile(
        r"\b(?:aged|age(?: is| was| of|:|d)?)[ :]{1,2}(?P<x>\d{2,3})(?![\d.,/-]\d|\d| ?(?:mm|cm|%))", re.IGNORECASE
    ),
    re.compile(
        r"\b(?P<x>nine(?:ty|ties)(?:-(?:one|two|three|four|five|six|seven|eight|nine))?)(?=[- ]years?[- ](?:old"
        r"|of age))",
        re.IGNORECASE,
    ),
)
"""Ages in words and figures; ``x`` is the number of years."""

"""Names of persons in free text, without a language model.

Three things tell a name: a cue before or behind it (a title, a role, a degree, "signed by"), a list of names, and that
a capitalized word is strange to the vocabulary. A strange word before a noun that goes with eponyms (Hodgkin lymphoma,
Cooper's ligaments) is a term; one of a list of names that are also words (Grace Long) needs a neighbor that is a name.
"""

import re
from collections.abc import Iterator
from itertools import islice, pairwise

from pipelines.deidentify.text_initials import initials_in
from pipelines.deidentify.text_words import (
    LISTS,
    is_given,
    is_name,
    is_strange,
    is_term,
    says_nothing,
    without_ending,
)
from pipelines.deidentify.vocabulary import eponyms, is_known, words

_PARTICLES, _FUNCTION = LISTS["particles"], LISTS["never_first"]
_EPONYM_NOUNS, _EPONYM_STEPS, _EPONYM_AHEAD = (LISTS[f"eponym_{kind}"] for kind in ("nouns", "steps", "ahead"))
_EPONYM_STATES, _EPONYM_OF, _MAKERS = (LISTS[kind] for kind in ("eponym_states", "eponym_of", "makers"))

_EPONYM_BEHIND = re.compile(rf"(?:['’]s)? (?:{'|'.join(sorted(_EPONYM_NOUNS))})(?![^\W_])")

_UPPER = r"[^\W\d_a-zß-öø-ÿ]"
_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(rf"{_LETTER}(?:{_LETTER}|[\u0300-\u036f])*(?:['’]{_LETTER}+)*\.?")
_PARTICLE_AHEAD = re.compile(
    r"(?<![^\W_])(?i:(?:van|von|vom|de|del|della|di|da|dos|das|du|la|le|los|der|den|ter|ten|zu|zum"
    r"|el|al|bin|ibn|abu|ben|[óo])[ \t]){1,3}$"
    r"|(?<![^\W_])[dlmo]['’]$",
    re.IGNORECASE,
)
_INITIALS_AHEAD = re.compile(rf"(?<![^\W_])(?:{_UPPER}\.[ \t]?){{1,3}}$")
_HYPHEN_AHEAD = re.compile(rf"(?<![^\W_])(?:{_LETTER}[\w]*-){{1,2}}$")
_HYPHEN_BEHIND = re.compile(rf"(?:-(?:{_LETTER}['’])?{_LETTER}{{2,}})+")
_INITIALS_BEHIND = re.compile(rf"(?:,?[ \t]{_UPPER}\.?(?![^\W_'’]))+")
_TITLE = re.compile(
    r"(?<![^\W_])(?:(?P<sure>Drs?\.|DR\.|dr\.|Dr|Dra\.?|Mr\.?|Mrs\.?|MRS\.?|MR\.|mrs\.?|mr\.?|Ms\.?|Miss|MISS|Prof\.?"
    r"|PROF\.?|Professor|Doctor|DOCTOR"
    r"|Frau|FRAU|Herrn?|HERR|Mme\.?|MME|Madame|Mlle|Monsieur|Sra\.?|Sr\.|Señora?|Doña|Sister|Nurse|Schwester"
    r"|Sig\.(?:ra)?|Rev\.)"
    r"|(?P<maybe>DR|dr|MR|MS\.?|ms\.?|frau|mme|sra|miss|doctor|nurse|M\.))"
    r"(?![^\W_])(?:[ \t]*(?:med\.|Dr\.|rer\.|nat\.|Prof\.|PhD|habil\.))*[ \t]*(?=[^\W\d_])"
)
_ROLE = re.compile(
    r"(?<![^\W_])(?i:(?:patient(?:['’]s)?(?: name)?|name|pt(?:\.| name)?|physician|radiologist|provider"
    r"|technologist|tech(?:nician)?"
    r"|radiographer|mammographer|operator|author|observer|attn|attending|resident|fellow|cc|copies to|copy to|dear"
    r"|sincerely"
    r"|(?:kind )?regards|surgeon|oncologist|gynecologist|clinician|doctor|nurse|md|signature|signed|signé|firmado"
    r"|transcriptionist"
    r"|referr(?:ed|ing|al)(?: physician)?|referring|reader|reviewer|next of kin|contact|daughter|mother|sister"
    r"|husband|wife|son|brother"
    r"|father|aunt|cousin|friend|neighbor|neighbour|niece|partner|spouse|re|attention|zuweiser|hausarzt|patientin"
    r"|médecin traitant"
    r"|paciente|marker|under the name|filed under|(?P<of>of)))"
    r"(?P<sep>(?i: (?:is|was|named|by))?[:=,/][ \t]*|[ \t]*\n[ \t]*|[ \t]+)(?=[^\W\d_])"
)
_BY = re.compile(
    r"(?<![^\W_])(?i:dictated|transcribed|signed|interpreted|reviewed|reported|read|verified|approved|performed"
    r"|referred|discussed"
    r"|reviewed|requested|ordered|typed|uploaded|scanned|imported|entered|created|edited|cropped|processed"
    r"|positioned|operated"
    r"|assisted|agreed|spoke|spoken|concurred|confirmed|finalized|authored|prepared|overread|consulted|injected"
    r"|placed|obtained|done|patched|updated|configured|installed|calibrated|serviced|maintained|repaired|tested|checked"
    r"|witnessed|supervised|written|drafted|released|authorized|authorised|counseled|counselled|seen|examined|palpated"
    r"|biopsied|consented|notified|informed|contacted|called|booked|scheduled|registered|marked|measured|drawn"
    r"|corrected)"
    r"(?i:[ \t]+(?:on|at|again|and|in|electronically|together)\b[^.\n;:]{0,30})?(?i:[ \t]+(?:by|with|to|for|from"
    r"|through))[ \t:]+(?=[^\W\d_])"
)
_ACTOR = re.compile(
    rf"(?<![^\W_])(?P<x>{_UPPER}[^\W\d_]{{2,}})(?= (?i:performed|discussed|reviewed|injected|called|notified|positioned"
    r"|assisted|agreed|concurred|wrote|dictated|stated|states|says|said|complained|complains|felt|consented|declined"
    r"|returned|phoned|requested|spoke|explained|asked|thinks|noticed|denies|denied|underwent|attended)(?![^\W_]))"
)
_DEGREE = re.compile(
    r"(?:,[ \t]?(?:RT|DO|NP|PA)|,?[ \t](?:M\.?D\.?|D\.O\.|Ph\.?D\.?|R\.?N\.?|RT\(R\)(?:\(M\))?|R\.T\.|FACR|MBBS"
    r"|FRCR|FFR|PA-C|CRNP|DNP|ARRT|Dipl))(?![^\W_])"
)
_CARET = re.compile(
    rf"(?<![^\W_^])(?P<x>{_LETTER}[\w'’. -]{{0,40}}(?<!\d)\^[\w'’. -]{{1,40}}(?:\^[\w'’.-]{{0,20}}){{0,3}})"
)
_BETWEEN_BLANKS = re.compile(r"[^ ]+")
_LETTER_BY_LETTER = re.compile(rf"(?<![^\W_])(?:{_LETTER} ){{4,}}{_LETTER}(?![^\W_])")

_AND = re.compile(r",?[ \t](?:and|und|et|y|&)[ \t](?:(?:Drs?|Prof|Mrs?|Ms)\.?[ \t])?")
_GAP = re.compile(r"(?:,?[ \t]+|-|\^)")
_EPONYM_ALONE = re.compile(
    r":? (?:\d|(?:r|rho|[IVX]+)(?![^\W_])|(?:not|is|was) (?:suspected|excluded|considered|tested)"
    r"|unlikely|negative|positive|excluded)"
)
_FAMILY_NAME = re.compile(rf" (?P<x>{_UPPER}[^\W\d_]+)(?!\w|:)")
_FAMILY_AHEAD = re.compile(rf"(?<![^\W_])(?P<x>{_UPPER}{{2,12}}), $")
_GIVEN_BEHIND = re.compile(rf", (?P<x>{_UPPER}{{3,}})(?!\w|:)")
_NEXT_CAPITAL = re.compile(rf"[ \t]*(?:[a-z]{{1,5}}[ \t]+){{0,2}}({_LETTER})")
_VIEW = re.compile(r"[ \t](?:MLO|CC|ML)")

_ANDS = frozenset(("and", "or", "und", "et", "y"))


def names_in(text: str, *, unknown: bool) -> list[tuple[int, int]]:
    """Start and end of the names of persons in a text; they may overlap. ``unknown``: strange words count as names."""
    tokens = list(_TOKEN.finditer(text))
    found = [*_cued(text, unknown), *_paired(text, tokens)]
    if unknown:
        found += _unknown(text, tokens)
        found += (m.span() for m in _LETTER_BY_LETTER.finditer(text) if is_strange(m.group().replace(" ", "")))
    whole = (widened(text, start, _with_family_name(text, start, end)) for start, end in found)
    return [(_family_name_ahead(text, start, end), end) for start, end in whole]


def _family_name_ahead(text: str, start: int, end: int) -> int:
    """Where a given name in capitals begins with the short family name before it: OBI, CAITLIN."""
    ahead = _FAMILY_AHEAD.search(text[max(0, start - 16) : start]) if text[start:end].isupper() else None
    return start - len(ahead.group()) if ahead and not is_known(ahead["x"]) else start


def _with_family_name(text: str, start: int, end: int) -> int:
    """The end of a name with the capitalized word right behind it, where that is a listed name or no word as it stands.

    Words that are known by their stem alone (Lopes), by an eponym (Fitzpatrick) or as a word (Rice) end names, too.
    """
    listed = _GIVEN_BEHIND.match(text, end) if text[start:end].isupper() and " " not in text[start:end] else None
    if listed is not None and not is_known(listed["x"]):
        return listed.end("x")
    behind = _FAMILY_NAME.match(text, end)
    if behind is None or text[start:end].isupper() != behind["x"].isupper():
        return end
    word = behind["x"]
    small = without_ending(word).lower()
    if is_name(word) or small in eponyms() or not (small in words() or is_term(small)):
        return end if _EPONYM_BEHIND.match(text, behind.end("x")) else behind.end("x")
    return end


def _cued(text: str, unknown: bool) -> Iterator[tuple[int, int]]:
    for match in _TITLE.finditer(text):
        yield from _name_at(text, match.end(), sure=match["sure"] is not None, lower=True)
    for match in _ROLE.finditer(text):
        colon = bool(match["sep"].strip(" \t"))
        ahead = list(_TOKEN.finditer(text, max(0, match.start() - 20), match.end())) if match["of"] else []
        behind = list(islice(_TOKEN.finditer(text, match.end()), 6))
        if not colon and behind and _is_eponym(text, ahead + behind, len(ahead)):
            continue
        yield from _name_at(text, match.end(), sure=False, lower=":" in match["sep"], listed=colon)
    for match in _BY.finditer(text):
        yield from _several_at(text, match.end())
    for match in _DEGREE.finditer(text):
        yield from _name_before(text, match.start())
    yield from (match.span("x") for match in _ACTOR.finditer(text) if is_name(match["x"]))
    yield from initials_in(text, logins=unknown)
    if "^" in text:
        yield from (_without_terms(text, *match.span("x")) for match in _CARET.finditer(text))


def _without_terms(text: str, start: int, end: int) -> tuple[int, int]:
    """A name with carets (PS3.5 section 6.2.1.1) without the words of the description before and behind it."""
    words = [(start + m.start(), start + m.end(), m.group()) for m in _BETWEEN_BLANKS.finditer(text[start:end])]
    while len(words) > 1 and "^" not in words[0][2] and says_nothing(words[0][2]):
        del words[0]
    while len(words) > 1 and "^" not in words[-1][2] and says_nothing(words[-1][2]):
        del words[-1]
    return words[0][0], words[-1][1]


def _several_at(text: str, start: int) -> Iterator[tuple[int, int]]:
    """The names that begin at a place, one after another."""
    for _ in range(4):
        found = list(_name_at(text, start, sure=False, lower=False))
        yield from found
        more = _AND.match(text, found[0][1]) if found else None
        if more is None:
            return
        start = more.end()


def _name_at(text: str, start: int, *, sure: bool, lower: bool, listed: bool = True) -> Iterator[tuple[int, int]]:
    """The name that begins at a place behind a cue, if one does. ``sure``: the first word is a name whatever it is."""
    end, position = -1, start
    for number in range(6):
        match = _TOKEN.match(text, position)
        if match is None:
            break
        word = match.group()
        bare = word.rstrip(".")
        initial = len(bare) == 1 and bare.isupper()
        capital = bare[0].isupper()
        if (
            bare.lower() in _PARTICLES
            and number < 4
            and (_is_capital_behind(text, match.end()) or (lower and text[match.end() : match.end() + 1] == "-"))
        ):
            position = _behind(text, match.end())
            continue
        if initial and number < 4:
            accepted = end > 0 or word.endswith(".") or sure
        elif end < 0:
            strange = is_strange(word) or (listed and is_name(word))
            accepted = (capital and (sure or strange)) or (
                lower and len(bare) >= 3 and strange and not is_function(bare)
            )
        else:
            accepted = capital and (is_strange(word) or is_name(word))
        if not accepted or (sure and end < 0 and is_function(bare)):
            break
        end = match.start() + len(bare) if not initial else match.end()
        behind = _behind(text, match.start() + len(bare) if not initial else match.end())
        if behind < 0 or (word.endswith(".") and not initial):
            break
        position = behind
    if end > start:
        yield start, end


def _behind(text: str, end: int) -> int:
    """Where the next word of a name may begin: behind blanks, a hyphen, or one comma; -1 where none may."""
    match = _GAP.match(text, end)
    return (
        match.end() if match else end if end < len(text) and text[end - 1 : end] == "." and text[end].isalpha() else -1
    )


def _is_capital_behind(text: str, end: int) -> bool:
    behind = _NEXT_CAPITAL.match(text, end)
    return behind is not None and behind[1].isupper()


def _name_before(text: str, end: int) -> Iterator[tuple[int, int]]:
    """The name that ends before a degree: its last word, and what names stand before that."""
    tokens = list(_TOKEN.finditer(text, max(0, end - 60), end))
    start = -1
    for token in reversed(tokens):
        bare = token.group().rstrip(".")
        gap = text[token.end() : start if start >= 0 else end]
        if gap.strip(" \t,.-") or not bare[0].isupper():
            break
        if start >= 0 and len(bare) > 1 and not (is_strange(bare) or is_name(bare)):
            break
        start = token.start()
    if start >= 0:
        yield start, end


def _paired(text: str, tokens: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """Neighbors that are names by the lists: a given name before another name, a family name, comma, given name."""
    for index, (first, second) in enumerate(pairwise(tokens), start=1):
        gap = text[first.end() : second.start()]
        if gap not in (" ", "-", ", "):
            continue
        one, other = first.group(), second.group().rstrip(".")
        if not (one[0].isupper() and other[0].isupper()) or one.endswith(".") or len(one) < 3 or len(other) < 3:
            continue
        if gap == ", ":
            together = is_name(one) and is_given(other)
        else:
            together = is_given(one) and (is_name(other) or is_strange(other))
        if together and not _is_eponym(text, tokens, index):
            yield first.start(), second.start() + len(other)


def _unknown(text: str, tokens: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """Capitalized words that are strange to the vocabulary and stand where no term stands."""
    for index, match in enumerate(tokens):
        word = match.group().rstrip(".")
        start, end = match.start(), match.start() + len(word)
        if word[0].isalpha() and word[0].lower() == word[0].upper() and not is_known(word):
            yield start, end  # of a script without capitals
            continue
        if len(word) < 2 or not word[0].isupper() or not is_strange(word):
            continue
        if _is_code(text, word, start, end) or _is_eponym(text, tokens, index) or _is_product(text, tokens, index):
            continue
        yield start, end
        for beside in tokens[max(index - 1, 0) : index] + tokens[index + 1 : index + 2]:
            other = beside.group().rstrip(".")
            gap = text[beside.end() : start] if beside.end() <= start else text[end : beside.start()]
            if gap == " " and len(other) > 2 and other[0].isupper() and is_name(other):
                yield beside.start(), beside.start() + len(other)


def _is_code(text: str, word: str, start: int, end: int) -> bool:
    """Whether a word is part of a code (T2N1M0, GEMS_FFDM) or an abbreviation, and no listed name."""
    beside = (text[start - 1 : start] or " ") + (text[end : end + 1] or " ")
    if is_name(word):
        return word.isupper() and len(word) < 5 and beside[1].isdecimal()
    if any(c.isdecimal() for c in beside):
        return len(word) < 6
    if not word.isupper():
        return len(word) <= 2
    if len(word) <= 3 or (len(word) <= 5 and "_" in beside):
        return True
    line = text[text.rfind("\n", 0, start) + 1 : (text.find("\n", end) + 1 or len(text) + 1) - 1]
    return len(word) <= 4 and not line.isupper()


def _is_eponym(text: str, tokens: list[re.Match[str]], index: int) -> bool:
    """Whether the words that follow, or the one before, make a term of a strange word."""
    if index and tokens[index - 1].group().lower() in _EPONYM_AHEAD:
        return True
    if not tokens:
        return False
    if _is_listed_eponym(text, tokens, index):
        return True
    last, previous = tokens[index].end(), ""
    enclosed = text[tokens[index].start() - 1 : tokens[index].start()] == "("
    for token in tokens[index + 1 : index + 5]:
        gap, word = text[last : token.start()], token.group().rstrip(".").lower()
        if (
            len(gap) > 8
            or any(map(str.isdecimal, gap))
            or any(c in gap for c in ("\n,;:(" if enclosed else "\n,;:()"))
            or tokens[index].group().endswith(".")
        ):
            return False
        if word in _EPONYM_NOUNS:
            return True
        anded = previous in _ANDS and is_strange(word)
        if not (word in _EPONYM_STEPS or word in _ANDS or anded or gap == "-" or word in ("i", "ii", "iii", "iv")):
            return False
        previous = word
        last = token.end()
    return False


def _is_listed_eponym(text: str, tokens: list[re.Match[str]], index: int) -> bool:
    """Whether a word of the list of eponyms stands as a term: hyphenated with another, or a known condition."""
    token = tokens[index]
    if without_ending(token.group()).lower() not in eponyms():
        return False
    ahead, behind = tokens[index - 1] if index else None, tokens[index + 1] if index + 1 < len(tokens) else None
    for beside in (ahead, behind):
        if beside is not None and without_ending(beside.group()).lower() in eponyms():
            gap = text[beside.end() : token.start()] if beside is ahead else text[token.end() : beside.start()]
            if gap in ("-", "–", "/"):
                return True
    before = ahead.group().lower().rstrip(".") if ahead and text[ahead.end() : token.start()] == " " else ""
    if behind is not None and text[token.end() : behind.start()] == " " and behind.group()[0].isupper():
        return False
    if before == "of" and index > 1:
        return tokens[index - 2].group().lower() in _EPONYM_OF
    return before in _EPONYM_STATES or _EPONYM_ALONE.match(text, token.end()) is not None


def eponym_terms(text: str) -> frozenset[int]:
    """Where words of the list of eponyms begin that stand as terms in a description (GAIL MODEL)."""
    tokens = list(_TOKEN.finditer(text))
    listed = (i for i, token in enumerate(tokens) if without_ending(token.group()).lower() in eponyms())
    return frozenset(tokens[i].start() for i in listed if _is_eponym(text, tokens, i))


def _is_product(text: str, tokens: list[re.Match[str]], index: int) -> bool:
    """Whether a strange word that no list of names has stands right behind a maker's name: it is a product's."""
    if tokens[index].group().lower() in LISTS["products"]:
        return True
    if not index or text[tokens[index - 1].end() : tokens[index].start()] != " " or is_name(tokens[index].group()):
        return False
    return tokens[index - 1].group().lower() in _MAKERS


def widened(text: str, start: int, end: int) -> tuple[int, int]:
    """A name with the initials, particles and hyphenated parts that belong to it."""
    behind = _HYPHEN_BEHIND.match(text, end)
    if behind and _may_join(behind.group()):
        end = behind.end()
    for pattern in (_HYPHEN_AHEAD, _PARTICLE_AHEAD, _PARTICLE_AHEAD, _INITIALS_AHEAD):
        ahead = pattern.search(text[max(0, start - 24) : start])
        if ahead and (pattern is not _HYPHEN_AHEAD or _may_join(ahead.group())):
            start -= len(ahead.group())
    behind = _INITIALS_BEHIND.match(text, end)
    if behind and not _VIEW.match(text, behind.end()) and not _is_side(behind.group()):
        end = behind.end()
    return start, end


def _may_join(hyphenated: str) -> bool:
    """Whether what a hyphen joins to a name is a part of it: begins large, and is no abbreviation such as MLO."""
    parts = [part for part in hyphenated.split("-") if part]
    return all(not is_known(part) or (part[0].isupper() and not part.isupper()) for part in parts)


def _is_side(initials: str) -> bool:
    """Whether what follows a name is no initial but a side: R, L, or a lone word of one letter."""
    return initials.strip(" \t,") in ("R", "L", "A", "I", "X")


def is_function(word: str) -> bool:
    """Whether a word is one that no name begins with, even behind a title."""
    return word.lower() in _FUNCTION

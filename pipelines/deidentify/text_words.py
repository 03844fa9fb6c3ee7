"""What a word is, seen alone: strange to the vocabulary, formed as a clinical term is, or a name by a list."""

import re
import tomllib
from functools import lru_cache
from pathlib import Path

from pipelines.deidentify.vocabulary import census_names, english_words, is_known, names, without_accents, word_names

LISTS = {
    name: frozenset(listed.split())
    for name, listed in tomllib.loads(Path(__file__).with_name("text_names.toml").read_text(encoding="utf-8")).items()
}
"""The lists of ``text_names.toml`` by their names."""

_LETTERS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"[^\W\d_a-z][a-z]{2,}")
_TERM = re.compile(
    r"(?:itis|osis|ectomy|ectomies|ography|ographic|ogram|ograms|oscopy|oplasty|plasty|emia|pathy|pathies|cele"
    r"|celes|omas?|omata|ology"
    r"|algia|uria|penia|plasia|trophy|sclerosis|otomy|ostomy|icity|azole|statin|mycin|cillin|mab|tinib|platin|taxel"
    r"|rubicin|caine|prost"
    r"|gewebe|verkalkung|verkalkungen|verdichtung|verdichtungen|störung|störungen|befund|befunde|grafie|graphie"
    r"|parenchym|drüse|kalk"
    r"|karzinom|untersuchung|aufnahme|aufnahmen|veränderung|veränderungen|schwellung|tumor|quadrant|raphie|logie"
    r"|lésion|cation|ción"
    r"|ciones|dad|mente|ique|iques|genous|genic|lateral|medial|grade|scopic|static|tropic|lytic|lucent|dense)"
)


@lru_cache(maxsize=1 << 16)
def is_strange(word: str) -> bool:
    """Whether a word, or a part of it, is neither vocabulary nor formed as a clinical term is."""
    humps = _CAMEL.findall(word)
    if len(humps) > 1 and "".join(humps) == word and all(map(is_known, humps)):
        return False
    return any(_is_strange_part(part) for part in _LETTERS.findall(without_ending(word)))


def _is_strange_part(part: str) -> bool:
    small = part.lower()
    if is_known(part) or small in english_words():
        return False
    if not small.isascii():
        small = without_accents(small)
    return small in names() or small in census_names()[0] or not is_term(small)


def is_term(small: str) -> bool:
    """Whether a word, in small letters, ends as clinical terms do."""
    match = _TERM.search(small)
    return (
        match is not None
        and match.end() == len(small)
        and len(small) - match.start() < len(small) - 1
        and len(small) >= 7
    )


@lru_cache(maxsize=1 << 16)
def is_given(word: str) -> bool:
    """Whether a list has a word as a given name, or as a name that is no English word."""
    small = without_ending(word).lower()
    if small in word_names()[0] or small in census_names()[0]:
        return True
    return small in names() and not is_known(small)


@lru_cache(maxsize=1 << 16)
def is_login(word: str) -> bool:
    """Whether a word in small letters is none, but a frequent family name with an initial before or behind it."""
    if len(word) < 5 or not word.isascii() or is_known(word) or word in english_words() or is_name(word):
        return False
    return any(part in listed for part in (word[1:], word[:-1]) for listed in (names(), census_names()[1]))


@lru_cache(maxsize=1 << 16)
def is_name(word: str) -> bool:
    """Whether a list of names has a word, be it also an English word."""
    small = without_ending(word).lower()
    return any(small in listed for listed in (names(), *word_names(), *census_names()))


def without_ending(word: str) -> str:
    """A word without its full stop and its possessive s."""
    bare = word.rstrip(".")
    return bare[:-2] if bare.endswith(("'s", "’s")) else bare


@lru_cache(maxsize=1 << 16)
def says_nothing(word: str) -> bool:
    """Whether a word is known, and neither a name nor a cue of one: a text of such words names nobody."""
    return is_known(word) and not is_name(word) and word.lower() not in LISTS["cues"]

"""Derive ``census_names.txt`` and ``english_words.txt``, by which a capitalized word in free text is told for a name.

Run ``python -m pipelines.deidentify.derive_census_names FOLDER WORDS``. The folder holds the name files of the United
States' census of 1990 (``dist.female.first``, ``dist.male.first``, ``dist.all.last``; public domain), most frequent
first. All given names are taken and the first 30,000 family names, but for what is vocabulary, a listed name already,
or of fewer than three letters. WORDS is SCOWL's list of common English words (Debian's wamerican-small); those that are
in the vocabulary or among those names are left out. The results are snapshots.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

from pipelines.deidentify.vocabulary import names, word_names, words

_HERE = Path(__file__).parent
_MOST = 30_000
_SHORTEST = 3
_NAMES_ARE = "# Names of the United States' census of 1990: given names first, family names behind the bar."
_WORDS_ARE = """\
# Common English words that are no names: of SCOWL (Spell Checker Oriented Word Lists). Copyright 2000-2011 by Kevin
# Atkinson. Permission to use, copy, modify, distribute and sell these word lists, the associated scripts, the output
# created from the scripts, and its documentation for any purpose is hereby granted without fee, provided that the above
# copyright notice appears in all copies and that both that copyright notice and this permission notice appear in
# supporting documentation. Kevin Atkinson makes no representations about the suitability of this array for any purpose.
# It is provided "as is" without express or implied warranty."""


def main(arguments: list[str] | None = None) -> None:
    """Write given names, a bar and family names; and the words."""
    parser = argparse.ArgumentParser(description="Derive the lists of the census' names and of English words.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", type=Path)
    options = parser.parse_args(arguments)
    given = _names(options.folder / "dist.female.first") + _names(options.folder / "dist.male.first")
    family = _names(options.folder / "dist.all.last")
    known = words() | names() | word_names()[0] | word_names()[1]
    lines = [_NAMES_ARE, *_chosen(given, known), "|", *_chosen(family[:_MOST], known)]
    (_HERE / "census_names.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    english = (
        w for w in options.words.read_text(encoding="utf-8").split() if w.isascii() and w.isalpha() and w.islower()
    )
    chosen = _chosen(english, known | set(given) | set(family[:_MOST]))
    (_HERE / "english_words.txt").write_text("\n".join([_WORDS_ARE, *chosen]) + "\n", encoding="utf-8")


def _names(path: Path) -> list[str]:
    """Names in small letters, most frequent first."""
    return [line.split()[0].lower() for line in path.read_text(encoding="ascii").splitlines()]


def _chosen(listed: Iterable[str], known: set[str] | frozenset[str]) -> list[str]:
    return sorted({word for word in listed if len(word) >= _SHORTEST and word not in known})


if __name__ == "__main__":
    main()

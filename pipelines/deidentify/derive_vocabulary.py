"""Derive ``vocabulary.txt``, the words that may stand in a kept description.

Run ``python -m pipelines.deidentify.derive_vocabulary``.

The words are those of DICOM's dictionaries (names of attributes, UIDs, code meanings) as shipped with pydicom, English
function words as shipped with spaCy, and the project's own list, less frequent names of persons. The result is a
snapshot: a newer pydicom does not change what passes until this is run again.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_WORD = re.compile(r"[a-z]{2,}")


def main(arguments: list[str] | None = None) -> None:
    """Write the vocabulary, one word a line, in order."""
    parser = argparse.ArgumentParser(description="Derive the vocabulary of kept descriptions.")
    parser.add_argument("--out", type=Path, default=_HERE / "vocabulary.txt")
    given = parser.parse_args(arguments)
    names = set(_listed("names.txt"))
    own = set(_listed("own_words.txt"))
    words = (set(_words(_dicom_terms())) | set(_words(_function_words())) | own) - (names - own)
    given.out.write_text("\n".join(sorted(words)) + "\n", encoding="utf-8")


def _listed(name: str) -> Iterator[str]:
    lines = (_HERE / name).read_text(encoding="utf-8").splitlines()
    return _words(line for line in lines if not line.startswith("#"))


def _words(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from _WORD.findall(text.lower())


def _dicom_terms() -> Iterator[str]:
    from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
    from pydicom._uid_dict import UID_dictionary
    from pydicom.sr._concepts_dict import concepts

    for dictionary in (DicomDictionary, RepeatersDictionary):
        yield from (str(entry[2]) for entry in dictionary.values())
    yield from (str(entry[0]) for entry in UID_dictionary.values())
    schemes: Mapping[str, Any] = concepts
    for scheme in schemes.values():
        for keyword in scheme.values():
            yield from (str(meaning) for meaning, _ in keyword.values())


def _function_words() -> Iterator[str]:
    from spacy.lang.en.stop_words import STOP_WORDS

    return iter(sorted(STOP_WORDS))


if __name__ == "__main__":
    main()

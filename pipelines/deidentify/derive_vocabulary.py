"""Derive ``vocabulary.txt``, the words that may stand in a kept description, and ``code_meanings.txt``.

Run ``python -m pipelines.deidentify.derive_vocabulary``.

The words are those of DICOM's dictionaries (names of attributes, UIDs, code meanings) as shipped with pydicom, English
function words as shipped with spaCy, and the project's own two lists, less frequent names of persons (those that
``own_words.txt`` has stay). The meanings are those
of standard codes that hold a name, a lone letter or a sign beside such words. The result is a snapshot: a newer pydicom
does not change what passes until this is run again.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.deidentify.vocabulary import without_accents

_HERE = Path(__file__).parent
_NAMED_FOR = (3663, 3664, 3666, 7480, 7481, 7486, 12012, 12013, 12014, 12015, 12016)
"""Context groups whose meanings are made of names of places and persons: breeds, and equations named for authors."""
_LIVING = ("breed", "(organism)")
_WORD = re.compile(r"[^\W\d_]{2,}")


def main(arguments: list[str] | None = None) -> None:
    """Write the vocabulary, one word a line, in order."""
    parser = argparse.ArgumentParser(description="Derive the vocabulary of kept descriptions.")
    parser.add_argument("--out", type=Path, default=_HERE / "vocabulary.txt")
    given = parser.parse_args(arguments)
    names = set(_listed("names.txt"))
    own = set(_listed("own_words.txt"))
    terms = {word for word in _words(_dicom_terms()) if len(word) > 2} | set(_listed("clinical_words.txt"))
    others = {word for word in terms | set(_words(_function_words())) if without_accents(word) not in names}
    words = others | own
    given.out.write_text("\n".join(sorted(words)) + "\n", encoding="utf-8")
    meanings = {" ".join(m.split()) for m in _meanings() if not {w for w in _words([m]) if w not in names} <= words}
    meanings |= {m for m in _meanings() if re.search(r"[^\W\d_]\^|\b[A-Za-z]\b", m)}
    phrases = sorted(m.lower() for m in meanings if len(m.split()) > 1 and m.isprintable())
    given.out.with_name("code_meanings.txt").write_text("\n".join(dict.fromkeys(phrases)) + "\n", encoding="utf-8")


def _listed(name: str) -> Iterator[str]:
    lines = (_HERE / name).read_text(encoding="utf-8").splitlines()
    return _words(line for line in lines if not line.startswith("#"))


def _words(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from _WORD.findall(text.lower())


def _dicom_terms() -> Iterator[str]:
    from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
    from pydicom._uid_dict import UID_dictionary

    for dictionary in (DicomDictionary, RepeatersDictionary):
        yield from (str(entry[2]) for entry in dictionary.values())
    yield from (str(entry[0]) for entry in UID_dictionary.values())
    yield from _meanings()


def _meanings() -> Iterator[str]:
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr._concepts_dict import concepts

    schemes: Mapping[str, Any] = concepts
    groups: Mapping[int, Mapping[str, Iterable[str]]] = cid_concepts
    named = {(scheme, keyword) for cid in _NAMED_FOR for scheme in groups[cid] for keyword in groups[cid][scheme]}
    for name, scheme in schemes.items():
        for keyword, entries in scheme.items():
            if (name, keyword) not in named:
                yield from (str(meaning) for meaning, _ in entries.values() if not str(meaning).endswith(_LIVING))


def _function_words() -> Iterator[str]:
    from spacy.lang.en.stop_words import STOP_WORDS

    return iter(sorted(STOP_WORDS))


if __name__ == "__main__":
    main()

"""Density from the rows of delivered labels tables: the many ways to write BI-RADS A to D, read to one letter.

A table that a column map was made for has its densities already; its votes name the map. In one with our own columns
"B/C" and words between categories are the neighboring densities that they may mean. The three classes of MIAS
(F fatty, G fatty-glandular, D dense-glandular) are sets of BI-RADS categories, and their D looks like BI-RADS D. So in
a table that holds F or G anywhere a bare D counts only where its reader's scale is told: D for one who writes neither
of the two and uses the four classes elsewhere in that table, C or D for one who writes them and never uses the four.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from pipelines.storage.tables import DENSITIES, DENSITY_SETS

GRADES = {"a": "A", "1": "A", "i": "A", "b": "B", "2": "B", "ii": "B"}
GRADES |= {"c": "C", "3": "C", "iii": "C", "d": "D", "4": "D", "iv": "D"}
"""BI-RADS 5th edition letters, 4th edition numbers and roman numerals, to the letter."""

_SCALE_WORDS = r"(?:acr|bi-?rads|mammographic|breast|tissue|density|dense|composition|category|cat|class|type|grade)"
_BEFORE = rf"(?:{_SCALE_WORDS}|[\s\-_:.=(\[])*"
_GRADE = re.compile(rf"{_BEFORE}(?P<grade>[a-d]|[1-4](?:\.0)?|iv|i{{1,3}})[\s)\].]*")
_RANGE = re.compile(rf"{_BEFORE}(?P<low>[a-d]|[1-4])\s*(?:/|-|to|or)\s*(?P<high>[a-d]|[1-4])[\s)\].]*")
_WORDING = (
    (re.compile(rf"{_BEFORE}(?:almost entirely|entirely fat)"), "A"),
    (re.compile(rf"{_BEFORE}scattered "), "B"),
    (re.compile(rf"{_BEFORE}heterogen\w* "), "C"),
    (re.compile(rf"{_BEFORE}extremely dens"), "D"),
)


THREE_CLASSES = {"f": "AB", "fatty": "AB", "g": "BC", "fatty glandular": "BC", "d": "CD", "dense glandular": "CD"}
"""The scale of MIAS (Suckling et al. 1994), to the neighboring categories that its words may mean."""


def density_of(text: str | None) -> str | None:
    """Read one value of a density column: a letter A to D, or None where it does not say one of them."""
    if text is None:
        return None
    value = " ".join(text.lower().split()) + " "
    for pattern, density in _WORDING:
        if pattern.match(value):
            return density
    found = _GRADE.fullmatch(value)
    return GRADES[found["grade"].removesuffix(".0")] if found else None


_BETWEEN = re.compile(rf"{_BEFORE}(?:(?P<AB>(?:almost |mostly )?fat(?:ty)?)|(?P<CD>dense)) ")
"""Words that two neighboring categories share."""


def densities_between(text: str | None) -> str | None:
    """The neighboring densities that a value like ``B/C``, ``2-3`` or ``dense`` may mean, or None."""
    value = " ".join((text or "").lower().split()) + " "
    if between := _BETWEEN.fullmatch(value):
        return between.lastgroup
    found = _RANGE.fullmatch(value)
    if not found:
        return None
    low, high = (DENSITIES.index(GRADES[found[end]]) for end in ("low", "high"))
    named = "".join(DENSITIES[low : high + 1])
    return named if named in DENSITY_SETS else None


def is_three_class(values: Iterable[str | None]) -> bool:
    """Does a density column hold a value that only the three-class scale (F, G, D) has?"""
    return any(_three_class(v) for v in values)


def read_table(delivered: pa.Table) -> list[dict[str, Any]]:
    """Votes (rows of VOTES without ``vote_id``) from the written rows of DELIVERED_LABELS, of any number of files."""
    files: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in delivered.to_pylist():
        if row["status"] == "written":
            files[row["file_id"]].append(row)
    votes = []
    for rows in files.values():
        scales = _scales(rows)
        for row in rows:
            densities, rule = _densities(row, scales.get(row["reader"]))
            if densities is None:
                continue
            votes.append(
                {
                    "source": "table",
                    "evidence_id": row["label_id"],
                    "rule": rule,
                    "reader": row["reader"],
                    "patient": row["patient"],
                    "accession": row["accession"],
                    "study_instance_uid": row["study_instance_uid"],
                    "sop_instance_uid": row["sop_instance_uid"],
                    "laterality": row["laterality"],
                    "densities": densities,
                }
            )
    return votes


def count_rows(delivered: pa.Table, votes: Iterable[dict[str, Any]]) -> dict[str, int]:
    """What became of the rows of DELIVERED_LABELS, none left out: how many gave a vote, and why others did not.

    ``votes`` are rows of VOTES. ``no density by <map>``: the column map takes the value for none; ``scale not told``: a
    D that may be of the three-class scale; ``refused: <reason>``: level C did not hand the row on.
    """
    spoke = {vote["evidence_id"] for vote in votes if vote["source"] == "table"}
    counts: Counter[str] = Counter()
    for row in delivered.to_pylist():
        if row["status"] != "written":
            counts[f"refused: {row['reason']}"] += 1
        elif row["label_id"] in spoke:
            counts["a vote"] += 1
        else:
            counts[f"no density by {row['column_map']}" if row["column_map"] else "scale not told"] += 1
    return dict(counts)


def _densities(row: dict[str, Any], scale: str | None) -> tuple[str | None, str]:
    """The densities of a row and the rule that says them; ``scale``: its reader's, three, four or (None) not told."""
    if row["column_map"] is not None:
        return row["densities"], row["column_map"]
    if _is_bare_d(row):
        return {"four": "D", "three": "CD", None: None}[scale], f"labels_{scale}_classes"
    if three := _three_class(row["density"]):
        return three, "labels_three_classes"
    if between := densities_between(row["density"]):
        return between, "labels_between_classes"
    return density_of(row["density"]), "labels_four_classes"


def _three_class(value: str | None) -> str | None:
    """What a value that only the three-class scale has may mean."""
    text = (value or "").lower()
    for words in (text, re.sub(rf"^{_BEFORE}", "", text)):  # "dense" may belong to the class or to what stands before
        plain = " ".join(words.replace("-", " ").split())
        if plain != "d" and plain in THREE_CLASSES:
            return THREE_CLASSES[plain]
    return None


def _is_bare_d(row: dict[str, Any]) -> bool:
    return (row["density"] or "").strip().lower() == "d"


def _scales(rows: list[dict[str, Any]]) -> dict[str | None, str]:
    """The scale of each reader (None: unnamed ones together) whose bare D can be told: three or four classes."""
    readers: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["column_map"] is None:
            readers[row["reader"]].append(row)
    three = {reader for reader, own in readers.items() if is_three_class(r["density"] for r in own)}
    if not three:
        return dict.fromkeys(readers, "four")
    four = {
        reader for reader, own in readers.items() if any(density_of(r["density"]) and not _is_bare_d(r) for r in own)
    }
    return dict.fromkeys(three - four, "three") | dict.fromkeys(four - three, "four")

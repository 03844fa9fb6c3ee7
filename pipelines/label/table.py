"""Density from the rows of delivered labels tables: the many ways to write BI-RADS A to D, read to one letter.

A table that a column map was made for has its densities already; its votes name the map. In one with our own columns
a value that cannot be read gives no vote. The three classes of MIAS (F fatty, G fatty-glandular, D dense-glandular) are
sets of BI-RADS categories, and their D looks like BI-RADS D. So in a table that holds F or G anywhere a bare D counts
only where its reader's scale is told: D for one who writes neither of the two and uses the four classes elsewhere in
that table, C or D for one who writes them and never uses the four.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

GRADES = {"a": "A", "1": "A", "i": "A", "b": "B", "2": "B", "ii": "B"}
GRADES |= {"c": "C", "3": "C", "iii": "C", "d": "D", "4": "D", "iv": "D"}
"""BI-RADS 5th edition letters, 4th edition numbers and roman numerals, to the letter."""

_SCALE_WORDS = r"(?:acr|bi-?rads|mammographic|breast|tissue|density|composition|category|class|type|grade)"
_GRADE = re.compile(rf"(?:{_SCALE_WORDS}|[\s\-_:.=(\[])*(?P<grade>[a-d]|[1-4](?:\.0)?|iv|i{{1,3}})[\s)\].]*")
_WORDING = (
    (re.compile(r"almost entirely|entirely fat"), "A"),
    (re.compile(r"scattered "), "B"),
    (re.compile(r"heterogen\w* "), "C"),
    (re.compile(r"extremely dens"), "D"),
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


def _densities(row: dict[str, Any], scale: str | None) -> tuple[str | None, str]:
    """The densities of a row and the rule that says them; ``scale``: its reader's, three, four or (None) not told."""
    if row["column_map"] is not None:
        return row["densities"], row["column_map"]
    if _is_bare_d(row):
        return {"four": "D", "three": "CD", None: None}[scale], f"labels_{scale}_classes"
    if three := _three_class(row["density"]):
        return three, "labels_three_classes"
    return density_of(row["density"]), "labels_four_classes"


def _three_class(value: str | None) -> str | None:
    """What a value that only the three-class scale has may mean."""
    plain = " ".join((value or "").lower().replace("-", " ").split())
    return THREE_CLASSES.get(plain) if plain != "d" else None


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

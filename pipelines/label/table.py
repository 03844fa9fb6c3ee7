"""Density from the rows of delivered labels tables: the many ways to write BI-RADS A to D, read to one letter.

A value that cannot be read gives no vote. The three-class scale of MIAS (F fatty, G fatty-glandular, D dense-glandular)
does not map onto four classes, and its D looks like BI-RADS D. So in a table that holds F or G anywhere a bare D gives
no vote, but for a reader who writes neither of the two and who uses the four-class scale elsewhere in that table.
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
_THREE_CLASS = re.compile(r"[fg]|fatty(?:[- ]glandular)?|dense[- ]glandular")


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
    return any(_THREE_CLASS.fullmatch(" ".join(v.lower().split())) for v in values if v)


def read_table(delivered: pa.Table) -> list[dict[str, Any]]:
    """Votes (rows of VOTES without ``vote_id``) from the written rows of DELIVERED_LABELS, of any number of files."""
    files: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in delivered.to_pylist():
        if row["status"] == "written":
            files[row["file_id"]].append(row)
    votes = []
    for rows in files.values():
        trusted = _readers_of_four_classes(rows)
        for row in rows:
            density = density_of(row["density"])
            if density is None or (_is_bare_d(row) and row["reader"] not in trusted):
                continue
            votes.append(
                {
                    "source": "table",
                    "evidence_id": row["label_id"],
                    "rule": "density",
                    "reader": row["reader"],
                    "patient": row["patient"],
                    "accession": row["accession"],
                    "study_instance_uid": row["study_instance_uid"],
                    "sop_instance_uid": row["sop_instance_uid"],
                    "laterality": row["laterality"],
                    "densities": density,
                }
            )
    return votes


def _is_bare_d(row: dict[str, Any]) -> bool:
    return (row["density"] or "").strip().lower() == "d"


def _readers_of_four_classes(rows: list[dict[str, Any]]) -> set[str | None]:
    """The readers (None: unnamed ones together) whose bare D means BI-RADS D in this table."""
    readers: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        readers[row["reader"]].append(row)
    three_class = {reader for reader, own in readers.items() if is_three_class(r["density"] for r in own)}
    if not three_class:
        return set(readers)
    told = {r["reader"] for r in rows if density_of(r["density"]) and not _is_bare_d(r)}
    return told - three_class

"""Density from DICOM structured reports: Mammography CAD SR (TID 4000 ff.) and breast imaging reports (TID 4200 ff.).

A statement is a CODE content item whose *name* is Breast composition and whose *value* is one of the four classes of
CID 6000/6001, under today's SNOMED CT codes or the legacy SNOMED RT ones. Concepts that sound alike but are findings,
such as (129793001, SCT, "Mammography breast density") or the density of a mass, are other names and never match.
"""

from collections.abc import Iterator

import pydicom

from pipelines.label.statement import Statement

Code = tuple[str, str]

COMPOSITION: frozenset[Code] = frozenset({("129715009", "SCT"), ("F-01710", "SRT"), ("111006", "DCM")})
"""Breast composition (value, scheme); DCM 111006 is its retired code in DICOM's own scheme."""

DENSITY_OF: dict[Code, str] = {
    ("129716005", "SCT"): "A",
    ("129717001", "SCT"): "B",
    ("129718006", "SCT"): "C",
    ("129719003", "SCT"): "D",
    ("F-01711", "SRT"): "A",
    ("F-01712", "SRT"): "B",
    ("F-01713", "SRT"): "C",
    ("F-01714", "SRT"): "D",
}
"""CID 6001 (Overall Breast Composition from BI-RADS) and CID 6000."""

LATERALITY_NAMES: frozenset[Code] = frozenset(
    {("272741003", "SCT"), ("G-C171", "SRT"), ("363698007", "SCT"), ("G-C0E3", "SRT")}
)
"""Laterality and Finding site: the names under which an item says which breast it speaks of."""

SIDE_OF: dict[Code, str | None] = {
    ("7771000", "SCT"): "L",
    ("80248007", "SCT"): "L",
    ("G-A101", "SRT"): "L",
    ("T-04030", "SRT"): "L",
    ("24028007", "SCT"): "R",
    ("73056007", "SCT"): "R",
    ("G-A100", "SRT"): "R",
    ("T-04020", "SRT"): "R",
    ("51440002", "SCT"): None,
    ("63762007", "SCT"): None,
    ("G-A102", "SRT"): None,
    ("T-04080", "SRT"): None,
}
"""CID 6022 (Side) and CID 244 (Laterality); None speaks of both breasts."""

_LEGACY_SCHEMES = {"SNM3": "SRT", "99SDM": "SRT", "SNOMED-CT": "SCT", "2.16.840.1.113883.6.96": "SCT"}
_DEEPEST = 64


def read_sr(dataset: pydicom.Dataset) -> tuple[Statement, ...]:
    """Every statement of density in an SR's content tree, in document order, each once.

    An item without a side of its own inherits that of the nearest item above it.
    """
    return tuple(dict.fromkeys(_walk(dataset, None, 0)))


def _walk(item: pydicom.Dataset, side: str | None, depth: int) -> Iterator[Statement]:
    children = list(item.get("ContentSequence") or ())
    for modifier in [*children, *(m for c in children if _names_side(c) for m in c.get("ContentSequence") or ())]:
        value = _code(modifier, "ConceptCodeSequence")
        if _names_side(modifier) and value in SIDE_OF:
            side = SIDE_OF[value]
    if _code(item, "ConceptNameCodeSequence") in COMPOSITION:
        value = _code(item, "ConceptCodeSequence")
        if value in DENSITY_OF:
            yield Statement(side, DENSITY_OF[value])
    if depth < _DEEPEST:
        for child in children:
            yield from _walk(child, side, depth + 1)


def _names_side(item: pydicom.Dataset) -> bool:
    return _code(item, "ConceptNameCodeSequence") in LATERALITY_NAMES


def _code(item: pydicom.Dataset, keyword: str) -> Code | None:
    """The first code of a code sequence as (value, scheme); None where it is missing or broken."""
    sequence = item.get(keyword)
    if not sequence:
        return None
    value = str(sequence[0].get("CodeValue", "")).strip()
    scheme = str(sequence[0].get("CodingSchemeDesignator", "")).strip()
    return value, _LEGACY_SCHEMES.get(scheme, scheme)

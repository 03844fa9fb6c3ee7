"""Density from DICOM structured reports: Mammography CAD SR (TID 4000 ff.) and breast imaging reports (TID 4200 ff.).

A statement is a CODE content item whose *name* is Breast composition and whose *value* is one of the four classes of
CID 6000/6001, under today's SNOMED CT codes or the legacy SNOMED RT ones. Concepts that sound alike but are findings,
such as (129793001, SCT, "Mammography breast density") or the density of a mass, are other names and never match.
What stands below a heading of history, indication or comparison (CID 6053, CID 7001) speaks of another examination, and
a radiation dose report's composition is the dose model's: neither counts.
"""

from collections.abc import Iterable, Iterator

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
    {("272741003", "SCT"), ("G-C171", "SRT"), ("363698007", "SCT"), ("G-C0E3", "SRT"), ("111027", "DCM")}
)
"""Laterality, Finding site, Image laterality: the names under which an item says which breast it speaks of."""

ELSEWHERE: frozenset[Code] = frozenset(
    {
        ("111424", "DCM"),  # Comparison to previous studies
        ("121060", "DCM"),  # History
        ("11329-0", "LN"),  # History
        ("121068", "DCM"),  # Previous findings
        ("121069", "DCM"),  # Previous finding
        ("18834-2", "LN"),  # Previous findings
        ("121066", "DCM"),  # Prior procedure descriptions
        ("55114-3", "LN"),  # Prior procedure descriptions
        ("111513", "DCM"),  # Relevant previous procedures
        ("111531", "DCM"),  # Previous procedure
        ("111549", "DCM"),  # Previous reports
        ("122075", "DCM"),  # Prior report for current patient
        ("18785-6", "LN"),  # Indications for procedure
        ("121109", "DCM"),  # Indications for procedure
        ("113701", "DCM"),  # X-Ray radiation dose report
    }
)
"""Items whose content does not speak of this examination's breasts."""

DENIED: frozenset[Code] = frozenset(
    {("272519000", "SCT"), ("121054", "DCM"), ("373068000", "SCT"), ("R-4089B", "SRT"), ("R-0038A", "SRT")}
)
"""Absent and Undetermined (CID 240): what a modifier may say to take a finding back."""

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

    An item without a side of its own has that of the image it refers to (the image library of CAD, TID 4020), else that
    of the nearest item above it. An item that a modifier calls absent or undetermined says nothing.
    """
    return tuple(dict.fromkeys(_walk(dataset, dataset, None, 0)))


def _walk(item: pydicom.Dataset, root: pydicom.Dataset, side: str | None, depth: int) -> Iterator[Statement]:
    children = _children(item)
    name, value = _code(item, "ConceptNameCodeSequence"), _code(item, "ConceptCodeSequence")
    if name in ELSEWHERE or any(_code(c, "ConceptCodeSequence") in DENIED for c in children if _modifies(c)):
        return
    side = _side_in(
        [*children, *(m for c in children if _names_side(c) for m in _children(c))], _side_of_image(item, root, side)
    )
    if name in COMPOSITION and value in DENSITY_OF:
        yield Statement(side, DENSITY_OF[value], f"{name[1]} {name[0]}")
    if depth < _DEEPEST:
        for child in children:
            yield from _walk(child, root, side, depth + 1)


def _side_in(modifiers: list[pydicom.Dataset], side: str | None) -> str | None:
    for modifier in modifiers:
        value = _code(modifier, "ConceptCodeSequence")
        if _names_side(modifier) and value in SIDE_OF:
            side = SIDE_OF[value]
    return side


def _side_of_image(item: pydicom.Dataset, root: pydicom.Dataset, side: str | None) -> str | None:
    """The side of the images that an item or its regions refer to, where they are all of one; else the one given."""
    referring = [
        *_children(item),
        *(g for c in _children(item) if c.get("ValueType") == "SCOORD" for g in _children(c)),
    ]
    paths = [r.get("ReferencedContentItemIdentifier") for r in referring]
    sides = {_side_in(_children(_item_at(root, path)), None) for path in paths if path}
    sides.discard(None)
    return sides.pop() if len(sides) == 1 else side


def _item_at(root: pydicom.Dataset, path: int | Iterable[int]) -> pydicom.Dataset:
    """The item that ReferencedContentItemIdentifier (PS3.3 C.17.3.2.5) names by positions from 1; or an empty one."""
    positions = [path] if isinstance(path, int) else list(path)
    found = root
    for position in positions[1:]:
        children = _children(found)
        if not 1 <= position <= len(children):
            return pydicom.Dataset()
        found = children[position - 1]
    return found


def _children(item: pydicom.Dataset) -> list[pydicom.Dataset]:
    return list(item.get("ContentSequence") or ())


def _modifies(item: pydicom.Dataset) -> bool:
    return bool(item.get("RelationshipType") == "HAS CONCEPT MOD")


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

"""Which breast, seen how: laterality, view and view modifiers from every place that may state them.

Codes: PS3.16 CID 4014 (views) and CID 4015 (modifiers), in SNOMED CT and in the retired SRT/SNM3 ids; terms: PS3.3
C.8.11.7 View Position and C.7.6.1.1.1 Patient Orientation. Coded values are believed before text.
"""

import re
from dataclasses import dataclass

import pydicom

from pipelines.normalize.header import functional_groups, items, text, texts

VIEW_CODES = {
    **dict.fromkeys(("399162004", "R-10242"), "CC"),
    **dict.fromkeys(("399368009", "R-10226"), "MLO"),
    **dict.fromkeys(("399260004", "R-10224"), "ML"),
    **dict.fromkeys(("399352003", "R-10228"), "LM"),
    **dict.fromkeys(("399099002", "R-10230"), "LMO"),
    **dict.fromkeys(("399196006", "R-10244"), "FB"),
    **dict.fromkeys(("399188001", "R-102D0"), "SIO"),
    **dict.fromkeys(("441555000", "R-40AAA"), "ISO"),
    **dict.fromkeys(("399192008", "R-1024A", "Y-X1770"), "XCCL"),
    **dict.fromkeys(("399101009", "R-1024B", "Y-X1771"), "XCCM"),
    **dict.fromkeys(("127457009", "G-8310"), "SPECIMEN"),
}
MODIFIER_CODES = {
    **dict.fromkeys(("399209000", "R-102D5"), "implant_displaced"),
    **dict.fromkeys(("399163009", "R-102D6"), "magnification"),
    **dict.fromkeys(("399055006", "R-102D7"), "spot"),
    **dict.fromkeys(("442581004", "R-40AB3"), "nipple_in_profile"),
    **dict.fromkeys(("399161006", "R-102D2"), "cleavage"),
    **dict.fromkeys(("399011000", "R-102D1"), "axillary_tail"),
    **dict.fromkeys(("442580003", "R-40AB2"), "axillary_tissue"),
    **dict.fromkeys(("399110001", "R-102C2"), "tangential"),
    **dict.fromkeys(("399197002", "R-102D3", "399226006", "R-102D4"), "rolled"),
    **dict.fromkeys(("414493004", "R-102CA", "415670009", "R-102C9"), "rolled"),
    **dict.fromkeys(("441752004", "P2-00161"), "anterior_compression"),
    **dict.fromkeys(("442593008", "R-40ABE"), "inframammary_fold"),
}
STANDARD_VIEWS = frozenset({"CC", "MLO"})

_TERMS = "XCCL|XCCM|XCC|LMO|MLO|SIO|ISO|CC|ML|LM|FB|CV|AT"
_POSITION = re.compile(rf"(?P<side>[LR])?[ _-]*(?P<magnified>M)?(?P<view>{_TERMS})[ _-]*(?P<displaced>ID)?")
_DESCRIPTION = re.compile(r"(?<![A-Z])(?:(?P<side>[LR])|LEFT|RIGHT)?[ _-]*(?P<view>XCCL|XCCM|LMO|MLO|CC)(?![A-Z])")
_SIDE = {"L": "L", "R": "R", "LEFT": "L", "RIGHT": "R"}


@dataclass(frozen=True)
class Projection:
    """What the header states: ``view`` is a term of PS3.3 C.8.11.7 or None; ``chest_wall`` is ``left``, ``right`` or
    None, by Patient Orientation; ``contradictions`` are flags."""

    laterality: str | None
    view: str | None
    modifiers: frozenset[str]
    chest_wall: str | None
    contradictions: tuple[str, ...]


def read_projection(dataset: pydicom.Dataset) -> Projection:
    """Read laterality, view, modifiers and orientation, and note where two places contradict one another."""
    views, modifiers = _coded_views(dataset)
    position = _POSITION.fullmatch(text(dataset, "ViewPosition").upper())
    if position:
        views.append(position["view"])
        modifiers |= {"magnification"} if position["magnified"] else set()
        modifiers |= {"implant_displaced"} if position["displaced"] else set()
    elif text(dataset, "ViewPosition"):
        views.append(text(dataset, "ViewPosition").upper())
    described = _described(dataset)
    sides = _stated_sides(dataset)
    if position and position["side"]:
        sides.append(position["side"])
    orientation_side, chest_wall = _orientation(dataset)
    contradictions = []
    if len(set(sides)) > 1:
        contradictions.append("laterality_contradiction")
    if len(set(views)) > 1:
        contradictions.append("view_contradiction")
    if sides and orientation_side and orientation_side != sides[0]:
        contradictions.append("orientation_contradicts_laterality")
    laterality = sides[0] if sides else described[0] or orientation_side
    return Projection(
        laterality=laterality,
        view=views[0] if views else described[1],
        modifiers=frozenset(modifiers),
        chest_wall=chest_wall or _flipped(dataset, laterality),
        contradictions=tuple(contradictions),
    )


def _flipped(dataset: pydicom.Dataset, laterality: str | None) -> str | None:
    """The chest wall's side where only Field of View Horizontal Flip (0018,7034) tells that it is not the usual one."""
    flipped = text(dataset, "FieldOfViewHorizontalFlip").upper() == "YES"
    return {"L": "right", "R": "left"}.get(laterality or "") if flipped else None


def _coded_views(dataset: pydicom.Dataset) -> tuple[list[str], set[str]]:
    views: list[str] = []
    modifiers: set[str] = set()
    for item in items(dataset, "ViewCodeSequence"):
        view = VIEW_CODES.get(text(item, "CodeValue"))
        views += [view] if view else []
        for modifier in items(item, "ViewModifierCodeSequence"):
            modifiers.add(MODIFIER_CODES.get(text(modifier, "CodeValue"), "unknown_modifier"))
    return views, modifiers


def _stated_sides(dataset: pydicom.Dataset) -> list[str]:
    stated = [text(dataset, "ImageLaterality")]
    stated += [text(item, "FrameLaterality") for item in functional_groups(dataset, "FrameAnatomySequence")]
    stated.append(text(dataset, "Laterality"))
    return [side for side in (_SIDE.get(value.upper()) for value in stated) if side]


def _described(dataset: pydicom.Dataset) -> tuple[str | None, str | None]:
    """Side and view by the descriptions' text, such as ``R MLO`` or ``LCC``: believed only where nothing else is."""
    for keyword in ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription", "ImageComments"):
        found = _DESCRIPTION.search(text(dataset, keyword).upper())
        if found:
            side = found["side"] or next((s for s in ("LEFT", "RIGHT") if found[0].startswith(s)), None)
            return _SIDE.get(side or ""), found["view"]
    return None, None


def _orientation(dataset: pydicom.Dataset) -> tuple[str | None, str | None]:
    """Laterality and the chest wall's side by Patient Orientation.

    Rows that run to the anterior have the chest wall on the left. In CC and MLO pictures of the right breast columns
    run towards the patient's left, hung as PS3.3 C.8.11.7 asks.
    """
    orientation = texts(dataset, "PatientOrientation")
    if len(orientation) != 2:
        return None, None
    along_row, along_column = orientation
    chest_wall = {"A": "left", "P": "right"}.get(along_row[:1])
    sides = {"L": "R", "R": "L"}
    found = {sides[letter] for letter in along_column if letter in sides}
    return (found.pop() if len(found) == 1 and chest_wall else None), chest_wall

"""Sequences that stand in for others where an IOD requires one: valid, and empty of meaning."""

from collections.abc import Callable

from pydicom.datadict import dictionary_has_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify import values
from pipelines.deidentify.elements import PIXELS, items_of, set_value, text_of, values_of, vr_in_dictionary, vr_of
from pipelines.deidentify.reading import tags_of

CODE_VALUE, SCHEME, MEANING, LONG_CODE_VALUE = 0x00080100, 0x00080102, 0x00080104, 0x00080119
CODE_DUMMIES = {
    CODE_VALUE: values.REMOVED,
    SCHEME: "99MIDAR",
    MEANING: values.REMOVED,
    LONG_CODE_VALUE: "REMOVED_FROM_HERE",
}
"""What stands in a code (PS3.3 section 8.8) for a part that may not stay; a long one has more than 16 characters."""

_CONTENT_SEQUENCE, _GRAPHIC_ANNOTATIONS, _GRAPHIC_LAYER = 0x0040A730, 0x00700001, 0x00700002
_REPEATING = range(0x5000, 0x6100)


def dummy_sequence(
    dataset: Dataset, tag: int, new_uid: Callable[[str], str], is_harmless: Callable[[str], bool]
) -> Sequence:
    """One item with the elements of a sequence's first one, each with a dummy value.

    ``new_uid`` gives the pseudonym of a UID, ``is_harmless`` says whether a code string may stay.
    """
    items = items_of(dataset, tag)
    if not items:
        return Sequence()
    if tag == _CONTENT_SEQUENCE:
        return Sequence([dummy_content()])
    if tag == _GRAPHIC_ANNOTATIONS:
        layer = text_of(items[0], _GRAPHIC_LAYER)
        return Sequence([_dummy_annotation(layer if is_harmless(layer) else values.REMOVED)])
    if any(code in items[0] for code in CODE_DUMMIES):
        return Sequence([_dummy_code()])
    item = Dataset()
    for element in filter(_may_stand, tags_of(items[0])):
        vr = vr_of(items[0], element)
        if vr == "SQ":
            set_value(item, element, vr, dummy_sequence(items[0], element, new_uid, is_harmless))
        elif vr == "UI":
            set_value(item, element, vr, [new_uid(uid) for uid in values_of(items[0], element)] or None)
        else:
            set_value(item, element, vr, values.dummy(vr))
    return Sequence([item])


def _may_stand(tag: int) -> bool:
    group = tag >> 16
    if group % 2 or group <= 0x0006 or group in _REPEATING or not tag & 0xFFFF or tag in PIXELS:
        return False
    return dictionary_has_tag(tag)


def dummy_content() -> Dataset:
    """A content item that says nothing (PS3.3 section C.17.3)."""
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", values.REMOVED
    item.ConceptNameCodeSequence = Sequence([_dummy_code()])
    return item


def _dummy_code() -> Dataset:
    item = Dataset()
    for tag in (CODE_VALUE, SCHEME, MEANING):
        set_value(item, tag, vr_in_dictionary(tag), CODE_DUMMIES[tag])
    return item


def _dummy_annotation(layer: str) -> Dataset:
    """A point at the display's corner, in a layer (PS3.3 section C.10.5)."""
    point, item = Dataset(), Dataset()
    point.GraphicAnnotationUnits, point.GraphicDimensions, point.NumberOfGraphicPoints = "DISPLAY", 2, 1
    point.GraphicData, point.GraphicType = [0.0, 0.0], "POINT"
    item.GraphicLayer, item.GraphicObjectSequence = layer, Sequence([point])
    return item

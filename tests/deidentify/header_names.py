"""What a header names, read element by element through pydicom: an oracle for the faster reading of ``identifiers``."""

from collections.abc import Iterable

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pipelines.deidentify.deny import DATE_KEYWORDS, ID_KEYWORDS, PLACE_KEYWORDS, DenyList, deny_list
from pipelines.deidentify.reading import tags_of


def deny_list_of(dataset: Dataset) -> DenyList:
    """The deny list of one object: person names, ids and places of its header at any depth."""
    names: list[str] = []
    places: list[str] = []
    ids: list[str] = []
    births: list[str] = []
    for keyword, vr, value in _texts(dataset):
        if vr == "PN":
            names.append(value)
        elif keyword in PLACE_KEYWORDS:
            places.append(value)
        elif keyword in ID_KEYWORDS:
            ids.append(value)
        elif keyword in DATE_KEYWORDS:
            births.append(value)
    return deny_list(names=names, places=places, ids=ids, dates=births)


def _texts(dataset: Dataset) -> Iterable[tuple[str, str, str]]:
    """Keyword, VR and value of the names, ids and places in a header, at any depth; what cannot be read is left out."""
    for tag in tags_of(dataset):
        raw = dataset.get_item(tag)
        keyword = keyword_for_tag(tag)
        vr = str(getattr(raw, "VR", None) or "")
        if vr not in ("SQ", "PN", "UN", "") and keyword not in ID_KEYWORDS | PLACE_KEYWORDS | DATE_KEYWORDS:
            continue
        try:
            element = dataset[tag]
            value = element.value
        except Exception:  # noqa: BLE001 - whatever a damaged value does to the parser, it holds no name to look for
            continue
        if element.VR == "SQ":
            for item in value:
                yield from _texts(item)
        elif value:
            values = value if isinstance(value, (MultiValue, list)) else [value]
            yield from ((keyword, str(element.VR), str(one)) for one in values)

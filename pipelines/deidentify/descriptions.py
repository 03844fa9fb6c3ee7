"""What an object's codes say of its study and series: a description in place of one that names more than it may.

Only known words are said: a code's meaning is text that somebody wrote, too.
"""

from pydicom.dataset import Dataset

from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.elements import items_of, text_of
from pipelines.deidentify.text import keep_known_words

_MEANING = 0x00080104
_STUDY = {0x00081030, 0x00321060, 0x00400254, 0x00400007}
_SERIES = {0x0008103E, 0x00181030, 0x00181400, 0x00189423}
"""StudyDescription and descriptions of procedures; SeriesDescription, ProtocolName and the like."""
_PROCEDURES = (0x00081032, 0x00321064, 0x00400260, 0x00400008)
_VIEW_POSITION, _VIEW_CODE = 0x00185101, 0x00540220
_LATERALITIES = (0x00200062, 0x00200060)
_REGION = 0x00082218
_VIEWS = {"medio-lateral oblique": "MLO", "cranio-caudal": "CC", "medio-lateral": "ML", "latero-medial": "LM"}


def described_by_codes(dataset: Dataset, tag: int, deny: DenyList) -> str:
    """A description of the kind that an element (by its tag) holds, from a data set that is not yet cleaned; or "".

    Of a study: the meaning of its procedure's code. Of a series: side and view, such as "R MLO", or the region.
    """
    if tag in _STUDY:
        return next((said for said in (_said(dataset, code, deny) for code in _PROCEDURES) if said), "")
    if tag not in _SERIES:
        return ""
    side = next((v for v in (text_of(dataset, t).strip() for t in _LATERALITIES) if v in ("R", "L", "B")), "")
    position = text_of(dataset, _VIEW_POSITION).strip()
    meaning = _said(dataset, _VIEW_CODE, deny)
    view = position if position and not keep_known_words(position, deny)[1] else _VIEWS.get(meaning.lower(), meaning)
    return " ".join(part for part in (side, view) if part) if view else _said(dataset, _REGION, deny)


def _said(dataset: Dataset, tag: int, deny: DenyList) -> str:
    """The meaning of the code in a sequence's first item, if it is made of known words."""
    items = items_of(dataset, tag) if tag in dataset else None
    meaning = text_of(items[0], _MEANING).strip() if items else ""
    return meaning if meaning and not keep_known_words(meaning, deny)[1] else ""

"""Elements that stayed as they are in an earlier object of a study: those that are the same stay in the next one, too.

Most elements are the same in all objects of a series. Under one profile, in objects of one study, class and encoding,
an element's own value decides what becomes of it; where more than that does, or cleaning leaves a trace, it is decided
anew.
"""

from functools import lru_cache

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from pipelines.deidentify.cleaning import Cleaning
from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.profile import Profile

_CHARACTER_SET, _TEXT_VALUE = 0x00080005, 0x0040A160
_ANEW = frozenset({None, "DA", "DT", "SQ", "UI", "UN"})
_FIRST_OF_GRAPHICS = 0x50000000
_LONGEST, _MOST = 1 << 10, 1 << 14


class Unchanged:
    """What was done (K or C) to elements that stayed as they are, by tag, VR and value as they are encoded."""

    def __init__(self) -> None:
        self._actions: dict[tuple[int, str | None, bytes | None], str] = {}

    def action(self, tag: int, element: DataElement | RawDataElement | None) -> str | None:
        """What was done to the same element before; None where that is not known."""
        if type(element) is RawDataElement:
            return self._actions.get((tag, element.VR, element.value))
        return None

    def remember(self, tag: int, element: DataElement | RawDataElement | None, action: str) -> None:
        """Remember what was done to an element that stayed as it is, unless more than its value decides.

        That is so of private attributes, curves, overlays and pixel data, of dates, UIDs and sequences, of texts whose
        concept has a policy of its own, and of the character set.
        """
        if type(element) is not RawDataElement or not isinstance(element.value, bytes) or len(element.value) > _LONGEST:
            return
        of_others = tag & 0x10000 or tag >= _FIRST_OF_GRAPHICS or tag in (_CHARACTER_SET, _TEXT_VALUE)
        if not of_others and element.VR not in _ANEW and len(self._actions) < _MOST:
            self._actions[tag, element.VR, element.value] = action


def unchanged_before(dataset: Dataset, cleaning: Cleaning) -> Unchanged:
    """What is known of the elements of earlier objects like this one."""
    charset = dataset._read_charset
    encoding = charset if isinstance(charset, str) else tuple(charset or ())
    order = dataset._read_implicit, dataset._read_little
    return _unchanged(cleaning.profile, cleaning.deny, cleaning.sop_class_uid, encoding, order)


@lru_cache(maxsize=4)
def _unchanged(profile: Profile, deny: DenyList, sop_class_uid: str, encoding: object, order: object) -> Unchanged:
    return Unchanged()

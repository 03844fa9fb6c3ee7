"""What an object says of its own past: a patient's clinical object, de-identified before, or of no patient at all."""

from pydicom.dataset import Dataset

from pipelines.deidentify.elements import items_of, text_of

CLINICAL, DEIDENTIFIED, SYNTHETIC = "clinical", "deidentified", "synthetic"

_SYNTHETIC_DATA = 0x0008001C
_IDENTITY_REMOVED, _METHOD, _METHOD_CODES = 0x00120062, 0x00120063, 0x00120064
_TEMPORAL = 0x00280303


def origin_of(dataset: Dataset) -> str:
    """``clinical``, ``deidentified`` or ``synthetic``, as the header states it before it is cleaned.

    Synthetic: Synthetic Data (0008,001C) is YES (PS3.3 C.12.1). De-identified: Patient Identity Removed (0012,0062) is
    YES, or a method (0012,0063) or method codes (0012,0064) are there (PS3.3 C.7.1.1); it goes through cleaning as
    others do, since what somebody else removed is not known. Raises nothing: what cannot be read states nothing.
    """
    if _is_yes(dataset, _SYNTHETIC_DATA):
        return SYNTHETIC
    if _is_yes(dataset, _IDENTITY_REMOVED) or text_of(dataset, _METHOD).strip(" \0\\"):
        return DEIDENTIFIED
    if _METHOD_CODES in dataset and items_of(dataset, _METHOD_CODES):
        return DEIDENTIFIED
    return CLINICAL


def _is_yes(dataset: Dataset, tag: int) -> bool:
    return text_of(dataset, tag).strip(" \0").upper() == "YES"


def earlier_codes(dataset: Dataset, ours: list[tuple[str, str]]) -> list[Dataset]:
    """Codes of methods (0012,0064) by which others de-identified a data set before, but for ``ours`` (code, meaning).

    Of the standard's own scheme alone (DCM; CID 7050): what stands in a code of another's scheme is not known. To be
    called on a data set that is cleaned, so that code meanings are.
    """
    known = {code for code, _ in ours}
    found = []
    for item in (items_of(dataset, _METHOD_CODES) or ()) if _METHOD_CODES in dataset else ():
        code, scheme = text_of(item, 0x00080100).strip(" \0"), text_of(item, 0x00080102).strip(" \0")
        if scheme == "DCM" and code.isdecimal() and code not in known:
            known.add(code)
            found.append(item)
    return found


def temporal_information(dataset: Dataset, *, moved: bool, kept: bool) -> str:
    """(0028,0303) of a data set whose dates were moved, kept or neither: kept dates are what they were before."""
    if moved:
        return "MODIFIED"
    before = text_of(dataset, _TEMPORAL).strip(" \0")
    return (before if before in ("MODIFIED", "REMOVED") else "UNMODIFIED") if kept else "REMOVED"

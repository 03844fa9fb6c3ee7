"""pydicom's dictionary, looked up once for each tag: thousands of objects have the same few hundred."""

from functools import lru_cache

from pydicom import datadict

_MOST = 1 << 14


@lru_cache(_MOST)
def vr_in_dictionary(tag: int) -> str:
    """An attribute's VR, of repeating groups too; several as ``US or SS``; "" where the dictionary lacks it."""
    try:
        return str(datadict.dictionary_VR(tag))
    except KeyError:
        return ""


@lru_cache(_MOST)
def keyword_for_tag(tag: int) -> str:
    """An attribute's keyword, or "" where the dictionary lacks it."""
    return datadict.keyword_for_tag(tag)

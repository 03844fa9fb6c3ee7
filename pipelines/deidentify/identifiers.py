"""What an object's header names: read from its raw elements in one pass, merged over a study with ``|``.

Two things are made of it: the deny list by which texts are cleaned (``deny``), and the terms that must not be found in
what was written (``residual``). Values are decoded only where they may name somebody.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from pydicom.charset import convert_encodings, decode_bytes, default_encoding
from pydicom.datadict import private_dictionary_VR
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import TEXT_VR_DELIMS

from pipelines.deidentify import dates
from pipelines.deidentify.deny import DATE_KEYWORDS, ID_KEYWORDS, PLACE_KEYWORDS, DenyList, deny_list
from pipelines.deidentify.dictionary import keyword_for_tag, vr_in_dictionary
from pipelines.deidentify.elements import PIXELS, is_standard_uid
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.raw_elements import TooShortError, UnusualError, elements_in, items_in, tag_of
from pipelines.deidentify.vocabulary import is_known

_TEXT_VRS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN", "OB"})
_NUMBER_VRS = frozenset({"AS", "CS", "DS", "IS"})
_DECIMAL = re.compile(r"[-+]?[\d.]*(?:[eE][-+]?\d+)?")
_PRINTABLE = re.compile(r"[ -~]*")
_WORDS = re.compile(r"[^\W_]+")
_CHARACTER_SET = BaseTag(0x00080005)
_LONGEST = 1024
_MOST = 5000
_MOST_KINDS = 1 << 15
_ITEM = b"\xfe\xff\x00\xe0"
_NONE: frozenset[Any] = frozenset()


@dataclass(frozen=True)
class HeaderIdentifiers:
    """What headers name. Of ``texts``, ``uids`` and ``raw`` at most 5,000 each are held, the least ones in order.

    ``names``: PN values; ``ids``: patient's, order's and staff's ids; ``places``: institutions and addresses, of which
    ``removed_places`` do not stay under the profile; ``births``: dates of birth (DA); ``days``: all dates (DA);
    ``uids``: instance UIDs that do not stay; ``texts``: other texts of at least 6 characters that do not stay, and are
    no generic words; ``raw``: values that cannot be decoded, and names as they are encoded; ``encodings``: Python
    codecs of the character sets. ``cut`` says that not all could be held.
    """

    names: frozenset[str] = _NONE
    ids: frozenset[str] = _NONE
    places: frozenset[str] = _NONE
    removed_places: frozenset[str] = _NONE
    births: frozenset[str] = _NONE
    days: frozenset[str] = _NONE
    uids: frozenset[str] = _NONE
    texts: frozenset[str] = _NONE
    raw: frozenset[bytes] = _NONE
    encodings: frozenset[str] = _NONE
    cut: bool = False

    def __or__(self, other: "HeaderIdentifiers") -> "HeaderIdentifiers":
        return merged((self, other))


_BOUNDED = ("uids", "texts", "raw")
_SETS = tuple(each.name for each in fields(HeaderIdentifiers) if each.name != "cut")


def merged(several: Iterable[HeaderIdentifiers]) -> HeaderIdentifiers:
    """All of them together, in whatever order."""
    sets: dict[str, set[Any]] = {name: set() for name in _SETS}
    cut = False
    for one in several:
        cut |= one.cut
        for name, found in sets.items():
            more = getattr(one, name)
            if not more <= found:
                found |= more
    return _of(sets, cut)


def _of(sets: Mapping[str, set[Any]], cut: bool) -> HeaderIdentifiers:
    held: dict[str, frozenset[Any]] = {}
    for name, found in sets.items():
        if name in _BOUNDED and len(found) > _MOST:
            found, cut = set(sorted(found)[:_MOST]), True
        held[name] = frozenset(found)
    return HeaderIdentifiers(**held, cut=cut)


@lru_cache(maxsize=8)
def deny_list_from(identifiers: HeaderIdentifiers) -> DenyList:
    """The deny list of what headers name; the same object for the same identifiers, one study after the other."""
    return deny_list(
        names=sorted(identifiers.names),
        places=sorted(identifiers.places),
        ids=sorted(identifiers.ids),
        dates=sorted(identifiers.births),
    )


def identifiers_in(dataset: Dataset, profile: Profile) -> HeaderIdentifiers:
    """What a header, before it is cleaned, names at any depth. Raises nothing: what cannot be read is held as it is."""
    return identifiers_in_elements(dataset._dict, profile)


def identifiers_in_elements(elements: Mapping[BaseTag, Any], profile: Profile) -> HeaderIdentifiers:
    """What elements name, as ``identifiers_in``."""
    found = _Found(profile)
    found.read(elements, [default_encoding])
    return _of(found.sets, cut=False)


def kept_texts(dataset: Dataset, profile: Profile) -> frozenset[str]:
    """The texts of elements that stay, or may: a word of theirs is no identifier for being in a removed element too."""
    found = _Found(profile, kept=set())
    found.read(dataset._dict, [default_encoding])
    return frozenset(found.kept or ())


@dataclass
class _Found:
    """One walk over a header. ``kept`` is None where the texts that stay are not wanted."""

    profile: Profile
    sets: dict[str, set[Any]] = field(default_factory=lambda: {name: set() for name in _SETS})
    kept: set[str] | None = None

    def read(self, elements: Mapping[BaseTag, Any], encodings: list[str]) -> None:
        encodings = self._encodings(elements, encodings)
        kinds = _kinds_under(self.profile.options)
        for tag, element in elements.items():
            vr = element.VR
            if vr is None or vr == "UN":
                vr = _vr_of(elements, tag, element)
            kind = kinds.get((tag, vr))
            if kind is None:
                kind = _kind(self.profile, int(tag), vr)
                if len(kinds) < _MOST_KINDS:
                    kinds[tag, vr] = kind
            if kind == "" or (kind == "kept" and self.kept is None):
                continue
            value = element.value
            if not value:
                continue
            if kind == "items":
                self._items(element, encodings)
            elif isinstance(value, bytes):
                self._value(kind, vr, value, encodings)
            else:
                several = (
                    value if isinstance(value, (list, tuple)) or (vr != "PN" and hasattr(value, "append")) else [value]
                )
                for one in several:
                    self._text(kind, str(one), b"")

    def _encodings(self, elements: Mapping[BaseTag, Any], parents: list[str]) -> list[str]:
        stated = elements.get(_CHARACTER_SET)
        if stated is None or not stated.value:
            return parents
        if isinstance(stated.value, bytes):
            names: Any = stated.value.decode("latin-1").rstrip("\0 ").split("\\")
        else:
            names = stated.value
        try:
            codecs = list(convert_encodings(names))
        except Exception:  # noqa: BLE001 - a character set that is not known adds no encoding
            return parents
        self.sets["encodings"].update(codecs)
        return codecs

    def _items(self, element: Any, encodings: list[str]) -> None:
        """The items of a sequence; one that this parser does not know is left to pydicom's, then taken as it is."""
        if not isinstance(element, RawDataElement):
            for item in element.value:
                self.read(item._dict, encodings)
            return
        data, implicit, little = element.value, element.is_implicit_VR, element.is_little_endian
        if element.VR == "UN":
            implicit, little = True, True
        if data is None:
            return
        try:
            for begin, end, _ in items_in(data, 0, len(data), implicit=implicit, little=little):
                inside, _ = elements_in(data, begin, end, implicit=implicit, little=little)
                self.read(inside, encodings)
        except (UnusualError, TooShortError):
            try:
                for item in convert_raw_data_element(element._replace(VR="SQ"), encoding=encodings).value:
                    self.read(item._dict, encodings)
            except Exception:  # noqa: BLE001 - whatever a damaged sequence does to the parser, it is searched for as it is
                self._as_it_is(data)

    def _as_it_is(self, data: bytes) -> None:
        if len(data) <= _LONGEST:
            self.sets["raw"].add(data.strip(b" \0"))

    def _value(self, kind: str, vr: str, data: bytes, encodings: list[str]) -> None:
        if kind == "text":
            if len(data) <= _LONGEST:
                self.sets["texts"].update(_telling_texts(vr, data, tuple(encodings)))
            return
        if kind == "uid":
            self.sets["uids"].update(_instance_uids(data))
            return
        if vr in ("OB", "UN") and (
            len(data) > _LONGEST or not _PRINTABLE.fullmatch(data.strip(b"\0 ").decode("latin-1"))
        ):
            return
        try:
            text = data.decode("ascii") if data.isascii() and b"\x1b" not in data else _decoded(data, encodings)
        except Exception:  # noqa: BLE001 - whatever a damaged value does to the decoder, it is searched for as it is
            self._as_it_is(data)
            return
        for one in text.split("\\"):
            self._text(kind, one, data)

    def _text(self, kind: str, text: str, data: bytes) -> None:
        """Put one value where it belongs; ``data`` is the element's value as it is encoded."""
        text = text.strip("\0 \r\n")
        if not text:
            return
        sets = self.sets
        if kind in ("day", "birth"):
            day = dates.moved_date(text[:8], 0)
            if day:
                sets["days"].add(day)
            if kind == "birth":
                sets["births"].add(text)
        elif kind == "name":
            sets["names"].add(text)
            if not data.isascii():
                sets["raw"].update(p.strip(b" \0") for p in re.split(rb"[\^=\\]", data) if not p.isascii())
        elif kind == "id":
            sets["ids"].add(text)
        elif kind in ("place", "removed_place"):
            sets["places"].add(text)
            if kind == "removed_place":
                sets["removed_places"].add(text)
        elif kind == "kept" and self.kept is not None:
            self.kept.add(text)
        elif kind == "text" and _is_telling(text):
            sets["texts"].add(text)
        elif kind == "uid" and not is_standard_uid(text):
            sets["uids"].add(text)


def _decoded(data: bytes, encodings: list[str]) -> str:
    return "=".join(decode_bytes(part, encodings, TEXT_VR_DELIMS | {0x5E, 0x5C}) for part in data.split(b"="))


@lru_cache(maxsize=8)
def _kinds_under(options: frozenset[str]) -> dict[tuple[int, str], str]:
    """What is known of tags and VRs under a profile's options, to be filled."""
    return {}


def _kind(profile: Profile, tag: int, vr: str) -> str:
    """What an element's value is to us; "" where it is nothing."""
    if tag in PIXELS:
        return ""
    if vr == "SQ":
        return "items"
    decision = profile.decide(tag)
    stays = decision is None or decision.action in ("K", "C")
    keyword = keyword_for_tag(tag)
    if vr == "UI":
        retained = profile.is_on("retain_uids") or (decision is not None and decision.action in ("K", "C"))
        return "kept" if retained else "uid"
    if vr in ("DA", "DT"):
        return "birth" if keyword in DATE_KEYWORDS else "day"
    if vr == "PN":
        return "name"
    if keyword in ID_KEYWORDS:
        return "id"
    if keyword in PLACE_KEYWORDS:
        return "place" if stays else "removed_place"
    if vr in _TEXT_VRS and not stays:
        return "text"
    return "kept" if vr in _TEXT_VRS | _NUMBER_VRS else ""


def _vr_of(elements: Mapping[BaseTag, Any], tag: int, element: Any) -> str:
    """The VR of an element that states none, or UN: the dictionary's, the private dictionary's, or SQ by its looks."""
    number, vr = int(tag), ""
    if not (number >> 16) % 2:
        vr = vr_in_dictionary(number)
    elif number & 0xFFFF >= 0x1000:
        creator = elements.get(tag_of(number & 0xFFFF0000 | (number & 0xFFFF) >> 8))
        name = creator.value if creator is not None else None
        vr = _private_vr(number, name if isinstance(name, bytes) else str(name or "").encode())
    else:
        vr = "LO"
    value = element.value
    if vr in ("", "UN") and isinstance(value, bytes) and value[:4] == _ITEM:
        return "SQ"
    return vr.split(" or ")[-1] if vr else "UN"


@lru_cache(maxsize=8192)
def _private_vr(tag: int, creator: bytes) -> str:
    try:
        return str(private_dictionary_VR(BaseTag(tag), creator.decode("latin-1").strip("\0 ")))
    except KeyError:
        return ""


@lru_cache(maxsize=2048)
def _instance_uids(data: bytes) -> tuple[str, ...]:
    values = (one.strip("\0 ") for one in data.decode("latin-1").split("\\"))
    return tuple(uid for uid in values if uid and not is_standard_uid(uid))


@lru_cache(maxsize=2048)
def _telling_texts(vr: str, data: bytes, encodings: tuple[str, ...]) -> tuple[str, ...]:
    """The values of a removed element that say something of their own."""
    if vr in ("OB", "UN") or (data.isascii() and b"\x1b" not in data):
        text = data.decode("latin-1")
        if vr in ("OB", "UN") and not _PRINTABLE.fullmatch(text.strip("\0 ")):
            return ()
    else:
        try:
            text = _decoded(data, list(encodings))
        except Exception:  # noqa: BLE001 - whatever a damaged value does to the decoder
            text = data.decode("latin-1")
    single = vr in ("LT", "ST", "UT", "UR", "OB", "UN")
    values = (one.strip("\0 \r\n") for one in ([text] if single else text.split("\\")))
    return tuple(one for one in values if _is_telling(one))


def _is_telling(text: str) -> bool:
    """Whether a text has at least 6 characters and is neither a number nor made of generic words."""
    if len(text) < 6:
        return False
    if _DECIMAL.fullmatch(text):
        return text.isdecimal()
    return not all(is_known(word) for word in _WORDS.findall(text))

"""Private attributes: which of them are safe to retain (PS3.15 section E.3.10), and what the object says of its own.

Safe are the elements of Table E.3.10-1, by their private creator and in whatever block it reserved. An object may also
describe its private blocks itself, in the Private Data Element Characteristics Sequence (0008,0300) of PS3.3 section
C.12.1: a block that it calls UNSAFE goes, with elements of the table too; of a MIXED one only what it lists as
nonidentifying may stay; what it calls safe and the table does not name stays only where its value can be cleaned by its
VR. Retained elements are cleaned like any other (``engine``); nothing is believed to be harmless for being declared so.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from pydicom.datadict import private_dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify import values
from pipelines.deidentify.confidentiality import safe_private_vr
from pipelines.deidentify.elements import items_of, read_as, text_of, values_of
from pipelines.deidentify.raw_elements import tag_of
from pipelines.deidentify.raw_values import element_at, plain_values, remove
from pipelines.deidentify.writing import encoded_items

CHARACTERISTICS = 0x00080300
_GROUP, _CREATOR, _STATUS, _NONIDENTIFYING = 0x00080301, 0x00080302, 0x00080303, 0x00080304
_ACTIONS, _IDENTIFYING, _ACTION = 0x00080305, 0x00080306, 0x00080307
_FIRST_GROUP, _LAST_GROUP = 0x0009, 0xFFFD
_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "UR", "AE"})
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_PAYLOADS = frozenset(
    {
        ("HOLOGIC, Inc.", 0x7E01, 0x12),
        ("Philips Imaging DD 001", 0x2001, 0x7D),
        ("Philips Imaging DD 001", 0x2001, 0xFF),
        ("Philips ST80i", 0x0025, 0x01),
        *(("SIEMENS Ultrasound SC2000", 0x7FD1, element) for element in (0x01, 0x10, 0x11)),
        *(("SIEMENS SYNGO ULTRA-SOUND TOYON DATA STREAMING", 0x7FD1, element) for element in (0x01, 0x10, 0x11)),
    }
)
"""Elements of Table E.3.10-1 that hold pictures or whole files in a vendor's own encoding: nothing finds text there."""


@dataclass(frozen=True)
class Block:
    """What an object says of a private block: its status, what in it identifies nobody, and what to do to the rest."""

    status: str
    nonidentifying: frozenset[int]
    actions: Mapping[int, str]


@dataclass(frozen=True)
class PrivateBlocks:
    """The blocks that an object describes, by group and creator; elements are the last eight bits of their tags."""

    described: Mapping[tuple[int, str], Block] = field(default_factory=dict)

    def action(self, dataset: Dataset, tag: int, *, payloads: bool) -> tuple[str, str]:
        """What becomes of a private element (K, D, Z, U or X) and the VR that it has to have, or "" for any number.

        ``payloads``: whether pictures and files in a vendor's own encoding may stay.
        """
        creator = creator_of(dataset, tag)
        group, element = tag >> 16, tag & 0xFF
        if not creator or not _FIRST_GROUP <= group <= _LAST_GROUP:
            return "X", ""
        if not self.described:
            return _by_the_table(tag, creator, _written_vr(dataset, tag), payloads)
        vr = safe_private_vr(creator, group, element)
        if _is_ambiguous(_written_vr(dataset, tag), vr, _vr_in_dictionary(tag, creator)):
            return "X", ""
        block = self.described.get((group, creator))
        if block is None:
            return _by_the_table(tag, creator, _written_vr(dataset, tag), payloads)
        declared = vr or _vr_in_dictionary(tag, creator) or _written_vr(dataset, tag)
        if block.status == "SAFE" or (block.status == "MIXED" and element in block.nonidentifying):
            kept = vr is not None or declared not in _BULK | {""}
            kept = kept and (payloads or (creator, group, element) not in _PAYLOADS)
            return ("K", declared) if kept else ("X", "")
        action = block.actions.get(element, "X") if block.status == "MIXED" else "X"
        return (action, declared) if declared and declared not in _BULK else ("X", "")

    def unsafe_in(self, dataset: Dataset, tags: Collection[int], *, payloads: bool) -> set[int]:
        """Of an object that describes none of its blocks, the private elements for which ``action`` says X."""
        if self.described:
            return set()
        elements, creators = dataset._dict, dict[int, str]()
        unsafe = set()
        for tag in tags:
            block = tag >> 8 & 0xFF
            if tag & 0x10000 and block:
                creator = creators.get(tag >> 8)
                if creator is None:
                    creator = creators[tag >> 8] = creator_of(dataset, tag)
                vr = elements[tag_of(tag)].VR
                if not creator or _by_the_table(tag, creator, str(vr) if vr else "", payloads)[0] == "X":
                    unsafe.add(tag)
        return unsafe


@lru_cache(maxsize=1 << 14)
def _by_the_table(tag: int, creator: str, written: str, payloads: bool) -> tuple[str, str]:
    """What becomes of a private element of whose block the object says nothing, and its VR, as ``action`` has them."""
    group, element = tag >> 16, tag & 0xFF
    vr = safe_private_vr(creator, group, element) if _FIRST_GROUP <= group <= _LAST_GROUP else None
    if vr is None or _is_ambiguous(written, vr, _vr_in_dictionary(tag, creator)):
        return "X", ""
    return ("K", vr) if payloads or (creator, group, element) not in _PAYLOADS else ("X", "")


def blocks_of(dataset: Dataset) -> PrivateBlocks:
    """What an object says of its private blocks; one that is described twice or cannot be read counts as UNSAFE."""
    described: dict[tuple[int, str], Block] = {}
    for item in (items_of(dataset, CHARACTERISTICS) or ()) if CHARACTERISTICS in dataset else ():
        group = _numbers(item, _GROUP)
        creator = text_of(item, _CREATOR).strip(" \0")
        if len(group) != 1 or not creator:
            continue
        (number,) = group
        status = text_of(item, _STATUS).strip(" \0")
        if (number, creator) in described or status not in ("SAFE", "MIXED"):
            status = "UNSAFE"
        described[number, creator] = Block(status, _numbers(item, _NONIDENTIFYING), _actions(item))
    return PrivateBlocks(described)


def creator_of(dataset: Dataset, tag: int) -> str:
    """The private creator of the block that a private element lies in; "" where there is none, or for a creator."""
    block = (tag & 0xFFFF) >> 8
    reserved = (tag & 0xFFFF0000) | block
    element = element_at(dataset, reserved) if 0x10 <= block <= 0xFF else None
    if element is None:
        return ""
    plain = plain_values(element)
    return (plain[0] if plain and len(plain) == 1 else text_of(dataset, reserved)).strip(" \0")


def is_creator(tag: int) -> bool:
    """Whether a private tag reserves a block (PS3.5 section 7.8.1)."""
    return 0x10 <= tag & 0xFFFF <= 0xFF


def take_vr(dataset: Dataset, tag: int, vr: str) -> bool:
    """Give a private element that was written without VR, or as UN, its own; False where it has another or none."""
    raw = element_at(dataset, tag)
    written = str(raw.VR) if raw is not None and raw.VR else ""
    if written not in ("", "UN"):
        return values.agrees(written, vr) if vr else written in _NUMBERS
    return bool(vr) and read_as(dataset, tag, vr.split(" or ")[-1])


def remove_idle_creators(dataset: Dataset) -> int:
    """Remove the private creators of blocks in which nothing is left; returns how many."""
    private = [int(tag) for tag in dataset._dict if tag & 0x10000]
    used = {(tag & 0xFFFF0000) | (tag & 0xFFFF) >> 8 for tag in private if not is_creator(tag)}
    idle = [tag for tag in private if is_creator(tag) and tag not in used]
    for tag in idle:
        remove(dataset, tag)
    return len(idle)


def describe_retained(dataset: Dataset, retained: Collection[tuple[int, str]]) -> None:
    """State of each private block that is left (group and creator, at any depth) that it is safe."""
    if retained:
        blocks = tuple(sorted(retained))
        implicit, little = dataset._read_implicit, dataset._read_little
        if implicit is None or little is None or not all(creator.isascii() for _, creator in blocks):
            described = Sequence([_safe(*block) for block in blocks])
            dataset[CHARACTERISTICS] = DataElement(CHARACTERISTICS, "SQ", described)
            return
        items, tag = _encoded_blocks(blocks, implicit, little), tag_of(CHARACTERISTICS)
        dataset._dict[tag] = RawDataElement(tag, "SQ", len(items), items, 0, implicit, little)


@lru_cache(maxsize=256)
def _encoded_blocks(blocks: tuple[tuple[int, str], ...], implicit: bool, little: bool) -> bytes:
    return encoded_items([_safe(*block) for block in blocks], implicit=implicit, little=little)


@lru_cache(maxsize=256)
def _safe(group: int, creator: str) -> Dataset:
    item = Dataset()
    item.PrivateGroupReference, item.PrivateCreatorReference = group, creator
    item.BlockIdentifyingInformationStatus = "SAFE"
    return item


def _actions(item: Dataset) -> dict[int, str]:
    """The actions that the object recommends for identifying elements: D, Z or U; all others are removed."""
    actions: dict[int, str] = {}
    for recommended in (items_of(item, _ACTIONS) or ()) if _ACTIONS in item else ():
        action = text_of(recommended, _ACTION).strip(" \0")
        if action in ("D", "Z", "U"):
            actions.update(dict.fromkeys(_numbers(recommended, _IDENTIFYING), action))
    return actions


def _numbers(item: Dataset, tag: int) -> frozenset[int]:
    texts = values_of(item, tag) if tag in item else []
    return frozenset(int(text) for text in texts if text.isdecimal())


def _is_ambiguous(written: str, vr: str | None, known: str) -> bool:
    """Whether a value without VR is of one by the standard's table and of quite another by the dictionary."""
    return not written and bool(vr and known) and vr != known and not {vr, known} <= values.TEXT


def _written_vr(dataset: Dataset, tag: int) -> str:
    raw = element_at(dataset, tag)
    return str(raw.VR) if raw is not None and raw.VR else ""


@lru_cache(maxsize=1 << 14)
def _vr_in_dictionary(tag: int, creator: str) -> str:
    try:
        return str(private_dictionary_VR(tag, creator))
    except KeyError:
        return ""

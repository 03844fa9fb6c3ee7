"""The tables of PS3.15 (2026c) as they are looked up: what the profile and its options say of an attribute or concept.

What is done about it belongs in ``engine`` and ``structured``; which options are chosen, in ``profile``.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Rule:
    """One row of Table E.1-1 or E.3.4-1: the Basic Profile's action and each option's action (K or C)."""

    name: str
    vr: str
    basic: str
    options: Mapping[str, str]


def rule_of(tag: int) -> Rule | None:
    """The rule of Table E.1-1 for an attribute, repeating groups and private ones included; None if it has none."""
    table = _attributes()
    group = tag >> 16
    if group % 2:
        return table["private"]
    if 0x5000 <= group <= 0x50FF:
        return table["(50xx,xxxx)"]
    element = f"{tag & 0xFFFF:04X}"
    if 0x6000 <= group <= 0x60FF:
        return table.get(f"(60xx,{element})")
    return table.get(f"({group:04X},{element})")


@cache
def edition() -> str:
    """The edition of PS3.15 that the tables are of. Raises ValueError where they are not all of one."""
    tables = ("confidentiality.csv", "structured_content.csv", "safe_private.csv")
    (found,) = {row["edition"] for table in tables for row in _rows(table)}
    return found


def concrete_tags() -> list[int]:
    """The tags of Table E.1-1, in order, without its three repeating groups and its row for private attributes."""
    return [int(t[1:5] + t[6:10], 16) for t in _attributes() if "x" not in t and t != "private"]


def concept_rule_of(code: str, scheme: str, value_type: str) -> Rule | None:
    """The rule of Table E.3.4-1 for a content item's concept name; None where the concept is not in the table."""
    return _concepts().get((code, scheme, value_type))


def safe_private_vr(creator: str, group: int, element: int) -> str | None:
    """The VR that Table E.3.10-1 gives a safe private element; "" where it gives none; None if it is not in the table.

    ``element`` is the last eight bits of the tag: the block number does not count.
    """
    return _safe_private().get((creator, group, element))


def type_of(sop_class_uid: str, path: tuple[str, ...], tag: int) -> int | None:
    """The Type (1, 2 or 3; conditional ones as if required) of an attribute at a place in a SOP Class's IOD.

    ``path`` holds the keywords of the sequences above. None where the project has no Types for the SOP Class.
    """
    iod = _iods().get(sop_class_uid)
    if iod is None:
        return None
    return _types().get((">".join(path), tag), {}).get(iod, 3)


def strictest_type(tag: int) -> int:
    """The strictest Type (1, 2 or 3; conditional ones as if required) that any module gives an attribute.

    Of attributes that Table E.1-1 does not name and whose values are judged by what they hold; 3 for all others.
    """
    return _required().get(tag, 3)


def _rows(name: str) -> list[dict[str, str]]:
    with (_HERE / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _options(text: str) -> Mapping[str, str]:
    pairs = ((name, action) for name, _, action in (part.partition("=") for part in text.split()))
    return MappingProxyType(dict(pairs))


@cache
def _attributes() -> dict[str, Rule]:
    rows = _rows("confidentiality.csv")
    return {r["tag"]: Rule(r["name"], r["vr"], r["basic"], _options(r["options"])) for r in rows}


@cache
def _concepts() -> dict[tuple[str, str, str], Rule]:
    return {
        (r["code"], r["scheme"], r["value_type"]): Rule(r["meaning"], "", r["basic"], _options(r["options"]))
        for r in _rows("structured_content.csv")
    }


@cache
def _safe_private() -> dict[tuple[str, int, int], str]:
    return {(r["creator"], int(r["tag"][1:5], 16), int(r["tag"][8:10], 16)): r["vr"] for r in _rows("safe_private.csv")}


@cache
def _iods() -> dict[str, str]:
    return {r["sop_class_uid"]: r["iod"] for r in _rows("iods.csv")}


@cache
def _required() -> dict[int, int]:
    return {int(r["tag"][1:5] + r["tag"][6:10], 16): int(r["type"]) for r in _rows("required_types.csv")}


@cache
def _types() -> dict[tuple[str, int], dict[str, int]]:
    types: dict[tuple[str, int], dict[str, int]] = {}
    for row in _rows("attribute_types.csv"):
        place = (row["path"], int(row["tag"][1:5] + row["tag"][6:10], 16))
        types.setdefault(place, {}).update(dict.fromkeys(row["iods"].split(), int(row["type"])))
    return types

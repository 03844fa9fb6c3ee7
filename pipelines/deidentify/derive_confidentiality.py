"""Derive the project's data files from the tables of the standard.

Run ``python -m pipelines.deidentify.derive_confidentiality FOLDER``.

It writes, beside this module,

- ``confidentiality.csv``: PS3.15 Table E.1-1, one row per attribute, with the VR that the table itself does not give;
- ``attribute_types.csv``: the Type of those attributes whose action depends on it, by IOD and sequence path;
- ``iods.csv``: the IOD of each SOP Class for which there are Types;
- ``structured_content.csv``: PS3.15 Table E.3.4-1, the content item concepts of structured reports;
- ``required_types.csv``: the strictest Type of each other attribute of text, numbers as text, or times, in any module;
- ``safe_private.csv``: PS3.15 Table E.3.10-1, the private attributes that are known to be safe.

The input folder holds the tables as comma-separated text, cells as printed in the standard.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword

EDITION = "2026c"

OPTIONS = {
    "rtnSafePrivOpt": "safe_private",
    "rtnUIDsOpt": "uids",
    "rtnDevIdOpt": "device",
    "rtnInstIdOpt": "institution",
    "rtnPatCharsOpt": "patient",
    "rtnLongFullDatesOpt": "full_dates",
    "rtnLongModifDatesOpt": "modified_dates",
    "cleanDescOpt": "descriptors",
    "cleanStructContOpt": "structured_content",
    "cleanGraphOpt": "graphics",
}
"""The option columns of Table E.1-1 and their names in this project."""

NEWER_VRS = {
    "(0008,1301)": "SQ",
    "(0008,1302)": "SQ",
    "(0008,1303)": "SQ",
    "(0008,1304)": "SQ",
    "(0010,0011)": "SQ",
    "(0010,0012)": "LT",
    "(0010,0013)": "LT",
    "(0010,0014)": "SQ",
    "(0010,0015)": "SQ",
    "(0010,0016)": "LT",
    "(0010,0041)": "SQ",
    "(0010,0042)": "LT",
    "(0010,0043)": "SQ",
    "(0010,0044)": "SQ",
    "(0010,0045)": "LT",
    "(0010,0046)": "SQ",
    "(0010,0047)": "UR",
    "(0010,2162)": "UC",
    "(0040,A034)": "DT",
    "(0040,A035)": "DT",
    "(0040,B034)": "DT",
    "(0040,B036)": "DT",
    "(0040,B03B)": "SH",
    "(0040,B03F)": "SH",
    "(0040,E012)": "UR",
    "(50xx,xxxx)": "OW",
    "(60xx,3000)": "OW",
    "(60xx,4000)": "LT",
}
"""VRs (PS3.6) of the attributes of Table E.1-1 that pydicom's dictionary does not hold, and of the repeating groups."""


JUDGED_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"})
"""VRs whose values are looked at before they are kept."""


def main(arguments: list[str] | None = None) -> None:
    """Read the standard's tables from the folder given on the command line and write the data files."""
    parser = argparse.ArgumentParser(description="Derive the de-identification tables from the standard's tables.")
    parser.add_argument("standard", type=Path, help="folder with the tables of the standard as csv")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the data files go")
    given = parser.parse_args(arguments)
    (profile,) = given.standard.glob(f"ps3.15-{EDITION}_E.1-1_*.csv")
    (concepts,) = given.standard.glob(f"ps3.15-{EDITION}_E.3.4-1_*.csv")
    (private,) = given.standard.glob(f"ps3.15-{EDITION}_E.3.10-1_*.csv")
    (types,) = given.standard.glob("*_iod_module_attribute_types_*.csv")
    (classes,) = given.standard.glob("*_sop_class_iod_map.json")
    attributes = _read(profile)
    _write(given.out / "confidentiality.csv", _confidentiality(attributes))
    typed = _read(types)
    _write(given.out / "attribute_types.csv", _attribute_types(attributes, typed))
    _write(given.out / "iods.csv", _iods(json.loads(classes.read_text()), {row["iod"] for row in typed}))
    _write(given.out / "structured_content.csv", _structured_content(_read(concepts)))
    _write(given.out / "safe_private.csv", _safe_private(_read(private)))
    modules = files("highdicom").joinpath("_standard", "module_attribute_map.json")
    _write(given.out / "required_types.csv", _required_types(attributes, json.loads(modules.read_text("utf-8"))))


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: Iterable[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _options(row: dict[str, str]) -> str:
    return " ".join(f"{name}={row[column]}" for column, name in OPTIONS.items() if row.get(column))


def _vr(tag: str) -> str:
    if tag in NEWER_VRS:
        return NEWER_VRS[tag]
    number = int(tag[1:5] + tag[6:10], 16)
    return dictionary_VR(number) if dictionary_has_tag(number) else ""


def _confidentiality(attributes: list[dict[str, str]]) -> list[list[str]]:
    rows = [["edition", "tag", "vr", "name", "basic", "options"]]
    for row in sorted(attributes, key=lambda r: r["tag"]):
        tag = "private" if "odd" in row["tag"] else row["tag"]
        vr = "" if tag == "private" else _vr(tag)
        if tag != "private" and not vr:
            raise ValueError(f"no VR is known for {tag}")
        rows.append([EDITION, tag, vr, row["name"], row["basicProfile"], _options(row)])
    return rows


def _attribute_types(attributes: list[dict[str, str]], typed: list[dict[str, str]]) -> list[list[str]]:
    """Types 1 and 2 where they matter: of attributes that may have to go, or to be emptied. Type 3 is left out."""
    matter = {row["tag"] for row in attributes if row["basicProfile"][0] in "XZ"}
    strictest: dict[tuple[str, str, str], str] = {}
    for row in typed:
        kind = row["type"][0]
        if row["tag"] in matter and kind in "12":
            place = (row["path"], row["tag"], row["iod"])
            strictest[place] = min(kind, strictest.get(place, "3"))
    grouped: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for (path, tag, iod), kind in strictest.items():
        grouped[path, tag, kind].append(iod)
    return [["path", "tag", "type", "iods"]] + [
        [path, tag, kind, " ".join(sorted(iods))] for (path, tag, kind), iods in sorted(grouped.items())
    ]


def _required_types(attributes: list[dict[str, str]], modules: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """Types 1 and 2 of what Table E.1-1 does not name, for VRs whose values may turn out not to be what they claim."""
    named = {row["tag"] for row in attributes}
    strictest: dict[str, str] = {}
    for attribute in (a for module in modules.values() for a in module):
        number, kind = tag_for_keyword(attribute["keyword"]), attribute["type"][0]
        if number is None or kind not in "12" or dictionary_VR(number) not in JUDGED_VRS:
            continue
        tag = f"({number >> 16:04X},{number & 0xFFFF:04X})"
        if tag not in named:
            strictest[tag] = min(kind, strictest.get(tag, "3"))
    return [["tag", "type"], *map(list, sorted(strictest.items()))]


def _iods(classes: dict[str, str], known: set[str]) -> list[list[str]]:
    return [["sop_class_uid", "iod"]] + [[uid, iod] for uid, iod in sorted(classes.items()) if iod in known]


def _structured_content(concepts: list[dict[str, str]]) -> list[list[str]]:
    rows = [["edition", "code", "scheme", "value_type", "meaning", "basic", "options"]]
    for row in sorted(concepts, key=lambda r: (r["codingScheme"], r["codeValue"], r["valueType"])):
        identity = [row["codeValue"], row["codingScheme"], row["valueType"], row["codeMeaning"]]
        rows.append([EDITION, *identity, row["basicProfile"], _options(row)])
    return rows


def _safe_private(elements: list[dict[str, str]]) -> list[list[str]]:
    """One row per element, its tag as (gggg,xxee); no VR where the table gives none, two in the dictionary's manner."""
    rows = [["edition", "tag", "creator", "vr", "meaning"]]
    for row in sorted(elements, key=lambda r: (r["privateCreator"], r["tag"].upper())):
        tag = f"{row['tag'][:6]}xx{row['tag'][8:].upper()}"
        vr = " or ".join(sorted((row["vr"] or "").split("/")))
        rows.append([EDITION, tag, row["privateCreator"], vr, row["meaning"] or ""])
    return rows


if __name__ == "__main__":
    main()

"""Every attribute of PS3.15 Table E.1-1, held against the standard's own table: no value survives, none is lost.

A file per attribute at the root and nested one, two and five deep; then the same with each option alone on top of the
Basic Profile, where many attributes share a file: what is done to one does not depend on the others.
"""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipelines.deidentify.confidentiality import concrete_tags, rule_of
from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.profile import OPTIONS, Profile, load_profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet
from tests.deidentify.conftest import MG, SHARED, code, save
from tests.deidentify.settings import profile_of_only, standard_table

COLUMNS = {
    "clean_graphics": "cleanGraphOpt",
    "clean_structured_content": "cleanStructContOpt",
    "clean_descriptors": "cleanDescOpt",
    "retain_longitudinal_full_dates": "rtnLongFullDatesOpt",
    "retain_longitudinal_modified_dates": "rtnLongModifDatesOpt",
    "retain_patient_characteristics": "rtnPatCharsOpt",
    "retain_device_identity": "rtnDevIdOpt",
    "retain_institution_identity": "rtnInstIdOpt",
    "retain_uids": "rtnUIDsOpt",
    "retain_safe_private": "rtnSafePrivOpt",
}
NAMED = {"(0010,0010)", "(0010,0020)", "(0008,0050)"}
"""They get pseudonyms, whatever their type: an object without them is of no use."""
ALWAYS_THERE = {"(0008,0018)"}
ONLY_WITH_ANOTHER = {"(0012,0081)": "the number of the ethics committee's approval, which is removed"}
FIRST_DAY = date(1930, 1, 1)
TAGS = [t for t in concrete_tags() if t >> 16 > 6 and t not in (0x00420011, 0xFFFCFFFC)]
DEPTHS = (0, 1, 2, 5)
SHORT, LONG = frozenset({"LO", "SH", "UC"}), frozenset({"LT", "ST", "UT"})


def table() -> dict[int, dict[str, str]]:
    """The standard's rows by tag, of the attributes that a data set may hold."""
    rows = {_number(r["tag"]): r for r in standard_table("E.1-1") if "x" not in r["tag"] and "odd" not in r["tag"]}
    return {tag: rows[tag] for tag in TAGS}


def _number(tag: str) -> int:
    return int(tag[1:5] + tag[6:10], 16)


def vr(tag: int) -> str:
    rule = rule_of(tag)
    assert rule is not None
    return rule.vr


def sentinel(tag: int) -> str:
    letters = "".join(chr(ord("A") + int(digit, 16)) for digit in f"{tag:08X}")
    return f"Zq{letters}qZ"


def day(tag: int) -> str:
    return (FIRST_DAY + timedelta(TAGS.index(tag))).strftime("%Y%m%d")


def value_for(tag: int, *, harmless: bool = False) -> Any:
    """A value of an attribute's VR that is found wherever it survives; ``harmless``: one that identifies nobody."""
    kind, word = vr(tag), sentinel(tag)
    text = "MAMMOGRAPHY" if harmless else word
    special = {
        "UI": f"1.2.276.0.77.{tag}",
        "DA": day(tag),
        "DT": day(tag) + "101112",
        "TM": f"101112.{TAGS.index(tag):06d}",
        "AS": "045Y",
        "DS": "77.125",
        "IS": "77",
        "US": 77,
        "PN": f"{word}^A",
        "CS": text.upper()[:16],
        "AE": word[:16],
        "SH": text[:16],
        "UR": f"http://{word}/",
        **dict.fromkeys(("OB", "OW", "UN"), word.encode()),
    }
    if tag == 0x00080201:
        return "+0130"
    if kind == "SQ":
        item = code(word[:16].upper(), "99X", f"{word} of {word}")
        item.ReferencedSOPInstanceUID = f"1.2.276.0.77.{tag}"
        return Sequence([item])
    return special.get(kind, text if harmless else f"{word} note")


def element(tag: int, *, harmless: bool = False) -> DataElement:
    with quiet():
        return DataElement(tag, vr(tag), value_for(tag, harmless=harmless))


def small() -> Dataset:
    """No more of a mammogram than makes it one."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = MG, f"1.2.276.0.77.{0x00080018}", "MG"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.276.0.99.1.1", "1.2.276.0.99.2.1"
    dataset.PatientName, dataset.PatientID, dataset.StudyDate = "KOWALEWSKA^Jadwiga", "MRN0098231", "20180309"
    return dataset


def holding(elements: Iterable[DataElement], depth: int) -> Dataset:
    """A mammogram with elements at the root, or so many sequences deep."""
    dataset = small()
    item = dataset
    for level in range(depth):
        keyword = "AnatomicRegionModifierSequence" if level else "AnatomicRegionSequence"
        setattr(item, keyword, Sequence([code("76752008", "SCT", "Breast")]))
        item = getattr(item, keyword)[0]
    for one in elements:
        if depth or one.tag not in (0x00080016, 0x00080018):
            item[one.tag] = one
    return dataset


def held(written: Dataset, depth: int) -> Dataset:
    """The part of a data set where ``holding`` put the elements."""
    for level in range(depth):
        written = getattr(written, "AnatomicRegionModifierSequence" if level else "AnatomicRegionSequence")[0]
    return written


def traces(tag: int, *, dates: bool = True) -> list[bytes]:
    """What of an attribute's value would be found in a file that it survived in.

    Without ``dates`` where many share a file: one moved is then another as it was.
    """
    if vr(tag) == "UI":
        return [f"1.2.276.0.77.{tag}".encode() + end for end in (b"\0", b"\x08\x00", b"\\", b" ")]
    found = [sentinel(tag).lower().encode()[:16]]
    if dates and vr(tag) in ("DA", "DT"):
        found.append(day(tag).encode())
    if vr(tag) == "TM":
        found.append(f"101112.{TAGS.index(tag):06d}".encode())
    return found


def deidentified_bytes(
    dataset: Dataset, folder: Path, profile: Profile, pseudonyms: Pseudonyms, syntax: Any = ExplicitVRLittleEndian
) -> tuple[Dataset, bytes]:
    source, target = save(dataset, folder / "in.dcm", syntax), folder / "out.dcm"
    deidentify_object(source, target, file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
    data = target.read_bytes()
    return pydicom.dcmread(BytesIO(data)), data


@cache
def types_of_mammography() -> list[dict[str, str]]:
    """The Types that the standard's modules give the table's attributes in the mammography IOD."""
    (path,) = (SHARED / "standard").glob("*_iod_module_attribute_types_*.csv")
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["iod"] == "digital-mammography-x-ray-image"]


def type_in_mammography(tag: str) -> int:
    """An attribute's strictest Type at the root of the mammography IOD, conditional ones as if required."""
    return min(
        (int(row["type"][0]) for row in types_of_mammography() if row["tag"] == tag and not row["path"]), default=3
    )


def expected(row: dict[str, str], option: str, depth: int) -> str:
    """The one action that the standard's table asks for; "any" at depths where the IOD has no such attribute."""
    action = row[COLUMNS[option]] or row["basicProfile"] if option else row["basicProfile"]
    if "/" not in action:
        return action
    if action == "X/Z/U*":
        return "U"
    if depth:
        return "any"
    kind = type_in_mammography(row["tag"])
    return {1: "D", 2: "D" if action == "X/D" else "Z", 3: action.split("/")[0]}[kind]


def difference(tag: int, row: dict[str, str], option: str, before: DataElement, item: Dataset, depth: int) -> str:
    """What is wrong with what became of an attribute; "" where it is as the table says."""
    action = expected(row, option, depth)
    there = tag in item
    after = item[tag].value if there else None
    kept = there and after == before.value
    if row["tag"] in ONLY_WITH_ANOTHER and not there:
        return ""
    if row["tag"] in NAMED | ALWAYS_THERE and depth == 0 and action != "K":
        return "" if there and not kept else f"{action}: {after!r}"
    opaque = vr(tag) in ("OB", "UN")
    if action == "C" and opaque:
        action = row["basicProfile"]  # what cannot be read cannot be cleaned
    verdicts = {
        "X": not there or (depth == 0 and row["tag"] in NAMED and not kept) or _is_required(row, there, after),
        "Z": there and not kept,
        "D": there and bool(after) and not kept,
        "U": there and bool(after) and not kept,
        "K": kept if vr(tag) != "SQ" else len(after or ()) == 1,
        "C": _is_clean(tag, before, after),
        "any": not kept,
    }
    return "" if verdicts[action] else f"{action}: {after!r}"


def _is_required(row: dict[str, str], there: bool, after: Any) -> bool:
    """Whether what the table removes had to be emptied instead, for the IOD requires it."""
    return there and type_in_mammography(row["tag"]) < 3 and not after


def _is_clean(tag: int, before: DataElement, after: Any) -> bool:
    """Whether a value is cleaned: it stays, but for what identifies, which of a text is the sentinel."""
    if vr(tag) == "SQ":
        return len(after or ()) == 1
    if vr(tag) in ("DA", "DT", "AE"):
        return bool(after) and after != before.value
    if vr(tag) == "TM":
        return after == before.value
    return sentinel(tag).lower() not in str(after).lower()


@pytest.mark.parametrize("depth", DEPTHS)
def test_no_value_survives_a_file_per_attribute(
    tmp_path: Path, profile: Profile, pseudonyms: Pseudonyms, depth: int
) -> None:
    survivors, lost = [], []
    rows = table()
    for tag in TAGS:
        action = profile.decide(tag)
        assert action is not None
        written, data = deidentified_bytes(holding([element(tag)], depth), tmp_path, profile, pseudonyms)
        survived = any(trace in data.lower() for trace in traces(tag))
        if survived and not (action.action == "K" or (action.action == "C" and vr(tag) == "TM")):
            survivors.append(f"{tag:08X}")
        if action.action == "K" and tag not in held(written, depth):
            lost.append(f"{tag:08X}")
    assert len(rows) == len(TAGS) == 646
    assert survivors == []
    assert lost == []


def test_no_value_survives_in_implicit_vr(tmp_path: Path, profile: Profile, pseudonyms: Pseudonyms) -> None:
    for depth in DEPTHS:
        dataset = holding(map(element, TAGS), depth)
        _, data = deidentified_bytes(dataset, tmp_path, profile, pseudonyms, ImplicitVRLittleEndian)
        survivors = [
            f"{tag:08X}"
            for tag in TAGS
            if any(trace in data.lower() for trace in traces(tag, dates=False))
            and not (profile.decide(tag).action == "K" or (profile.decide(tag).action == "C" and vr(tag) == "TM"))  # type: ignore[union-attr]
        ]
        assert survivors == []


@pytest.mark.parametrize("depth", [0, 1, 5])
@pytest.mark.parametrize("option", ["", *sorted(COLUMNS)])
def test_each_option_does_what_its_column_says(tmp_path: Path, pseudonyms: Pseudonyms, option: str, depth: int) -> None:
    profile = profile_of_only(tmp_path, *([option] if option else []))
    dataset = holding([element(tag) for tag in TAGS], depth)
    before = held(dataset, depth)
    originals = {tag: before[tag] for tag in TAGS if tag in before}
    written, _ = deidentified_bytes(dataset, tmp_path, profile, pseudonyms)
    wrong = {
        f"{row['tag']} {row['name']}": difference(tag, row, option, originals[tag], held(written, depth), depth)
        for tag, row in table().items()
        if tag in originals
    }
    assert {name: what for name, what in wrong.items() if what} == {}


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_every_date_moves_by_the_patients_days(
    tmp_path: Path, profile: Profile, pseudonyms: Pseudonyms, depth: int
) -> None:
    dates = [tag for tag, row in table().items() if vr(tag) in ("DA", "DT") and row["rtnLongModifDatesOpt"] == "C"]
    written, _ = deidentified_bytes(holding(map(element, dates), depth), tmp_path, profile, pseudonyms)
    days = pseudonyms.days(written.PatientID, profile.most_days)
    assert len(dates) > 100
    for tag in dates:
        moved = FIRST_DAY + timedelta(TAGS.index(tag) - days)
        assert str(held(written, depth)[tag].value)[:8] == moved.strftime("%Y%m%d"), f"{tag:08X}"


def test_types_within_sequences_decide(tmp_path: Path, pseudonyms: Pseudonyms) -> None:
    """What is removed, emptied or replaced in an item, by the Type that the standard gives it there."""
    profile = profile_of_only(tmp_path)
    chosen = table()
    judged = 0
    for path, tags in sorted(_typed_places().items()):
        if any(not dictionary_has_tag(tag) for tag in tags) or _is_removed_whole(path):
            continue
        dataset = small()
        item = dataset
        for keyword in path.split(">"):
            setattr(item, keyword, Sequence([Dataset()]))
            item = getattr(item, keyword)[0]
        present = {tag: kind for tag, kind in tags.items() if tag in chosen and "/" in chosen[tag]["basicProfile"]}
        for tag in present:
            item[tag] = element(tag)
        written, _ = deidentified_bytes(dataset, tmp_path, profile, pseudonyms)
        for keyword in path.split(">"):
            (written,) = written[keyword].value
        for tag, kind in present.items():
            after = written[tag].value if tag in written else None
            action = chosen[tag]["basicProfile"]
            by_type = {1: bool(after), 2: tag in written and (not after or action == "X/D"), 3: tag not in written}
            assert by_type[kind] or action in ("Z/D", "X/Z/U*"), (path, f"{tag:08X}", kind, after)
            judged += 1
    assert judged > 5


def _typed_places() -> dict[str, dict[int, int]]:
    places: dict[str, dict[int, int]] = {}
    for row in types_of_mammography():
        if row["path"]:
            kinds = places.setdefault(row["path"], {})
            tag = _number(row["tag"])
            kinds[tag] = min(int(row["type"][0]), kinds.get(tag, 3))
    return places


def _is_removed_whole(path: str) -> bool:
    if path.split(">")[0] in ("ContributingEquipmentSequence", "DeidentificationMethodCodeSequence"):
        return True  # they say what was done here
    profile = load_profile()
    sequences = [profile.decide(tag_for_keyword(keyword) or 0) for keyword in path.split(">")]
    return any(decision is not None for decision in sequences)


def test_the_table_is_whole() -> None:
    assert len(concrete_tags()) == 652
    assert {f"({t >> 16:04X},{t & 0xFFFF:04X})" for t in concrete_tags()} | {
        "(50xx,xxxx)",
        "(60xx,3000)",
        "(60xx,4000)",
    } == {row["tag"] for row in standard_table("E.1-1") if "odd" not in row["tag"]}
    private = rule_of(0x00191001)
    assert private is not None
    assert private.basic == "X"
    assert rule_of(0x50001234) is not None
    assert rule_of(0x60023000) is not None
    assert rule_of(0x60024000) is not None


def test_every_option_has_its_column() -> None:
    assert set(OPTIONS) == {*COLUMNS, "clean_pixel_data"}
    assert set(COLUMNS.values()) == {name for name in standard_table("E.1-1")[0] if name.endswith("Opt")}


def test_clean_texts_stay_where_nothing_identifies(tmp_path: Path, pseudonyms: Pseudonyms) -> None:
    """Of what Clean Descriptors and Retain Patient Characteristics clean, known words stay but for a policy."""
    for option in ("clean_descriptors", "retain_patient_characteristics"):
        profile = profile_of_only(tmp_path, option)
        tags = [tag for tag, row in table().items() if row[COLUMNS[option]] == "C" and vr(tag) in SHORT | LONG | {"CS"}]
        written, _ = deidentified_bytes(
            holding([element(tag, harmless=True) for tag in tags], 1), tmp_path, profile, pseudonyms
        )
        item = held(written, 1)
        gone = {tag for tag in tags if tag not in item or item[tag].value in ("", None, "REMOVED")}
        removing = {tag for tag in tags if _policy(profile, tag) == "remove"}
        assert {f"{tag:08X}" for tag in gone} == {f"{tag:08X}" for tag in removing}


def _policy(profile: Profile, tag: int) -> str:
    kind = "long_descriptors" if vr(tag) in LONG else "short_descriptors"
    return profile.fields.get(keyword_for_tag(tag), profile.policies[kind])

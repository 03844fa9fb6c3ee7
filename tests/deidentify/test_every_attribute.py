"""No value of any attribute of PS3.15 Table E.1-1 survives, at the root or nested, unless an option retains it."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipelines.deidentify.confidentiality import concrete_tags, rule_of
from pipelines.deidentify.reading import quiet
from tests.deidentify.conftest import code, mammogram

ENCAPSULATED_DOCUMENT = 0x00420011
TAGS = [t for t in concrete_tags() if t >> 16 > 6 and t not in (ENCAPSULATED_DOCUMENT, 0xFFFCFFFC)]
FIRST_DAY = date(1930, 1, 1)


def sentinel(tag: int) -> str:
    letters = "".join(chr(ord("A") + int(digit, 16)) for digit in f"{tag:08X}")
    return f"Zq{letters}qZ"


def day(tag: int) -> str:
    return (FIRST_DAY + timedelta(TAGS.index(tag))).strftime("%Y%m%d")


def value_for(tag: int, vr: str) -> Any:
    word = sentinel(tag)
    if vr == "SQ":
        return Sequence([code(word[:16].upper(), "99X", f"{word} of {word}")])
    special = {
        "UI": f"1.2.276.0.77.{tag}",
        "DA": day(tag),
        "DT": day(tag) + "101112",
        "TM": "101112",
        "AS": "045Y",
        "DS": "77.125",
        "PN": f"{word}^A",
        "CS": word.upper()[:16],
        "AE": word[:16],
        "SH": word[:16],
        "UR": f"http://{word}/",
        "IS": "77",
        **dict.fromkeys(("US", "SS", "UL", "SL", "FL", "FD"), 77),
    }
    return special.get(vr, word.encode() if vr in ("OB", "OW", "UN") else f"{word} note")


def is_retained(profile: Any, tag: int) -> bool:
    return profile.decide(tag).action == "K"


def everything() -> Dataset:
    item = Dataset()
    with quiet():
        for tag in TAGS:
            rule = rule_of(tag)
            assert rule is not None
            item[tag] = DataElement(tag, rule.vr, value_for(tag, rule.vr))
    return item


def nested(depth: int) -> Dataset:
    dataset = mammogram()
    if depth == 0:
        for element in everything():
            if element.tag not in (0x00080016, 0x00080018):
                dataset[element.tag] = element
        return dataset
    item = dataset.AnatomicRegionSequence[0]
    for _ in range(depth - 1):
        item.AnatomicRegionModifierSequence = Sequence([code("24028007", "SCT", "Right")])
        item = item.AnatomicRegionModifierSequence[0]
    item.update(everything())
    return dataset


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"])
@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_no_sentinel_survives(deidentified: Any, profile: Any, depth: int, syntax: Any) -> None:
    written = deidentified(nested(depth), syntax=syntax)
    data = Path(written.filename).read_bytes().lower()
    survivors = []
    for tag in TAGS:
        rule = rule_of(tag)
        assert rule is not None
        traces = [sentinel(tag).lower().encode()[:16]]
        if rule.vr == "UI":
            traces = [f"1.2.276.0.77.{tag}\0".encode(), f"1.2.276.0.77.{tag}".encode() + b"\x08\x00"]
        if any(trace in data for trace in traces) and not is_retained(profile, tag):
            survivors.append(f"{tag:08X}")
    assert survivors == []


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_every_date_moves_by_the_patients_days(deidentified: Any, profile: Any, pseudonyms: Any, depth: int) -> None:
    written = deidentified(nested(depth))
    days = pseudonyms.days(written.PatientID, profile.most_days)
    item = written
    if depth:
        item = written.AnatomicRegionSequence[0]
    for _ in range(depth - 1):
        item = item.AnatomicRegionModifierSequence[0]
    moved = 0
    for tag in TAGS:
        rule = rule_of(tag)
        if rule is None or rule.vr not in ("DA", "DT") or not rule.options.get("modified_dates"):
            continue
        original = FIRST_DAY + timedelta(TAGS.index(tag))
        assert str(item[tag].value)[:8] == (original - timedelta(days)).strftime("%Y%m%d"), f"{tag:08X}"
        moved += 1
    assert moved > 100
    assert not item.get("PatientBirthDate")


def test_what_options_retain_is_still_there(deidentified: Any, profile: Any) -> None:
    written = deidentified(nested(0))
    lost = [f"{tag:08X}" for tag in TAGS if is_retained(profile, tag) and tag not in written]
    assert lost == []


def test_the_table_is_whole() -> None:
    assert len(concrete_tags()) == 652
    assert rule_of(0x50001234) is not None
    assert rule_of(0x60023000) is not None
    assert rule_of(0x60024000) is not None
    private = rule_of(0x00191001)
    assert private is not None
    assert private.basic == "X"
    assert rule_of(0x00181000).basic == "X/Z/D"  # type: ignore[union-attr]

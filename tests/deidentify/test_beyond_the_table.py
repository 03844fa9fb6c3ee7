"""What PS3.15 Table E.1-1 does not name one by one: ordinary attributes stay, what has no place in a data set goes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipelines.deidentify.confidentiality import rule_of
from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet
from tests.deidentify.conftest import save
from tests.deidentify.test_every_attribute import DEPTHS, deidentified_bytes, held, holding, small

HARMLESS = {
    "AS": "045Y", "AT": 0x00100010, "CS": "NORMAL", "DA": "20180309", "DS": "1.5", "DT": "20180309101500", "FD": 1.5,
    "FL": 1.5, "IS": "7", "LO": "NORMAL", "LT": "normal", "SH": "NORMAL", "SL": 7, "SS": 7, "ST": "normal", "SV": 7,
    "TM": "101500", "UC": "normal", "UL": 7, "US": 7, "UT": "normal", "UV": 7, "US or SS": 7, "US or SS or OW": 7,
}  # fmt: skip


@pytest.mark.parametrize("depth", [0, 3])
def test_no_attribute_beyond_the_table_is_lost(
    tmp_path: Path, profile: Profile, pseudonyms: Pseudonyms, depth: int
) -> None:
    tags = [
        tag
        for tag, (kind, *_) in sorted(DicomDictionary.items())
        if kind in HARMLESS and rule_of(tag) is None and 0x0008 <= tag >> 16 < 0x7FE0 and tag & 0xFFFF
    ]
    others = {0x00080005, 0x0040A040, 0x00120063, 0x00120062, 0x00280303, 0x00102298}  # rewritten, or not alone
    elements = [
        DataElement(tag, DicomDictionary[tag][0].split(" or ")[0], HARMLESS[DicomDictionary[tag][0]])
        for tag in tags
        if tag not in others
    ]
    written, _ = deidentified_bytes(holding(elements, depth), tmp_path, profile, pseudonyms)
    lost = [f"{one.tag:08X} {one.keyword}" for one in elements if one.tag not in held(written, depth)]
    assert len(elements) > 2500
    assert lost == []


def hidden() -> Iterator[tuple[int, str, Any]]:
    """Elements without a place in a data set: commands, file meta, directories, curves, overlays, private, trailing."""
    for group in (0x0000, 0x0002, 0x0004, 0x0006):
        yield group << 16 | 0x0016, "LO", "Zqhidden"
    for tag in (0x00001000, 0x00001001, 0x00020003, 0x00041511):
        yield tag, "UI", "1.2.276.0.77.1"
    yield 0x00041141, "CS", "ZQHIDDEN"
    for group in (0x5000, 0x5002, 0x501E, 0x50FE):
        yield group << 16 | 0x0022, "LO", "Zqhidden"
        yield group << 16 | 0x3000, "OW", b"Zqhidden"
    for group in (0x6000, 0x6002, 0x601E, 0x60FE):
        yield group << 16 | 0x0022, "LO", "Zqhidden"
        yield group << 16 | 0x3000, "OW", b"Zqhidden"
        yield group << 16 | 0x4000, "LT", "Zqhidden"
    for group in (0x0001, 0x0009, 0x0019, 0x7FDF, 0x7FE1, 0xFFFF):
        yield group << 16 | 0x0010, "LO", "Zqhidden"
        yield group << 16 | 0x1001, "LO", "Zqhidden"
        yield group << 16 | 0x0001, "UN", b"Zqhidden"
    yield 0x00080000, "UL", 7
    yield 0xFFFCFFFC, "OB", b"Zqhidden"


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_what_has_no_place_in_a_data_set_goes(
    tmp_path: Path, profile: Profile, pseudonyms: Pseudonyms, depth: int, implicit: bool
) -> None:
    root = holding([], depth)
    with quiet():
        item = held(root, depth)
        for tag, kind, value in hidden():
            item[tag] = DataElement(tag, kind, value)
        if depth:
            item[0x00420011] = DataElement(0x00420011, "OB", b"Zqhidden document")
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = implicit, True
        write_dataset(buffer, root)
    source, target = tmp_path / "in.dcm", tmp_path / "out.dcm"
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    save(small(), source, syntax)
    head = source.read_bytes()
    start = pydicom.dcmread(source, stop_before_pixels=True).file_meta.FileMetaInformationGroupLength + 144
    source.write_bytes(head[:start] + buffer.getvalue())
    assert b"Zqhidden" in source.read_bytes()
    deidentify_object(source, target, file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
    data = target.read_bytes().lower()
    assert b"zqhidden" not in data
    assert b"1.2.276.0.77.1\0" not in data
    written = pydicom.dcmread(target)
    assert all(one.tag.group not in (0, 2, 4, 6) and not one.tag.is_private for one in written.iterall())
    assert not any(0x5000 <= one.tag.group <= 0x60FF for one in written.iterall())

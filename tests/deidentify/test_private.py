import io
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.datadict import private_dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.private import blocks_of
from pipelines.deidentify.profile import load_profile
from tests.deidentify.conftest import mammogram, save
from tests.deidentify.settings import profile_with, standard_table

SIEMENS = "SIEMENS MR HEADER"
PHILIPS = "Philips Imaging DD 001"
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
AMBIGUOUS = {"(01F1,xx26)": ("DS", "FD"), "(2001,xx55)": ("UL", "CS")}
"""Elements that pydicom's dictionary has with another VR than the standard's table: not kept in implicit VR."""
VALUES = {
    "AT": 0x00100010, "CS": "AXIAL", "DS": "1.5", "FD": 2.5, "FL": 2.5, "IS": "7", "LO": "NORMAL", "LT": "normal",
    "OB": b"\1\2", "OW": b"\1\2", "OW/OB": b"\1\2", "SH": "NORMAL", "SL": -3, "SS": -3, "ST": "normal", "UI": "1.2.3.4",
    "UL": 3, "US": 3,
}  # fmt: skip


def described(group: int, creator: str, status: str, **more: Any) -> Dataset:
    item = Dataset()
    item.PrivateGroupReference, item.PrivateCreatorReference = group, creator
    item.BlockIdentifyingInformationStatus = status
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def private_of(written: Dataset) -> list[str]:
    return [f"{e.tag:08X}" for e in written.iterall() if e.tag.is_private]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit"])
@pytest.mark.parametrize("block", [0x10, 0x7A, 0xFF])
def test_every_safe_element_stays_in_any_block(deidentified: Any, tmp_path: Path, syntax: Any, block: int) -> None:
    rows = standard_table("E.3.10-1")
    pixels_as_they_are = profile_with(tmp_path, clean_pixel_data=False)
    by_creator: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_creator.setdefault(row["privateCreator"], []).append(row)
    kept = 0
    for number, (creator, elements) in enumerate(sorted(by_creator.items())):
        dataset = mammogram()
        tags = []
        for row in elements:
            group = int(row["tag"][1:5], 16)
            dataset.add_new(group << 16 | block, "LO", creator)
            tag = group << 16 | block << 8 | int(row["tag"][8:10], 16)
            vr = row["vr"] or "FD"
            value = Sequence([Dataset()]) if vr == "SQ" else VALUES[vr]
            if syntax is ImplicitVRLittleEndian and (not row["vr"] or row["tag"] in AMBIGUOUS):
                continue
            dataset.add_new(tag, vr.split("/")[0], value)
            tags.append(tag)
        written = deidentified(dataset, f"p{number}", syntax=syntax, profile=pixels_as_they_are)
        assert [f"{t:08X}" for t in tags if t not in written] == [], creator
        kept += len(tags)
    assert kept == (479 if syntax is ExplicitVRLittleEndian else 472)


def test_another_creator_another_element_and_no_creator_go(deidentified: Any) -> None:
    dataset = mammogram()
    dataset.add_new(0x00510010, "LO", "SIEMENS MR HEADER OF MINE")
    dataset.add_new(0x0051100C, "LO", "FoV 200*200")
    dataset.add_new(0x00530010, "LO", SIEMENS)
    dataset.add_new(0x0053100C, "LO", "FoV")
    dataset.add_new(0x0019100C, "IS", "1000")
    dataset.add_new(0x7E011112, "OB", b"\1\2")
    assert private_of(deidentified(dataset)) == []


def test_neighbours_in_a_block_go_and_idle_creators_with_them(deidentified: Any) -> None:
    dataset = mammogram()
    dataset.add_new(0x00190030, "LO", SIEMENS)
    dataset.add_new(0x0019300C, "IS", "1000")
    dataset.add_new(0x00193099, "LO", "KOWALEWSKA")
    dataset.add_new(0x00190031, "LO", SIEMENS)
    dataset.add_new(0x00193199, "LO", "KOWALEWSKA")
    dataset.add_new(0x00190032, "LO", "KOWALEWSKA")
    written = deidentified(dataset)
    assert private_of(written) == ["00190030", "0019300C"]
    assert written[0x00190030].value == SIEMENS
    (stated,) = written.PrivateDataElementCharacteristicsSequence
    assert (stated.PrivateGroupReference, stated.PrivateCreatorReference) == (0x0019, SIEMENS)
    assert stated.BlockIdentifyingInformationStatus == "SAFE"


def test_without_the_option_all_go(deidentified: Any, tmp_path: Path) -> None:
    dataset = mammogram(PrivateDataElementCharacteristicsSequence=Sequence([described(0x19, SIEMENS, "SAFE")]))
    dataset.add_new(0x00190030, "LO", SIEMENS)
    dataset.add_new(0x0019300C, "IS", "1000")
    written = deidentified(dataset, profile=profile_with(tmp_path, retain_safe_private=False))
    assert private_of(written) == []
    assert "PrivateDataElementCharacteristicsSequence" not in written


def philips() -> Dataset:
    """A safe private sequence with a patient's data in it, and with blocks of its own."""
    item = Dataset()
    item.PatientName, item.StudyDate, item.ReferencedSOPInstanceUID = "Ghost^Wanda", "20180309", "1.2.276.0.99.8"
    item.add_new(0x20010041, "LO", PHILIPS)
    item.add_new(0x200141C1, "LO", "Seen by Dr. Oberrauch")
    item.add_new(0x200141B0, "LO", "KOWALEWSKA")
    item.add_new(0x20010042, "LO", "KOWALEWSKA")
    item.add_new(0x20014201, "LO", "KOWALEWSKA")
    dataset = mammogram()
    dataset.add_new(0x20010011, "LO", PHILIPS)
    dataset.add_new(0x2001115F, "SQ", Sequence([item]))
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit"])
def test_sequences_are_walked(deidentified: Any, syntax: Any) -> None:
    written = deidentified(philips(), syntax=syntax)
    assert private_of(written) == ["20010011", "2001115F", "20010041", "200141C1"]
    (item,) = written[0x2001115F].value
    assert item.PatientName == written.PatientID
    assert item.StudyDate == written.StudyDate != "20180309"
    assert item.ReferencedSOPInstanceUID.startswith("2.25.")
    assert "Oberrauch" not in item[0x200141C1].value
    assert b"KOWALEWSKA" not in Path(written.filename).read_bytes()


def test_a_sequence_written_as_un_is_walked(tmp_path: Path, profile: Any, pseudonyms: Any) -> None:
    inner = Dataset()
    inner.add_new(0x2001005F, "SQ", philips()[0x2001115F].value)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, inner, implicit_vr=True, little_endian=True, enforce_file_format=False)
    dataset = mammogram()
    dataset.add_new(0x20010011, "LO", PHILIPS)
    dataset.add_new(0x2001115F, "UN", buffer.getvalue()[8:])
    source = save(dataset, tmp_path / "un.dcm")
    deidentify_object(source, tmp_path / "o", file_id="f", location="", profile=profile, pseudonyms=pseudonyms)
    assert b"Ghost" in source.read_bytes()
    assert b"Ghost" not in (tmp_path / "o").read_bytes()
    assert private_of(pydicom.dcmread(tmp_path / "o")) == ["20010011", "2001115F", "20010041", "200141C1"]


def test_values_are_cleaned_by_their_vr(deidentified: Any, tmp_path: Path) -> None:
    dataset = mammogram()
    dataset.add_new(0x00990010, "LO", "NQHeader")
    dataset.add_new(0x00991002, "UI", "1.2.276.0.99.2.1")
    dataset.add_new(0x00991004, "DS", "1")
    dataset[0x00991004]._value = "Jadwiga"
    dataset.add_new(0x00991020, "OB", b"KOWALEWSKA")
    written = deidentified(dataset)
    assert written[0x00991002].value == written.SeriesInstanceUID
    assert private_of(written) == ["00990010", "00991002"]
    kept = deidentified(dataset, "uids", profile=profile_with(tmp_path, retain_uids=True))
    assert kept[0x00991002].value == kept.SeriesInstanceUID == "1.2.276.0.99.2.1"


def test_pictures_in_a_vendors_encoding_stay_only_where_pixels_are_not_cleaned(
    deidentified: Any, tmp_path: Path
) -> None:
    dataset = mammogram()
    item = Dataset()
    item.add_new(0x7E010010, "LO", "HOLOGIC, Inc.")
    item.add_new(0x7E011012, "OB", b"\1\2\3\4")
    dataset.add_new(0x7E010010, "LO", "HOLOGIC, Inc.")
    dataset.add_new(0x7E011010, "SQ", Sequence([item]))
    assert private_of(deidentified(dataset)) == ["7E010010", "7E011010"]
    kept = deidentified(dataset, "kept", profile=profile_with(tmp_path, clean_pixel_data=False))
    assert private_of(kept) == ["7E010010", "7E011010", "7E010010", "7E011012"]


def stated(status: str, **more: Any) -> Dataset:
    """Two blocks of the same creator: one element of the standard's table, three that it does not name."""
    dataset = mammogram(PrivateDataElementCharacteristicsSequence=Sequence([described(0x19, SIEMENS, status, **more)]))
    del dataset[0x00191001]
    for block in (0x10, 0x20):
        dataset.add_new(0x00190000 | block, "LO", SIEMENS)
        dataset.add_new(0x0019000C | block << 8, "IS", "1000")
        dataset.add_new(0x00190070 | block << 8, "DS", "2.5")
        dataset.add_new(0x00190071 | block << 8, "LO", "Ask Dr. Oberrauch")
        dataset.add_new(0x00190072 | block << 8, "OB", b"KOWALEWSKA")
    return dataset


def test_a_block_stated_unsafe_goes(deidentified: Any) -> None:
    assert private_of(deidentified(stated("UNSAFE"))) == []
    assert private_of(deidentified(stated("PROBABLY"), "odd")) == []


def test_a_block_stated_safe_stays_where_it_can_be_cleaned(deidentified: Any) -> None:
    written = deidentified(stated("SAFE"))
    assert [tag[-2:] for tag in private_of(written)] == ["10", "20", "0C", "70", "71", "0C", "70", "71"]
    assert "Oberrauch" not in written[0x00191071].value
    assert b"KOWALEWSKA" not in Path(written.filename).read_bytes()


def test_of_a_mixed_block_stays_what_is_listed_or_dealt_with(deidentified: Any) -> None:
    empty, dummy, unheard = Dataset(), Dataset(), Dataset()
    empty.IdentifyingPrivateElements, empty.DeidentificationAction = 0x71, "Z"
    dummy.IdentifyingPrivateElements, dummy.DeidentificationAction = 0x0C, "D"
    unheard.IdentifyingPrivateElements, unheard.DeidentificationAction = 0x72, "K"
    written = deidentified(
        stated("MIXED", NonidentifyingPrivateElements=0x70, DeidentificationActionSequence=[empty, dummy, unheard])
    )
    assert [tag[-2:] for tag in private_of(written)] == ["10", "20", "0C", "70", "71", "0C", "70", "71"]
    assert written[0x0019100C].value not in (1000, None)
    assert written[0x00191070].value == pytest.approx(2.5)
    assert not written[0x00191071].value


def test_what_is_stated_twice_or_badly_counts_as_unsafe() -> None:
    twice = [described(0x19, SIEMENS, "SAFE"), described(0x19, SIEMENS, "SAFE")]
    blocks = blocks_of(mammogram(PrivateDataElementCharacteristicsSequence=Sequence([*twice, Dataset()])))
    assert [block.status for block in blocks.described.values()] == ["UNSAFE"]


def test_the_tables_vrs_are_the_dictionarys() -> None:
    differ = {}
    for row in standard_table("E.3.10-1"):
        tag = int(row["tag"][1:5], 16) << 16 | 0x1000 | int(row["tag"][8:10], 16)
        try:
            known = private_dictionary_VR(tag, row["privateCreator"])
        except KeyError:
            continue
        if row["vr"] and known != row["vr"].replace("OW/OB", "OB or OW"):
            differ[row["tag"]] = (row["vr"], known)
    assert differ == {**AMBIGUOUS, "(7E01,xx02)": ("SH", "LO")}


def test_the_option_is_said(deidentified: Any) -> None:
    assert load_profile().is_on("retain_safe_private")
    codes = [item.CodeValue for item in deidentified(mammogram()).DeidentificationMethodCodeSequence]
    assert "113111" in codes

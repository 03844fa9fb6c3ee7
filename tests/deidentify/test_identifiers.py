"""What is read of headers, against what pydicom decodes of them, and over the objects of a study."""

import pickle
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipelines.deidentify.delivery import deidentify_delivery
from pipelines.deidentify.identifiers import HeaderIdentifiers, deny_list_from, identifiers_in, merged
from pipelines.deidentify.reading import quiet, read_header, read_raw
from pipelines.deidentify.survey import survey
from pipelines.storage.tables import INVENTORY, OBJECTS, read_table
from pipelines.storage.workers import Workers
from tests.deidentify.conftest import SHARED, mammogram, save
from tests.deidentify.header_names import deny_list_of
from tests.deidentify.test_delivery import entry

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
def test_all_that_a_header_names(profile: Any, tmp_path: Path, syntax: Any) -> None:
    found = identifiers_in(read_header(save(mammogram(), tmp_path / "x", syntax)).dataset, profile)
    assert found.names == {"KOWALEWSKA^Jadwiga", "Oberrauch^Kaspar^^Dr.", "Quastel^Ida"}
    assert {"MRN0098231", "MRN0098231-B", "ACC77182931", "ST0098231", "5550171"} <= found.ids
    assert "Klinikum Glimmerthal" in found.places
    assert found.births == {"19480229"}
    assert {"20180309", "20180310", "20180201"} <= found.days
    assert {"1.2.276.0.99.1.1", "1.2.276.0.99.3.7"} <= found.uids
    assert not any(uid.startswith("1.2.840.10008.") for uid in found.uids)


def test_names_in_character_sets_at_any_depth(profile: Any, tmp_path: Path) -> None:
    item, inner = Dataset(), Dataset()
    inner.PersonName = "Люкceмбypг^X"
    inner.SpecificCharacterSet = "ISO_IR 144"
    item.VerifyingObserverSequence = Sequence([inner])
    dataset = mammogram(SpecificCharacterSet="ISO_IR 100", PatientName="Bünßdörfer^Jörg")
    dataset.ContentSequence = Sequence([item])
    found = identifiers_in(read_header(save(dataset, tmp_path / "x")).dataset, profile)
    assert {"Bünßdörfer^Jörg", "Люкceмбypг^X"} <= found.names
    assert "Bünßdörfer".encode("latin-1") in found.raw


def test_deny_list_is_that_of_decoded_headers(profile: Any, tmp_path: Path) -> None:
    for number, syntax in enumerate(SYNTAXES):
        path = save(mammogram(), tmp_path / str(number), syntax)
        assert deny_list_from(identifiers_in(read_header(path).dataset, profile)) == deny_list_of(read_raw(path))


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the real files are not at hand")
def test_deny_lists_of_real_files(profile: Any) -> None:
    compared = 0
    for path in sorted((SHARED / "data/dicom-mg").iterdir()):
        with quiet():
            try:
                header = read_header(path)
            except ValueError:
                continue
            expected = deny_list_of(read_raw(path))
            found = deny_list_from(identifiers_in(header.dataset, profile))
        assert found.names >= expected.names, path.name
        assert found.ids >= expected.ids, path.name
        compared += 1
    assert compared >= 12


some = st.builds(
    HeaderIdentifiers,
    names=st.frozensets(st.text(max_size=3), max_size=4),
    uids=st.frozensets(st.sampled_from(["1.2", "1.3", "1.4"])),
    cut=st.booleans(),
)


@given(st.lists(some, max_size=5), st.randoms())
@settings(deadline=None, max_examples=50)
def test_merging_has_no_order(several: list[HeaderIdentifiers], random: Any) -> None:
    shuffled = random.sample(several, len(several))
    assert merged(several) == merged(shuffled) == reduce(or_, shuffled, HeaderIdentifiers())
    assert pickle.loads(pickle.dumps(merged(several))) == merged(several)


def test_what_is_held_of_a_study_is_bounded() -> None:
    parts = [HeaderIdentifiers(uids=frozenset(f"1.2.{n}.{k}" for k in range(900))) for n in range(9)]
    whole = merged(parts)
    assert (len(whole.uids), whole.cut) == (5000, True)
    assert merged([merged(parts[:5]), merged(parts[5:])]) == whole


def study(folder: Path) -> list[Path]:
    """Two objects of one study, of which one states the name and one has it in a text, and one of another study."""
    unnamed = {"PatientName": "", "ReferringPhysicianName": "", "OperatorsName": ""}
    objects = [
        mammogram(SOPInstanceUID="1.2.276.0.99.3.1"),
        mammogram(SOPInstanceUID="1.2.276.0.99.3.2", DeviceSerialNumber="SN Kowalewska", **unnamed),
        mammogram(SOPInstanceUID="1.2.276.0.99.3.3", StudyInstanceUID="1.2.276.0.99.1.9", **unnamed),
    ]
    objects[2].DeviceSerialNumber = "SN Kowalewska"
    for other in objects[1:]:
        other.PatientID, other.StudyDescription, other.PatientComments = f"Q{other.SOPInstanceUID[-1]}77001", "", ""
        other[0x00191001].value = ""
    return [save(each, folder / f"{number}.dcm") for number, each in enumerate(objects)]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_one_object_names_is_removed_from_the_others(
    tmp_path: Path, key: Any, headers_only: Any, processes: int
) -> None:
    paths = study(tmp_path / "in")
    out = tmp_path / "out"
    out.mkdir()
    deidentify_delivery(
        INVENTORY.build([entry(path, number) for number, path in enumerate(paths)]),
        source={f"inbox:{path.name}": path for path in paths}.__getitem__,
        key=key,
        profile=headers_only,
        folder=out,
        workers=Workers(processes=processes, chunk=1),
    )
    rows = read_table(out / "objects.parquet", OBJECTS).to_pylist()
    left = [b"kowalewska" in (out / row["path"]).read_bytes().lower() for row in rows if row["path"]]
    assert [row["status"] for row in rows] == ["written"] * 3
    assert left == [False, False, True]  # nobody says in the other study that it is a name


def test_a_header_that_cannot_be_read_is_left_out(tmp_path: Path, profile: Any) -> None:
    good = save(mammogram(), tmp_path / "good")
    found = survey([("F-1", good), ("F-2", tmp_path / "missing")], profile, Workers())
    assert set(found.study_of) == {"F-1"}
    assert found.of("F-2") is None
    named = found.of("F-1")
    assert named is not None
    assert "KOWALEWSKA^Jadwiga" in named.names

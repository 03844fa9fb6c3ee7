"""The crosswalk in the vault: what stands behind pseudonyms, and studies that two patients claim."""

import json
import multiprocessing
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pipelines.deidentify.crosswalk import (
    STUDY_OF_TWO_PATIENTS,
    Admission,
    CrosswalkError,
    admit_delivery,
    read_crosswalk,
    read_crosswalks,
)
from pipelines.storage.keys import Key, VaultKeyError
from pipelines.storage.tables import INVENTORY, OBJECTS
from pipelines.storage.workers import Workers
from tests.deidentify.conftest import SECRETS, mammogram, save
from tests.deidentify.test_delivery import entry

Spec = tuple[str, str, str, str]
"""patient_id, issuer, study, accession number."""


class House:
    """A vault and deliveries made of headers."""

    def __init__(self, root: Path, key: Key, profile: Any) -> None:
        self.root, self.key, self.profile = root, key, profile
        self.vault = root / "vault"
        self.vault.mkdir(mode=0o700)
        self.reads = 0

    def admit(self, delivery: str, specs: Iterable[Spec], digest: str = "0") -> Admission:
        paths = []
        for n, (patient, issuer, study, accession) in enumerate(specs):
            dataset = mammogram(SOPInstanceUID=f"1.2.276.0.99.3.{n}", PatientID=patient, StudyInstanceUID=study)
            dataset.AccessionNumber, dataset.SeriesInstanceUID = accession, f"{study}.9"
            if issuer:
                dataset.IssuerOfPatientID = issuer
            paths.append(save(dataset, self.root / delivery / f"{n}.dcm"))
        located = {f"inbox:{path.name}": path for path in paths}

        def source(location: str) -> Path:
            self.reads += 1
            return located[location]

        return admit_delivery(
            self.vault,
            delivery,
            INVENTORY.build([entry(path, n) for n, path in enumerate(paths)]),
            inventory_sha256=digest,
            source=source,
            key=self.key,
            profile=self.profile,
            workers=Workers(),
        )

    def file(self, delivery: str) -> Path:
        return self.vault / "crosswalk" / f"{delivery}.siv"


@pytest.fixture
def house(tmp_path: Path, key: Key, profile: Any) -> House:
    return House(tmp_path, key, profile)


ONE: Spec = ("MRN0098231", "Klinikum Glimmerthal", "1.2.276.0.99.1.1", "ACC77182931")
SECOND: Spec = ("MRN0555111", "Klinikum Glimmerthal", "1.2.276.0.99.1.2", "ACC5")


def test_originals_are_found_again(house: House, pseudonyms: Any) -> None:
    house.admit("D-1", [ONE, SECOND, ("", "", "1.2.276.0.99.1.3", "")])
    crosswalk = read_crosswalk(house.vault, "D-1", house.key)
    patient = pseudonyms.patient(ONE[0], ONE[1])
    assert crosswalk.original(patient) == {
        "kind": "patient",
        "patient_id": "MRN0098231",
        "issuer_of_patient_id": "Klinikum Glimmerthal",
        "days": pseudonyms.days(patient, house.profile.most_days),
    }
    assert crosswalk.original(pseudonyms.accession("ACC5"))["accession_number"] == "ACC5"
    assert crosswalk.original(pseudonyms.uid("1.2.276.0.99.1.2"))["study_instance_uid"] == "1.2.276.0.99.1.2"
    assert crosswalk.original(pseudonyms.uid("1.2.276.0.99.1.1.9"))["series_instance_uid"] == "1.2.276.0.99.1.1.9"
    unknown = pseudonyms.unknown_patient("1.2.276.0.99.1.3", "F-0002")
    assert crosswalk.original(unknown)["study_instance_uid"] == "1.2.276.0.99.1.3"
    assert crosswalk.original("P-0") is None


def test_file_is_sealed_closed_and_the_same_again(house: House) -> None:
    house.admit("D-1", [ONE, SECOND])
    path = house.file("D-1")
    data, written = path.read_bytes(), path.stat().st_mtime_ns
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    everything = b"".join(p.read_bytes() for p in house.vault.rglob("*") if p.is_file())
    assert [s for s in (*SECRETS, "patient_id", "MRN0555111") if s.encode() in everything] == []
    house.admit("D-1", [ONE, SECOND])
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (data, written)
    path.unlink()
    house.admit("D-1", [SECOND, ONE][::-1])
    assert path.read_bytes() == data


def test_cipher_is_aes_siv_under_a_key_of_its_own(house: House) -> None:
    house.admit("D-1", [ONE])
    sealed = house.file("D-1").read_bytes()[20:]
    derived = HKDF(algorithm=SHA256(), length=64, salt=None, info=b"midar crosswalk v1").derive(house.key.secret)
    content = json.loads(AESSIV(derived).decrypt(sealed, [b"midar crosswalk v1", b"D-1"]))
    assert content["studies"].popitem()[1] == ONE[2]
    with pytest.raises(InvalidTag):
        AESSIV(derived).decrypt(sealed, [b"midar crosswalk v1", b"D-2"])


def test_headers_are_read_once_for_one_inventory(house: House) -> None:
    first = house.admit("D-1", [ONE, SECOND], digest="a")
    assert house.reads == 2
    assert house.admit("D-1", [ONE, SECOND], digest="a") == first
    assert house.reads == 2
    house.admit("D-1", [ONE, SECOND], digest="b")
    assert house.reads == 4


def test_what_was_handed_out_stays_known(house: House, pseudonyms: Any) -> None:
    house.admit("D-1", [ONE, SECOND], digest="a")
    crosswalk = house.admit("D-1", [ONE], digest="b").crosswalk
    assert crosswalk.original(pseudonyms.accession("ACC5"))
    assert len(crosswalk.subjects) == 1


def test_one_study_of_two_patients_within_a_delivery(house: House) -> None:
    admission = house.admit("D-1", [ONE, SECOND, ("MRN9", *ONE[1:])])
    assert admission.refuse == {"F-0000": STUDY_OF_TWO_PATIENTS, "F-0002": STUDY_OF_TWO_PATIENTS}
    assert (admission.studies_within, admission.studies_before) == (1, 0)
    other_issuer = house.admit("D-2", [SECOND, (SECOND[0], "Elsewhere", *SECOND[2:])])
    assert len(other_issuer.refuse) == 2


def test_newcomer_is_refused_and_the_holder_is_not(house: House) -> None:
    house.admit("D-9", [ONE])
    newcomer = house.admit("D-1", [("MRN9", *ONE[1:]), SECOND])
    assert newcomer.refuse == {"F-0000": STUDY_OF_TWO_PATIENTS}
    assert (newcomer.studies_within, newcomer.studies_before) == (0, 1)
    assert house.admit("D-9", [ONE]).refuse == {}
    assert house.admit("D-2", [ONE]).refuse == {}  # the refused newcomer holds nothing
    assert house.admit("D-1", [("MRN9", *ONE[1:]), SECOND], digest="again").refuse == newcomer.refuse


def test_made_again_in_any_order_decides_the_same(house: House) -> None:
    deliveries = {"D-1": [ONE], "D-2": [("MRN9", *ONE[1:])], "D-3": [ONE, SECOND], "D-4": [("MRN8", *SECOND[1:])]}
    first = {name: house.admit(name, specs) for name, specs in deliveries.items()}
    files = {name: house.file(name).read_bytes() for name in deliveries}
    names = list(deliveries)
    for seed in range(6):
        random.Random(seed).shuffle(names)
        assert {name: house.admit(name, deliveries[name]) for name in names} == first
    assert {name: house.file(name).read_bytes() for name in deliveries} == files


def test_objects_that_state_less_are_their_studys_patients(house: House, pseudonyms: Any) -> None:
    no_issuer, nobody = (ONE[0], "", *ONE[2:]), ("", "", *ONE[2:])
    admission = house.admit("D-1", [ONE, no_issuer, nobody])
    assert admission.refuse == {}
    assert set(admission.patients.values()) == {pseudonyms.patient(ONE[0], ONE[1])}
    alone = house.admit("D-2", [nobody])
    assert (alone.refuse, alone.patients) == ({}, {})


def test_accession_number_used_twice_is_counted_not_refused(house: House) -> None:
    admission = house.admit("D-1", [ONE, (*SECOND[:3], ONE[3])])
    assert (admission.refuse, admission.accessions) == ({}, 1)
    assert house.admit("D-2", [("MRN7", "", "1.2.276.0.99.1.7", ONE[3])]).accessions == 1
    assert house.admit("D-3", [("MRN7", "", "1.2.276.0.99.1.8", "ACC8")]).accessions == 0


def test_damaged_and_foreign_files_are_told_apart_without_content(house: House, profile: Any) -> None:
    house.admit("D-1", [ONE])
    path = house.file("D-1")
    whole = path.read_bytes()
    for damaged in (b"", whole[:10], whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b"x" * 400):
        path.write_bytes(damaged)
        with pytest.raises(CrosswalkError, match="D-1 in the vault is damaged") as caught:
            house.admit("D-2", [SECOND])
        assert not [s for s in SECRETS if s in str(caught.value)]
        assert caught.value.__cause__ is None
    assert issubclass(CrosswalkError, VaultKeyError)
    path.write_bytes(whole)
    other = House.__new__(House)
    other.__dict__ |= house.__dict__ | {"key": Key(bytes(reversed(range(32))))}
    with pytest.raises(CrosswalkError, match=f"another key.*{house.key.fingerprint}"):
        other.admit("D-2", [SECOND])
    path.rename(house.file("D-7"))
    with pytest.raises(CrosswalkError, match="D-7 in the vault is damaged, or another"):
        list(read_crosswalks(house.vault, house.key))


def test_unreadable_files_claim_nothing_and_are_read_again(house: House, tmp_path: Path) -> None:
    def admit(paths: list[Path]) -> Admission:
        located = {f"inbox:{path.name}": path for path in paths}
        return admit_delivery(
            house.vault,
            "D-1",
            INVENTORY.build([{**entry(torn, n), "location": f"inbox:{path.name}"} for n, path in enumerate(paths)]),
            inventory_sha256="0",
            source=located.__getitem__,
            key=house.key,
            profile=house.profile,
            workers=Workers(),
        )

    torn = tmp_path / "torn.dcm"
    torn.write_bytes(b"\0" * 128 + b"DICM\x08\x00")
    admission = admit([torn, tmp_path / "gone.dcm"])
    assert (admission.refuse, admission.patients) == ({"F-0001": "error_FileNotFoundError"}, {})
    save(mammogram(), tmp_path / "gone.dcm")
    again = admit([torn, tmp_path / "gone.dcm"])
    assert (again.refuse, list(again.patients)) == ({}, ["F-0001"])


def test_uids_that_stay_are_known_as_they_are(house: House) -> None:
    standard = "1.2.840.10008.1.4.1.1"
    row = {"file_id": "F-0000", "status": "written", "study_instance_uid": standard}
    assert house.admit("D-1", [(*ONE[:2], standard, "")]).unknown(OBJECTS.build([row])) == 0
    house.profile = replace(house.profile, options=house.profile.options | {"retain_uids"})
    row = {"file_id": "F-0000", "status": "written", "study_instance_uid": ONE[2]}
    assert house.admit("D-2", [ONE]).unknown(OBJECTS.build([row])) == 0


def test_unknown_pseudonyms_of_objects_are_counted(house: House, pseudonyms: Any) -> None:
    admission = house.admit("D-1", [ONE])
    row = {
        "file_id": "F-0000",
        "status": "written",
        "patient": pseudonyms.patient(ONE[0], ONE[1]),
        "accession": pseudonyms.accession(ONE[3]),
        "study_instance_uid": pseudonyms.uid(ONE[2]),
    }
    refused = {"file_id": "F-2", "status": "refused", "reason": "waveform"}
    assert admission.unknown(OBJECTS.build([row, refused])) == 0
    assert admission.unknown(OBJECTS.build([row, {**row, "file_id": "F-1", "patient": "P-1"}])) == 1


def _admit(root: Path, key: Key, profile: Any, number: int) -> None:
    house = House.__new__(House)
    house.root, house.key, house.profile, house.vault, house.reads = root, key, profile, root / "vault", 0
    house.admit(f"D-{number}", [(f"MRN{number}", *ONE[1:])])


def test_concurrent_partitions_give_the_study_to_one(house: House) -> None:
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_admit, args=(house.root, house.key, house.profile, number)) for number in range(6)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    crosswalks = list(read_crosswalks(house.vault, house.key))
    assert sorted(c.number for c in crosswalks) == [1, 2, 3, 4, 5, 6]
    refused = [bool(house.admit(f"D-{n}", [(f"MRN{n}", *ONE[1:])]).refuse) for n in range(6)]
    assert sum(refused) == 5

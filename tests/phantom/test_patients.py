import pytest
from pydicom.charset import python_encoding

from pipelines.phantom.patients import derive_uid, identifiers, invent_exam, invent_person, plain, spoken

PEOPLE = [invent_person(5, number) for number in range(120)]


def test_names_fit_their_character_set() -> None:
    for person in PEOPLE:
        for text in (person.dicom_name, person.address, person.town):
            text.encode(python_encoding[person.charset])
    assert {person.charset for person in PEOPLE} == {"ISO_IR 100", "ISO_IR 192"}
    assert any(person.ideographic for person in PEOPLE)
    assert any(plain(person.family) != person.family for person in PEOPLE)


def test_age_is_kept() -> None:
    for number in range(60):
        assert invent_exam(5, invent_person(5, number, age=57), "ge").age == 57
    assert all(40 <= invent_exam(5, person, "ge").age <= 79 for person in PEOPLE)


def test_ids_are_distinct_and_depend_on_the_seed() -> None:
    assert len({person.patient_id for person in PEOPLE}) == len(PEOPLE)
    exams = [invent_exam(5, person, "ge") for person in PEOPLE]
    assert len({exam.accession for exam in exams}) == len(exams)
    assert invent_person(6, 0) != PEOPLE[0]
    assert invent_person(5, 0) == PEOPLE[0]


def test_uids_are_valid_and_derived() -> None:
    for root in ("2.25.", "1.2.392.200036.9125.9.0."):
        uid = derive_uid(root, 1, "a")
        assert uid.startswith(root)
        assert len(uid) <= 64
        assert all(part == str(int(part)) for part in uid.split("."))
        assert uid == derive_uid(root, 1, "a") != derive_uid(root, 1, "b")


def test_canaries_are_long_enough_to_be_searched_for() -> None:
    for person in PEOPLE:
        for kind, value in identifiers(invent_exam(5, person, "ge")):
            assert len(value) >= (2 if kind == "ideographic_name" else 5), kind


@pytest.mark.parametrize(
    ("name", "written", "said"),
    [
        ("Dreßler^Jörgina", "Dressler^Jorgina", "Jörgina Dreßler"),
        ("Gołębiowska^Bożena", "Golebiowska^Bozena", "Bożena Gołębiowska"),
        ("Yamanouchi^Hanayo=山之内^花代", "Yamanouchi^Hanayo", "Hanayo Yamanouchi"),
    ],
)
def test_names_are_written_plainly_and_spoken(name: str, written: str, said: str) -> None:
    assert plain(name.partition("=")[0]) == written
    assert spoken(name) == said

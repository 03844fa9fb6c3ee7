import json

import pytest

from pipelines.label.fusion import fuse, median
from pipelines.storage.tables import IMAGES, VOTES

IMAGE = {
    "image_id": "2.25.1",
    "delivery": "D-1",
    "file_id": "F-1",
    "object_sha256": "0",
    "status": "kept",
    "patient": "P-1",
    "accession": "A-1",
    "study_instance_uid": "S-1",
    "laterality": "L",
}


def label(*votes, **image):
    rows = [
        {"vote_id": f"V-{i}", "source": "table", "evidence_id": f"E-{i}", "rule": "density", "densities": "A", **vote}
        for i, vote in enumerate(votes)
    ]
    (row,) = fuse(VOTES.build(rows), IMAGES.build([{**IMAGE, **image}])).to_pylist()
    return row


STUDY, BREAST, OTHER = {"study_instance_uid": "S-1"}, {"study_instance_uid": "S-1", "laterality": "L"}, "2.25.2"


def test_no_votes_no_density():
    row = label()
    assert row["density"] is None
    assert row["confidence"] is None
    assert (row["sources"], row["evidence"], row["conflict"]) == ("[]", "[]", False)


@pytest.mark.parametrize(
    ("names", "joins"),
    [
        ({"sop_instance_uid": "2.25.1"}, True),
        ({"study_instance_uid": "S-1"}, True),
        ({"accession": "A-1"}, True),
        ({"patient": "P-1"}, True),
        ({"sop_instance_uid": OTHER, "patient": "P-1"}, False),
        ({"study_instance_uid": "S-2", "patient": "P-1"}, False),
        ({"accession": "A-2", "patient": "P-1"}, False),
        ({"patient": "P-2"}, False),
        ({}, False),
    ],
)
def test_the_first_identifier_that_both_carry_decides(names, joins):
    assert (label({**names, "densities": "C"})["density"] == "C") is joins


def test_an_image_without_a_study_is_joined_by_what_it_has():
    assert label({"study_instance_uid": "S-1", "patient": "P-1"}, study_instance_uid=None)["density"] == "A"


def test_laterality_is_respected():
    right = {**STUDY, "laterality": "R"}
    assert label(right)["density"] is None
    assert label(right, laterality="R")["density"] == "A"
    assert label(right, laterality=None)["density"] is None
    assert label(STUDY, laterality=None)["density"] == "A"


def test_channels_are_ranked():
    votes = [{**STUDY, "source": s, "densities": d} for s, d in (("text", "B"), ("sr", "C"), ("table", "D"))]
    row = label(*votes)
    assert (row["density"], row["confidence"], row["conflict"]) == ("D", 1.0, True)
    assert json.loads(row["sources"]) == ["table", "sr", "text"]
    assert json.loads(row["evidence"]) == ["V-0", "V-1", "V-2"]
    assert label(*votes[:2])["density"] == "C"


def test_the_closest_scope_within_a_channel_decides():
    ladder = [
        {"patient": "P-1", "densities": "A"},
        {"patient": "P-1", "laterality": "L", "densities": "B"},
        {**STUDY, "densities": "C"},
        {**BREAST, "densities": "D"},
        {"sop_instance_uid": "2.25.1", "densities": "A"},
    ]
    assert [label(*ladder[: n + 1])["density"] for n in range(5)] == ["A", "B", "C", "D", "A"]


def test_a_better_channel_beats_a_closer_scope():
    assert label({**BREAST, "source": "text", "densities": "B"}, {**STUDY, "densities": "C"})["density"] == "C"


def test_one_reader_is_one_vote():
    loud = [{**STUDY, "reader": "r1", "densities": "A"}] * 5
    others = [{**STUDY, "reader": r, "densities": "C"} for r in ("r2", "r3")]
    row = label(*loud, *others)
    assert row["density"] == "C"
    assert row["confidence"] == pytest.approx(2 / 3)


def test_votes_without_a_reader_are_one_readers():
    unnamed = [{**STUDY, "densities": "A"}] * 4
    row = label(*unnamed, *({**STUDY, "reader": r, "densities": "B"} for r in ("r1", "r2")))
    assert row["density"] == "B"
    assert row["confidence"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("said", "expected"), [("A", "A"), ("AD", "D"), ("AAD", "A"), ("ABCD", "C"), ("BDC", "C")])
def test_median(said, expected):
    assert median(said) == expected


def test_only_kept_images_of_known_patients_once_each():
    again = {**IMAGE, "delivery": "D-2", "file_id": "F-2"}
    lost = {**IMAGE, "file_id": "F-3", "image_id": "2.25.3", "status": "excluded", "reason": "spot"}
    nobody = {**IMAGE, "file_id": "F-4", "image_id": "2.25.4", "patient": None}
    table = fuse(VOTES.build([]), IMAGES.build([IMAGE, again, lost, nobody]))
    assert table.column("image_id").to_pylist() == ["2.25.1"]

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fusion import measure, simulate
from pipelines.label.fusion import fuse
from pipelines.label.readings import median
from pipelines.storage.tables import DENSITY_SETS, IMAGES, PIXELS_CAP, VOTES

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


def votes_of(votes):
    return VOTES.build(
        {"vote_id": f"V-{i}", "source": "table", "evidence_id": f"E-{i}", "rule": "density", "densities": "A", **vote}
        for i, vote in enumerate(votes)
    )


def label(*votes, **image):
    (row,) = fuse(votes_of(votes), IMAGES.build([{**IMAGE, **image}])).to_pylist()
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
    assert (row["density"], row["conflict"], row["readings"]) == ("D", True, 1)
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
    assert (row["density"], row["readings"]) == ("C", 3)
    assert row["confidence"] == label(loud[0], *others)["confidence"]


def test_channels_of_one_reading_do_not_make_it_surer():
    alone = label({**STUDY, "densities": "C"})
    copies = [{**STUDY, "source": s, "densities": "C"} for s in ("table", "sr", "text")]
    row = label(*copies)
    assert row["readings"] == 1
    assert row["confidence"] == alone["confidence"]
    named = label(*({**vote, "reader": reader} for vote, reader in zip(copies, ("r1", None, "r1"), strict=True)))
    assert (named["readings"], named["confidence"]) == (1, alone["confidence"])
    assert label(*({**copies[0], "reader": r} for r in ("r1", "r2")))["confidence"] > alone["confidence"]


def test_contradiction_within_a_reading_lowers_trust_and_is_noted():
    table, text = {**STUDY, "densities": "C"}, {**STUDY, "source": "text", "densities": "B"}
    row = label(table, text)
    assert row["density"] == "C"
    assert row["confidence"] < label(table)["confidence"] - 0.1
    assert (row["conflict"], json.loads(row["review_reasons"])) == (True, ["reading"])
    assert label({**table, "source": "text"}, {**text, "source": "sr"})["density"] == "B"


def test_unnamed_statements_beside_named_readers_are_one_of_theirs():
    readers = [{**STUDY, "reader": r, "densities": "B"} for r in ("r1", "r2")]
    agreed = label(*readers)
    assert label(*readers, {**STUDY, "source": "text", "densities": "B"})["confidence"] == agreed["confidence"]
    row = label(*readers, {**STUDY, "densities": "A"})
    assert (row["density"], row["readings"], json.loads(row["review_reasons"])) == ("B", 2, ["reading"])
    assert row["confidence"] < agreed["confidence"]


def test_what_is_said_of_the_patient_alone_gives_way_to_the_examination():
    old = {"patient": "P-1", "reader": "r1", "densities": "A"}
    row = label(old, {**STUDY, "reader": "r2", "densities": "C"})
    assert (row["density"], row["readings"], row["conflict"]) == ("C", 1, False)
    assert label(old)["density"] == "A"


@pytest.mark.parametrize(
    ("said", "density", "reasons"),
    [
        (["BC"], None, ["open"]),
        (["BC", "AB"], "B", []),
        (["BC", "C"], "C", []),
        (["ABC", "BCD"], None, ["open"]),
        (["AB", "CD"], "either", ["readers"]),
        (["A", "C"], "between", ["readers"]),
    ],
)
def test_sets_are_never_forced(said, density, reasons):
    row = label(*({**STUDY, "reader": f"r{n}", "densities": d} for n, d in enumerate(said)))
    assert row["density"] in {"either": ("B", "C"), "between": ("A", "B", "C")}.get(density, (density,))
    assert json.loads(row["review_reasons"]) == reasons
    assert sum(row[f"p_{d}"] for d in "abcd") == pytest.approx(1, abs=1e-6)
    assert (row["confidence"] is None) == (row["density"] is None)


def test_a_coarse_word_is_narrowed_by_the_same_reading():
    row = label({**STUDY, "densities": "BC"}, {**STUDY, "source": "text", "densities": "C"})
    assert (row["density"], row["readings"], row["conflict"]) == ("C", 1, False)


PIXELS = {"sop_instance_uid": "2.25.1", "source": "pixels", "confidence": 0.99}


def test_pixels_alone_are_never_sure():
    row = label({**PIXELS, "densities": "D"})
    assert (row["density"], row["confidence"], row["readings"]) == ("D", PIXELS_CAP, 0)
    assert label({**PIXELS, "confidence": 0.4, "densities": "D"})["confidence"] == pytest.approx(0.4)
    assert row["p_c"] > row["p_b"] > row["p_a"]


@given(
    pixels=st.lists(st.tuples(st.sampled_from(DENSITY_SETS), st.floats(0, 1)), min_size=1, max_size=4),
    said=st.lists(st.tuples(st.sampled_from(["r1", "r2", "r3"]), st.sampled_from(DENSITY_SETS)), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_pixels_never_override_a_reader(pixels, said):
    readers = [{**STUDY, "reader": reader, "densities": d} for reader, d in said]
    seen = [{**PIXELS, "densities": d, "confidence": c} for d, c in pixels]
    before, after = label(*readers), label(*readers, *seen)
    if before["density"]:
        assert (after["density"], after["confidence"]) == (before["density"], before["confidence"])
    elif after["confidence"] is not None:
        assert after["confidence"] <= PIXELS_CAP + 1e-9
    if len(readers) == 1:
        assert after["density"] in readers[0]["densities"]


def test_pixels_settle_what_a_reader_left_open():
    coarse = {**STUDY, "densities": "BC"}
    row = label(coarse, {**PIXELS, "densities": "C"})
    assert (row["density"], json.loads(row["sources"])) == ("C", ["table", "pixels"])
    assert 0.5 < row["confidence"] <= PIXELS_CAP
    far = label({**STUDY, "densities": "A"}, {**PIXELS, "densities": "C"})
    assert (far["density"], json.loads(far["review_reasons"]), far["conflict"]) == ("A", ["pixels"], False)


def test_a_review_overrides():
    said = [{**STUDY, "reader": r, "densities": d} for r, d in (("r1", "A"), ("r2", "A"), ("r3", "C"))]
    row = label(*said, {**STUDY, "source": "review", "reader": "r9", "densities": "D"})
    assert (row["density"], row["conflict"], row["readings"]) == ("D", False, 1)
    assert row["confidence"] > 0.9
    assert json.loads(row["sources"]) == ["review", "table"]
    assert len(json.loads(row["evidence"])) == 4
    twice = [{**STUDY, "source": "review", "reader": f"r{n}", "densities": d} for n, d in enumerate("BD")]
    assert json.loads(label(*twice)["review_reasons"]) == ["reviewers"]


def both(*votes):
    right = {**IMAGE, "image_id": "2.25.2", "file_id": "F-2", "laterality": "R"}
    rows = fuse(votes_of(votes), IMAGES.build([IMAGE, right])).to_pylist()
    return {row["laterality"]: row for row in rows}


def test_an_examination_is_as_dense_as_its_denser_breast():
    left, right = ({**STUDY, "laterality": side, "densities": d} for side, d in (("L", "B"), ("R", "C")))
    found = both(left, right)
    assert {side: row["density"] for side, row in found.items()} == {"L": "B", "R": "C"}
    assert {row["exam_density"] for row in found.values()} == {"C"}
    assert len({row["exam_id"] for row in found.values()}) == 1
    assert len({row["breast_id"] for row in found.values()}) == 2
    reviewed = both(left, right, {**STUDY, "laterality": "R", "source": "review", "densities": "A"})
    assert {row["exam_density"] for row in reviewed.values()} == {"B"}
    apart = both(left, {**right, "densities": "D"})
    assert [json.loads(row["review_reasons"]) for row in apart.values()] == [["sides"], ["sides"]]


def test_images_of_a_breast_share_its_label():
    other = {**IMAGE, "image_id": "2.25.2", "file_id": "F-2"}
    votes = votes_of(
        [{"sop_instance_uid": "2.25.1", "densities": "B"}, {"sop_instance_uid": "2.25.2", "densities": "C"}]
    )
    rows = fuse(votes, IMAGES.build([IMAGE, other])).to_pylist()
    assert [row["density"] for row in rows] == ["C", "C"]
    assert json.loads(rows[0]["review_reasons"]) == ["reading"]
    unknown = [{**image, "laterality": None} for image in (IMAGE, other)]
    assert [row["density"] for row in fuse(votes, IMAGES.build(unknown)).to_pylist()] == ["B", "C"]


def test_the_order_of_votes_and_images_does_not_matter():
    simulated = simulate(200, seed=1)
    once = fuse(simulated.votes, simulated.images)
    shuffled = np.random.default_rng(0).permutation
    again = fuse(
        simulated.votes.take(shuffled(len(simulated.votes))), simulated.images.take(shuffled(len(simulated.images)))
    )
    assert once.equals(again)


@pytest.mark.parametrize("unnamed", [False, True])
def test_calibrated_where_channels_are_copies_and_no_worse_than_the_best_source(unnamed):
    measured = measure(simulate(5000, seed=2, unnamed=unnamed))
    figures = measured.figures
    assert figures["calibration_error"] <= 0.03
    assert all(fused >= own for own, fused in measured.of_sources.values())
    assert figures["naive_claimed"] > figures["naive_accuracy"] + 0.15
    assert figures["naive_calibration_error"] > 0.15
    assert figures.get("pixels_alone_highest", 0) <= PIXELS_CAP


@pytest.mark.parametrize(("said", "expected"), [("A", "A"), ("AD", "D"), ("AAD", "A"), ("ABCD", "C"), ("BDC", "C")])
def test_median(said, expected):
    assert median(said) == expected


def test_only_kept_images_of_known_patients_once_each():
    again = {**IMAGE, "delivery": "D-2", "file_id": "F-2"}
    lost = {**IMAGE, "file_id": "F-3", "image_id": "2.25.3", "status": "excluded", "reason": "spot"}
    nobody = {**IMAGE, "file_id": "F-4", "image_id": "2.25.4", "patient": None}
    table = fuse(VOTES.build([]), IMAGES.build([IMAGE, again, lost, nobody]))
    assert table.column("image_id").to_pylist() == ["2.25.1"]

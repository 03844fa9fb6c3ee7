import csv
import io
import json

import pytest

from pipelines.label.fusion import label
from pipelines.label.readings import breasts_of
from pipelines.label.review import COLUMNS, queue_file, read_reviews, review_queue, with_reviews
from pipelines.storage.tables import IMAGES, VOTES

SAID = {0: "BC", 1: "AD", 2: "CC", 3: "BD", 4: "B", 5: "AB"}
"""What two readers said of each examination's left breast."""


def images():
    common = {"delivery": "D-1", "object_sha256": "0", "status": "kept"}
    return IMAGES.build(
        {
            "image_id": f"2.25.{10 * n + m}",
            "file_id": f"F-{n}{m}",
            "patient": f"P-{n}",
            "study_instance_uid": None if n == 5 else f"S-{n}",
            "laterality": None if n == 3 else "L",
            **common,
        }
        for n in SAID
        for m in range(1 if n in (3, 5) else 2)
    )


def votes():
    rows = []
    for n, said in SAID.items():
        for k, density in enumerate(said):
            about = {"sop_instance_uid": f"2.25.{10 * n}"} if n in (3, 5) else {"study_instance_uid": f"S-{n}"}
            rows.append(
                {"vote_id": f"V-{n}{k}", "reader": f"D-r{k}", "densities": density, "patient": f"P-{n}", **about}
            )
    return VOTES.build({"source": "table", "evidence_id": "L-1", "rule": "density", **row} for row in rows)


def queue_of(votes):
    breasts = breasts_of(votes, images())
    return review_queue(breasts, label(breasts))


def filled(content, decide, **writer):
    """The queue's file with what ``decide`` gives for each row: density and reviewer."""
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, **writer)
    table.writeheader()
    for row in rows:
        density, reviewer = decide(row)
        table.writerow({**row, "density": density, "reviewer": reviewer})
    return out.getvalue().encode("utf-8-sig")


def read(*files):
    return read_reviews(files, breasts_of(VOTES.build([]), images()), lambda name: "D-" + name.casefold()[::-1])


def test_queue_holds_the_conflicts_alone_the_most_rewarding_first():
    rows = queue_of(votes()).to_pylist()
    assert {row["patient"] for row in rows} == {"P-0", "P-1", "P-3", "P-5"}
    assert [row["place"] for row in rows] == [1, 2, 3, 4]
    assert [row["priority"] for row in rows] == sorted((row["priority"] for row in rows), reverse=True)
    for row in rows:
        assert row["priority"] == pytest.approx(row["entropy"] * row["rarity"])
        assert json.loads(row["reasons"]) == ["readers"]
    by_patient = {row["patient"]: row for row in rows}
    assert json.loads(by_patient["P-0"]["statements"]) == [
        {"source": "table", "reader": "D-r0", "densities": "B"},
        {"source": "table", "reader": "D-r1", "densities": "C"},
    ]
    assert len(json.loads(by_patient["P-0"]["image_ids"])) == 2
    assert by_patient["P-5"]["rarity"] > by_patient["P-0"]["rarity"]  # A is rarer than C


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_round_trip_every_decision_becomes_the_label(delimiter):
    content = queue_file(queue_of(votes()))
    reviews = read(filled(content, lambda row: ("d ", " Dr. Who"), delimiter=delimiter))
    assert set(reviews.table.column("status").to_pylist()) == {"taken"}
    breasts = breasts_of(with_reviews(votes(), reviews), images())
    table = label(breasts)
    for row in table.to_pylist():
        decided = row["patient"] in ("P-0", "P-1", "P-3", "P-5")
        assert (row["density"] == "D") is decided, row
        assert ("review" in json.loads(row["sources"])) is decided
        assert not row["conflict"]
    assert review_queue(breasts, table).num_rows == 0
    assert {v["reader"] for v in reviews.votes.to_pylist()} == {"D-" + "dr. who"[::-1]}
    ledger = {row.output for row in reviews.ledger}
    assert {v["evidence_id"] for v in reviews.votes.to_pylist()} <= ledger


def test_bad_rows_get_a_reason_and_the_good_ones_count():
    content = queue_file(queue_of(votes()))
    answers = iter([("B", "x"), ("", "x"), ("E", "x"), ("C", "")])
    reviews = read(filled(content, lambda row: next(answers)))
    assert [row["reason"] for row in sorted(reviews.table.to_pylist(), key=lambda r: r["row"])] == [
        None,
        "no_density",
        "bad_density",
        "no_reviewer",
    ]
    assert reviews.votes.num_rows == 1


def test_an_untouched_queue_says_nothing_and_strange_breasts_and_files_are_refused():
    content = queue_file(queue_of(votes()))
    assert read(content).table.num_rows == 0
    strange = b"breast_id,density,reviewer\r\nSMITH^JANE,B,x\r\n"
    (row,) = read(strange).table.to_pylist()
    assert (row["reason"], row["breast_id"]) == ("unknown_breast", None)
    for broken in (b"\xff\xfe\x00", b"", b"a,b\n1,2\n", b'breast_id,density,reviewer\n"B-1,B,x\n'):
        (row,) = read(broken).table.to_pylist()
        assert (row["status"], row["reason"], row["row"]) == ("refused", "unreadable", 0)


def test_one_reviewers_two_minds_are_both_refused_and_two_reviewers_are_asked_again():
    content = queue_file(queue_of(votes()))
    first, second = (filled(content, lambda row, d=d: (d, "x")) for d in "AC")
    both = read(first, second)
    assert set(both.table.column("reason").to_pylist()) == {"contradictory"}
    assert both.votes.num_rows == 0
    again = read(first, first + b"\r\n")
    assert again.votes.num_rows == 4
    other = read(first, filled(content, lambda row: ("C", "y")))
    rows = queue_of(with_reviews(votes(), other)).to_pylist()
    assert [json.loads(row["reasons"]) for row in rows] == [["reviewers"]] * 4


def test_the_file_holds_pseudonyms_and_figures_alone():
    content = queue_file(queue_of(votes())).decode("utf-8-sig")
    assert content.splitlines()[0] == ",".join(COLUMNS)
    row = next(csv.DictReader(io.StringIO(content)))
    assert (row["density"], row["reviewer"]) == ("", "")
    assert sum(float(row[f"p_{d}"]) for d in "abcd") == pytest.approx(1, abs=0.003)
    assert queue_file(queue_of(votes())).decode("utf-8-sig") == content

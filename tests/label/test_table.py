import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.deidentify.texts import DENSITY_VALUE
from pipelines.label.table import count_rows, densities_between, density_of, is_three_class, read_table
from pipelines.storage.tables import DELIVERED_LABELS

READ = {
    "A": ["A", "a", "1", "i", "1.0", "DENSITY A", "Density 1", "ACR a", "BI-RADS A", "almost entirely "],
    "B": ["B", "b ", "2", "II", "ACR-b", "category b", "Type 2", "(b)", "scattered fibrog"],
    "C": ["C", "c", "3", "iii", "ACR 3", "birads_c", "density: c", "heterogeneously "],
    "D": ["D", "d", "4", "iv", "4.0", "DENSITY D", "ACR D.", "extremely dense"],
}
NOT_READ = ["", " ", None, "5", "0", "F", "G", "E", "n/a", "nan", "unknown", "dense", "AB", "b-c", "1.5", "12", "v"]


@pytest.mark.parametrize(("text", "expected"), [(t, d) for d, texts in READ.items() for t in texts])
def test_spellings_of_a_density(text, expected):
    assert density_of(text) == expected


@pytest.mark.parametrize("text", NOT_READ)
def test_what_is_no_density_gives_none(text):
    assert density_of(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("B/C", "BC"), ("b - c", "BC"), ("2-3", "BC"), ("ACR C or D", "CD"), ("Type 1 to 2", "AB"), ("dense", "CD"),
     ("Mostly fatty", "AB"), ("fat", "AB"), ("A-D", None), ("C/B", None), ("B/B", "B"), ("B", None), ("", None),
     (None, None), ("dense mass", None), ("2-3-2020", None)],
)  # fmt: skip
def test_values_between_categories_are_sets(text, expected):
    assert densities_between(text) == expected


@settings(deadline=None)
@example("BIRADSF")
@example("BI-RADS: G")
@given(st.from_regex(DENSITY_VALUE, fullmatch=True).filter(lambda text: len(text) <= 16))
def test_every_value_that_level_c_hands_on_gives_a_vote(text):
    (vote,) = read_table(delivered({"file_id": "F-1", "density": text}))
    assert vote["densities"]


def test_no_row_is_lost_from_the_count():
    rows = [
        {"density": "5", "column_map": "embed"},
        {"density": "2", "column_map": "embed", "densities": "B"},
        {"density": "F", "reader": "r1"},
        {"density": "B/C", "reader": "r2"},
        {"density": "D", "reader": "r3"},
        {"status": "refused", "reason": "no_density"},
        {"status": "refused", "reason": "no_density"},
    ]
    table = delivered(*({"file_id": "F-1", **row} for row in rows))
    counts = count_rows(table, read_table(table))
    assert counts == {"no density by embed": 1, "a vote": 3, "scale not told": 1, "refused: no_density": 2}


def delivered(*rows):
    base = {"status": "written", "accession": "A-1"}
    return DELIVERED_LABELS.build([{**base, "label_id": f"L-{i}", **row} for i, row in enumerate(rows)])


def test_three_classes_are_sets_and_no_other_table_suffers():
    mias = [{"file_id": "F-1", "density": d} for d in ("F", "G", "D", "dense-glandular")]
    acr = [{"file_id": "F-2", "density": d} for d in ("C", "D")]
    votes = read_table(delivered(*mias, *acr))
    assert [(v["evidence_id"], v["densities"], v["rule"]) for v in votes] == [
        ("L-0", "AB", "labels_three_classes"),
        ("L-1", "BC", "labels_three_classes"),
        ("L-2", "CD", "labels_three_classes"),
        ("L-3", "CD", "labels_three_classes"),
        ("L-4", "C", "labels_four_classes"),
        ("L-5", "D", "labels_four_classes"),
    ]


@pytest.mark.parametrize(
    ("rows", "votes"),
    [
        ([("F", None), ("D", "r1"), ("B", "r1")], "AB D B"),  # r1 uses the four-class scale
        ([("F", None), ("D", "r1")], "AB"),  # r1's scale is not told
        ([("F", "r1"), ("D", "r1"), ("B", "r1")], "AB B"),  # r1 mixes scales
        ([("F", None), ("4", None), ("ACR D", None)], "AB D D"),  # not the three-class scale's D
        ([("G", "r1"), ("D", "r1"), ("D", "r2"), ("1", "r2")], "BC CD D A"),
    ],
)
def test_in_a_mixed_table_a_readers_own_scale_decides(rows, votes):
    table = delivered(*({"file_id": "F-1", "density": d, "reader": r} for d, r in rows))
    assert [v["densities"] for v in read_table(table)] == votes.split()


def test_a_column_map_has_said_what_a_value_means():
    rows = [
        {"file_id": "F-1", "density": "D", "column_map": "mias", "densities": "CD"},
        {"file_id": "F-1", "density": "5", "column_map": "embed"},
        {"file_id": "F-1", "density": "5.0", "column_map": "embed"},
        {"file_id": "F-1", "density": "2", "column_map": "own", "densities": "C"},
    ]
    votes = read_table(delivered(*rows))
    assert [(v["evidence_id"], v["densities"], v["rule"]) for v in votes] == [
        ("L-0", "CD", "mias"),
        ("L-3", "C", "own"),
    ]


def test_three_class_is_told_by_its_own_values():
    assert is_three_class(["D", None, "g"])
    assert is_three_class(["Fatty"])
    assert is_three_class(["ACR F"])
    assert is_three_class(["dense-glandular"])
    assert not is_three_class(["ACR D", "Density: A"])
    assert not is_three_class(["A", "B", "C", "D", "", None, "1"])


def test_refused_rows_have_no_vote_and_identifiers_travel():
    row = {
        "file_id": "F-1",
        "density": "c",
        "patient": "P-1",
        "study_instance_uid": "2.25.1",
        "sop_instance_uid": "2.25.2",
        "laterality": "L",
        "reader": "r1",
    }
    (vote,) = read_table(delivered(row, {"file_id": "F-1", "density": "A", "status": "refused", "reason": "x"}))
    assert vote == {
        "source": "table",
        "evidence_id": "L-0",
        "rule": "labels_four_classes",
        "reader": "r1",
        "patient": "P-1",
        "accession": "A-1",
        "study_instance_uid": "2.25.1",
        "sop_instance_uid": "2.25.2",
        "laterality": "L",
        "densities": "C",
    }

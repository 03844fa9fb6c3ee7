"""Report texts with the density that a radiologist would read from them: ``sentences.tsv``, ``reports.toml``."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.label.report import load_rules, read_report
from pipelines.label.statement import Statement

HERE = Path(__file__).parent


def _expected(cell: str) -> dict[str | None, str]:
    """A: both breasts; R=B L=C: each its own; -: nothing."""
    parts = [part.rpartition("=") for part in cell.split() if part != "-"]
    return {side or None: density for side, _, density in parts}


LINES = [line.split("\t") for line in (HERE / "sentences.tsv").read_text().splitlines() if not line.startswith("#")]
SENTENCES = [(text.replace("\\n", "\n"), _expected(cell)) for cell, text in LINES]
REPORTS = tomllib.loads((HERE / "reports.toml").read_text())["report"]


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text[:60] for text, _ in SENTENCES])
def test_sentence(text, expected):
    assert {s.laterality: s.density for s in read_report(text)} == expected


def test_many_sentences_are_tried():
    assert len(SENTENCES) >= 600
    assert len({text for text, _ in SENTENCES}) == len(SENTENCES)


@pytest.mark.parametrize("report", REPORTS, ids=[r["style"] for r in REPORTS])
def test_whole_report(report):
    expected = {None: report.get("both"), "L": report.get("left"), "R": report.get("right")}
    found = [(s.laterality, s.density) for s in read_report(report["text"])]
    assert sorted(found, key=str) == sorted(((side, d) for side, d in expected.items() if d), key=str)


def test_many_reports_are_tried():
    assert len(REPORTS) >= 50


def test_statements_that_disagree_are_all_handed_on():
    text = "Findings: The breasts are heterogeneously dense. Impression: Extremely dense breasts."
    assert [s.density for s in read_report(text)] == ["C", "D"]


def test_every_rule_has_a_name_and_every_wording_is_tried():
    names = [w.rule for w in load_rules().wordings]
    assert len(set(names)) == len(names)
    tried = {s.rule for text, _ in SENTENCES for s in read_report(text)}
    assert set(names) - tried == set()


GERMAN = [
    ("Die Brüste bestehen fast vollständig aus Fettgewebe.", "A"),
    ("Vereinzelte fibroglanduläre Verdichtungen beidseits.", "B"),
    ("Das Parenchym ist heterogen dicht, ACR-C.", "C"),
    ("Extrem dichtes Drüsengewebe.", "D"),
    ("Linke Brust: heterogen dicht. Rechte Brust: extrem dicht.", "L=C R=D"),
    ("Anamnese: extrem dicht.\n\nBefund: ACR b.", "B"),
    ("Das Gewebe ist nicht mehr extrem dicht.", "-"),
    ("Frauen mit extrem dichter Brust haben ein höheres Risiko.", "-"),
    ("[ ] ACR a [x] ACR b [ ] ACR c", "B"),
]


@pytest.mark.parametrize(("text", "expected"), GERMAN)
def test_a_language_is_added_by_a_file_of_rules(text, expected):
    statements = read_report(text, load_rules(HERE / "german_rules.toml"))
    assert {s.laterality: s.density for s in statements} == _expected(expected)
    assert all(s.rule.startswith("de_") for s in statements)


PIECES = st.sampled_from(
    [
        *("heterogeneously dense", "extremely dense", "scattered fibroglandular densities", "almost entirely fatty"),
        *(
            "The breasts are ",
            "density: ",
            "category c",
            "ACR b",
            "left ",
            "RIGHT BREAST:\n",
            "not ",
            "no longer ",
            "prior ",
        ),
        *(
            "[x] ",
            "[ ] ",
            "(",
            ")",
            ": ",
            ". ",
            "; ",
            "\n\n",
            "\r\n",
            " | ",
            "HISTORY: ",
            "FINDINGS\n",
            "25-50% ",
            "___",
        ),
        *("\u00ad", "\u200b", "\u2028", "İ", "ß", "ﬁbroglandular", "Ｃ", "\u0000", "👩‍⚕️", "\u0301", "乳腺"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=30).map("".join))
def test_any_text_is_read(text):
    statements = read_report(text)
    assert len(set(statements)) == len(statements)
    assert all(s.laterality in ("L", "R", None) and s.density in "ABCD" and s.rule for s in statements)
    assert read_report(text) == statements


@given(st.text(alphabet="abcdefgh ,.\n", max_size=60), st.sampled_from("\u00a0\u2003\u3000"))
def test_strange_blanks_and_marks_change_nothing(noise, blank):
    plain = f"{noise}\n\nThe breasts are heterogeneously dense."
    strange = plain.replace("are heterogeneously dense", f"are{blank}hetero\u00adgeneously\u200b{blank}dense")
    assert read_report(strange) == read_report(plain)
    assert Statement(None, "C", "") in read_report(plain)


@pytest.mark.parametrize(
    "piece",
    [
        "The breasts are heterogeneously dense and ",
        "heterogeneously dense left right not ",
        "HISTORY: x ",
        "really very scattered ",
        "not not no prior the ",
        "\n \t",
        "[ ] a [x] b ",
        "((((",
        "a",
        " ",
        "_",
        "A ",
        "density left ",
        "25 % to ",
        "in 2018 the breasts were ",
        "outside report ",
        "risk 5 ",
        "bone density ",
        "fat ",
        ". ",
        "<",
    ],
)
def test_long_texts_are_read_in_time(piece):
    """100,000 characters each: time that grows with their square would be minutes."""
    assert len(read_report(piece * (100_000 // len(piece)))) <= 3
    assert len(read_report("HISTORY: " + piece * (50_000 // len(piece)))) <= 3

"""Report texts with the density that a radiologist would read from them: ``sentences.tsv``, ``reports.toml``."""

import tomllib
from pathlib import Path

import pytest

from pipelines.label.report import read_report

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
    assert len(SENTENCES) >= 400
    assert len({text for text, _ in SENTENCES}) == len(SENTENCES)


@pytest.mark.parametrize("report", REPORTS, ids=[r["style"] for r in REPORTS])
def test_whole_report(report):
    expected = {None: report.get("both"), "L": report.get("left"), "R": report.get("right")}
    found = [(s.laterality, s.density) for s in read_report(report["text"])]
    assert sorted(found, key=str) == sorted(((side, d) for side, d in expected.items() if d), key=str)


def test_many_reports_are_tried():
    assert len(REPORTS) >= 30

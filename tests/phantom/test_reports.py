import io
import random
from collections import Counter

import pytest
from pydicom import Dataset, dcmread

from pipelines.phantom.objects import FOR_PRESENTATION, to_bytes
from pipelines.phantom.papers import write_papers
from pipelines.phantom.patients import invent_exam, invent_person, spoken
from pipelines.phantom.reports import report_text, structured_report
from pipelines.phantom.vendors import VENDORS

EXAM = invent_exam(2, invent_person(2, 4), "ge")

WORDS = {"A": ("fat",), "B": ("scattered", "category b"), "C": ("heterogeneously",), "D": ("extremely",)}


@pytest.mark.parametrize("density", list("ABCD"))
def test_reports_word_the_density_and_no_other(density: str) -> None:
    texts = {report_text(EXAM, density, random.Random(n)).lower() for n in range(60)}
    said = {
        d: [any(w in t for w in words) or f"category {d.lower()}." in t for t in texts] for d, words in WORDS.items()
    }
    assert all(said[density])
    assert not any(any(said[other]) for other in WORDS if other != density)


def test_reports_name_the_patient_whatever_they_say() -> None:
    for density in (None, "B"):
        text = report_text(EXAM, density, random.Random(1))
        for word in (spoken(EXAM.person.dicom_name), EXAM.accession, EXAM.person.phone, f"{EXAM.date:%d.%m.%Y}"):
            assert word in text
    assert "dens" not in report_text(EXAM, None, random.Random(1)).lower()


def codes(item: Dataset) -> list[tuple[str, str, str]]:
    """(concept, value, scheme) of every CODE item below."""
    found = []
    for child in item.get("ContentSequence", []):
        if child.ValueType == "CODE":
            concept, value = child.ConceptNameCodeSequence[0], child.ConceptCodeSequence[0]
            found.append((concept.CodeValue, value.CodeValue, value.CodingSchemeDesignator))
        found += codes(child)
    return found


@pytest.mark.parametrize("cad", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
def test_structured_reports_state_the_density(cad: bool, legacy: bool) -> None:
    image = ("1.2.3", FOR_PRESENTATION, "1.2.3.4")
    statements = [("R", "B"), ("L", "C")]
    ds = structured_report(
        EXAM, VENDORS[1], statements, [image], cad=cad, legacy=legacy, sop_uid="1.2.5", series_uid="1.2.6"
    )
    ds = dcmread(io.BytesIO(to_bytes(ds)))
    concept, scheme = ("F-01710", "SRT") if legacy else ("129715009", "SCT")
    values = {"B": "F-01712", "C": "F-01713"} if legacy else {"B": "129717001", "C": "129718006"}
    stated = [c for c in codes(ds) if c[0] == concept]
    assert stated == [(concept, values[density], scheme) for _, density in statements]
    sides = [value for name, value, _ in codes(ds) if name == "272741003"]
    assert sides == ["24028007", "7771000"]
    evidence = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image[2]
    assert ds.PatientID == EXAM.person.patient_id


def test_papers_agree_with_the_truth_but_for_a_few() -> None:
    papers = [write_papers(EXAM, {"R": "B", "L": "B"}, None, random.Random(n)) for n in range(600)]
    silent = sum(p.report is None and not p.labels and not p.sr for p in papers) / len(papers)
    assert 0.02 < silent < 0.09
    reports = Counter(p.report for p in papers if p.report)
    assert 0.9 < reports["B"] / reports.total() < 0.99
    assert set(reports) <= {"A", "B", "C"}
    assert all(p.has_report for p in papers if p.report)
    assert any(p.sr and not p.labels for p in papers)
    written = {density for p in papers for _, density, _ in p.labels}
    assert "B" in {w.upper() for w in written} or "2" in written


def test_unknown_density_is_not_invented() -> None:
    papers = write_papers(EXAM, {}, None, random.Random(0))
    assert (papers.report, papers.labels, papers.sr) == (None, (), ())

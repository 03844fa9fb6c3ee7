"""Structured reports: content items by PS3.15 Table E.3.4-1, references between them, ages, names of observers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify.refusals import RefusedError
from tests.deidentify.conftest import code, mammogram
from tests.deidentify.settings import profile_of_only, standard_table

COLUMNS = {
    "": "",
    "retain_uids": "rtnUIDsOpt",
    "retain_device_identity": "rtnDevIdOpt",
    "retain_institution_identity": "rtnInstIdOpt",
    "retain_patient_characteristics": "rtnPatCharsOpt",
    "retain_longitudinal_full_dates": "rtnLongFullDatesOpt",
    "retain_longitudinal_modified_dates": "rtnLongModifDatesOpt",
    "clean_descriptors": "cleanDescOpt",
}
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.2"
TEXT = "Left breast"


def item(kind: str, name: Dataset | None = None, *children: Dataset, **content: Any) -> Dataset:
    made = Dataset()
    made.RelationshipType = "CONTAINS"
    if kind:
        made.ValueType = kind
    if name is not None:
        made.ConceptNameCodeSequence = Sequence([name])
    for keyword, value in content.items():
        setattr(made, keyword, value)
    if children:
        made.ContentSequence = Sequence(children)
    return made


def finding(text: str = TEXT, *children: Dataset) -> Dataset:
    return item("TEXT", code("111412", "DCM", "Narrative"), *children, TextValue=text)


def number(concept: Dataset, value: str, unit: str) -> Dataset:
    measured = Dataset()
    measured.MeasurementUnitsCodeSequence = Sequence([code(unit, "UCUM", unit)])
    measured.NumericValue = value
    return item("NUM", concept, MeasuredValueSequence=Sequence([measured]))


def reference(*place: int) -> Dataset:
    made = Dataset()
    made.RelationshipType, made.ReferencedContentItemIdentifier = "INFERRED FROM", list(place)
    return made


def report(*items: Dataset) -> Dataset:
    d = mammogram()
    for keyword in ("PixelData", "Rows", "Columns", "BitsStored", "ImageLaterality"):
        del d[keyword]
    d.SOPClassUID, d.Modality, d.ValueType = "1.2.840.10008.5.1.4.1.1.88.33", "SR", "CONTAINER"
    d.ContentSequence = Sequence(items)
    return d


def value_of(number: int, kind: str) -> dict[str, Any]:
    """Content by value type; UIDs differ from row to row."""
    sop = Dataset()
    sop.ReferencedSOPClassUID, sop.ReferencedSOPInstanceUID = SOP_CLASS, f"1.2.276.0.55.{number}"
    measured = Dataset()
    measured.MeasurementUnitsCodeSequence = Sequence([code("a", "UCUM", "year")])
    measured.NumericValue = "45"
    return {
        "TEXT": {"TextValue": TEXT},
        "PNAME": {"PersonName": "Zeromska^Zuzanna"},
        "UIDREF": {"UID": f"1.2.276.0.55.{number}"},
        "DATE": {"Date": "20180309"},
        "TIME": {"Time": "101112"},
        "DATETIME": {"DateTime": "20180309101112"},
        "CODE": {"ConceptCodeSequence": Sequence([code("248152002", "SCT", "Female")])},
        "NUM": {"MeasuredValueSequence": Sequence([measured])},
        "CONTAINER": {"ContentSequence": Sequence([finding()])},
        **{key: {"ReferencedSOPSequence": Sequence([sop])} for key in ("IMAGE", "COMPOSITE", "WAVEFORM")},
    }[kind]


def content(made: Dataset) -> Any:
    """What an item says: its value in one comparable form."""
    for keyword in ("TextValue", "PersonName", "UID", "Date", "Time", "DateTime"):
        if keyword in made:
            return str(made[keyword].value)
    if "ReferencedSOPSequence" in made:
        return str(made.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    if "MeasuredValueSequence" in made:
        return str(made.MeasuredValueSequence[0].NumericValue)
    if "ConceptCodeSequence" in made:
        return made.ConceptCodeSequence[0].CodeValue
    return len(made.get("ContentSequence", ()))


@pytest.mark.parametrize("option", COLUMNS)
def test_every_concept_does_as_the_table_says(
    tmp_path: Path, deidentified: Callable[..., Dataset], option: str
) -> None:
    table = standard_table("E.3.4-1")
    assert len(table) == 214
    items = [
        item(row["valueType"], code(row["codeValue"], row["codingScheme"], "Finding"), **value_of(n, row["valueType"]))
        for n, row in enumerate(table)
    ]
    profile = profile_of_only(tmp_path, "clean_structured_content", *filter(None, [option]))
    written = deidentified(report(*items), profile=profile)
    after = {(i.ConceptNameCodeSequence[0].CodeValue, i.ValueType): content(i) for i in written.ContentSequence}
    for row, before in zip(table, items, strict=True):
        place = row["codeValue"], row["valueType"]
        action = row.get(COLUMNS[option]) or row["basicProfile"]
        there, value, old = place in after, after.get(place), content(before)
        if action == "X":
            assert not there, (row, value)
        elif action == "K":
            assert value == old, (row, value)
        elif action == "C" and row["valueType"] in ("DATE", "DATETIME"):
            assert str(value)[:8] < "20180309", (row, value)
        elif action == "C":
            assert value == old, (row, value)
        else:
            assert action in ("D", "X/D")
            assert there, row
            assert value != old, (row, value)


@pytest.mark.parametrize("kind", ["PNAME", "TEXT"])
def test_people_become_dummies_whatever_their_concept(deidentified: Callable[..., Dataset], kind: str) -> None:
    local = code("P1", "99LOCAL", "Reader")
    said = {"PersonName": "Zeromska^Zuzanna"} if kind == "PNAME" else {"TextValue": "Read by Dr. Zuzanna Zeromska"}
    written = deidentified(report(item("CONTAINER", code("121070", "DCM", "Findings"), item(kind, local, **said))))
    inner = written.ContentSequence[0].ContentSequence[0]
    assert "Zeromska" not in str(inner)
    assert content(inner)
    assert b"Zeromska" not in Path(written.filename).read_bytes()


def test_references_follow_the_items_that_stay(deidentified: Callable[..., Dataset]) -> None:
    gone = item("TEXT", code("121022", "DCM", "Accession Number"), TextValue="ACC77182931")
    mass, calcification = finding("mass"), finding("calcification", reference(1, 3, 2))
    inner = item(
        "CONTAINER", code("121070", "DCM", "Findings"), gone, mass, calcification, finding("cyst", reference(1))
    )
    lost = finding("asymmetry", reference(1, 1))
    kept = finding("distortion", reference(1, 3, 3, 1), reference(1, 4))
    written = deidentified(report(gone, gone, inner, lost, kept))
    findings, asymmetry, distortion = written.ContentSequence
    _, second, cyst = findings.ContentSequence
    assert findings.ContentSequence[0].TextValue == "mass"
    assert second.ContentSequence[0].ReferencedContentItemIdentifier == [1, 1, 1]
    assert cyst.ContentSequence[0].ReferencedContentItemIdentifier == 1
    assert "ContentSequence" not in asymmetry
    assert [list(i.ReferencedContentItemIdentifier) for i in distortion.ContentSequence] == [[1, 1, 2, 1], [1, 2]]


def test_a_report_of_nothing_but_what_goes_is_not_empty(deidentified: Callable[..., Dataset]) -> None:
    gone = item("TEXT", code("121022", "DCM", "Accession Number"), TextValue="ACC77182931")
    (left,) = deidentified(report(gone)).ContentSequence
    assert left.TextValue == "REMOVED"


AGES = [
    ("45", "a", "45"), ("89", "a", "89"), ("90", "a", "89"), ("104.5", "a", "89"), ("1079", "mo", "1079"),
    ("1200", "mo", "1068"), ("5300", "wk", "4644"), ("36000", "d", "32507"), ("17", "wk", "17"),
    ("77", "lightyear", ""),
]  # fmt: skip


@pytest.mark.parametrize("concept", [("121033", "DCM"), ("397669002", "SCT"), ("424144002", "SCT"), ("30525-0", "LN")])
def test_ages_over_89_are_capped(deidentified: Callable[..., Dataset], concept: tuple[str, str]) -> None:
    items = [number(code(*concept, "Age"), age, unit) for age, unit, _ in AGES]
    items[3].MeasuredValueSequence[0].FloatingPointValue = 104.5
    written = deidentified(report(*items))
    values = [i.MeasuredValueSequence[0].get("NumericValue") for i in written.ContentSequence]
    assert ["" if v is None else str(v) for v in values] == [age for _, _, age in AGES]
    assert "FloatingPointValue" not in written.ContentSequence[3].MeasuredValueSequence[0]


def test_numbers_codes_coordinates_and_containers_stay(deidentified: Callable[..., Dataset]) -> None:
    image = item("IMAGE", ReferencedSOPSequence=value_of(1, "IMAGE")["ReferencedSOPSequence"])
    spot = item("SCOORD", code("111010", "DCM", "Center"), image, GraphicType="POINT", GraphicData=[12.5, 7.0])
    density = item("CODE", code("111031", "DCM", "Breast composition"))
    density.ConceptCodeSequence = Sequence([code("129717001", "SCT", "Scattered fibroglandular densities")])
    dose = number(code("111637", "DCM", "Accumulated Average Glandular Dose"), "1.7", "mGy")
    holder = item("CONTAINER", code("111017", "DCM", "CAD Processing and Findings Summary"), spot, density, dose)
    holder.ContinuityOfContent = "SEPARATE"
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "4000"
    original = report(holder)
    original.ContentTemplateSequence = Sequence([template])
    written = deidentified(original)
    assert written.ContentTemplateSequence[0].TemplateIdentifier == "4000"
    found_spot, found_density, found_dose = written.ContentSequence[0].ContentSequence
    assert found_spot.GraphicData == [12.5, 7.0]
    assert found_spot.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPClassUID == SOP_CLASS
    assert found_density == density
    assert found_dose == dose


def test_content_outside_reports_goes_by_its_concept_too(deidentified: Callable[..., Dataset]) -> None:
    d = mammogram()
    unnamed = item("", code("121033", "DCM", "Subject Age"))
    unnamed.NumericValue, unnamed.MeasurementUnitsCodeSequence = "93", Sequence([code("a", "UCUM", "year")])
    birth = item("", code("121031", "DCM", "Subject Birth Date"), Date="19480229")
    d.AcquisitionContextSequence = Sequence([birth, unnamed])
    (left,) = deidentified(d).AcquisitionContextSequence
    assert left.NumericValue == 89


def test_times_keep_their_intervals_across_midnight(
    deidentified: Callable[..., Dataset], pseudonyms: Any, profile: Any
) -> None:
    moments = ["20180228235959.5", "20180301000000.5+0100", "20160229", "201602"]
    items = [item("DATETIME", code("X", "99LOCAL", "Time"), DateTime=moment) for moment in moments]
    written = deidentified(report(*items))
    days = timedelta(pseudonyms.days(written.PatientID, profile.most_days))
    first, second, leap, month = (i.DateTime for i in written.ContentSequence)
    assert datetime.strptime(first[:14], "%Y%m%d%H%M%S") == datetime(2018, 2, 28, 23, 59, 59) - days
    assert datetime.strptime(second[:14], "%Y%m%d%H%M%S") == datetime(2018, 3, 1) - days
    assert (first[14:], second[14:]) == (".5", ".5+0100")
    assert leap == (datetime(2016, 2, 29) - days).strftime("%Y%m%d")
    assert len(month) == 6


def test_a_tree_too_deep_is_refused(deidentified: Callable[..., Dataset]) -> None:
    deep = finding()
    for _ in range(70):
        deep = item("CONTAINER", code("121070", "DCM", "Findings"), deep)
    with pytest.raises(RefusedError, match=r"nested_too_deeply|unreadable"):
        deidentified(report(deep))

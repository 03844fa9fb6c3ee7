"""What objects say of their past, and what is written for those that were de-identified before or are of no patient."""

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.origin import earlier_codes, origin_of, temporal_information
from tests.deidentify.conftest import code, mammogram, save

EARLIER = [("113100", "DCM", "Basic Application Confidentiality Profile"), ("113110", "DCM", "Retain UIDs Option")]


def header(**elements: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("elements", "origin"),
    [
        ({}, "clinical"),
        ({"SyntheticData": "NO", "PatientIdentityRemoved": "NO"}, "clinical"),
        ({"DeidentificationMethod": ""}, "clinical"),
        ({"DeidentificationMethodCodeSequence": Sequence()}, "clinical"),
        ({"SyntheticData": "YES"}, "synthetic"),
        ({"SyntheticData": " yes "}, "synthetic"),
        ({"SyntheticData": "YES", "PatientIdentityRemoved": "YES"}, "synthetic"),
        ({"PatientIdentityRemoved": "YES"}, "deidentified"),
        ({"DeidentificationMethod": ["", "by hand"]}, "deidentified"),
        ({"DeidentificationMethodCodeSequence": Sequence([code(*EARLIER[0])])}, "deidentified"),
    ],
)
def test_origin_is_what_the_header_states(elements: dict[str, Any], origin: str) -> None:
    assert origin_of(header(**elements)) == origin


def test_unreadable_states_nothing() -> None:
    tag = BaseTag(0x00120064)
    dataset = Dataset({tag: RawDataElement(tag, "SQ", 6, b"\xfe\xff\x00\xe0\xff\xff", 0, False, True)})
    assert origin_of(dataset) == "clinical"
    assert earlier_codes(dataset, []) == []


def test_earlier_codes_are_the_standards_own_and_new() -> None:
    items = [
        *(code(*c) for c in EARLIER),
        code("JANE", "99HOSPITAL", "Jane"),
        code("x1", "DCM", "x"),
        code(*EARLIER[1]),
    ]
    dataset = header(DeidentificationMethodCodeSequence=Sequence(items))
    assert [item.CodeValue for item in earlier_codes(dataset, [("113100", "")])] == ["113110"]


@pytest.mark.parametrize(
    ("before", "moved", "kept", "expected"),
    [
        ("", True, False, "MODIFIED"),
        ("REMOVED", True, False, "MODIFIED"),
        ("", False, True, "UNMODIFIED"),
        ("MODIFIED", False, True, "MODIFIED"),
        ("REMOVED", False, True, "REMOVED"),
        ("UNMODIFIED", False, False, "REMOVED"),
    ],
)
def test_kept_dates_are_what_they_were(before: str, moved: bool, kept: bool, expected: str) -> None:
    dataset = header(LongitudinalTemporalInformationModified=before) if before else Dataset()
    assert temporal_information(dataset, moved=moved, kept=kept) == expected


@pytest.fixture
def written(tmp_path: Path, pseudonyms: Any, headers_only: Any) -> Any:
    def write(**changes: Any) -> tuple[Any, Dataset]:
        source, target = save(mammogram(**changes), tmp_path / "in.dcm"), tmp_path / "out.dcm"
        made = deidentify_object(
            source, target, file_id="F-1", location="inbox:in.dcm", profile=headers_only, pseudonyms=pseudonyms
        )
        return made, pydicom.dcmread(target)

    return write


def test_synthetic_stays_marked(written: Any) -> None:
    made, out = written(SyntheticData="YES")
    assert (made.origin, out.SyntheticData, out.PatientIdentityRemoved) == ("synthetic", "YES", "YES")
    assert "SyntheticData" not in written()[1]


def test_what_others_did_stands_beside_what_was_done(written: Any, headers_only: Any) -> None:
    made, out = written(
        PatientIdentityRemoved="YES",
        DeidentificationMethod="by KOWALEWSKA",
        DeidentificationMethodCodeSequence=Sequence([*(code(*c) for c in EARLIER), code("J", "99X", "KOWALEWSKA")]),
    )
    assert made.origin == "deidentified"
    codes = [item.CodeValue for item in out.DeidentificationMethodCodeSequence]
    ours = [c for c, _ in headers_only.codes_of(pixels_cleaned=False)]
    assert codes == [*ours, "113110"]
    assert out.DeidentificationMethodCodeSequence[-1].CodeMeaning == "Retain UIDs Option"
    assert "KOWALEWSKA" not in str(out)
    assert written()[0].origin == "clinical"

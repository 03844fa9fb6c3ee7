"""The short ways of reading values, against pydicom's own."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pipelines.deidentify.raw_elements import tag_of
from pipelines.deidentify.raw_values import element_at, plain_values, put_text, sequence_at
from pipelines.deidentify.reading import quiet, read_header
from tests.deidentify.conftest import SHARED

VRS = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UT")
TAG = tag_of(0x00204000)


def alone(raw: RawDataElement) -> Dataset:
    dataset = Dataset({tag_of(raw.tag): raw})
    dataset.set_original_encoding(False, True, "iso8859")
    return dataset


def decoded(dataset: Dataset, tag: int) -> list[str]:
    """An element's values as pydicom decodes them."""
    with quiet():
        try:
            value: Any = dataset[tag].value
        except (ValueError, OverflowError):
            return []
    if value is None:
        return []
    return [str(one) for one in (value if isinstance(value, (MultiValue, list)) else [value])]


@given(st.sampled_from(VRS), st.text(" \0\\.+-eE019AZaz^=_", max_size=24))
@settings(deadline=None, max_examples=400)
def test_values_are_those_that_pydicom_decodes(vr: str, text: str) -> None:
    data = text.encode() + b" " * (len(text) % 2)
    raw = RawDataElement(TAG, vr, len(data), data, 0, False, True)
    plain = plain_values(raw)
    assert plain is None or list(plain) == decoded(alone(raw), TAG)


@given(st.sampled_from(VRS), st.lists(st.text("AZaz09. ", min_size=1, max_size=9), min_size=1, max_size=3))
@settings(deadline=None, max_examples=100)
def test_what_is_put_is_what_pydicom_reads(vr: str, texts: list[str]) -> None:
    texts = [text.strip() for text in texts]
    dataset = alone(RawDataElement(TAG, vr, 0, b"", 0, False, True))
    value: Any = texts[0] if len(texts) == 1 or vr in ("LT", "ST", "UT") else texts
    if put_text(dataset, TAG, vr, value):
        assert decoded(dataset, TAG) == ([value] if isinstance(value, str) else value)


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the real files are not at hand")
def test_values_and_items_of_real_files() -> None:
    compared = [0, 0]

    def walk(dataset: Dataset) -> None:
        for tag in map(int, list(dataset.keys())):
            element = element_at(dataset, tag)
            plain = plain_values(element)
            if plain is not None and isinstance(element, RawDataElement):
                compared[0] += 1
                assert list(plain) == decoded(alone(element), tag)
            if element is None or str(element.VR) != "SQ":
                continue
            if sequence_at(dataset, tag) is not None:
                compared[1] += 1
            for item in dataset[tag].value:
                walk(item)

    for path in sorted((SHARED / "data/dicom-mg").iterdir()):
        with quiet():
            try:
                header = read_header(path)
            except ValueError:
                continue
            walk(header.dataset)
    assert compared[0] > 1000
    assert compared[1] > 50

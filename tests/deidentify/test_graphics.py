from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify.graphics import overlays_without_text
from pipelines.deidentify.profile import Profile
from tests.deidentify.conftest import mammogram
from tests.deidentify.settings import profile_with

GSPS = "1.2.840.10008.5.1.4.1.1.11.1"
SHAPE = (120, 400)


def drawn(text: str = "") -> np.ndarray:
    """A bitmap with a ring in its left part and, it may be, a text in its right one."""
    picture = np.zeros(SHAPE, np.uint8)
    cv2.circle(picture, (60, 60), 40, 1, 2)
    if text:
        cv2.putText(picture, text, (130, 75), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 1, 2)
    return picture


def with_overlay(dataset: Dataset, group: int, *frames: np.ndarray, **changes: Any) -> Dataset:
    tag = group << 16
    rows, columns = frames[0].shape
    dataset.add_new(tag | 0x0010, "US", rows)
    dataset.add_new(tag | 0x0011, "US", columns)
    dataset.add_new(tag | 0x0015, "IS", len(frames))
    dataset.add_new(tag | 0x0022, "LO", "Drawn for Jadwiga")
    dataset.add_new(tag | 0x0040, "CS", "G")
    dataset.add_new(tag | 0x0050, "SS", [1, 1])
    dataset.add_new(tag | 0x0100, "US", changes.get("bits", 1))
    dataset.add_new(tag | 0x0102, "US", changes.get("position", 0))
    data = np.packbits(np.stack(frames), bitorder="little").tobytes()
    dataset.add_new(tag | 0x3000, "OW", data + b"\0" * (len(data) % 2))
    return dataset


def plane(dataset: Dataset, group: int, frame: int = 0) -> np.ndarray:
    """pydicom's reading of an overlay plane."""
    return dataset.overlay_array(group).reshape(-1, *SHAPE)[frame]


@pytest.fixture
def graphics(tmp_path: Path) -> Profile:
    return profile_with(tmp_path, clean_graphics=True)


def test_without_the_option_overlays_go(deidentified: Any) -> None:
    written = deidentified(with_overlay(mammogram(), 0x6000, drawn()))
    assert not [e.tag for e in written if e.tag.group == 0x6000]


def test_an_overlay_without_text_stays_as_it_is(deidentified: Any, graphics: Profile) -> None:
    written = deidentified(with_overlay(mammogram(), 0x6000, drawn()), profile=graphics)
    assert np.array_equal(plane(written, 0x6000), drawn())
    assert written[0x60000040].value == "G"
    assert written[0x60000050].value == [1, 1]
    assert "Jadwiga" not in written[0x60000022].value


def test_text_in_an_overlay_is_cleared(deidentified: Any, graphics: Profile) -> None:
    dataset = with_overlay(mammogram(), 0x6002, drawn(), drawn("KOWALEWSKA"))
    written = deidentified(dataset, profile=graphics)
    assert np.array_equal(plane(written, 0x6002, 0), drawn())
    cleared = plane(written, 0x6002, 1)
    assert not cleared[:, 125:].any()
    assert np.array_equal(cleared[:, :110], drawn()[:, :110])
    codes = [item.CodeValue for item in written.DeidentificationMethodCodeSequence]
    assert "113103" in codes


@pytest.mark.parametrize("changes", [{"bits": 16}, {"position": 12}])
def test_what_is_no_plain_bitmap_goes(deidentified: Any, graphics: Profile, changes: dict[str, int]) -> None:
    written = deidentified(with_overlay(mammogram(), 0x6000, drawn(), **changes), profile=graphics)
    assert not [e.tag for e in written if e.tag.group == 0x6000]


def test_a_plane_of_the_wrong_size_goes() -> None:
    dataset = with_overlay(Dataset(), 0x6000, drawn())
    assert overlays_without_text(dataset) == {0x6000}
    dataset[0x60000010].value = 999
    assert overlays_without_text(dataset) == frozenset()
    dataset[0x60000010].value = [120, 120]
    assert overlays_without_text(dataset) == frozenset()


def test_a_plane_goes_where_the_detector_does_not_run(monkeypatch: Any) -> None:
    from pipelines.deidentify import burned_in

    def broken(*_: Any, **__: Any) -> Any:
        raise burned_in.DetectorError("detector_unavailable")

    monkeypatch.setattr(burned_in, "find_text", broken)
    assert overlays_without_text(with_overlay(Dataset(), 0x6000, drawn())) == frozenset()


def test_curves_icons_and_nested_overlays_go(deidentified: Any, graphics: Profile) -> None:
    dataset = with_overlay(mammogram(), 0x6000, drawn())
    dataset.add_new(0x50000022, "LO", "KOWALEWSKA")
    dataset.add_new(0x50003000, "OW", b"KOWALEWSKA")
    dataset.IconImageSequence = Sequence([Dataset()])
    dataset.IconImageSequence[0].add_new(0x7FE00010, "OW", b"KOWALEWSKA")
    dataset.AnatomicRegionSequence[0] = with_overlay(dataset.AnatomicRegionSequence[0], 0x6000, drawn())
    written = deidentified(dataset, profile=graphics)
    assert b"KOWALEWSKA" not in Path(written.filename).read_bytes()
    assert not [e.tag for e in written.AnatomicRegionSequence[0] if e.tag.group == 0x6000]
    assert "IconImageSequence" not in written
    assert 0x50003000 not in written


def state() -> Dataset:
    """A presentation state that annotates with text."""
    dataset = mammogram(SOPClassUID=GSPS, Modality="PR")
    for keyword in ("PixelData", "Rows", "Columns", "BitsStored"):
        del dataset[keyword]
    text, ring, layer = Dataset(), Dataset(), Dataset()
    text.UnformattedTextValue = "Mrs. Kowalewska: 5 mm mass, seen 03/09/2018."
    text.AnchorPointAnnotationUnits, text.AnchorPoint, text.AnchorPointVisibility = "PIXEL", [10.0, 20.0], "Y"
    ring.GraphicAnnotationUnits, ring.GraphicDimensions, ring.NumberOfGraphicPoints = "PIXEL", 2, 2
    ring.GraphicData, ring.GraphicType, ring.GraphicFilled = [10.0, 20.0, 30.0, 40.0], "CIRCLE", "N"
    annotation = Dataset()
    annotation.GraphicLayer = "MARKS"
    annotation.TextObjectSequence, annotation.GraphicObjectSequence = Sequence([text]), Sequence([ring])
    dataset.GraphicAnnotationSequence = Sequence([annotation])
    layer.GraphicLayer, layer.GraphicLayerOrder, layer.GraphicLayerDescription = "MARKS", "1", "Drawn for Kowalewska"
    dataset.GraphicLayerSequence = Sequence([layer])
    return dataset


def test_annotations_are_cleaned(deidentified: Any, graphics: Profile) -> None:
    written = deidentified(state(), profile=graphics)
    assert b"owalewska" not in Path(written.filename).read_bytes()
    (annotation,) = written.GraphicAnnotationSequence
    assert "5 mm mass" in annotation.TextObjectSequence[0].UnformattedTextValue
    assert "2018" not in annotation.TextObjectSequence[0].UnformattedTextValue
    assert annotation.GraphicObjectSequence == state().GraphicAnnotationSequence[0].GraphicObjectSequence
    assert written.GraphicLayerSequence[0].GraphicLayer == "MARKS"
    assert "Drawn for" in written.GraphicLayerSequence[0].GraphicLayerDescription


def test_without_descriptors_annotations_say_nothing(deidentified: Any, tmp_path: Path) -> None:
    profile = profile_with(tmp_path, clean_graphics=True, clean_descriptors=False)
    (annotation,) = deidentified(state(), profile=profile).GraphicAnnotationSequence
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "REMOVED"

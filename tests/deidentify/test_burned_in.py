"""Burned-in text is found and blanked; what is no text stays as it was."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from pipelines.deidentify import text_reading
from pipelines.deidentify.burned_in import DetectorError, TextSettings, clean_pixels, find_text
from pipelines.deidentify.frames import Frames
from pipelines.deidentify.text_candidates import find_breast
from pipelines.phantom.annotation import lead_marker
from tests.deidentify.burning import breast, covered, draw, make, within

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real files is absent")


def test_a_clean_picture_has_no_box_and_is_not_read(monkeypatch):
    def refuse(*_):
        raise AssertionError("read")

    assert find_text(breast()) == []
    monkeypatch.setattr("pipelines.deidentify.text_reading._read", refuse)
    y, x = np.mgrid[0:1400, 0:1100]
    smooth = 3000 / (1 + np.exp(np.clip((np.hypot(y - 700, x) - 500) / 20, -50, 50)))
    noisy = smooth + np.random.default_rng(0).normal(100, 8, smooth.shape)
    assert find_text(noisy.astype(np.uint16)) == []


@pytest.mark.parametrize("monochrome1", [False, True])
def test_text_outside_the_breast_is_covered_and_tissue_is_not(monochrome1):
    picture = breast()
    small = draw(picture, "DOE^JANE 1962-03-14", 60, 700, 14, 4095)
    large = draw(picture, "ID 4711-0815", 1300, 640, 44, 900)
    stored = 4095 - picture if monochrome1 else picture
    boxes = find_text(stored, monochrome1=monochrome1)
    assert covered(boxes, small, picture.shape) == 1
    assert covered(boxes, large, picture.shape) == 1
    tissue = breast() > 1000
    assert (within(boxes, picture.shape) & tissue).sum() / tissue.sum() < 0.001


def test_text_over_the_breast_and_rotated_text_are_covered():
    picture = breast()
    over = draw(picture, "SMITH MARY", 600, 120, 28, 4095)
    turned = np.rot90(breast(1100, 1400, 1))[:, ::-1].copy()
    upright = draw(flipped := np.ascontiguousarray(np.rot90(turned)), "MEYER ANNA 14.03.1962", 30, 500, 20, 4000)
    assert covered(find_text(picture), over, picture.shape) > 0.95
    boxes = find_text(np.ascontiguousarray(np.rot90(flipped, -1)))
    mask = np.rot90(within(boxes, turned.shape))
    assert mask[upright].mean() > 0.95


def test_a_view_marker_stays_unless_told_otherwise_and_what_stands_beside_it_goes():
    picture = breast()
    marker = draw(picture, "R MLO", 80, 800, 48, 4095)
    name = draw(picture, "TECH: KOWALSKA", 200, 760, 24, 4095)
    boxes = find_text(picture)
    assert covered(boxes, marker, picture.shape) < 0.1
    assert covered(boxes, name, picture.shape) > 0.95
    everything = find_text(picture, settings=TextSettings(keep_markers="none"))
    assert covered(everything, marker, picture.shape) > 0.9


@pytest.mark.parametrize(("laterality", "view", "height"), [("L", "CC", 61), ("L", "MLO", 60), ("R", "MLO", 62)])
def test_a_small_framed_plate_of_lead_letters_stays(laterality, view, height):
    picture = breast()
    plate = lead_marker(laterality, view, height)
    place = slice(20, 20 + plate.shape[0]), slice(1080 - plate.shape[1], 1080)
    picture[place] = np.maximum(picture[place], 4000 * plate)
    assert find_text(picture) == []


def test_strokes_that_cannot_be_read_go_outside_the_breast_alone(monkeypatch):
    monkeypatch.setattr("pipelines.deidentify.text_reading._read", lambda *_: [])
    picture = breast()
    outside = draw(picture, "DOE JANE", 60, 800, 30, 4095)
    inside = draw(picture, "DOE JANE", 700, 200, 30, 4095)
    boxes = find_text(picture)
    assert covered(boxes, outside, picture.shape) == 1
    assert covered(boxes, inside, picture.shape) == 0


def test_an_object_without_text_or_without_pixels_is_not_touched():
    picture = breast(700, 600)
    dataset = make(picture)
    before = dataset.PixelData
    assert not clean_pixels(dataset).changed
    assert dataset.PixelData is before
    del dataset.PixelData
    assert not clean_pixels(dataset).changed


def test_text_in_any_frame_is_blanked_in_all():
    frames = np.stack([breast(700, 600, seed) for seed in range(5)])
    first = draw(frames[3], "DOE JANE", 30, 400, 20, 4095)
    second = draw(frames[1], "4711-0815", 640, 400, 20, 4095)
    before = frames.copy()
    dataset = make(frames)
    boxes = list(clean_pixels(dataset).boxes)
    assert {b.frame for b in boxes} == {0}
    mask = within(boxes, frames.shape[1:])
    assert mask[first].all()
    assert mask[second].all()
    after = np.frombuffer(dataset.PixelData, np.uint16).reshape(frames.shape)
    assert np.array_equal(after[:, ~mask], before[:, ~mask])
    assert all(len(set(frame[mask].tolist())) == 1 for frame in after)


def test_a_missing_model_refuses_and_nothing_is_downloaded(monkeypatch):
    monkeypatch.setattr(text_reading, "_MODELS", {"Det": "absent.onnx", "Rec": "absent.onnx"})
    text_reading._engine.cache_clear()
    picture = breast(700, 600)
    draw(picture, "DOE JANE", 30, 400, 20, 4095)
    try:
        with pytest.raises(DetectorError, match=r"^text_detector_missing$"):
            clean_pixels(make(picture))
    finally:
        text_reading._engine.cache_clear()


def test_strokes_over_the_breast_that_stand_like_letters_but_cannot_be_read_are_counted(monkeypatch):
    picture = breast()
    assert clean_pixels(make(picture)).review == 0
    draw(picture, "DOE JANE 1962-03-14", 600, 120, 24, 4095)
    monkeypatch.setattr("pipelines.deidentify.text_reading._read", lambda *_: [])
    cleaned = clean_pixels(make(picture))
    assert (cleaned.boxes, cleaned.changed) == ((), False)
    assert cleaned.review >= 1


def test_all_but_breast_and_marker_goes_where_the_background_is_blanked():
    picture = breast()
    marker = draw(picture, "R MLO", 80, 800, 48, 4095)
    faint = draw(picture, "DOE", 1200, 800, 24, int(picture[1200, 800]) + 30)
    before = picture.copy()
    cleaned = clean_pixels(dataset := make(picture), TextSettings(mode="blank_background"))
    mask = within(list(cleaned.boxes), picture.shape)
    tissue = before > 1000
    tissue[marker] = False
    assert mask[faint].all()
    assert not mask[tissue].any()
    assert mask[marker].mean() < 0.1
    assert mask[:, -20:].all()
    after = np.frombuffer(dataset.PixelData, np.uint16).reshape(picture.shape)
    assert np.array_equal(after[~mask], before[~mask])


def test_a_volume_with_strokes_in_every_frame_is_not_read_for_ever(monkeypatch):
    calls = []
    monkeypatch.setattr("pipelines.deidentify.text_reading._read", lambda *_: calls.append(1) or [])
    counts = []
    for number in (5, 15):
        picture = breast(400, 360)
        draw(picture, "DOE JANE 1962", 190, 20, 14, 4095)
        frames = np.stack([picture + np.uint16(brighter) for brighter in range(number)])
        calls.clear()
        clean_pixels(make(frames))
        counts.append(len(calls))
    assert 0 < counts[0] == counts[1]


@needs_data
@pytest.mark.parametrize(
    "name",
    ["ge_essential_GH133.dcm", "ge_essential_2.25.2626.dcm", "rsna_10006_1864590858_tagged.dcm", "nema_MG1_JPLY"],
)
def test_no_box_touches_the_breast_of_a_real_mammogram(name):
    frames = Frames.of(pydicom.dcmread(DATA / "dicom-mg" / name))
    picture = frames.luminance(0)
    boxes = find_text(picture, monochrome1=frames.monochrome1)
    shown = picture.max() - picture if frames.monochrome1 else picture
    scene = find_breast(shown)
    assert 0.05 < scene.mask.mean() < 0.7
    assert not any(scene.touches((b.top, b.left, b.bottom, b.right)) for b in boxes)
    if name.startswith("ge"):
        assert boxes == []


@needs_data
def test_names_burned_into_real_pictures_go():
    dataset = pydicom.dcmread(DATA / "dicom-other" / "deid-data__GREYSCALE_IMAGE.dcm")
    before = text_reading.read_whole(Frames.of(dataset).luminance(0))
    assert sum(line.characters for line in before if line.score > 0.6) > 60
    assert clean_pixels(dataset).boxes
    after = text_reading.read_whole(Frames.of(dataset).luminance(0))
    assert sum(line.characters for line in after if line.score > 0.6) <= 3

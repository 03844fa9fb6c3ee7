"""What of the lines that were read goes and what stays: markers, initials beside them, text over the breast."""

from pathlib import Path

import pytest

from pipelines.deidentify import profile, text_reading
from pipelines.deidentify.burned_in import find_text
from pipelines.deidentify.text_judging import judge_whole
from pipelines.deidentify.text_reading import Line
from pipelines.deidentify.text_settings import TextSettings
from tests.deidentify.burning import breast, covered, draw

SHAPE = (2000, 2000)


@pytest.mark.parametrize(
    ("text", "marker"),
    [("R CC", True), ("LMLO", True), ("L-ML0", True), ("RIGHT", True), ("RXCCL", True), ("RCCID", True), ("L", True),
     ("JD", False), ("R CC JD", False), ("CC 12", False), ("DOE", False), ("", False)],
)  # fmt: skip
def test_markers_are_told_from_text(text, marker):
    assert text_reading.Line(0, 0, 1, 1, text, 1.0).is_marker is marker


@pytest.mark.parametrize(
    ("text", "marker"),
    [("R MLO JD", (0, 70)), ("JD R MLO", (90, 160)), ("R MLO", None), ("KOWALSKA", None), ("RIGHT", None)],
)
def test_the_part_of_a_line_that_is_a_marker_is_told_from_the_rest(text, marker):
    line = Line(0, 0, 20, 160, text, 0.95)
    kept, rest = line.parted()
    if marker is None:
        assert (kept, rest) == (None, None)
        return
    assert marker[0] <= kept[1] + 20
    assert kept[3] <= marker[1] + 20
    assert kept[3] <= rest[1] or rest[3] <= kept[1]


def test_initials_beside_a_marker_go_unless_all_is_kept():
    line = Line(100, 100, 120, 260, "L CC JD", 0.95)
    (box,) = judge_whole([line], SHAPE, TextSettings())
    assert 160 < box[1] < 240 <= box[3]
    assert judge_whole([line], SHAPE, TextSettings(keep_markers="all")) == []
    (box,) = judge_whole([line], SHAPE, TextSettings(keep_markers="none"))
    assert box[1] <= 100
    assert box[3] >= 260
    assert judge_whole([Line(100, 100, 120, 400, "L CC KOWALSKA", 0.95)], SHAPE, TextSettings(keep_markers="all"))


def test_initials_burned_in_beside_a_marker_are_covered_and_the_marker_stays():
    picture = breast()
    marker = draw(picture, "R CC", 80, 760, 40, 4095)
    initials = draw(picture, "JD", 80, 900, 40, 4095)
    boxes = find_text(picture)
    assert covered(boxes, initials, picture.shape) > 0.9
    assert covered(boxes, marker, picture.shape) < 0.25


def test_letters_of_no_letters_shape_are_an_organ():
    assert judge_whole([Line(0, 0, 400, 420, "CO", 0.8)], SHAPE, TextSettings()) == []
    assert judge_whole([Line(0, 0, 700, 2000, "DOE", 0.95)], SHAPE, TextSettings()) == []
    assert judge_whole([Line(0, 0, 30, 70, "DOE", 0.6)], SHAPE, TextSettings())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"mode": "fast"}, "pixels.mode is one of auto, full, off, blank_background"),
        ({"keep_markers": True}, "pixels.keep_markers is one of view_only, all, none"),
        ({"unread": 1}, "pixels.unread is true or false"),
        ({"modes": "auto"}, "unknown in \\[pixels\\]: modes"),
    ],
)
def test_settings_that_are_wrong_are_named(table, message):
    with pytest.raises(ValueError, match=message):
        TextSettings.of(table)


def test_the_profile_says_how_text_is_looked_for(tmp_path):
    packaged = Path(profile.__file__).with_name("profile.toml").read_text(encoding="utf-8")
    assert profile.load_profile().pixels == TextSettings()
    path = tmp_path / "profile.toml"
    path.write_text(packaged.replace('mode = "auto"', 'mode = "full"').replace("view_only", "none"), encoding="utf-8")
    assert profile.load_profile(path).pixels == TextSettings(mode="full", keep_markers="none")
    assert profile.load_profile(path).sha256 != profile.load_profile().sha256
    path.write_text(packaged.replace('mode = "auto"', 'mode = "fast"'), encoding="utf-8")
    with pytest.raises(profile.ProfileError, match=r"^pixels\.mode is one of"):
        profile.load_profile(path)

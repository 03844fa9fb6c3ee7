"""The outline against the drawn mask, with all that archives put around a breast; then real films and detectors."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.normalize.breast import Breast, find_breast, thumbnail_shape
from pipelines.phantom import breast as phantom
from tests.normalize.drawing import draw_breast, draw_mask


def shrink(picture: np.ndarray) -> np.ndarray:
    shape = thumbnail_shape(*picture.shape)
    return cv2.resize(picture.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)


def find(picture: np.ndarray) -> Breast | None:
    small = shrink(picture)
    return find_breast(small, np.zeros(small.shape, bool))


def dice(found: Breast, mask: np.ndarray) -> float:
    truth = shrink(mask.astype(np.uint8) * 255) > 127
    return float(2 * (found.mask & truth).sum() / (found.mask.sum() + truth.sum()))


def with_plate(picture: np.ndarray) -> np.ndarray:
    picture[40:140, 620:760] = 4095
    picture[60:120, 650:730] = 0
    return picture


def with_bar(picture: np.ndarray) -> np.ndarray:
    picture[:, 640:655] = 2500
    return picture


def with_tape(picture: np.ndarray) -> np.ndarray:
    picture[940:970, 300:700] = 1800
    return picture


def with_border(picture: np.ndarray) -> np.ndarray:
    picture[:25], picture[:, -25:] = 4095, 4095
    return picture


def with_scanner_black(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((0, 0), (150, 200)))


DISTURBANCES = [lambda p: p, with_plate, with_bar, with_tape, with_border]


@pytest.mark.parametrize("disturb", DISTURBANCES, ids=["plain", "plate", "bar", "tape", "border"])
@pytest.mark.parametrize("air", [0.0, 0.08], ids=["black air", "gray air"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_outline_survives_what_archives_hold(disturb: object, air: float, mirrored: bool) -> None:
    picture, mask = disturb(draw_breast(air=air)), draw_mask()  # type: ignore[operator]
    if mirrored:
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    found = find(picture)
    assert found is not None
    assert dice(found, mask) >= 0.98
    assert found.chest_wall == ("right" if mirrored else "left")
    assert found.sidedness > 1.5
    assert not found.cut_off


@pytest.mark.parametrize(("density", "laterality", "view"), [("A", "L", "MLO"), ("B", "R", "CC"), ("D", "R", "MLO")])
def test_the_outline_of_grown_breasts_under_all_disturbances_at_once(density: str, laterality: str, view: str) -> None:
    drawn = phantom.draw_breast(phantom.grow(density, 5), laterality, view, shape=(1000, 800), spacing=0.29)
    rng = np.random.default_rng(0)
    for air in (0.0, 0.06):
        picture = drawn.picture * (1 - air) + air
        picture = np.clip(picture + rng.normal(0, 0.008, picture.shape) * (drawn.breast | (air > 0)), 0, 1)
        facing = (4095 * picture)[:, :: -1 if laterality == "R" else 1].copy()
        facing = with_tape(with_bar(with_plate(facing)))
        found = find(facing[:, :: -1 if laterality == "R" else 1])
        assert found is not None
        assert dice(found, drawn.breast) >= 0.98
        assert found.chest_wall == ("left" if laterality == "L" else "right")


def test_a_band_of_another_exposure_is_cut_at_the_breasts_edge() -> None:
    picture, mask = draw_breast(air=0.02), draw_mask()
    mask[:, :120] = True  # a breast that goes on to the upper edge, as in MLO
    picture = np.where(mask & (picture < 900), 1500, picture)
    picture[:80] = np.where(mask[:80], picture[:80], 700)
    found = find(picture)
    assert found is not None
    assert dice(found, mask) >= 0.98


def test_a_film_on_the_scanners_black() -> None:
    found = find(with_scanner_black(draw_breast(air=0.08)))
    assert found is not None
    assert dice(found, with_scanner_black(draw_mask())) >= 0.97
    assert found.chest_wall == "left"


def test_padding_is_no_tissue() -> None:
    small, mask = shrink(draw_breast()), shrink(draw_mask().astype(np.uint8) * 255) > 127
    padded = np.zeros(small.shape, bool)
    padded[:, -40:] = True
    small[padded] = 4095
    found = find_breast(small, padded)
    assert found is not None
    assert 2 * (found.mask & mask).sum() / (found.mask.sum() + mask.sum()) >= 0.98


def test_a_breast_that_runs_out_of_the_picture_is_cut_off() -> None:
    found = find(draw_breast()[:, :400])
    assert found is not None
    assert found.cut_off


def test_no_breast_in_flat_fields_noise_and_text() -> None:
    rng = np.random.default_rng(0)
    text = np.zeros((1000, 800), np.uint8)
    for line in range(10):
        cv2.putText(text, "ALL TEXT AND NO BREAST", (20, 90 * line + 80), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 255, 4)
    for picture in (np.full((1000, 800), 700), np.zeros((1000, 800)), rng.integers(0, 4096, (1000, 800)), text):
        assert find(picture) is None
    assert find_breast(np.ones((320, 256), np.float32), np.ones((320, 256), bool)) is None


def test_real_mammograms_are_turned_the_right_way(shared: Path) -> None:
    """Films (MIAS) and detectors (CDD-CESM, low energy): breast found, chest wall on the labeled side."""
    folder = shared / "data" / "mammograms"
    with (folder / "labels.csv").open() as file:
        labels = [row for row in csv.DictReader(file) if "512" in row["path"] and "_CM_" not in row["path"]]
    assert len(labels) > 250
    wrong, odd = [], []
    for row in labels[::3]:
        found = find(cv2.imread(str(folder / row["path"]), cv2.IMREAD_GRAYSCALE))
        if found is None or found.chest_wall != {"L": "left", "R": "right"}[row["laterality"]]:
            wrong.append(row["path"])
        elif not 0.1 < found.mask.mean() < 0.8:
            odd.append(row["path"])
    assert wrong == []
    assert len(odd) <= 2

"""Walks: the strip, the film, and the gallery."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.storage.tables import DENSITIES, VIEWS
from pipelines.synthesize.walk import density_in_words, draw_gallery, neighboring, write_film, write_strip

EVERYTHING = {(density, view) for density in DENSITIES for view in VIEWS}


@pytest.fixture(scope="module")
def frames(breast: Callable[..., np.ndarray]) -> np.ndarray:
    """From one drawn breast to another, blended."""
    one, other = (breast(seed, "B", "CC").astype(float) for seed in (1, 2))
    return np.stack([one + share * (other - one) for share in np.linspace(0, 1, 9)]).astype(np.uint16)


def film(path: Path) -> list[np.ndarray]:
    shown = []
    with Image.open(path) as image:
        for i in range(image.n_frames):
            image.seek(i)
            shown.append(np.asarray(image.convert("L")).astype(float))
    return shown


def test_the_film_goes_there_and_back_without_end(frames: np.ndarray, tmp_path: Path) -> None:
    write_film(tmp_path / "walk.gif", frames)
    shown = film(tmp_path / "walk.gif")
    assert len(shown) == 2 * len(frames) - 2
    assert shown[0].shape == (320, 256)
    for i, picture in enumerate(shown):
        own = frames[i if i < len(frames) else 2 * len(frames) - 2 - i]
        small = picture.reshape(80, 4, 64, 4).mean((1, 3))
        assert np.abs(small - own * (255 / 4095)).mean() < 2
    with Image.open(tmp_path / "walk.gif") as image:
        assert image.info["loop"] == 0
        assert image.info["duration"] == 600


def test_large_frames_keep_their_size_and_one_frame_is_a_film(
    breast: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    write_film(tmp_path / "walk.gif", breast(1, "B", "CC", rows=640)[None])
    (shown,) = film(tmp_path / "walk.gif")
    assert shown.shape == (640, 512)
    with pytest.raises(ValueError, match="at least one"):
        write_film(tmp_path / "none.gif", np.empty((0, 80, 64), np.uint16))
    assert not (tmp_path / "none.gif").exists()


def test_the_strip_shows_the_first_and_the_last(frames: np.ndarray, tmp_path: Path) -> None:
    write_strip(tmp_path / "walk.png", frames, "B–B", "CC")
    with Image.open(tmp_path / "walk.png") as image:
        picture = np.asarray(image).astype(float)
    for left, own in ((120, frames[0]), (120 + 7 * 168, frames[-1])):
        shown = picture[16:216, left : left + 160]
        expected = np.asarray(Image.fromarray(own).resize((160, 200), Image.Resampling.BICUBIC))
        assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.99
    assert picture.shape[1] == 2 * 16 + 104 + 8 * 168 - 8


def test_the_same_frames_give_the_same_bytes(frames: np.ndarray, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_film(tmp_path / f"{name}.gif", frames.copy())
        write_strip(tmp_path / f"{name}.png", frames.copy(), "B", "CC")
    for suffix in ("gif", "png"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


def test_the_gallery_walks_both_views(breast: Callable[..., np.ndarray], tmp_path: Path) -> None:
    asked: list[tuple] = []

    def along(low: str, high: str, view: str, count: int) -> np.ndarray:
        asked.append((low, high, view))
        ranks = np.linspace(DENSITIES.index(low), DENSITIES.index(high), count)
        return np.stack([breast(1, DENSITIES[round(rank)], view) for rank in ranks])

    def between(density: str, view: str, count: int) -> np.ndarray:
        asked.append((density, view))
        return np.stack([breast(seed, density, view) for seed in range(count)])

    assert draw_gallery(tmp_path / "gallery.png", EVERYTHING, along, between)
    assert asked == [("A", "D", "CC"), ("A", "D", "MLO"), ("C", "CC"), ("C", "MLO")]
    with Image.open(tmp_path / "gallery.png") as image:
        sheet = np.asarray(image).astype(float)
    for row, own in enumerate(
        (breast(1, "D", "CC"), breast(1, "D", "MLO"), breast(7, "C", "CC"), breast(7, "C", "MLO"))
    ):
        shown = sheet[16 + 228 * row : 216 + 228 * row, 120 + 7 * 168 : 280 + 7 * 168]
        expected = np.asarray(Image.fromarray(own).resize((160, 200), Image.Resampling.BICUBIC))
        assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.99
    assert draw_gallery(tmp_path / "few.png", {("B", "MLO")}, along, between)
    assert asked[4:] == [("B", "MLO")]
    assert not draw_gallery(tmp_path / "none.png", set(), along, between)
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(
    ("seen", "expected"), [("ABCD", "ABCD"), ("ACD", "CD"), ("ABD", "AB"), ("B", "B"), ("AD", "A"), ("", "")]
)
def test_densities_between_which_a_model_can_be_asked(seen: str, expected: str) -> None:
    conditions = {(density, "CC") for density in seen} | {("B", "MLO")}
    assert "".join(neighboring(conditions, "CC")) == expected


def test_ranks_in_words() -> None:
    assert [density_in_words(rank) for rank in (0, 0.4286, 1.0, 2.5, 3.0)] == ["A", "A + 0.43", "B", "C + 0.50", "D"]

import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr

from pipelines.label.pectoral import find_muscle
from pipelines.label.percent_density import NAMES, features, measure
from pipelines.phantom.breast import Drawing, draw_breast, grow


def drawing(seed: int, view: str, density: str | None = None) -> Drawing:
    woman = grow(density or "ABCD"[seed % 4], 500 + seed)
    spacing = max(woman.needs[0] / 320, woman.needs[1] / 256)
    return draw_breast(woman, "L", view, shape=(320, 256), spacing=spacing)


def picture_of(drawn: Drawing) -> np.ndarray:
    return np.where(drawn.breast, np.round(drawn.picture * 4095).clip(1), 0).astype(np.uint16)


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, Drawing]]:
    return [(view, drawing(seed, view)) for seed, view in enumerate(["CC"] * 16 + ["MLO"] * 16)]


@pytest.mark.parametrize("view", ["CC", "MLO"])
def test_it_follows_the_drawn_share(drawn, view):
    truth = [d.dense_fraction for v, d in drawn if v == view]
    found = [measure(picture_of(d), v) for v, d in drawn if v == view]
    shares = [m.percent_density for m in found]
    assert spearmanr(truth, shares).statistic > 0.9
    assert np.abs(np.subtract(truth, shares)).mean() < 0.12
    assert spearmanr(truth, [m.brightest for m in found]).statistic > 0.85


def test_size_and_brightness_of_the_picture_matter_little(drawn):
    for view, d in drawn[::5]:
        picture = picture_of(d)
        large = cv2.resize(picture, (1024, 1280), interpolation=cv2.INTER_NEAREST)
        one, other = measure(picture, view), measure(large, view)
        np.testing.assert_allclose(features(one), features(other), atol=0.03)
        dim = measure((picture * 0.6).astype(np.uint16), view)
        assert abs(dim.percent_density - one.percent_density) < 0.05
        assert dim.brightness == pytest.approx(0.6 * one.brightness, abs=0.01)


def test_the_muscle_is_found_and_left_out():
    overlaps, without, within = [], [], []
    for seed in range(10):
        d = drawing(seed, "MLO", "AB"[seed % 2])
        picture = picture_of(d)
        muscle = find_muscle(picture.astype(np.float32), d.breast)
        overlaps.append((muscle & d.pectoral).sum() / max(1, (muscle | d.pectoral).sum()))
        without.append(abs(measure(picture, "MLO").percent_density - d.dense_fraction))
        within.append(abs(measure(picture, None).percent_density - d.dense_fraction))
    assert np.median(overlaps) > 0.8
    assert np.mean(without) < 0.6 * np.mean(within)


def test_no_muscle_where_there_is_none():
    y, x = np.mgrid[0:320, 0:256]
    mask = ((y - 160) / 150) ** 2 + (x / 200) ** 2 < 1
    assert not find_muscle(np.where(mask, 1000.0, 0.0), mask).any()
    assert not find_muscle(np.where(mask, 1000.0 + 2 * x, 0.0), mask).any()  # brighter away from the chest wall
    assert not find_muscle(np.zeros((320, 256)), np.zeros((320, 256), bool)).any()


def half_disc(gray: np.ndarray | float) -> np.ndarray:
    y, x = np.mgrid[0:320, 0:256]
    return np.where(((y - 160) / 150) ** 2 + (x / 200) ** 2 < 1, gray, 0).astype(np.uint16)


def test_texture_and_compactness_tell_speckles_from_a_lump():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:320, 0:256]
    base = 1000 + rng.normal(0, 20, (320, 256))
    lump = measure(half_disc(base + 1500 * (np.hypot(y - 160, x - 60) < 45)), "CC")
    speckled = measure(half_disc(base + 1500 * ((y % 12 < 4) & (x % 12 < 4))), "CC")
    assert lump.percent_density == pytest.approx(np.pi * 45**2 / (np.pi / 2 * 138 * 188), rel=0.25)
    assert lump.compactness > 0.9 > 0.2 > speckled.compactness
    assert speckled.fine > 2 * lump.fine
    assert lump.coarse < speckled.coarse + lump.spread


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((320, 256), np.uint16),
        np.zeros((1, 1), np.uint16),
        half_disc(1500),
        half_disc(np.where(np.arange(256) < 60, 1000, 3000)),  # two gray values
        np.pad(np.random.default_rng(0).integers(1, 4096, (20, 12)), ((150, 150), (0, 244))).astype(np.uint16),
        np.where(np.arange(256) < 9, 2000, 0).astype(np.uint16)[None, :].repeat(320, 0),
    ],
    ids=["black", "one pixel", "one gray", "two grays", "tiny", "all rim"],
)
@pytest.mark.parametrize("view", ["CC", "MLO", None])
def test_what_cannot_be_measured_is_not(picture, view):
    assert measure(picture, view) is None


def test_noise_is_measured_without_nonsense():
    noise = half_disc(np.random.default_rng(0).integers(1, 4096, (320, 256)))
    found = features(measure(noise, "MLO"))
    assert np.isfinite(found).all()
    assert len(found) == len(NAMES)
    np.testing.assert_array_equal(found, features(measure(noise, "MLO")))

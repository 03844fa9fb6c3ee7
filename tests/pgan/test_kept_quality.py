"""Figures of a kept set: beside real ones of the same classes, and each by its formula."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from pipelines.pgan.frechet import frechet_distance
from pipelines.pgan.kept_quality import Classed, measure_kept
from pipelines.pgan.manifold import neighborhood
from tests.pgan.conftest import draw


def some(seed: int, counts: dict[str, int]) -> Classed:
    rng = np.random.default_rng(seed)
    classes = [name for name, count in counts.items() for _ in range(count)]
    return Classed(np.stack([draw(c[0], c[2:], rng, 40, 32) for c in classes]), classes)


def flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), 20, 2, 16, 2).mean((2, 4)).reshape(len(pictures), -1) / 4095


@pytest.mark.parametrize("counts", [(40, 60), (9, 12)])
def test_frechet_distance_is_that_of_the_fitted_gaussians(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, (counts[0], 6)), rng.normal(0.5, 2, (counts[1], 6)) @ rng.normal(0, 1, (6, 6))
    ca, cb = np.cov(a.T), np.cov(b.T)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * np.real(sqrtm(ca @ cb)))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    wide = np.concatenate([a, np.zeros((len(a), 200))], axis=1)  # more features than vectors
    assert frechet_distance(wide, wide + 1) == pytest.approx(206)
    with pytest.raises(ValueError, match="two vectors"):
        frechet_distance(a[:1], b)


def test_a_set_like_the_real_one_is_as_near_as_its_halves_and_noise_is_not() -> None:
    classes = {"A CC": 24, "D MLO": 24, "C CC": 10}
    real = some(0, classes)
    fresh = measure_kept(real, some(1, {"A CC": 12, "D MLO": 12}), flat)
    assert fresh["pictures"] == 24
    for key in ("sliced_wasserstein", "frechet"):
        pair = fresh[key]
        made, own = (pair[p]["mean"] if key == "sliced_wasserstein" else pair[p] for p in ("generated", "real"))
        assert made < 2 * own
    assert fresh["neighborhood"]["generated"]["coverage"] > 0.6
    noise = Classed(np.random.default_rng(3).integers(0, 4096, (24, 40, 32)).astype(np.uint16), ["A CC", "D MLO"] * 12)
    worse = measure_kept(real, noise, flat)
    assert worse["sliced_wasserstein"]["generated"]["mean"] > 3 * fresh["sliced_wasserstein"]["generated"]["mean"]
    assert worse["frechet"]["generated"] > 3 * fresh["frechet"]["generated"]
    assert worse["neighborhood"]["generated"]["precision"] == 0


def test_one_picture_again_and_again_shows() -> None:
    real = some(0, {"B CC": 40})
    made = some(1, {"B CC": 20})
    same = Classed(np.repeat(made.pictures[:1], 20, axis=0), made.classes)
    figures = measure_kept(real, same, flat)
    assert figures["ms_ssim"]["generated"] == pytest.approx(1)
    assert figures["ms_ssim"]["real"] < 0.99
    assert figures["neighborhood"]["generated"]["recall"] < 0.3


def test_what_cannot_be_measured_is_null() -> None:
    real = some(0, {"B CC": 40, "A CC": 1})
    assert measure_kept(real, some(1, {"D CC": 9}), flat)["pictures"] == 0
    alone = measure_kept(real, some(1, {"A CC": 9}), flat)
    assert (alone["sliced_wasserstein"], alone["frechet"], alone["neighborhood"]) == (None, None, None)
    assert measure_kept(real, some(1, {"B CC": 9}), None)["frechet"] is None
    with pytest.raises(ValueError, match="vectors"):
        neighborhood(np.zeros((3, 2)), np.zeros((3, 2)))

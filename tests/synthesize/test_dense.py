"""The dense share follows what is known of drawn breasts, and what readers said of real ones."""

from collections.abc import Callable

import numpy as np
from scipy.stats import spearmanr

from pipelines.phantom.breast import draw_breast, grow
from pipelines.synthesize.breast import find_breast
from pipelines.synthesize.dense import dense_fraction
from tests.synthesize.cohort import Cohort


def test_it_follows_the_drawn_share() -> None:
    truth, found = [], []
    for seed in range(32):
        view = ("CC", "MLO")[seed // 4 % 2]
        woman = grow("ABCD"[seed % 4], 900 + seed)
        spacing = max(woman.needs[0] / 160, woman.needs[1] / 128)
        drawing = draw_breast(woman, "L", view, shape=(160, 128), spacing=spacing)
        picture = np.round(drawing.picture * 4095).astype(np.uint16)
        truth.append(drawing.dense_fraction)
        found.append(dense_fraction(find_breast(picture, 64), view))
    assert spearmanr(truth, found).statistic > 0.85
    assert np.abs(np.array(truth) - found).mean() < 0.12
    means = [np.mean(found[i::4]) for i in range(4)]
    assert means == sorted(means)


def test_it_follows_the_readers(films: Cohort) -> None:
    ranks, found = [], []
    for real in (films.training, films.held_back, films.unseen):
        for picture, density, view in zip(real.pictures, real.densities, real.views, strict=True):
            ranks.append("ABCD".index(density))
            found.append(dense_fraction(find_breast(picture, 64), view))
    assert spearmanr(ranks, found).statistic > 0.35


def test_it_is_a_share_of_the_inner_breast(breast: Callable[..., np.ndarray]) -> None:
    half = np.zeros((80, 64), np.uint16)
    half[10:70, :50] = 1000
    half[10:40, :50] = 3000
    assert abs(dense_fraction(find_breast(half, 64), "CC") - 0.5) < 0.02
    assert dense_fraction(find_breast(np.zeros((80, 64), np.uint16), 64), "MLO") == 0
    dim = (breast(1, "C", "CC") * 0.7).astype(np.uint16)
    assert (
        abs(dense_fraction(find_breast(dim, 40), "CC") - dense_fraction(find_breast(breast(1, "C", "CC"), 64), "CC"))
        < 0.03
    )

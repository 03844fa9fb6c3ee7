"""Extremes are what they are called, do not depend on company, and tell what a look at the whole passes over."""

import numpy as np
import pytest

from pipelines.evaluate.extremes import SIDES, Extremes, learn_extremes, measure
from pipelines.evaluate.feature_space import LEAST_PICTURES, at_shape
from pipelines.evaluate.novelty import auroc
from pipelines.evaluate.oddities import inject
from tests.evaluate.test_classifier import drawn


@pytest.fixture(scope="module")
def extremes() -> Extremes:
    found = learn_extremes(drawn([16] * 4).pictures)
    assert found is not None
    return found


def squares(picture: np.ndarray, side: int) -> np.ndarray:
    """All squares (n, side, side) of a picture, gray 0…1, that lie within the breast."""
    windows = np.lib.stride_tricks.sliding_window_view(picture.astype(float) / 4095, (side, side)).reshape(
        -1, side, side
    )
    return windows[(windows > 0).all((1, 2))]


def test_figures_are_those_of_all_squares_within_the_breast() -> None:
    picture = np.zeros((40, 32), np.uint16)
    picture[3:37, 3:25] = np.random.default_rng(0).integers(500, 4000, (34, 22))
    figures = measure(picture)
    bright = np.quantile(picture[picture > 0] / 4095, 0.8)
    for number, side in enumerate(SIDES):
        means, deviations = squares(picture, side).mean((1, 2)), squares(picture, side).std((1, 2))
        lit = deviations[means > bright]
        least = lit.min() if lit.size else np.median(deviations)
        expected = [means.max(), deviations.max(), np.median(deviations), np.quantile(deviations, 0.1), least]
        assert figures[5 * number : 5 * number + 5] == pytest.approx(expected, abs=1e-6)
    assert figures[-3:] == pytest.approx([34 * 22 / 1280, picture[picture > 0].mean() / 4095, picture.max() / 4095])


def test_a_picture_without_a_breast_or_with_a_sliver_has_figures() -> None:
    assert not measure(np.zeros((40, 32), np.uint16)).any()
    sliver = np.zeros((40, 32), np.uint16)
    sliver[:, 0] = 2000
    assert np.isfinite(measure(sliver)).all()


def test_distances_are_mahalanobis_distances_and_do_not_depend_on_company(extremes: Extremes) -> None:
    unseen = drawn([4] * 4, seed=1).pictures
    distances = extremes.distances(unseen)
    scaled = np.stack([(measure(p) - extremes.center) / extremes.scale for p in at_shape(unseen, extremes.shape)])
    expected = np.sqrt(np.einsum("ni,ij,nj->n", scaled, extremes.precision, scaled))
    assert distances == pytest.approx(expected, rel=1e-9)
    assert [extremes.distances(p[None])[0] for p in unseen] == distances.tolist()


@pytest.mark.parametrize("kind", ["implant", "marker", "phantom"])
def test_what_is_small_or_plain_is_told(extremes: Extremes, kind: str) -> None:
    unseen = drawn([6] * 4, seed=1).pictures
    assert auroc(extremes.distances(unseen), extremes.distances(inject(unseen, kind))) > 0.9


def test_too_few_pictures_teach_nothing() -> None:
    assert learn_extremes(drawn([LEAST_PICTURES - 1, 0, 0, 0]).pictures) is None

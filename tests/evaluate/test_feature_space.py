"""The feature space tells normal from odd, does not depend on company, and comes out the same each time."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.evaluate.feature_space import LEAST_PICTURES, FeatureSpace, at_shape, learn_feature_space
from pipelines.evaluate.oddities import KINDS, inject
from pipelines.evaluate.worth_settings import FeatureSettings
from tests.evaluate.test_classifier import drawn

SETTINGS = FeatureSettings.tiny()
NAMES = np.array(list("ABCD"))


@pytest.fixture(scope="module")
def space() -> FeatureSpace:
    train = drawn([16] * 4)
    found = learn_feature_space(train.pictures, NAMES[train.classes].tolist(), SETTINGS)
    assert found is not None
    return found


def test_distances_are_mahalanobis_distances_from_the_own_density(space: FeatureSpace) -> None:
    unseen = drawn([6] * 4, seed=1)
    features = space.features(unseen.pictures)
    densities = NAMES[unseen.classes].tolist()
    covariance = np.linalg.inv(space.precision)
    expected = [
        np.sqrt((f - space.means[d]) @ np.linalg.solve(covariance, f - space.means[d]))
        for f, d in zip(features, densities, strict=True)
    ]
    assert space.distances(features, densities) == pytest.approx(expected, rel=1e-6)
    nearest = space.distances(features)
    assert (nearest <= space.distances(features, densities) + 1e-9).all()
    assert space.distances(features, ["A"] * len(features))[unseen.classes == 3].mean() > nearest.mean()


def test_odd_pictures_lie_farther_out_than_unseen_normal_ones(space: FeatureSpace) -> None:
    unseen = drawn([10] * 4, seed=2).pictures
    normal = space.distances(space.features(unseen))
    told = {kind: np.mean(space.distances(space.features(inject(unseen, kind)))[:, None] > normal) for kind in KINDS}
    assert np.mean(list(told.values())) >= 0.8, told
    assert min(told[kind] for kind in ("wrong_body_part", "phantom")) >= 0.9, told


def test_a_picture_has_the_same_features_in_any_company_and_in_any_training(space: FeatureSpace) -> None:
    pictures = drawn([2] * 4, seed=3).pictures
    together = space.features(pictures)
    assert np.array_equal(together, np.concatenate([space.features(p[None]) for p in pictures]))
    distances = space.distances(together)
    assert np.array_equal(distances, np.concatenate([space.distances(f[None]) for f in together]))
    train = drawn([16] * 4)
    again = learn_feature_space(train.pictures, NAMES[train.classes].tolist(), SETTINGS)
    other = learn_feature_space(train.pictures, NAMES[train.classes].tolist(), replace(SETTINGS, seed=1))
    assert again is not None
    assert other is not None
    assert np.array_equal(again.features(pictures), together)
    assert not np.array_equal(other.features(pictures), together)
    assert space.features(pictures[:0]).shape == (0, together.shape[1])


def test_too_few_pictures_or_one_density_give_no_space() -> None:
    few = drawn([4] * 4)
    assert len(few) < LEAST_PICTURES
    assert learn_feature_space(few.pictures, NAMES[few.classes].tolist(), SETTINGS) is None
    assert learn_feature_space(drawn([30, 0, 0, 0]).pictures, ["A"] * 30, SETTINGS) is None


def test_pictures_are_averaged_over_their_blocks() -> None:
    pictures = np.random.default_rng(0).integers(0, 4096, (3, 80, 64)).astype(np.uint16)
    expected = np.rint(pictures.reshape(3, 20, 4, 16, 4).mean((2, 4)))
    assert np.abs(at_shape(pictures, (20, 16)).astype(int) - expected).max() <= 1
    assert at_shape(pictures, (80, 64)) is pictures

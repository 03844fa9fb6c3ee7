"""Who judges generated pictures: critic, feature space and density estimator, given to the screen as functions.

Stages do not import one another: what the screen needs of ``pipelines.pgan``, ``pipelines.evaluate`` and
``pipelines.label`` is given to it from here.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assets.density_judge import estimates
from pipelines.evaluate.worth_settings import FeatureSettings
from pipelines.synthesize.judges import Judges, Score
from pipelines.synthesize.pictures import PictureSet

LEAST_ROWS = 40
"""Smaller pictures are compared by a smaller network."""


def feature_settings_for(rows: int) -> FeatureSettings:
    """The feature space's settings for pictures of so many rows."""
    return FeatureSettings() if rows >= LEAST_ROWS else FeatureSettings.tiny()


def judges_of(model_folder: Path | None, training: PictureSet, patients: Sequence[str], device: str = "cpu") -> Judges:
    """The published model's critic; a feature space and a density estimator learned from the training pictures.

    Without a model the critic is indifferent.
    """
    from pipelines.evaluate.feature_space import learn_feature_space

    pictures = np.asarray(training.pictures)
    space = learn_feature_space(pictures, training.densities, feature_settings_for(pictures.shape[1]))
    return Judges(
        score=_critic(model_folder, device),
        features=None if space is None else space.features,
        distances=None if space is None else space.distances,
        estimate=estimates(pictures, training.views, training.densities, patients),
    )


def _critic(model_folder: Path | None, device: str) -> Score:
    from pipelines.pgan.sampler import load_critic

    if model_folder is None:
        return lambda pictures, densities, views: np.zeros(len(pictures))
    return load_critic(model_folder, device)

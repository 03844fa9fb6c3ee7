"""Who judges generated pictures: critic, feature space and density estimator, given to the screen as functions.

Stages do not import one another: what the screen needs of ``pipelines.pgan``, ``pipelines.evaluate`` and
``pipelines.label`` is given to it from here.
"""

from collections.abc import Sequence
from pathlib import Path

from assets.density_judge import estimates
from pipelines.evaluate.worth_settings import FeatureSettings
from pipelines.synthesize.judges import Judges
from pipelines.synthesize.pictures import PictureSet

LEAST_ROWS = 40
"""Smaller pictures are compared by a smaller network."""


def feature_settings_for(rows: int) -> FeatureSettings:
    """The feature space's settings for pictures of so many rows."""
    return FeatureSettings() if rows >= LEAST_ROWS else FeatureSettings.tiny()


def judges_of(model_folder: Path, training: PictureSet, patients: Sequence[str]) -> Judges:
    """The published model's critic; a feature space and a density estimator learned from the training pictures."""
    import numpy as np

    from pipelines.evaluate.feature_space import learn_feature_space
    from pipelines.pgan.sampler import load_critic

    pictures = np.asarray(training.pictures)
    space = learn_feature_space(pictures, training.densities, feature_settings_for(pictures.shape[1]))
    return Judges(
        score=load_critic(model_folder),
        features=None if space is None else space.features,
        distances=None if space is None else space.distances,
        estimate=estimates(pictures, training.views, training.densities, patients),
    )

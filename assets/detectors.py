"""Who tells whether a real picture is out of the ordinary: the critic, its features, and the density classifier's.

Stages do not import one another: what ``pipelines.evaluate`` needs of ``pipelines.pgan`` is given to it from here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipelines.evaluate.novelty import Detector
from pipelines.evaluate.worth_settings import FeatureSettings
from pipelines.storage.tables import DENSITIES, VIEWS


def detectors_of(
    model_folder: Path | None, pictures: np.ndarray, densities: Sequence[str], settings: FeatureSettings
) -> dict[str, Detector]:
    """The detectors that can be had: those of a published model, where there is one, and two learned from training
    pictures (n, rows, columns) of a level A set, where these are enough: the distance in feature space, and that times
    the distance of the extremes."""
    from pipelines.evaluate.extremes import learn_extremes
    from pipelines.evaluate.feature_space import learn_feature_space

    found: dict[str, Detector] = {}
    space, extremes = learn_feature_space(pictures, densities, settings), learn_extremes(pictures)
    if space is not None and extremes is not None:
        found["features"] = lambda asked, of, views: space.distances(space.features(asked))
        found["features_and_extremes"] = lambda asked, of, views: (
            space.distances(space.features(asked)) * extremes.distances(asked)
        )
    if model_folder is not None:
        from pipelines.pgan.embedding import load_embedding
        from pipelines.pgan.sampler import load_critic

        embedding = load_embedding(model_folder)
        found["critic"] = critic_oddness(load_critic(model_folder))
        found["critic_features"] = lambda asked, of, views: embedding.distances(embedding.features(asked))
    return found


def critic_oddness(score: Callable[[np.ndarray, Sequence[str], Sequence[str]], np.ndarray]) -> Detector:
    """The negative of the critic's score; the best of all densities and views where one is unknown."""

    def oddness(pictures: np.ndarray, densities: Sequence[str | None], views: Sequence[str | None]) -> np.ndarray:
        found = []
        for picture, density, view in zip(pictures, densities, views, strict=True):
            pairs = [
                (d, v) for d in ([density] if density else DENSITIES) for v in ([view] if view in VIEWS else VIEWS)
            ]
            asked = np.repeat(picture[None], len(pairs), axis=0)
            found.append(-float(np.max(score(asked, [d for d, _ in pairs], [str(v) for _, v in pairs]))))
        return np.array(found)

    return oddness

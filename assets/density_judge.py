"""The label rung's density estimator as the pGAN's watch and the screen take it: learned anew on the real pictures.

Stages do not import one another: what these need of ``pipelines.label`` is given to them from here.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.label.density_model import DensityModel, fit
from pipelines.label.percent_density import features, measure
from pipelines.pgan.fidelity import Estimator, Judge
from pipelines.storage.tables import DENSITIES
from pipelines.synthesize.breast import clear_air, find_breast
from pipelines.synthesize.judges import Estimate
from pipelines.synthesize.settings import SynthesisSettings


def teach(
    pictures: np.ndarray, views: Sequence[str], densities: Sequence[str], patients: Sequence[str]
) -> Judge | None:
    """Learn density from pictures uint16 (n, rows, columns); None with fewer than 30 patients that can be measured."""
    known, x = _measured(pictures, views)
    if not known:
        return None
    own = ([column[i] for i in known] for column in (densities, patients))
    named, people = own
    model = fit(x, named, [None] * len(known), people)
    return None if model is None else _judge(model)


def _judge(model: DensityModel) -> Judge:
    def judge(pictures: np.ndarray, views: Sequence[str]) -> list[str | None]:
        known, x = _measured(pictures, views)
        found: list[str | None] = [None] * len(pictures)
        if known:
            likely = model.probabilities(x, [None] * len(known)).argmax(axis=1)
            for i, best in zip(known, likely.tolist(), strict=True):
                found[i] = model.classes[best]
        return found

    return judge


def _clear(picture: np.ndarray) -> np.ndarray:
    return clear_air(picture, find_breast(picture, SynthesisSettings.air_floor), SynthesisSettings.air_floor)


def _measured(pictures: np.ndarray, views: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """Which pictures can be measured, and their measures.

    The air of each is cleared first, as that of published pictures is: a generator leaves a haze in it, which is no
    breast.
    """
    found = {
        i: features(m) for i, (p, v) in enumerate(zip(pictures, views, strict=True)) if (m := measure(_clear(p), v))
    }
    return list(found), np.stack(list(found.values())) if found else np.empty((0, 0))


def estimates(
    pictures: np.ndarray, views: Sequence[str], densities: Sequence[str], patients: Sequence[str]
) -> Estimate:
    """An estimator learned as by ``teach``: probabilities of A…D (n, 4) and percent density (n,) of pictures and views.

    NaN where a picture cannot be measured; probabilities are all NaN where there are too few patients to learn from.
    """
    known, x = _measured(pictures, views)
    material = ([column[i] for i in known] for column in (densities, patients))
    model = fit(x, next(material), [None] * len(known), next(material)) if known else None

    def estimate(asked: np.ndarray, of_views: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        likely, percent = np.full((len(asked), len(DENSITIES)), np.nan), np.full(len(asked), np.nan)
        for i, (picture, view) in enumerate(zip(asked, of_views, strict=True)):
            measures = measure(_clear(picture), view)
            if measures is None:
                continue
            percent[i] = measures.percent_density
            if model is not None:
                own = [DENSITIES.index(name) for name in model.classes]
                likely[i, own] = model.probabilities(features(measures)[None], [None])[0]
        return likely, percent

    return estimate


ESTIMATOR = Estimator("percent density by fuzzy clusters, ordinal regression on readers' densities", teach)

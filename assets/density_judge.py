"""The label rung's density estimator as the pGAN's watch takes it: learned anew on the pictures that it is to judge by.

Stages do not import one another: what the watch needs of ``pipelines.label`` is given to it from here.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.label.density_model import DensityModel, fit
from pipelines.label.percent_density import features, measure
from pipelines.pgan.fidelity import Estimator, Judge
from pipelines.synthesize.breast import clear_air, find_breast
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


ESTIMATOR = Estimator("percent density by fuzzy clusters, ordinal regression on readers' densities", teach)

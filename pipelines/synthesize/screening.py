"""The screen: which candidates are kept, by thresholds that real pictures set.

In order, a candidate is rejected as ``copy`` (nearer to a training picture than real pictures are to one another), as
``breast_…`` (a figure of its anatomy out of the real range) or as ``critic`` (the critic finds it less real than the
held-back real pictures). Every candidate has all figures, whatever it is rejected for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.storage.tables import VIEWS
from pipelines.synthesize.anatomy import Anatomy, calibrate
from pipelines.synthesize.breast import clear_air, find_breast
from pipelines.synthesize.copies import NeighborIndex
from pipelines.synthesize.dense import dense_fraction
from pipelines.synthesize.pictures import PictureSet, PictureSetError
from pipelines.synthesize.settings import SynthesisSettings

Score = Callable[[NDArray[np.uint16], Sequence[str], Sequence[str]], NDArray]
"""The critic: pictures (n, rows, columns), densities, views → n scores, higher is more real."""

_Rows = tuple[PictureSet, Sequence[int]]

_WORST_SCORE = -float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Verdict:
    """What the screen found out about a candidate; ``reason`` is None where it is kept. ``picture``: air cleared."""

    picture: NDArray[np.uint16]
    reason: str | None
    critic_score: float
    nearest_distance: float
    nearest_image_id: str
    dense_fraction: float


@dataclass(frozen=True)
class Screen:
    """A calibrated screen. ``critic_low``, ``nearest_low``: least score and least distance accepted."""

    critic_low: float
    critic_rule: str
    nearest_low: float
    anatomy: Anatomy
    index: NeighborIndex
    image_ids: Sequence[str]
    shape: tuple[int, ...]
    score: Score
    settings: SynthesisSettings

    @classmethod
    def calibrated(cls, training: PictureSet, held_back: PictureSet, score: Score, settings: SynthesisSettings) -> Self:
        """Measure the thresholds on the pictures that the model was trained on and on those held back from it.

        Raises PictureSetError where there is no training picture or the two sets' pictures differ in shape.
        """
        if not len(training):
            raise PictureSetError("there are no training pictures")
        if len(held_back) and held_back.pictures.shape[1:] != training.pictures.shape[1:]:
            raise PictureSetError("training and held-back pictures differ in shape")
        count = settings.calibration_pictures
        trained, held = (training, training.evenly(count)), (held_back, held_back.evenly(count))
        critic_low, rule = _critic_low(trained, held, score, settings)
        index = NeighborIndex(training)
        return cls(
            critic_low=critic_low,
            critic_rule=rule,
            nearest_low=index.threshold(training, settings.copy_quantile, count),
            anatomy=calibrate((trained, held), settings.air_floor, VIEWS),
            index=index,
            image_ids=training.image_ids,
            shape=training.pictures.shape[1:],
            score=score,
            settings=settings,
        )

    def judge(self, pictures: NDArray[np.uint16], densities: Sequence[str], views: Sequence[str]) -> list[Verdict]:
        """A verdict for each picture (n, rows, columns), uint16 0…4095. The pictures judged have their air cleared.

        Raises PictureSetError where the pictures are not of the training pictures' shape.
        """
        if pictures.shape[1:] != self.shape:
            raise PictureSetError("candidates and training pictures differ in shape")
        found = [self._look(picture, view) for picture, view in zip(pictures, views, strict=True)]
        if not found:
            return []
        scores = finite_scores(self.score, np.stack([v.picture for v in found]), densities, views)
        return [self._weigh(verdict, float(score)) for verdict, score in zip(found, scores, strict=True)]

    def _look(self, picture: NDArray[np.uint16], view: str) -> Verdict:
        breast = find_breast(picture, self.settings.air_floor)
        cleared = clear_air(picture, breast, self.settings.air_floor)
        neighbor = self.index.nearest(cleared)
        reason = "copy" if neighbor.distance < self.nearest_low else self.anatomy.oddity(cleared, breast, view)
        return Verdict(
            picture=cleared,
            reason=reason,
            critic_score=0.0,
            nearest_distance=neighbor.distance,
            nearest_image_id=self.image_ids[neighbor.row],
            dense_fraction=dense_fraction(breast, view),
        )

    def _weigh(self, verdict: Verdict, score: float) -> Verdict:
        reason = verdict.reason or ("critic" if score < self.critic_low else None)
        return replace(verdict, critic_score=score, reason=reason)

    def to_json(self) -> dict[str, Any]:
        """The thresholds and how they were found, for the record."""
        return {
            "critic_low": self.critic_low,
            "critic_rule": self.critic_rule,
            "nearest_low": self.nearest_low,
            "anatomy": {view: {n: list(r) for n, r in ranges.items()} for view, ranges in self.anatomy.ranges.items()},
            "air_floor": self.settings.air_floor,
        }


def finite_scores(
    score: Score, pictures: NDArray[np.uint16], densities: Sequence[str], views: Sequence[str]
) -> NDArray[np.float64]:
    """The critic's scores as float64 (n,); one that is no number counts as the worst there is. Raises ValueError."""
    scores = np.asarray(score(pictures, densities, views), np.float64).reshape(-1)
    if len(scores) != len(pictures):
        raise ValueError(f"{len(scores)} scores for {len(pictures)} pictures")
    return np.nan_to_num(scores, nan=_WORST_SCORE, neginf=_WORST_SCORE, posinf=-_WORST_SCORE)


def _critic_low(training: _Rows, held_back: _Rows, score: Score, settings: SynthesisSettings) -> tuple[float, str]:
    """The least score accepted, and the rule that gave it: ``held_back`` or ``training_and_held_back``.

    The low quantile of the held-back pictures' scores. A critic learns its training pictures by heart and scores them
    too well, so where too few are held back, the training pictures' quantile holds only as far as no held-back picture
    would fail it: the lower of that quantile and of the least held-back score.
    """
    held = _scores(*held_back, score, settings.batch)
    if len(held) >= settings.least_held_back:
        return float(np.quantile(held, settings.critic_quantile)), "held_back"
    trained = _scores(*training, score, settings.batch)
    low = float(np.quantile(trained, settings.critic_quantile))
    return min([low, *held.tolist()]), "training_and_held_back"


def _scores(real: PictureSet, rows: Sequence[int], score: Score, batch: int) -> NDArray[np.float64]:
    parts = [finite_scores(score, p.pictures, p.densities, p.views) for p in real.batches(batch, rows)]
    return np.concatenate([np.empty(0), *parts])

"""The screen: which candidates are kept, by thresholds that real pictures set.

In order, a candidate is rejected as ``copy`` (nearer to a training picture than real pictures are to one another, in
pixels or in feature space), as ``breast_…`` (a figure of its anatomy out of the real range), as ``features`` (far from
what is normal for its density in feature space), as ``critic`` (the critic finds it less real than held-back real
pictures) or as ``class`` (an independent estimator hardly believes its density). Every candidate has all figures,
whatever it is rejected for. Never are only the critic's favorites kept: that made the set worse (sliced Wasserstein
distance 38 → 58 on a prototype).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.storage.tables import DENSITIES, VIEWS
from pipelines.synthesize.anatomy import Anatomy, bright_air, calibrate
from pipelines.synthesize.breast import clear_air, find_breast
from pipelines.synthesize.copies import FeatureIndex, NeighborIndex
from pipelines.synthesize.judges import Judges, Score
from pipelines.synthesize.pictures import PictureSet, PictureSetError
from pipelines.synthesize.settings import SynthesisSettings
from pipelines.synthesize.thresholds import COPY_TESTS, Thresholds, looked_at, measure_thresholds


@dataclass(frozen=True)
class Finding:
    """One figure of a candidate beside the least and the greatest that are accepted, where there is such a bound."""

    test: str
    figure: float
    low: float | None = None
    high: float | None = None

    @property
    def passed(self) -> bool:
        """Does it keep to its bounds."""
        return (self.low is None or self.figure >= self.low) and (self.high is None or self.figure <= self.high)


@dataclass(frozen=True)
class Verdict:
    """What the screen found out about a candidate; ``reason`` is None where it is kept. ``picture``: air cleared.

    ``density``: what it passes for, which is not what was asked for where it was re-labeled. ``judged_density`` (the
    likeliest), ``expected_density`` (0 for A … 3 for D) and ``percent_density`` are an independent estimator's, None
    where it cannot tell.
    """

    picture: NDArray[np.uint16]
    density: str
    reason: str | None
    findings: tuple[Finding, ...]
    nearest_row: int
    nearest_image_id: str
    dense_fraction: float
    judged_density: str | None
    expected_density: float | None
    percent_density: float | None

    def figure(self, test: str) -> float | None:
        """The figure of a test; None where it was not made."""
        return next((f.figure for f in self.findings if f.test == test), None)

    @property
    def critic_score(self) -> float:
        """The critic's score."""
        return self.figure("critic") or 0.0

    @property
    def nearest_distance(self) -> float:
        """Distance in pixels to the nearest training picture."""
        return self.figure("nearest_distance") or 0.0


@dataclass(frozen=True)
class Screen:
    """A calibrated screen."""

    thresholds: Thresholds
    anatomy: Anatomy
    index: NeighborIndex
    feature_index: FeatureIndex | None
    training: PictureSet
    judges: Judges
    settings: SynthesisSettings

    @classmethod
    def calibrated(
        cls, training: PictureSet, held_back: PictureSet, judges: Judges | Score, settings: SynthesisSettings
    ) -> Self:
        """Measure the thresholds on the pictures that the model was trained on and on those held back from it.

        The critic alone may stand for all judges. Raises PictureSetError where there is no training picture or the two
        sets' pictures differ in shape.
        """
        if not len(training):
            raise PictureSetError("there are no training pictures")
        if len(held_back) and held_back.pictures.shape[1:] != training.pictures.shape[1:]:
            raise PictureSetError("training and held-back pictures differ in shape")
        asked = judges if isinstance(judges, Judges) else Judges(judges)
        count = settings.calibration_pictures
        trained, held = (training, training.evenly(count)), (held_back, held_back.evenly(count))
        index, features = NeighborIndex(training), None
        if asked.features is not None:
            parts = [asked.features(part.pictures) for part in training.batches(settings.batch)]
            features = FeatureIndex(np.concatenate(parts))
        return cls(
            thresholds=measure_thresholds(trained, held, asked, index, features, settings),
            anatomy=calibrate((trained, held), settings.air_floor, VIEWS, settings.odd_anatomy),
            index=index,
            feature_index=features,
            training=training,
            judges=asked,
            settings=settings,
        )

    def judge(self, pictures: NDArray[np.uint16], densities: Sequence[str], views: Sequence[str]) -> list[Verdict]:
        """A verdict for each picture (n, rows, columns), uint16 0…4095. The pictures judged have their air cleared.

        Raises PictureSetError where the pictures are not of the training pictures' shape.
        """
        if pictures.shape[1:] != self.training.pictures.shape[1:]:
            raise PictureSetError("candidates and training pictures differ in shape")
        return list(self._judge(pictures, densities, views))

    def _judge(self, pictures: NDArray[np.uint16], densities: Sequence[str], views: Sequence[str]) -> Iterator[Verdict]:
        for picture, density, view in zip(pictures, densities, views, strict=True):
            breast = find_breast(picture, self.settings.air_floor)
            cleared = clear_air(picture, breast, self.settings.air_floor)
            air = bright_air(picture, breast, self.settings.air_floor)
            figures = self.anatomy.figures(cleared, breast, view, air)
            seen = looked_at(cleared, density, view, self.judges, self.index, self.feature_index)
            asked = self._findings(figures, seen.figures, density, view)
            reason, final = _reason(asked), density
            judged = None if seen.probabilities is None else DENSITIES[int(seen.probabilities.argmax())]
            if reason == "class" and self.settings.disagreement == "relabel" and judged is not None:
                again = looked_at(cleared, judged, view, self.judges, self.index, self.feature_index)
                found = self._findings(figures, again.figures, judged, view)
                if _reason(found) is None:
                    reason, final, asked = None, judged, found
            yield Verdict(
                picture=cleared,
                density=final,
                reason=reason,
                findings=asked,
                nearest_row=seen.nearest_row,
                nearest_image_id=self.training.image_ids[seen.nearest_row],
                dense_fraction=figures["density"],
                judged_density=judged,
                expected_density=None if seen.probabilities is None else expected_rank(seen.probabilities),
                percent_density=seen.percent_density,
            )

    def _findings(
        self, anatomy: dict[str, float], seen: dict[str, float], density: str, view: str
    ) -> tuple[Finding, ...]:
        """All findings in the order in which they reject."""
        limits = self.anatomy.limits(density, view)
        found = [Finding(name, seen[name], low=self.thresholds.low.get(name)) for name in COPY_TESTS if name in seen]
        found += [Finding(f"breast_{name}", anatomy[name], *limits.get(name, (None, None))) for name in anatomy]
        if "features" in seen:
            found.append(Finding("features", seen["features"], high=self.thresholds.high.get("features")))
        found.append(Finding("critic", seen["critic"], low=self.thresholds.low["critic"]))
        if "class" in seen:
            found.append(Finding("class", seen["class"], low=self.thresholds.low.get("class")))
        return tuple(found)

    @property
    def critic_low(self) -> float:
        """The least critic's score accepted."""
        return self.thresholds.low["critic"]

    @property
    def nearest_low(self) -> float:
        """The least distance in pixels to a training picture accepted."""
        return self.thresholds.low["nearest_distance"]

    def to_json(self) -> dict[str, Any]:
        """The thresholds and how they were found, for the record."""
        return {
            "critic_low": self.critic_low,
            "critic_rule": self.thresholds.rule,
            "nearest_low": self.nearest_low,
            "thresholds": self.thresholds.to_json(),
            "anatomy": {view: {n: list(r) for n, r in ranges.items()} for view, ranges in self.anatomy.ranges.items()},
            "dense_share": {density: list(r) for density, r in self.anatomy.densities.items()},
            "anatomy_rejects_of_real": self.anatomy.rejected,
            "air_floor": self.settings.air_floor,
        }


def expected_rank(probabilities: NDArray[np.float64]) -> float:
    """The mean rank, 0 (A) … 3 (D), of probabilities (4,)."""
    return float(probabilities @ np.arange(len(DENSITIES)))


def _reason(findings: Sequence[Finding]) -> str | None:
    """What the first finding out of its bounds is called as a reason: ``copy`` for all tests that find copies."""
    first = next((f.test for f in findings if not f.passed), None)
    return "copy" if first in COPY_TESTS else first

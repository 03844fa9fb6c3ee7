"""The thresholds that are not of anatomy: copies, critic, feature space and class, each from real pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from pipelines.storage.tables import DENSITIES
from pipelines.synthesize.calibration import Spread, allowed, times
from pipelines.synthesize.copies import FeatureIndex, NeighborIndex
from pipelines.synthesize.judges import Judges
from pipelines.synthesize.pictures import PictureSet
from pipelines.synthesize.settings import SynthesisSettings

_WORST_SCORE = -float(np.finfo(np.float32).max)
_COPY_TIMES = {"nearness": 1.8, "standing_out": 2.5, "authenticity": 2.5, "feature_authenticity": 2.5}
"""How far below the median of real pictures' figures these may lie, over how far the 5 % quantile does; logarithms."""

_SURELY_NO_COPY = {
    "nearest_distance": 0.45,
    "nearness": 0.36,
    "standing_out": 0.75,
    "authenticity": 0.75,
    "feature_authenticity": 0.75,
}
"""Thresholds are never above these, between what copies with strong noise have and what real pictures have: few real
pictures that are all much alike must not make a copy of whatever lies between them."""

_LEAST_TIMES = 2.0
"""How far from the median the other figures may lie at least, over how far the 5 % or 95 % quantile does: a few dozen
held-back pictures of half as many women say little of the tails."""

COPY_TESTS = ("nearest_distance", *_COPY_TIMES)
"""What finds copies."""

_SIDES = {"critic": "low", "features": "high", "class": "low"}

_Rows = tuple[PictureSet, Sequence[int]]


@dataclass(frozen=True)
class Thresholds:
    """``low``, ``high``: the least and greatest figure accepted, by test; ``rule``: ``held_back`` or, where too few are
    held back, ``training_and_held_back``; ``authentic``: the share of the real pictures measured whose ratio is 1 or
    more (Alaa et al. 2022), in pixels and in features."""

    low: dict[str, float]
    high: dict[str, float]
    rule: str
    measured_on: int
    authentic: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        return {
            "low": self.low,
            "high": self.high,
            "rule": self.rule,
            "measured_on": self.measured_on,
            "authentic_of_real": self.authentic,
        }


@dataclass(frozen=True)
class Seen:
    """What judges and neighbors make of a picture: the figures of the tests, the nearest training picture's row, and
    the estimator's words, None where it cannot tell."""

    figures: dict[str, float]
    nearest_row: int
    probabilities: NDArray[np.float64] | None
    percent_density: float | None


def looked_at(
    picture: NDArray[np.uint16],
    density: str,
    view: str,
    judges: Judges,
    index: NeighborIndex,
    features: FeatureIndex | None,
    but: int | None = None,
) -> Seen:
    """All figures of one picture of a density and view; ``but`` leaves a training picture out, where it is that one.

    One picture at a time: what is said of it does not depend on the others.
    """
    alone = picture[None]
    neighbor = index.nearest(picture, but)
    figures = {
        "nearest_distance": neighbor.distance,
        "nearness": neighbor.nearness,
        "standing_out": neighbor.standing_out,
        "authenticity": index.authenticity(neighbor, but),
        "critic": _score(judges, alone, density, view),
    }
    if judges.features is not None and judges.distances is not None and features is not None:
        variants = np.concatenate([judges.features(np.ascontiguousarray(p)) for p in (alone, alone[:, ::-1])])
        figures["features"] = float(judges.distances(variants[:1], [density])[0])
        figures["feature_authenticity"] = features.authenticity(features.nearest(variants, but), but)
    likely = percent = None
    if judges.estimate is not None:
        found, share = judges.estimate(alone, [view])
        percent = float(share[0]) if np.isfinite(share[0]) else None
        if np.isfinite(found[0]).all():
            likely = found[0]
            figures["class"] = float(likely[DENSITIES.index(density)])
    return Seen(figures, neighbor.row, likely, percent)


def log_odds(probability: float) -> float:
    """Of a probability, kept off 0 and 1."""
    kept = min(max(probability, 1e-6), 1 - 1e-6)
    return float(np.log(kept / (1 - kept)))


def measure_thresholds(
    training: _Rows,
    held_back: _Rows,
    judges: Judges,
    index: NeighborIndex,
    features: FeatureIndex | None,
    settings: SynthesisSettings,
) -> Thresholds:
    """Measure them on held-back pictures.

    Critic and feature space know their training pictures by heart and find them too good, so where too few are held
    back, the training pictures serve as well, but then none of either may be rejected. Critic, features and class
    together reject ``odd_features`` of them; class is judged by its log-odds. The distance to the nearest training
    picture must not be below that of ``copy_quantile`` of the training pictures from one another, nor below that of as
    many held-back ones, by a normal tail; women have several alike pictures in training, but none held back.
    """
    held = [(held_back[0], i, None) for i in held_back[1]]
    rule = "held_back" if len(held) >= settings.least_held_back else "training_and_held_back"
    chosen = held if rule == "held_back" else held + [(training[0], i, i) for i in training[1]]
    rows = []
    for real, i, but in chosen:
        picture = np.asarray(real.pictures[i])
        rows.append(looked_at(picture, real.densities[i], real.views[i], judges, index, features, but).figures)
    near: dict[str, list[float]] = {n: [r[n] for r in rows] for n in _COPY_TIMES if n in rows[0]}
    low: dict[str, float] = {
        n: float(np.exp(Spread.of(np.log(np.maximum(v, 1e-3))).below(_COPY_TIMES[n]))) for n, v in near.items()
    }
    nearest = index.threshold(training[0], settings.copy_quantile, settings.calibration_pictures)
    if rule == "held_back":
        tail = float(ndtri(settings.copy_quantile) / ndtri(0.05))
        nearest = max(nearest, Spread.of([row["nearest_distance"] for row in rows]).below(tail))
    low["nearest_distance"] = nearest
    low |= {name: min(low[name], most) for name, most in _SURELY_NO_COPY.items() if name in low}
    judged = [{n: log_odds(v) if n == "class" else v for n, v in row.items() if n in _SIDES} for row in rows]
    spreads = {n: Spread.of([row[n] for row in judged if n in row]) for n in _SIDES if any(n in r for r in judged)}
    out = allowed(len(judged), settings.odd_features) if rule == "held_back" else 0
    far = max(_LEAST_TIMES, times(spreads, _SIDES, judged, out))
    low |= {n: spreads[n].below(far) for n in ("critic", "class") if n in spreads}
    if "class" in low:
        low["class"] = float(1 / (1 + np.exp(-low["class"])))
    high = {"features": spreads["features"].above(far)} if "features" in spreads else {}
    authentic: dict[str, float] = {
        n: float(np.mean(np.array(v) >= 1)) for n, v in near.items() if n.endswith("authenticity")
    }
    return Thresholds(low, high, rule, len(rows), authentic)


def _score(judges: Judges, picture: NDArray[np.uint16], density: str, view: str) -> float:
    """The critic's score; one that is no number counts as the worst there is. Raises ValueError for several."""
    scores = np.asarray(judges.score(picture, [density], [view]), np.float64).reshape(-1)
    if len(scores) != 1:
        raise ValueError(f"{len(scores)} scores for one picture")
    return float(np.nan_to_num(scores, nan=_WORST_SCORE, neginf=_WORST_SCORE, posinf=-_WORST_SCORE)[0])

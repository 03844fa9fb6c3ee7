"""How readers err on the ordinal scale A to D, estimated from what several readers read.

After Dawid & Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied Statistics
28 (1979) 20-28, with an ordinal structure. A reader sees the true category, shifted by her bias and blurred by a
normal error of her spread, and says the category in which that falls (ordered probit); now and then she says anything.
Biases and spreads are shrunk to what all readers have in common, that to published agreement, and each reader's table
of errors to her bias and spread. So few cases change little, and many cases let a reader err in a manner of her own.

Only breasts that two readers at least have read teach errors; all of them teach how frequent the categories are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from pipelines.label.readings import Reading, Weights

PREVALENCE = np.array([0.10, 0.43, 0.40, 0.07])
"""Women of 40 to 74 by category A-D in the United States: Sprague et al., J Natl Cancer Inst 106 (2014) dju255."""

SPREAD = 0.28
"""The typical reader's spread. Two readers whose spreads and biases vary about it as below agree with a linear-weighted
kappa of 0.66 at that prevalence: the middle of 0.57 (20 readers; Damases et al., Acad Radiol 23 (2016) 70-77) and 0.77
(4 readers; Ooms et al., Breast 16 (2007) 568-576). Of such a reader's words 84 % are right.
"""

_SPREAD_SD, _BIAS_SD = 0.3, 0.2
"""How far readers differ: of the logarithm of the spread, and of the bias in categories. Single readers vary widely:
Spayne et al., Breast J 18 (2012) 326-333."""

REVIEW_SPREAD = 0.25
"""The same for a reviewer, who sees what the readers said: about one decision in 30 is off by a category."""

_LAPSE = 0.02
"""Share of words that have nothing to do with the breast: slips of side, patient or key."""

_BIASES = np.linspace(-1.2, 1.2, 25)
_SPREADS = np.geomspace(0.1, 1.6, 25)
_TINY = 1e-300

Pattern = tuple[tuple[str, Weights], ...]
"""Readings of a breast, in order: who, and how likely each density is what she said."""


def pattern_of(readings: Iterable[Reading]) -> Pattern:
    """What matters of a breast's readings to the model."""
    return tuple(sorted((r.rater, r.weights) for r in readings))


def confusion(bias: float | np.ndarray, spread: float | np.ndarray) -> np.ndarray:
    """The chance (..., true, said) of each word A-D given the truth, for readers of given bias and spread."""
    bias, spread = np.asarray(bias)[..., None, None], np.asarray(spread)[..., None, None]
    edges = np.array([-np.inf, 0.5, 1.5, 2.5, np.inf])
    below = ndtr((edges - np.arange(4)[:, None] - bias) / spread)
    return (1 - _LAPSE) * np.diff(below, axis=-1) + _LAPSE / 4


@dataclass(frozen=True)
class Strength:
    """How many cases the priors are worth. At 0 the model is Dawid and Skene's own.

    ``table``: of a reader's bias and spread, for each true category, against her own table of errors; ``prevalence``:
    of the published prevalence.
    """

    table: float = 20.0
    prevalence: float = 40.0


@dataclass(frozen=True)
class ReaderModel:
    """The categories' prevalence (4), and each rater's chance (true, said) of a word; of others, ``unknown``."""

    prevalence: np.ndarray
    errors: Mapping[str, np.ndarray]
    unknown: np.ndarray
    read: Mapping[str, int]
    """Breasts that taught a rater's errors."""

    def posterior(self, pattern: Pattern) -> np.ndarray:
        """The chance (4) of each category A-D, given readings. Of a review, no prevalence comes before its word."""
        review = any(rater == "review" for rater, _ in pattern)
        chance = np.full(4, 0.25) if review else self.prevalence.copy()
        for rater, weights in pattern:
            table = _REVIEW if rater == "review" else self.errors.get(rater, self.unknown)
            chance = np.maximum(chance * (table @ np.array(weights)), _TINY)
            chance /= chance.sum()
        return chance


def fit_reader_model(
    patterns: Mapping[Pattern, int], strength: Strength = Strength(), tolerance: float = 1e-6, most: int = 500
) -> ReaderModel:
    """Estimate errors and prevalence from the readings of breasts, given as patterns with their counts.

    EM until no posterior moves by more than ``tolerance``, or ``most`` rounds. Reviews do not take part.
    """
    taught = {p: n for p, n in sorted(patterns.items()) if p and all(rater != "review" for rater, _ in p)}
    ballots = _Ballots.of(taught)
    errors = _errors(np.zeros((len(ballots.raters) + 1, 4, 4)), 1.0)
    prevalence, before = PREVALENCE, np.zeros((len(taught), 4))
    for _ in range(most):
        chance, said = ballots.expect(prevalence, errors)
        if np.abs(chance - before).max(initial=0) < tolerance:
            break
        before = chance
        total = ballots.counts @ chance + strength.prevalence * PREVALENCE
        prevalence = total / total.sum() if total.sum() else PREVALENCE
        errors = _errors(said, strength.table)
    read = np.bincount(ballots.rater, ballots.teaches * ballots.counts[ballots.item], len(ballots.raters)).astype(int)
    return ReaderModel(
        prevalence,
        dict(zip(ballots.raters, errors[:-1], strict=True)),
        errors[-1],
        dict(zip(ballots.raters, read.tolist(), strict=True)),
    )


@dataclass(frozen=True)
class _Ballots:
    """All patterns flat: ballot n is what ``raters[rater[n]]`` said of pattern ``item[n]``."""

    raters: tuple[str, ...]
    counts: np.ndarray
    item: np.ndarray
    rater: np.ndarray
    weights: np.ndarray
    teaches: np.ndarray

    @classmethod
    def of(cls, patterns: Mapping[Pattern, int]) -> "_Ballots":
        raters = tuple(sorted({rater for pattern in patterns for rater, _ in pattern}))
        number = {rater: n for n, rater in enumerate(raters)}
        flat = [(i, number[r], w, len(p) > 1) for i, p in enumerate(patterns) for r, w in p]
        return cls(
            raters,
            np.array(list(patterns.values()), float),
            np.array([f[0] for f in flat], np.intp),
            np.array([f[1] for f in flat], np.intp),
            np.array([f[2] for f in flat], float).reshape(-1, 4),
            np.array([f[3] for f in flat], bool),
        )

    def expect(self, prevalence: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each pattern's posterior (patterns, 4), and the expected counts (raters + 1, true, said) that teach errors.

        The last of the raters is one who said nothing.
        """
        joint = errors[self.rater] * self.weights[:, None, :]
        likely = np.maximum(joint.sum(axis=2), _TINY)
        log = np.tile(np.log(np.maximum(prevalence, _TINY)), (len(self.counts), 1))
        np.add.at(log, self.item, np.log(likely))
        chance = np.exp(log - log.max(axis=1, keepdims=True))
        chance /= chance.sum(axis=1, keepdims=True)
        share = chance[self.item] * (self.counts[self.item] * self.teaches)[:, None] / likely
        said = np.zeros((len(self.raters) + 1, 4, 4))
        np.add.at(said, self.rater, share[:, :, None] * joint)
        return chance, said


def _errors(said: np.ndarray, strength: float) -> np.ndarray:
    """Each rater's table of errors (raters, true, said) from expected counts.

    Bias and spread are averaged over a grid by their posterior, so that what is not known blurs the table.
    """
    logs = np.log(_GRID).reshape(-1, 16).T
    common = _averages(said.sum(axis=0).reshape(1, 16) @ logs, SPREAD, bias_sd=1e-3)
    spread = float(np.exp(common @ _LOG_SPREADS)[0])
    tables = np.einsum("rg,gts->rts", _averages(said.reshape(-1, 16) @ logs, spread, _BIAS_SD), _GRID)
    total = said + strength * tables
    rows = total.sum(axis=2, keepdims=True)
    return np.where(rows > 0, total / np.maximum(rows, _TINY), tables)


def _averages(log_likelihood: np.ndarray, spread: float, bias_sd: float) -> np.ndarray:
    """Posterior weights (…, grid) of bias and spread around no bias and a given spread."""
    prior = -0.5 * ((_GRID_BIASES / bias_sd) ** 2 + ((_LOG_SPREADS - np.log(spread)) / _SPREAD_SD) ** 2)
    log = log_likelihood + prior
    weights = np.exp(log - log.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


_GRID_BIASES, _GRID_SPREADS = (axis.ravel() for axis in np.meshgrid(_BIASES, _SPREADS, indexing="ij"))
_LOG_SPREADS = np.log(_GRID_SPREADS)
_GRID = confusion(_GRID_BIASES, _GRID_SPREADS)
_REVIEW = confusion(0.0, REVIEW_SPREAD)

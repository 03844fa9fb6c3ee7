"""Ordinal logistic regression: cumulative logits with proportional odds (McCullagh 1980), with L2.

P(class ≤ k | x) = 1 / (1 + exp(x·slopes − thresholds[k])). An observation may be a range of neighboring classes: it
counts with the probability of the range. The penalized likelihood is concave in thresholds and slopes together
(Pratt 1981), so that there is one optimum.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

Floats = NDArray[np.float64]

_LEAST_STEP = 1e-3
"""Thresholds rise by at least this."""

_PRIOR = 0.25
"""Each class counts as if it had also been seen so often at x = 0: an unseen class stays possible."""


@dataclass(frozen=True)
class Ordinal:
    """``thresholds`` (classes − 1,), rising; ``slopes`` (columns,). Predictors above all thresholds: the last class."""

    thresholds: Floats
    slopes: Floats


def fit_ordinal(
    x: Floats, first: NDArray[np.intp], last: NDArray[np.intp], weights: Floats, ridge: Floats, classes: int
) -> Ordinal:
    """Fit on rows ``x`` (n, columns), each of the classes ``first`` to ``last`` (n,) of 0 … ``classes`` − 1.

    ``weights`` (n,) say how often a row counts; ``ridge`` (columns,) is the penalty on half of each slope's square.

    Raises ValueError for shapes that do not go together, for fewer than two classes and for values without sense.
    """
    _check(x, first, last, weights, ridge, classes)
    prior = np.arange(classes)
    x = np.vstack([x, np.zeros((classes, x.shape[1]))])
    first, last = np.concatenate([first, prior]), np.concatenate([last, prior])
    weights = np.concatenate([weights, np.full(classes, _PRIOR)])
    start = np.zeros(classes - 1 + x.shape[1])
    start[1 : classes - 1] = 1.0
    bounds = [(None, None), *[(_LEAST_STEP, None)] * (classes - 2), *[(None, None)] * x.shape[1]]
    found = minimize(
        _loss,
        start,
        args=(x, first, last, weights, ridge, classes),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 2000, "maxfun": 4000, "ftol": 1e-12, "gtol": 1e-7},
    )
    return Ordinal(np.cumsum(found.x[: classes - 1]), found.x[classes - 1 :])


def probabilities(predictors: Floats, thresholds: Floats) -> Floats:
    """The probability of each class (n, classes) at linear predictors (n,)."""
    below = expit(thresholds[None, :] - predictors[:, None])
    edges = np.pad(below, ((0, 0), (1, 1)))
    edges[:, -1] = 1.0
    return np.diff(edges, axis=1)


def log_likelihoods(predictors: Floats, thresholds: Floats, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats:
    """The log of the probability of the classes ``first`` to ``last`` at each linear predictor: (n,)."""
    upper, lower = _edges(predictors, thresholds, first, last)
    return _log_difference(upper, lower)


def _edges(predictors: Floats, thresholds: Floats, first: NDArray[np.intp], last: NDArray[np.intp]) -> tuple:
    edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
    return edges[last + 1] - predictors, edges[first] - predictors


def _log_difference(upper: Floats, lower: Floats) -> Floats:
    """log(expit(upper) − expit(lower)), without loss far from 0.

    expit(u) − expit(l) = expit(u) · expit(−l) · (1 − exp(l − u)).
    """
    return log_expit(upper) + log_expit(-lower) + np.log(-np.expm1(lower - upper))


def _loss(
    parameters: Floats,
    x: Floats,
    first: NDArray[np.intp],
    last: NDArray[np.intp],
    weights: Floats,
    ridge: Floats,
    classes: int,
) -> tuple[float, Floats]:
    """The penalized negative log likelihood and its gradient; thresholds as the first one and the steps that follow."""
    thresholds, slopes = np.cumsum(parameters[: classes - 1]), parameters[classes - 1 :]
    upper, lower = _edges(x @ slopes, thresholds, first, last)
    loss = -weights @ _log_difference(upper, lower) + 0.5 * ridge @ slopes**2
    # d/du = expit(−u) + r and d/dl = −expit(l) − r, where r = 1 / (exp(u − l) − 1)
    with np.errstate(over="ignore"):  # the gap of an open end is infinite
        rest = 1.0 / np.expm1(upper - lower)
    by_upper, by_lower = weights * (expit(-upper) + rest), -weights * (expit(lower) + rest)
    by_threshold = np.zeros(classes + 1)
    np.add.at(by_threshold, last + 1, by_upper)
    np.add.at(by_threshold, first, by_lower)
    by_step = np.cumsum(by_threshold[1:-1][::-1])[::-1]
    by_slope = -x.T @ (by_upper + by_lower)
    return float(loss), np.concatenate([-by_step, -by_slope + ridge * slopes])


def _check(
    x: Floats, first: NDArray[np.intp], last: NDArray[np.intp], weights: Floats, ridge: Floats, classes: int
) -> None:
    if classes < 2:
        raise ValueError("fewer than two classes")
    if x.ndim != 2 or {len(first), len(last), len(weights)} != {len(x)} or ridge.shape != (x.shape[1],):
        raise ValueError("rows, classes, weights and penalties do not go together")
    if not (np.isfinite(x).all() and np.isfinite(weights).all() and (weights >= 0).all() and (ridge >= 0).all()):
        raise ValueError("values, weights and penalties must be finite, the latter two not negative")
    if (first < 0).any() or (last < first).any() or (last >= classes).any():
        raise ValueError("classes out of range")

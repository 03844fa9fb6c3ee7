"""How far readers, and channels, agree on the scale A to D: weighted kappa with bootstrap intervals over patients.

Cohen, "Weighted kappa", Psychological Bulletin 70 (1968) 213-220: 1 - (observed / expected by chance) disagreement, a
disagreement weighing its distance in categories (linear) or the distance's square (quadratic).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.label.readings import Breast, median
from pipelines.storage.tables import AGREEMENT, DENSITIES

DRAWS = 2000
"""Bootstrap samples of patients."""

LEVEL = 0.95
"""Of the intervals."""

_CHANNELS = ("review", "table", "sr", "text", "pixels")
_DISTANCE = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
WEIGHTS = {"linear": _DISTANCE, "quadratic": _DISTANCE**2}
"""What a disagreement (4, 4) weighs."""


def agreement(breasts: Sequence[Breast]) -> pa.Table:
    """The table of AGREEMENT: each pair of named readers and of channels who spoke of the same breasts.

    Only plain densities count. Both breasts of one statement are one case. Of a reader, or of a channel, who said more
    than one thing about a breast, the median counts.
    """
    rows = []
    for between, words in (("readers", _by_reader), ("sources", _by_source)):
        pairs: dict[tuple[str, str], dict[str, np.ndarray]] = defaultdict(lambda: defaultdict(_no_cases))
        for patient, said in _cases(breasts, words):
            for first, second in combinations(sorted(said, key=_order), 2):
                cell = DENSITIES.index(said[first]), DENSITIES.index(said[second])
                pairs[first, second][patient][cell] += 1
                if between == "readers":
                    pairs["*", "*"][patient][cell] += 0.5
                    pairs["*", "*"][patient][cell[::-1]] += 0.5
        rows += [_row(between, *pair, list(tables.values())) for pair, tables in sorted(pairs.items())]
    return AGREEMENT.build(rows)


def _order(name: str) -> tuple[int, str]:
    return (_CHANNELS.index(name) if name in _CHANNELS else 0), name


def _no_cases() -> np.ndarray:
    return np.zeros((4, 4))


def _cases(breasts: Sequence[Breast], words: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Each patient with the plain density that each reader, or channel, gave; a statement on both breasts once."""
    seen: set[tuple[str, ...]] = set()
    for breast in breasts:
        said, evidence = words(breast)
        if len(said) > 1 and evidence not in seen:
            seen.add(evidence)
            yield breast.patient, said


def _by_reader(breast: Breast) -> tuple[dict[str, str], tuple[str, ...]]:
    """The named readers' words; reviewers have seen the others' and do not count."""
    votes = {k: v for k, v in breast.votes.items() if v["reader"] and v["source"] not in ("pixels", "review")}
    return _plain(breast, votes, "reader"), tuple(votes)


def _by_source(breast: Breast) -> tuple[dict[str, str], tuple[str, ...]]:
    return _plain(breast, breast.votes, "source"), tuple(breast.votes)


def _plain(breast: Breast, votes: dict[str, dict[str, Any]], column: str) -> dict[str, str]:
    """By reader or channel the median of its plain densities of the closest scope."""
    said: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for vote_id, vote in votes.items():
        if len(vote["densities"]) == 1:
            said[vote[column]][breast.scopes[vote_id]].append(vote["densities"])
    return {name: median(scopes[min(scopes)]) for name, scopes in said.items()}


def _row(between: str, first: str, second: str, tables: list[np.ndarray]) -> dict[str, Any]:
    total = np.sum(tables, axis=0)
    row: dict[str, Any] = {
        "between": between,
        "first": first,
        "second": second,
        "cases": round(total.sum()),
        "patients": len(tables),
        "exact": float(np.trace(total) / total.sum()),
    }
    drawn = bootstrap(tables)
    for name, weights in WEIGHTS.items():
        value = kappa(total, weights)
        row[name] = None if np.isnan(value) else float(np.clip(value, -1, 1))
        spread = kappa(drawn, weights)
        spread = spread[~np.isnan(spread)]
        if row[name] is not None and len(spread):
            ends = np.quantile(spread, ((1 - LEVEL) / 2, (1 + LEVEL) / 2)).clip(-1, 1)
            row[f"{name}_low"], row[f"{name}_high"] = ends.tolist()
    return row


def kappa(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted kappa of counts (..., 4, 4) under weights of disagreement (4, 4); NaN where chance cannot disagree."""
    total = np.maximum(counts.sum(axis=(-2, -1), keepdims=True), 1)
    share = counts / total
    chance = share.sum(axis=-1, keepdims=True) * share.sum(axis=-2, keepdims=True)
    expected = (weights * chance).sum(axis=(-2, -1))
    observed = (weights * share).sum(axis=(-2, -1))
    found: np.ndarray = np.where(expected > 1e-12, 1 - observed / np.where(expected > 1e-12, expected, 1), np.nan)
    return found


def bootstrap(tables: Sequence[np.ndarray], draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Tables of counts (draws, 4, 4) of as many patients drawn with replacement, from one table (4, 4) a patient.

    Patients with equal tables are drawn together: the counts of a draw are multinomial over the different tables.
    """
    kinds, counts = np.unique(np.stack(tables).reshape(-1, 16), axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(tables), counts / len(tables), size=draws)
    return (drawn @ kinds).reshape(-1, 4, 4)

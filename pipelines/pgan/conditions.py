"""Conditions: breast density (A–D), view (CC, MLO) and, where wanted, age band as a code for the networks.

Density is ordinal, so it is coded cumulatively: one step for each border that it lies above (A 000, B 100, C 110,
D 111). Neighboring classes then share what they have in common, which helps the rare ones, and a density between two
classes is the code between theirs. Age is coded the same way, behind a 1 where it is known.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.storage.tables import DENSITIES, VIEWS

CODE_SIZE = len(DENSITIES) + 1
"""Three density borders, the view, and a constant 1 (the networks' embeddings have no bias of their own)."""

VIEW = 3
"""The column that says the view: 0 is CC, 1 is MLO."""

AGE_BORDERS = (40, 50, 60, 70)
"""Years at which the age bands begin that level A's balance counts, but the youngest."""

AGE_SIZE = 1 + len(AGE_BORDERS)
"""Age known, and four borders."""

Density = str | float
"""A class A–D, or a rank 0 (A) … 3 (D) that may lie between two."""


class ConditionError(ValueError):
    """A condition is unknown, or was not seen in training."""


def rank_of(density: Density) -> float:
    """The rank of a density, 0 (A) … 3 (D). Raises ConditionError."""
    if isinstance(density, str):
        if density not in DENSITIES:
            raise ConditionError("a density is not A–D")
        return float(DENSITIES.index(density))
    if not 0 <= density <= len(DENSITIES) - 1:  # NaN too
        raise ConditionError(f"a density rank is not within 0…{len(DENSITIES) - 1}")
    return float(density)


def neighbors(density: Density) -> tuple[str, ...]:
    """The classes that a density lies between; one where it is a class."""
    rank = rank_of(density)
    return tuple(dict.fromkeys((DENSITIES[int(np.floor(rank))], DENSITIES[int(np.ceil(rank))])))


def codes(densities: Sequence[Density], views: Sequence[str], ages: Sequence[float | None] | None = None) -> np.ndarray:
    """The conditions' codes, float32 (n, 5): above A, above B, above C, MLO, 1; with ``ages`` (n, 10).

    A rank between two classes gets the code between theirs: 1.25 is 1, 0.25, 0. Ages are in years, None or NaN where
    unknown; their columns are: known, from 40, from 50, from 60, from 70; all 0 where unknown. Raises ConditionError.
    """
    if len(densities) != len(views) or (ages is not None and len(ages) != len(views)):
        raise ConditionError(f"{len(densities)} densities with {len(views)} views or another count of ages")
    if not set(views) <= set(VIEWS):
        raise ConditionError("a view is not CC or MLO")
    table = np.ones((len(densities), CODE_SIZE), np.float32)
    ranks = np.array([rank_of(density) for density in densities])
    table[:, :VIEW] = np.clip(ranks[:, None] - np.arange(VIEW), 0, 1)
    table[:, VIEW] = [view == "MLO" for view in views]
    return table if ages is None else np.concatenate([table, _age_codes(ages)], axis=1)


def _age_codes(ages: Sequence[float | None]) -> np.ndarray:
    years = np.array([np.nan if age is None else age for age in ages], float)
    borders = (-np.inf, *AGE_BORDERS)
    return (years[:, None] >= np.array(borders)).astype(np.float32)


def code_size(condition_age: bool) -> int:
    """Columns of the codes that networks take."""
    return CODE_SIZE + AGE_SIZE * condition_age


def widened(table: np.ndarray, size: int) -> np.ndarray:
    """Codes (n, 5 or more) with ``size`` columns: an age that is not given is unknown."""
    return np.pad(table, ((0, 0), (0, size - table.shape[1])))

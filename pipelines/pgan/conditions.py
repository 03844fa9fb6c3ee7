"""Conditions: breast density (A–D) and view (CC, MLO) as a code for the networks.

Density is ordinal, so it is coded cumulatively: one step for each border that it lies above (A 000, B 100, C 110,
D 111). Neighboring classes then share what they have in common, which helps the rare ones, and a density between two
classes is the code between theirs.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.storage.tables import DENSITIES, VIEWS

CODE_SIZE = len(DENSITIES) + 1
"""Three density borders, the view, and a constant 1 (the networks' embeddings have no bias of their own)."""


class ConditionError(ValueError):
    """A condition is unknown, or was not seen in training."""


def codes(densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
    """The conditions' codes, float32 (n, 5): above A, above B, above C, MLO, 1. Raises ConditionError."""
    if len(densities) != len(views):
        raise ConditionError(f"{len(densities)} densities with {len(views)} views")
    if not set(densities) <= set(DENSITIES) or not set(views) <= set(VIEWS):
        raise ConditionError("a density is not A–D, or a view is not CC or MLO")
    table = np.ones((len(densities), CODE_SIZE), np.float32)
    ranks = np.array([DENSITIES.index(density) for density in densities], int)
    table[:, :3] = ranks[:, None] > np.arange(3)
    table[:, 3] = [view == "MLO" for view in views]
    return table

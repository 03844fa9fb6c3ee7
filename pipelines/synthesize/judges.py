"""What the screen asks of other rungs, given to it as functions, so that it knows neither networks nor labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint16]

Score = Callable[[Pictures, Sequence[str], Sequence[str]], NDArray]
"""The critic: pictures (n, rows, columns), densities, views → n scores, higher is more real."""

Features = Callable[[Pictures], NDArray[np.float64]]
"""Pictures → their features (n, size) in the project's own feature space."""

Distances = Callable[[NDArray[np.float64], Sequence[str]], NDArray[np.float64]]
"""Features (n, size), densities → n distances from the densities' normal features."""

Estimate = Callable[[Pictures, Sequence[str]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Pictures, views → probabilities of A…D (n, 4) and percent density 0…1 (n,), NaN where it cannot be told. Independent
of generator and critic."""


@dataclass(frozen=True)
class Judges:
    """All who judge; ``features`` and ``distances`` come together. Who is missing is not asked, nor screened by."""

    score: Score
    features: Features | None = None
    distances: Distances | None = None
    estimate: Estimate | None = None

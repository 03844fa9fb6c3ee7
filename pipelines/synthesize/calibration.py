"""Thresholds from real pictures: how far from the middle a figure may lie, so that few real pictures are rejected.

A figure's range reaches from the median a number of times as far as the 5 % and the 95 % quantile: odd pictures among
the real ones hardly move these. How many times is the same for all figures of a group, so that the pictures rejected by
any of them together are as few as wanted (split conformal prediction: Vovk et al. 2005, Lei et al. 2018).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

_QUANTILES = (0.05, 0.5, 0.95)
_LEAST = 1e-9


@dataclass(frozen=True)
class Spread:
    """The median of a figure over real pictures, and how far its 5 % and 95 % quantile lie below and above."""

    middle: float
    down: float
    up: float

    @classmethod
    def of(cls, values: ArrayLike) -> Self:
        """Of one or more values."""
        low, middle, high = (float(q) for q in np.quantile(np.asarray(values, np.float64), _QUANTILES))
        return cls(middle, max(middle - low, _LEAST), max(high - middle, _LEAST))

    def below(self, times: float) -> float:
        """The value so many times as far below the median as the 5 % quantile."""
        return self.middle - times * self.down

    def above(self, times: float) -> float:
        """The value so many times as far above the median as the 95 % quantile."""
        return self.middle + times * self.up


def allowed(count: int, share: float) -> int:
    """How many of ``count`` real pictures may lie outside, for at most ``share`` of new ones to do (none, if few).

    Of n exchangeable pictures and a new one, the new one lies beyond the k-th farthest with probability k / (n + 1).
    """
    return max(0, int(np.floor(share * (count + 1) + 1e-9)) - 1)


def times(
    spreads: Mapping[str, Spread], sides: Mapping[str, str], rows: Sequence[Mapping[str, float]], out: int
) -> float:
    """The least number of times by which all but ``out`` of the rows of figures lie within all ranges, at least 1.

    ``sides``: ``low`` where too little is odd, ``high`` where too much is. A figure that a row lacks does not count.
    """
    far = sorted((_farthest(spreads, sides, row) for row in rows), reverse=True)
    return max(1.0, far[out]) if len(far) > out else 1.0


def _farthest(spreads: Mapping[str, Spread], sides: Mapping[str, str], row: Mapping[str, float]) -> float:
    margins = [0.0]
    for name, value in row.items():
        spread = spreads[name]
        low = sides[name] == "low"
        margins.append((spread.middle - value) / spread.down if low else (value - spread.middle) / spread.up)
    return max(margins)

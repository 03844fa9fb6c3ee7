"""The mathematics of the vendor curves: quantile maps between groups at a common density mix, and their consensus.

Two groups are compared by matching the quantiles of their breast histograms, both re-weighted to one mix of densities.
The mix gives each density the weight n·m / (n + m) for n and m images of it (overlap weights, Li, Morgan & Zaslavsky
2018): a density that either lacks counts for nothing, and a rare one for little. A group's curve is the mean of what
the others say of it, each through its own curve, until all agree: so groups are joined that share no density
with one another but do with a third, and the common look is a mean of gray curves (a barycenter), not a histogram with
one hump for each vendor, which would tear tissue apart.
Source: histogram matching after Nyúl & Udupa 1999, with groups in the place of pictures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.storage.histograms import LEVELS
from pipelines.storage.tables import DENSITIES

FEW = 6.0
"""Overlap of a dozen images on either side: with less, groups without densities enough are compared as they are."""

_LEAST_SHARE = 1e-5
_SETTLED = 0.25
_MOST_ROUNDS = 500
_SHARES = np.concatenate([[0.0005, 0.001, 0.0025, 0.005], np.linspace(0.01, 0.99, 99), [0.995, 0.9975, 0.999, 0.9995]])

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """Pictures of one look: ``sums`` (5, 4096), their histograms as shares of the breast, summed by density A…D and
    not known; ``counts`` (5,), the pictures behind each sum."""

    sums: Reals
    counts: Reals

    def __add__(self, other: "Pool") -> "Pool":
        """Both pools' pictures together."""
        return Pool(self.sums + other.sums, self.counts + other.counts)

    @property
    def images(self) -> int:
        """Pictures in the pool."""
        return int(self.counts.sum())

    @property
    def is_labeled(self) -> bool:
        """Whether the density of half of the pictures or more is known."""
        return bool(self.counts[-1] <= self.counts[:-1].sum())

    def histogram(self, weights: Reals | None) -> Reals:
        """Mean histogram (4096,) with the densities weighted by ``weights`` (4,), or of all pictures as they are."""
        if weights is None:
            return self.sums.sum(axis=0) / self.counts.sum()
        present = weights > 0
        means = self.sums[:-1][present] / self.counts[:-1][present, None]
        return weights[present] @ means / weights.sum()


def empty_pool() -> Pool:
    """A pool without pictures."""
    return Pool(np.zeros((len(DENSITIES) + 1, LEVELS)), np.zeros(len(DENSITIES) + 1))


@dataclass(frozen=True)
class Comparison:
    """How far two pools can be compared: ``overlap``, the pictures' worth of it (0: not at all), and the ``weights`` of
    the densities (4,), or None where the pools are compared as they are."""

    overlap: float
    weights: Reals | None


def compare(one: Pool, other: Pool) -> Comparison:
    """How two pools are compared: at the densities that they share; as they are where too few densities are known.

    Two pools of known densities that share none are not compared: the vendor's look and the density cannot be told
    apart between them, and to match them would take the density out.
    """
    known = _overlap(one.counts[:-1], other.counts[:-1])
    total = float(known.sum())
    if total < FEW and not (one.is_labeled and other.is_labeled):
        return Comparison(float(_overlap(one.counts.sum(), other.counts.sum())), None)
    return Comparison(total, known if total else None)


def _overlap(n: Reals, m: Reals) -> Reals:
    return n * m / np.maximum(n + m, 1)


def fit(pools: Sequence[Pool], references: Iterable[int]) -> list[Reals | None]:
    """A curve (4096 float64, rising, 0 → 0, 4095 → 4095) for each pool onto the common look of the references.

    ``references`` are indices of pools. A pool that can be compared with no other is given None; a single reference
    is the common look itself, and keeps its grays.
    """
    named = sorted(references)
    knots = [_Knots.of(pool) for pool in pools]
    links = [[_Link.between(pools[g], pools[h], knots[g]) for h in named] for g in range(len(pools))]
    values = {h: knots[h].grays for h in named}
    for _ in range(_MOST_ROUNDS):
        before = values
        values = {h: _agreed(links[h], named, before, knots) for h in named}
        if max((np.abs(values[h] - before[h]).max(initial=0.0) for h in named), default=0.0) < _SETTLED:
            break
    curves: list[Reals | None] = []
    for g in range(len(pools)):
        partners = [h for h, link in zip(named, links[g], strict=True) if link.overlap and h != g]
        if not partners and named != [g]:
            curves.append(None)
        else:
            curves.append(knots[g].curve(values[g] if g in values else _agreed(links[g], named, values, knots)))
    return curves


@dataclass(frozen=True)
class _Knots:
    """The grays of a pool at which its curve is held: quantiles, rising, within the range and without its ends."""

    grays: Reals

    @classmethod
    def of(cls, pool: Pool) -> "_Knots":
        """The knots of a pool; none where its pictures are all black or white."""
        grays = _quantiles(_cumulative(pool.histogram(None)), _SHARES)
        inside = (grays > 0.5) & (grays < LEVELS - 1.5)
        return cls(grays[inside & np.concatenate([[True], np.diff(grays) > 1e-6])])

    def at(self, grays: Reals, values: Reals) -> Reals:
        """The curve that has ``values`` at the knots, at other grays; straight from knot to knot and to both ends."""
        x = np.concatenate([[0.0], self.grays, [LEVELS - 1.0]])
        return np.interp(grays, x, np.concatenate([[0.0], values, [LEVELS - 1.0]]))

    def curve(self, values: Reals) -> Reals:
        """The curve over the whole range (4096,); rounding must not make it fall, or leave the range, by a hair."""
        curve: Reals = self.at(np.arange(LEVELS, dtype=np.float64), values)
        return np.minimum(np.maximum.accumulate(curve), LEVELS - 1)


@dataclass(frozen=True)
class _Link:
    """One pool's knots carried into another pool's grays, and the pictures' worth of it."""

    overlap: float
    grays: Reals

    @classmethod
    def between(cls, one: Pool, other: Pool, knots: _Knots) -> "_Link":
        """How the ``knots`` of one pool look in another; a pool says of itself that they stay, with half its weight."""
        if one is other:
            return cls(one.images / 2, knots.grays)
        found = compare(one, other)
        if not found.overlap:
            return cls(0.0, knots.grays)
        source, target = (_cumulative(pool.histogram(found.weights)) for pool in (one, other))
        shares = np.interp(knots.grays, np.arange(LEVELS + 1) - 0.5, source)
        return cls(found.overlap, _quantiles(target, np.clip(shares, _LEAST_SHARE, 1 - _LEAST_SHARE)))


def _agreed(links: list[_Link], named: list[int], values: dict[int, Reals], knots: list[_Knots]) -> Reals:
    """What the references say of a pool's knots, on average; as they were where none says anything."""
    weights = np.array([link.overlap for link in links])
    if not weights.sum():
        return links[0].grays
    said = [knots[h].at(link.grays, values[h]) for h, link in zip(named, links, strict=True)]
    mean: Reals = weights @ np.array(said) / weights.sum()
    return np.maximum.accumulate(mean)


def _cumulative(histogram: Reals) -> Reals:
    """Shares (4097,) of tissue darker than each gray's lower edge, 0 first and 1 last."""
    return np.concatenate([[0.0], np.cumsum(histogram) / histogram.sum()])


def _quantiles(cumulative: Reals, shares: Reals) -> Reals:
    """Gray values at shares of the tissue: the inverse of the cumulative histogram, interpolated."""
    return np.interp(shares, cumulative, np.arange(LEVELS + 1) - 0.5)

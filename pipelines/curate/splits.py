"""The split into train, validation and test: by patient cluster, by a hash of its pseudonym.

A cluster's place in [0, 1) is a SHA-256 of its id, which is keyed already; the proportions cut that line. So a
cluster's split depends on nothing but its own id, and new patients move nobody.

A small set can be unlucky, above all in its rare densities. With ``SMALL`` clusters or more, each split is owed at
least half of its proportion of each density's clusters, rounded up (of fewer than four clusters, training is owed
one); where the hash gives it fewer, the clusters of other splits that lie nearest to it on the line move over. With
the default proportions this all but never happens beyond some hundred clusters of a density. What can move when
patients arrive: such borrowed clusters, and patients who turn out to share an image with another patient.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.storage.tables import SPLITS

SMALL = 10
"""With fewer clusters than this, the hash alone decides and a split may stay empty."""


@dataclass(frozen=True)
class Proportions:
    """Shares of patient clusters; they add up to 1. Raises ValueError where they do not."""

    train: float = 0.70
    validation: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if min(shares) < 0 or not math.isclose(sum(shares), 1.0):
            raise ValueError("the proportions of the splits must not be negative and must add up to 1")

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Each split's part of [0, 1): from (with) and to (without)."""
        first, second = self.train, self.train + self.validation
        return {"train": (0.0, first), "validation": (first, second), "test": (second, 1.0)}


PROPORTIONS = Proportions()
"""The default: 70 % train, 15 % validation, 15 % test."""


def place(cluster: str) -> float:
    """A cluster's place in [0, 1), from the SHA-256 of its id."""
    digest = hashlib.sha256(b"split\0" + cluster.encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of(cluster: str, proportions: Proportions = PROPORTIONS) -> str:
    """The split that the hash alone gives a patient or cluster."""
    at = place(cluster)
    return next((s for s, (_, end) in proportions.intervals().items() if at < end), SPLITS[-1])


def assign_splits(density_of: Mapping[str, str], proportions: Proportions = PROPORTIONS) -> dict[str, str]:
    """The split of each cluster of a set, from the clusters' densities (or any other stratum).

    By hash; in small sets each split also gets the least number that it is owed of each density.
    """
    split = {c: split_of(c, proportions) for c in sorted(density_of)}
    if len(split) < SMALL:
        return split
    for density in sorted(set(density_of.values())):
        _settle(split, [c for c in split if density_of[c] == density], proportions)
    return split


def _settle(split: dict[str, str], clusters: list[str], proportions: Proportions) -> None:
    """Move clusters of one density until each split has what it is owed."""
    owed = {s: math.ceil(getattr(proportions, s) * len(clusters) / 2) for s in SPLITS}
    if sum(owed.values()) > len(clusters):
        owed = dict.fromkeys(SPLITS, 0) | {SPLITS[0]: 1}
    counts = {s: sum(split[c] == s for c in clusters) for s in SPLITS}
    for short in SPLITS:
        start, end = proportions.intervals()[short]
        while counts[short] < owed[short]:
            lenders = [c for c in clusters if split[c] != short and counts[split[c]] > owed[split[c]]]
            moved = min(lenders, key=lambda c: (max(start - place(c), place(c) - end), c))
            counts[split[moved]] -= 1
            counts[short] += 1
            split[moved] = short

"""The split into train, validation and test: by patient cluster, by a hash of its pseudonym; once given, it stands.

A cluster's place in [0, 1) is a SHA-256 of its id, which is keyed already; the proportions cut that line.

The hash alone can be unlucky, above all in rare strata. With ``SMALL`` clusters or more, each split is owed its
proportion of each stratum's clusters less ``SLACK`` of them, and half of its proportion, rounded up, at least (of fewer
than four clusters, training is owed one), first by density and vendor, then, which counts more, by density. Where the
hash gives it fewer, the new clusters of other splits that lie nearest to it on the line are lent.

Nobody moves when patients arrive: who has a split keeps it, lent or not, and only newcomers are lent. The one exception
are clusters of unlike splits that turn out to share an image: they all go to training where one of them is in it, else
to validation, so that no picture that was trained on is ever tested on.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.storage.tables import SPLITS

SMALL = 10
"""With fewer clusters than this, the hash alone decides and a split may stay empty."""

SLACK = 0.008
"""Share of a stratum's clusters by which a split may fall short of its proportion."""


@dataclass(frozen=True)
class Proportions:
    """Shares of patient clusters; they add up to 1. Raises ValueError where they do not."""

    train: float = 0.70
    validation: float = 0.15
    test: float = 0.15

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if not all(0 <= share <= 1 for share in shares) or not math.isclose(sum(shares), 1.0):
            raise ValueError("the proportions of the splits must not be negative and must add up to 1")

    @classmethod
    def parse(cls, text: str) -> "Proportions":
        """Shares of train, validation and test from a text such as ``0.7,0.15,0.15``; ValueError where it is none."""
        try:
            shares = [float(part) for part in text.split(",")]
        except ValueError:
            shares = []
        if len(shares) != len(SPLITS):
            raise ValueError("the proportions of the splits must be three numbers, as in 0.7,0.15,0.15")
        return cls(*shares)

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


def standing_splits(cluster_of: Mapping[str, str], standing: Mapping[str, str]) -> dict[str, str]:
    """The split in which each cluster stands, by the splits of its patients: of unlike ones the first of SPLITS."""
    found: dict[str, set[str]] = defaultdict(set)
    for patient, cluster in cluster_of.items():
        if patient in standing:
            found[cluster].add(standing[patient])
    return {cluster: min(splits, key=SPLITS.index) for cluster, splits in found.items()}


def assign_splits(
    strata_of: Mapping[str, Sequence[Hashable]],
    proportions: Proportions = PROPORTIONS,
    standing: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The split of each cluster of a set, from its strata, the finest first: a tuple for each cluster, all as long.

    By hash; in small sets each split also gets the least number that it is owed of each stratum. Clusters that are in
    ``standing`` have the split that it says.
    """
    fixed = {c: s for c, s in (standing or {}).items() if c in strata_of}
    split = {c: fixed.get(c) or split_of(c, proportions) for c in sorted(strata_of)}
    if len(split) < SMALL:
        return split
    movable = set(split) - set(fixed)
    for level in range(max(len(strata) for strata in strata_of.values())):
        members: dict[Hashable, list[str]] = defaultdict(list)
        for cluster in split:
            members[strata_of[cluster][level]].append(cluster)
        for stratum in sorted(members, key=str):
            _settle(split, members[stratum], movable, proportions)
    return split


def _settle(split: dict[str, str], clusters: Sequence[str], movable: Iterable[str], proportions: Proportions) -> None:
    """Move clusters of one stratum until each split has what it is owed, or none is left that may be lent."""
    owed = _owed(len(clusters), proportions)
    counts = {s: sum(split[c] == s for c in clusters) for s in SPLITS}
    new = [c for c in clusters if c in movable]
    for short in SPLITS:
        start, end = proportions.intervals()[short]
        while counts[short] < owed[short]:
            lenders = [c for c in new if split[c] != short and counts[split[c]] > owed[split[c]]]
            if not lenders:
                break
            moved = min(lenders, key=lambda c: (max(start - place(c), place(c) - end), c))
            counts[split[moved]] -= 1
            counts[short] += 1
            split[moved] = short


def _owed(count: int, proportions: Proportions) -> dict[str, int]:
    """The least number of so many clusters that each split is owed."""
    half = {s: math.ceil(getattr(proportions, s) * count / 2) for s in SPLITS}
    nearly = {s: max(half[s], math.floor((getattr(proportions, s) - SLACK) * count)) for s in SPLITS}
    one = dict.fromkeys(SPLITS, 0) | {SPLITS[0]: 1 if proportions.train else 0}
    return next(owed for owed in (nearly, half, one) if sum(owed.values()) <= count)

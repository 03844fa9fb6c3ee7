"""Copies: exact ones, whose decoded stored pixels are the same, and near ones; and the patients whom they join."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Link = tuple[str, str]
"""The image ids of two copies."""


class Joined:
    """Things that are joined, directly or through others (union-find); each knows the smallest it is joined to."""

    def __init__(self) -> None:
        self._parent: dict[Any, Any] = {}

    def root(self, thing: Any) -> Any:
        """The smallest of what a thing is joined to, itself included."""
        parent = self._parent
        while parent.setdefault(thing, thing) != thing:
            parent[thing] = parent[parent[thing]]
            thing = parent[thing]
        return thing

    def join(self, one: Hashable, other: Hashable) -> None:
        """Join two things of one kind, which can be put in order."""
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low


def copies(rows: Iterable[Row]) -> list[list[Row]]:
    """Groups of two and more rows with one ``pixel_digest``, in the order given; without a digest there is no copy."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["pixel_digest"] is not None:
            groups[row["pixel_digest"]].append(row)
    return [group for group in groups.values() if len(group) > 1]


def first_of_each(rows: Iterable[Row]) -> list[Row]:
    """The rows without those whose image or whose pixels came before."""
    seen: set[str] = set()
    first = []
    for row in rows:
        names = {f"image:{row['image_id']}"} | ({row["pixel_digest"]} if row["pixel_digest"] else set())
        if not names & seen:
            first.append(row)
        seen |= names
    return first


def groups_of_copies(rows: Sequence[Row], near: Iterable[Link]) -> list[list[Row]]:
    """Groups of two and more rows joined by one ``pixel_digest`` or by near copies, in the order given."""
    place: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        place[f"image:{row['image_id']}"].append(number)
        if row["pixel_digest"] is not None:
            place[f"pixels:{row['pixel_digest']}"].append(number)
    joined = Joined()
    for numbers in place.values():
        for other in numbers[1:]:
            joined.join(numbers[0], other)
    for one_id, other_id in near:
        a, b = place.get(f"image:{one_id}"), place.get(f"image:{other_id}")
        if a and b:
            joined.join(a[0], b[0])
    groups: dict[int, list[Row]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[joined.root(number)].append(row)
    return [group for group in groups.values() if len(group) > 1]


def clusters(rows: Sequence[Row], near: Iterable[Link] = ()) -> dict[str, str]:
    """Each patient's cluster: patients who share an image, exactly or nearly, are split together, as are those whom
    others join.

    The cluster's id is its smallest patient pseudonym, so that a patient who shares nothing is a cluster of one. A
    newly arrived patient changes a cluster's id only by sharing an image with it and having a smaller pseudonym. An
    image whose patient is unknown joins those who share it.
    """
    joined = Joined()
    patients = {row["patient"] for row in rows if row["patient"] is not None}
    for group in groups_of_copies(rows, near):
        known = [row["patient"] for row in group if row["patient"] is not None]
        for other in known[1:]:
            joined.join(known[0], other)
    return {patient: joined.root(patient) for patient in patients}

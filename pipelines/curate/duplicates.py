"""Exact copies: images whose decoded stored pixels are the same, within and across deliveries and patients."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]


def copies(rows: Iterable[Row]) -> list[list[Row]]:
    """Groups of two and more rows with one ``pixel_digest``, in the order given; without a digest there is no copy."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["pixel_digest"] is not None:
            groups[row["pixel_digest"]].append(row)
    return [group for group in groups.values() if len(group) > 1]


def clusters(rows: Sequence[Row]) -> dict[str, str]:
    """Each patient's cluster: patients who share an image, directly or through others, are split together.

    The cluster's id is its smallest patient pseudonym, so that a patient who shares nothing is a cluster of one. A
    newly arrived patient changes a cluster's id only by sharing an image with it and having a smaller pseudonym.
    """
    parent = {row["patient"]: row["patient"] for row in rows if row["patient"] is not None}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            parent[patient] = parent[parent[patient]]
            patient = parent[patient]
        return patient

    for group in copies(rows):
        patients = [row["patient"] for row in group if row["patient"] is not None]
        for other in patients[1:]:
            low, high = sorted((root(patients[0]), root(other)))
            parent[high] = low
    return {patient: root(patient) for patient in parent}

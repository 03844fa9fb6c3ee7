"""Which of level B's kept images belong to the level A set, and in which split; every other one has its reason.

Known before any curve is fitted or picture read, so that curves can be fitted on training patients alone.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.curate.duplicates import clusters, copies
from pipelines.curate.splits import PROPORTIONS, Proportions, assign_splits, split_of

Row = dict[str, Any]

_COLUMNS = (
    "image_id", "delivery", "file_id", "status", "patient", "study_instance_uid", "laterality", "view", "vendor_group",
    "patient_age", "shard", "shard_row", "picture_sha256", "pixel_digest",
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """``included``: rows with density, confidence, cluster and split, in the order (delivery, shard, row).

    ``exclusions``: rows of EXCLUSIONS. ``split_of_patient`` covers every patient with a kept image.
    """

    included: tuple[Row, ...]
    exclusions: tuple[Row, ...]
    split_of_patient: dict[str, str]


def select(
    images: pa.Table,
    labels: pa.Table,
    proportions: Proportions = PROPORTIONS,
    vendor_groups: Collection[str] | None = None,
) -> Selection:
    """Select the level A set from IMAGES (all deliveries) and LABELS.

    Reasons of exclusion: ``same_instance`` (delivered before; its row is known by file_id), ``patient_unknown``,
    ``view_unknown``, ``vendor_unknown``, ``no_vendor_curve`` (not among ``vendor_groups``, where given),
    ``no_density``, ``copies_disagree`` (copies of one image with different densities: none is taken), ``duplicate``.
    Of copies the one delivered first stands. A breast whose side is unknown stays: its density came from its
    examination.
    """
    rows = [row for row in images.select(_COLUMNS).to_pylist() if row["status"] == "kept"]
    rows.sort(key=lambda r: (r["delivery"], r["image_id"], r["file_id"]))
    cluster_of = clusters(rows)
    density_of = {r["image_id"]: r for r in labels.select(["image_id", "density", "confidence"]).to_pylist()}
    exclusions: list[Row] = []
    eligible: dict[str, Row] = {}
    seen: set[str] = set()
    for row in rows:
        image_id = row["image_id"]
        label = density_of.get(image_id, {})
        if image_id in seen:
            exclusions.append({"image_id": row["file_id"], "reason": "same_instance", "duplicate_of": image_id})
            continue
        seen.add(image_id)
        reason = _reason(row, label.get("density"), vendor_groups)
        if reason:
            exclusions.append({"image_id": image_id, "reason": reason, "duplicate_of": None})
        else:
            eligible[image_id] = {**row, "density": label["density"], "confidence": label["confidence"]}
    for exclusion in _copied(list(eligible.values())):
        exclusions.append(exclusion)
        del eligible[exclusion["image_id"]]
    split = assign_splits(_densities(eligible.values(), cluster_of), proportions)
    included = [
        {**row, "cluster": cluster_of[row["patient"]], "split": split[cluster_of[row["patient"]]]}
        for row in eligible.values()
    ]
    included.sort(key=lambda r: (r["delivery"], r["shard"], r["shard_row"]))
    everyone = {p: split.get(c) or split_of(c, proportions) for p, c in cluster_of.items()}
    return Selection(tuple(included), tuple(exclusions), everyone)


def _reason(row: Row, density: str | None, vendor_groups: Collection[str] | None) -> str | None:
    if row["patient"] is None:
        return "patient_unknown"
    if row["view"] is None:
        return "view_unknown"
    if row["vendor_group"] is None:
        return "vendor_unknown"
    if vendor_groups is not None and row["vendor_group"] not in vendor_groups:
        return "no_vendor_curve"
    return "no_density" if density is None else None


def _densities(rows: Iterable[Row], cluster_of: dict[str, str]) -> dict[str, str]:
    """Each cluster's density: that of most of its images, of equally many the denser one."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(cluster_of[row["patient"]], Counter())[row["density"]] += 1
    return {cluster: max(c, key=lambda density: (c[density], density)) for cluster, c in counts.items()}


def _copied(rows: list[Row]) -> list[Row]:
    found = []
    for group in copies(rows):
        agree = len({row["density"] for row in group}) == 1
        for row in group[1:] if agree else group:
            reason, original = ("duplicate", group[0]["image_id"]) if agree else ("copies_disagree", None)
            found.append({"image_id": row["image_id"], "reason": reason, "duplicate_of": original})
    return found

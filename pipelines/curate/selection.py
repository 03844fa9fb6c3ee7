"""Which of level B's kept images belong to the level A set, and in which split; every other one has its reason.

Known before any curve is fitted, so that curves can be fitted on training patients alone.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.curate.duplicates import Link, clusters, groups_of_copies
from pipelines.curate.splits import PROPORTIONS, Proportions, assign_splits, split_of, standing_splits

Row = dict[str, Any]

_COLUMNS = (
    "image_id", "delivery", "file_id", "status", "patient", "study_instance_uid", "laterality", "view", "vendor_group",
    "patient_age", "shard", "shard_row", "picture_sha256", "pixel_digest", "picture_hash",
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """``included``: rows with density, confidence, cluster and split, in the order (delivery, shard, row).

    ``exclusions``: rows of EXCLUSIONS. ``cluster_of`` and ``split_of_patient`` cover every patient with a kept image.
    """

    included: tuple[Row, ...]
    exclusions: tuple[Row, ...]
    cluster_of: dict[str, str]
    split_of_patient: dict[str, str]


def kept_rows(images: pa.Table) -> list[Row]:
    """Level B's kept images in the order in which they came: by delivery, then by id."""
    rows = [row for row in images.select(_COLUMNS).to_pylist() if row["status"] == "kept"]
    return sorted(rows, key=lambda r: (r["delivery"], r["image_id"], r["file_id"]))


def near_links(copies: pa.Table) -> list[Link]:
    """The image ids of the near pairs in a table of COPIES; exact ones are known by their pixels."""
    return [(row["copy_of"], row["image_id"]) for row in copies.to_pylist() if row["kind"] == "near"]


def select(
    images: pa.Table,
    labels: pa.Table,
    proportions: Proportions = PROPORTIONS,
    vendor_groups: Collection[str] | None = None,
    *,
    near: Collection[Link] = (),
    standing: Mapping[str, str] | None = None,
) -> Selection:
    """Select the level A set from IMAGES (all deliveries) and LABELS.

    ``near`` are the near copies that were found, ``standing`` the splits of patients who have one.

    Reasons of exclusion: ``same_instance`` (delivered before; its row is known by file_id), ``patient_unknown``,
    ``view_unknown``, ``vendor_unknown``, ``no_vendor_curve`` (not among ``vendor_groups``, where given),
    ``no_density``, ``copies_disagree`` (copies of one image with different densities: none is taken), ``duplicate``,
    ``near_duplicate``. Of copies the one delivered first stands. A breast whose side is unknown stays: its density
    came from its examination.
    """
    rows = kept_rows(images)
    cluster_of = clusters(rows, near)
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
    for exclusion in _copied(list(eligible.values()), near):
        exclusions.append(exclusion)
        del eligible[exclusion["image_id"]]
    stands = standing_splits(cluster_of, standing or {})
    split = assign_splits(_strata(eligible.values(), cluster_of), proportions, stands)
    included = [
        {**row, "cluster": cluster_of[row["patient"]], "split": split[cluster_of[row["patient"]]]}
        for row in eligible.values()
    ]
    included.sort(key=lambda r: (r["delivery"], r["shard"], r["shard_row"]))
    everyone = {p: split.get(c) or stands.get(c) or split_of(c, proportions) for p, c in cluster_of.items()}
    return Selection(tuple(included), tuple(exclusions), cluster_of, everyone)


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


def _strata(rows: Iterable[Row], cluster_of: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Each cluster's density and maker, and its density: of most of its images, of equally many the denser one."""
    densities: dict[str, Counter[str]] = {}
    makers: dict[str, Counter[str]] = {}
    for row in rows:
        cluster = cluster_of[row["patient"]]
        densities.setdefault(cluster, Counter())[row["density"]] += 1
        makers.setdefault(cluster, Counter())[row["vendor_group"].split("|")[0]] += 1
    strata = {}
    for cluster, counts in densities.items():
        density, maker = _most(counts), _most(makers[cluster])
        strata[cluster] = (f"{density} {maker}", density)
    return strata


def _most(counts: Counter[str]) -> str:
    return max(counts, key=lambda value: (counts[value], value))


def _copied(rows: list[Row], near: Collection[Link]) -> list[Row]:
    found = []
    for group in groups_of_copies(rows, near):
        first, agree = group[0], len({row["density"] for row in group}) == 1
        for row in group[1:] if agree else group:
            is_exact = row["pixel_digest"] is not None and row["pixel_digest"] == first["pixel_digest"]
            reason = ("duplicate" if is_exact else "near_duplicate") if agree else "copies_disagree"
            original = first["image_id"] if agree else None
            found.append({"image_id": row["image_id"], "reason": reason, "duplicate_of": original})
    return found

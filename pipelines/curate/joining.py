"""Writes who belongs together and who goes where: the copies, the patients whom they join, and every patient's split.

Comes before the vendor curves, which may learn from training patients alone, and before labels are final: a split
depends on densities only where a small set must be evened out, and stands once it is given.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.curate.near_copies import Picture, find_copies
from pipelines.curate.pair_sheet import write_pairs
from pipelines.curate.selection import kept_rows, near_links, select
from pipelines.curate.splits import PROPORTIONS, Proportions, split_of
from pipelines.storage.digests import sha256_of_file, sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import COPIES, PATIENT_SPLITS, write_table
from pipelines.storage.workers import Progress, Workers, silent

OPERATION = "join"
"""The operation in the ledger."""


@dataclass(frozen=True)
class SplitsSummary:
    """Pairs of copies by kind, patients by split, and the ledger's rows."""

    copies: dict[str, int]
    splits: dict[str, int]
    ledger: tuple[LedgerRow, ...]


def write_splits(
    images: pa.Table,
    labels: pa.Table,
    *,
    picture: Picture,
    folder: Path,
    proportions: Proportions = PROPORTIONS,
    standing: Mapping[str, str] | None = None,
    workers: Workers | None = None,
    progress: Progress = silent,
) -> SplitsSummary:
    """Write ``copies.parquet``, ``splits.parquet`` and ``pairs.png`` from IMAGES (all deliveries) and LABELS.

    ``standing`` are the splits that patients have already; ``picture`` as for ``find_copies``.
    """
    rows = kept_rows(images)
    copies = find_copies(rows, picture, workers, progress)
    selection = select(images, labels, proportions, near=near_links(copies), standing=standing)
    splits = PATIENT_SPLITS.build(
        {
            "patient": patient,
            "cluster": cluster,
            "split": selection.split_of_patient[patient],
            "by_hash": selection.split_of_patient[patient] == split_of(cluster, proportions),
        }
        for patient, cluster in selection.cluster_of.items()
    )
    write_table(folder / "copies.parquet", COPIES, copies)
    write_table(folder / "splits.parquet", PATIENT_SPLITS, splits)
    place_of = {row["image_id"]: (row["delivery"], row["shard"], row["shard_row"]) for row in reversed(rows)}
    write_pairs(folder / "pairs.png", copies, place_of, picture)
    return SplitsSummary(
        copies=dict(sorted(Counter(copies.column("kind").to_pylist()).items())),
        splits=dict(sorted(Counter(splits.column("split").to_pylist()).items())),
        ledger=_ledger(folder, rows, standing or {}),
    )


def _ledger(folder: Path, rows: Sequence[Mapping[str, Any]], standing: Mapping[str, str]) -> tuple[LedgerRow, ...]:
    """What the two tables were made from: the kept pictures, and the splits that stood."""
    pictures = {(row["image_id"], row["picture_sha256"]) for row in rows}
    inputs = (*sorted(pictures), ("standing_splits", sha256_of_json(dict(standing))))
    digests = {name: sha256_of_file(folder / f"{name}.parquet") for name in ("copies", "splits")}
    return (
        LedgerRow("copies", "copies.parquet", digests["copies"], tuple(sorted(pictures)), OPERATION),
        LedgerRow("splits", "splits.parquet", digests["splits"], (("copies", digests["copies"]), *inputs), OPERATION),
    )

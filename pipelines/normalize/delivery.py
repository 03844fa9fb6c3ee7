"""Level B of a delivery: one row for every object written at level C, and the kept pictures in shards.

Work is spread over workers; pictures come back in the objects' order and go straight into the shards, so that memory
stays flat and neither table nor shards depend on the number of workers or on timing.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.normalize.mammogram import NormalizeSettings, Outcome, normalize_file
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.shards import ShardWriter
from pipelines.storage.tables import IMAGES, write_table
from pipelines.storage.workers import Progress, Result, Workers, silent

OPERATION = "normalize"
"""The operation in the ledger."""

IN_FLIGHT = 4
"""Pictures that a worker hands back at a time: chunks are small, since each item carries 2.6 MB."""


@dataclass(frozen=True)
class ImagesSummary:
    """Counts of rows by status, of reasons, and the ledger's rows."""

    kept: int
    excluded: int
    failed: int
    reasons: dict[str, int]
    ledger: tuple[LedgerRow, ...]


def normalize_delivery(
    objects: pa.Table,
    objects_folder: Path,
    *,
    delivery: str,
    folder: Path,
    settings: NormalizeSettings | None = None,
    workers: Workers | None = None,
    progress: Progress = silent,
) -> ImagesSummary:
    """Normalize every written object of a delivery's level_c.objects.

    Reads the objects below ``objects_folder``; writes ``images.parquet`` and ``shard-00000.arrow`` … into ``folder``.
    Every written object gets one row: kept, excluded with a reason (``no_pixels``, ``not_mammography``,
    ``tomosynthesis`` …), or failed with one (``truncated_pixels``, ``worker_died``, ``error_<Class>`` …).
    """
    settings = settings or NormalizeSettings()
    workers = workers or Workers()
    sources = sorted((o for o in objects.to_pylist() if o["status"] == "written"), key=lambda o: o["file_id"])
    rows: list[dict[str, Any]] = []
    ledger: list[LedgerRow] = []
    with ShardWriter(folder, "shard", (settings.rows, settings.columns)) as shards:
        for source, outcome in _outcomes(sources, objects_folder, folder, settings, workers):
            row = _row(source, outcome, delivery)
            if outcome.picture is not None:
                row["shard"], row["shard_row"] = shards.append(row["image_id"], outcome.picture)
                ledger.append(_ledger_row(row, source))
            rows.append(row)
            progress(len(rows), len(sources))
    write_table(folder / "images.parquet", IMAGES, IMAGES.build(rows))
    statuses = Counter(row["status"] for row in rows)
    return ImagesSummary(
        kept=statuses["kept"],
        excluded=statuses["excluded"],
        failed=statuses["failed"],
        reasons=dict(sorted(Counter(row["reason"] for row in rows if row["reason"]).items())),
        ledger=tuple(ledger),
    )


def _outcomes(
    sources: list[dict[str, Any]], objects_folder: Path, folder: Path, settings: NormalizeSettings, workers: Workers
) -> Iterator[tuple[dict[str, Any], Outcome]]:
    small = Workers(workers.processes, min(workers.chunk, IN_FLIGHT), workers.time_limit)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as scratch:
        results: Iterator[Result[Path, Outcome]] = small.spread(
            partial(normalize_file, settings=settings),
            [objects_folder / (source["path"] or "") for source in sources],
            scratch=Path(scratch),
        )
        for source, result in zip(sources, results, strict=True):
            yield source, result.value or Outcome("failed", result.failure)


def _row(source: dict[str, Any], outcome: Outcome, delivery: str) -> dict[str, Any]:
    return {
        **outcome.facts,
        "image_id": source["sop_instance_uid"] or source["file_id"],
        "delivery": delivery,
        "file_id": source["file_id"],
        "object_sha256": source["sha256"],
        "status": outcome.status,
        "reason": outcome.reason,
        "patient": source["patient"],
        "accession": source["accession"],
        "study_instance_uid": source["study_instance_uid"],
    }


def _ledger_row(row: dict[str, Any], source: dict[str, Any]) -> LedgerRow:
    return LedgerRow(
        output=row["image_id"],
        path=row["shard"],
        sha256=row["picture_sha256"],
        inputs=((row["image_id"], source["sha256"]),),
        operation=OPERATION,
    )

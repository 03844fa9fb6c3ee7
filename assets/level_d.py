"""Rung D: what a delivery holds. Restricted: only counts leave this module."""

from pathlib import Path

import dagster as dg

from assets.resources import Ladder
from assets.rung import check_gate, check_results, column_maps, counts_table, deliveries, progress_of, rung
from pipelines.archive.deliveries import find_delivery, listing_digest
from pipelines.archive.inventory import ArchiveLimits, take_inventory
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import inventory_figures
from pipelines.storage.column_maps import digest_of
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging
from pipelines.storage.tables import INVENTORY, read_table

KEY = "level_d/inventory"


@rung(KEY, deps=[], kinds={"dicom", "parquet"}, partitions_def=deliveries)
def inventory(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """One row per file found in a delivery: what it is by content, its SHA-256, what became of it and why."""
    partition = context.partition_key
    zones, key = ladder.zones, ladder.key
    delivery = find_delivery(zones.vault, zones.inbox, partition)
    maps = column_maps(zones.vault)

    def build(staging: Staging) -> None:
        summary = take_inventory(
            delivery, key=key, folder=staging.folder, workers=ladder.workers, maps=maps, progress=progress_of(context)
        )
        staging.rows.extend(summary.ledger)
        check_gate(check(KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        walked = sum(1 for _ in delivery.entries())
        return inventory_figures(read_table(folder / "inventory.parquet", INVENTORY), files_found=walked)

    made = ladder.make(
        KEY,
        partition,
        inputs=lambda: {"listing": listing_digest(delivery, key)},
        parameters={"limits": sha256_of_json(ArchiveLimits().__dict__), "column_maps": digest_of(maps)},
        build=build,
    )
    table = INVENTORY.frame(read_table(made.folder / "inventory.parquet", INVENTORY))
    metadata = {
        "dagster/row_count": len(table),
        "status": counts_table("status", table["status"].value_counts().to_dict()),
        "reasons": counts_table("reason", table["reason"].dropna().value_counts().to_dict()),
        "kinds": counts_table("kind", table["kind"].value_counts().to_dict()),
    }
    return made.result(metadata, check_results(check(KEY, figures(made.folder))))

"""Rung C: de-identified objects and texts, the first thing that may leave the hospital."""

import json
from functools import partial
from pathlib import Path

import dagster as dg

from assets.resources import Ladder
from assets.rung import check_gate, check_results, counts_table, deliveries, progress_of, rung
from pipelines.archive.deliveries import find_delivery
from pipelines.deidentify.audit import AUDIT, audit_delivery
from pipelines.deidentify.delivery import deidentify_delivery, deidentify_texts
from pipelines.deidentify.profile import load_profile
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import objects_figures, texts_figures
from pipelines.storage.publication import Staging
from pipelines.storage.tables import DELIVERED_LABELS, INVENTORY, OBJECTS, REPORTS, read_table

OBJECTS_KEY = "level_c/objects"
TEXTS_KEY = "level_c/reports"


@rung(OBJECTS_KEY, deps=["level_d/inventory"], kinds={"dicom", "parquet"}, partitions_def=deliveries)
def objects(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """De-identified DICOM objects: headers by PS3.15 E.1-1, keyed pseudonyms, shifted dates, burned-in text blanked."""
    partition, zones, key, profile = context.partition_key, ladder.zones, ladder.key, load_profile()
    inventory_folder = zones.publication("level_d/inventory", partition)
    delivery = find_delivery(zones.vault, zones.inbox, partition)

    def build(staging: Staging) -> None:
        summary = deidentify_delivery(
            read_table(inventory_folder / "inventory.parquet", INVENTORY),
            source=partial(zones.source_path, delivery=delivery.folder, inventory=inventory_folder),
            key=key,
            profile=profile,
            folder=staging.folder,
            workers=ladder.workers,
            progress=progress_of(context),
        )
        audit_delivery(
            read_table(inventory_folder / "inventory.parquet", INVENTORY),
            read_table(staging.folder / "objects.parquet", OBJECTS),
            source=partial(zones.source_path, delivery=delivery.folder, inventory=inventory_folder),
            key=key,
            profile=profile,
            folder=staging.folder,
            workers=ladder.workers,
        )
        staging.rows.extend(summary.ledger)
        check_gate(check(OBJECTS_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return objects_figures_in(folder, inventory_folder)

    made = ladder.make(
        OBJECTS_KEY,
        partition,
        inputs=lambda: {"level_d/inventory": ladder.publisher.digest("level_d/inventory", partition)},
        parameters={"profile": profile.sha256},
        build=build,
    )
    table = OBJECTS.frame(read_table(made.folder / "objects.parquet", OBJECTS))
    metadata = {
        "dagster/row_count": len(table),
        "status": counts_table("status", table["status"].value_counts().to_dict()),
        "refused because": counts_table("reason", table["reason"].dropna().value_counts().to_dict()),
        "modality": counts_table("modality", table["modality"].dropna().value_counts().to_dict()),
        "burned-in text boxes blanked": int(table["text_boxes"].fillna(0).sum()),
        "patients": int(table["patient"].nunique()),
        "profile": profile.sha256[:16],
    }
    return made.result(metadata, check_results(check(OBJECTS_KEY, figures(made.folder))))


def objects_figures_in(folder: Path, inventory_folder: Path) -> dict[str, float | None]:
    """What the criteria of the objects measure; the audit before publishing read every written byte anew."""
    audit = json.loads((folder / AUDIT).read_text())
    return objects_figures(
        read_table(inventory_folder / "inventory.parquet", INVENTORY),
        read_table(folder / "objects.parquet", OBJECTS),
        survivors=audit["survivors"] + audit["unreadable"],
        unmarked=audit["unmarked"],
    )


@rung(TEXTS_KEY, deps=["level_d/inventory"], kinds={"text", "parquet"}, partitions_def=deliveries)
def reports(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """De-identified report texts, and the rows of the delivery's labels tables under pseudonyms."""
    partition, zones, key, profile = context.partition_key, ladder.zones, ladder.key, load_profile()
    inventory_folder = zones.publication("level_d/inventory", partition)
    delivery = find_delivery(zones.vault, zones.inbox, partition)

    def build(staging: Staging) -> None:
        summary = deidentify_texts(
            read_table(inventory_folder / "inventory.parquet", INVENTORY),
            source=partial(zones.source_path, delivery=delivery.folder, inventory=inventory_folder),
            key=key,
            profile=profile,
            folder=staging.folder,
            progress=progress_of(context),
        )
        staging.rows.extend(summary.ledger)
        check_gate(check(TEXTS_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return texts_figures(
            read_table(inventory_folder / "inventory.parquet", INVENTORY),
            read_table(folder / "reports.parquet", REPORTS),
            read_table(folder / "labels.parquet", DELIVERED_LABELS),
        )

    made = ladder.make(
        TEXTS_KEY,
        partition,
        inputs=lambda: {"level_d/inventory": ladder.publisher.digest("level_d/inventory", partition)},
        parameters={"profile": profile.sha256},
        build=build,
    )
    texts = REPORTS.frame(read_table(made.folder / "reports.parquet", REPORTS))
    labels = DELIVERED_LABELS.frame(read_table(made.folder / "labels.parquet", DELIVERED_LABELS))
    metadata = {
        "dagster/row_count": len(texts) + len(labels),
        "reports": counts_table("report rows", texts["status"].value_counts().to_dict()),
        "labels": counts_table("label rows", labels["status"].value_counts().to_dict()),
        "pieces of text replaced": int(texts["replacements"].fillna(0).sum()),
    }
    return made.result(metadata, check_results(check(TEXTS_KEY, figures(made.folder))))

"""Rung A: density labels with their sources, and the balanced, split, de-duplicated set to train on."""

from dataclasses import asdict
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from assets.leaving import (
    curves_version,
    deidentification_of,
    published_figures,
    staged_figures,
    stated_files,
    statement_of,
)
from assets.resources import Ladder
from assets.rung import check_gate, check_results, counts_table, progress_of, rung, thumbnail
from assets.tables_at_hand import images_of, standing_votes
from pipelines.curate.dataset import DatasetSettings, write_dataset
from pipelines.curate.export.write import write_export
from pipelines.label.fusion import fuse, label_rows
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import dataset_figures, labels_figures
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging, libraries
from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import (
    DATASET,
    EXCLUSIONS,
    LABELS,
    PLAN,
    VENDOR_CURVES,
    VOTES,
    read_table,
    write_table,
)

LABELS_KEY = "level_a/labels"
DATASET_KEY = "level_a/dataset"
EXPORT_KEY = "level_a/export"


@rung(LABELS_KEY, deps=["level_b/images", "level_c/objects", "level_c/reports"], kinds={"pandas", "parquet"})
def labels(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """BI-RADS density A-D per image's breast, from labels tables, structured reports and texts, with its sources."""

    def build(staging: Staging) -> None:
        votes = standing_votes(ladder)
        table = fuse(votes, images_of(ladder))
        write_table(staging.folder / "votes.parquet", VOTES, votes)
        write_table(staging.folder / "labels.parquet", LABELS, table)
        staging.rows.extend(label_rows(votes, table))
        check_gate(check(LABELS_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return labels_figures(images_of(ladder), read_table(folder / "labels.parquet", LABELS))

    made = ladder.make(
        LABELS_KEY,
        "",
        inputs=lambda: ladder.digests("level_b/images", "level_c/objects", "level_c/reports"),
        parameters={},
        build=build,
    )
    table = LABELS.frame(read_table(made.folder / "labels.parquet", LABELS))
    votes = VOTES.frame(read_table(made.folder / "votes.parquet", VOTES))
    metadata = {
        "dagster/row_count": len(table),
        "density": counts_table("density", table["density"].fillna("none").value_counts().to_dict()),
        "votes": counts_table("channel", votes["source"].value_counts().to_dict()),
        "conflicts": int(table["conflict"].sum()),
    }
    return made.result(metadata, check_results(check(LABELS_KEY, figures(made.folder))))


@rung(DATASET_KEY, deps=["level_b/images", "level_b/vendor_curves", LABELS_KEY], kinds={"numpy", "arrow"})
def dataset(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """The level A set: de-duplicated, split by patient, vendor curves applied; shards, pyramid, deficit plan."""
    zones, settings = ladder.zones, DatasetSettings()

    def build(staging: Staging) -> None:
        readers: dict[str, ShardReader] = {}

        def picture(delivery: str, shard: str, row: int) -> np.ndarray:
            if delivery not in readers:
                readers[delivery] = ShardReader(zones.publication("level_b/images", delivery))
            return readers[delivery].read(shard, row)

        summary = write_dataset(
            images_of(ladder),
            read_table(zones.publication(LABELS_KEY) / "labels.parquet", LABELS),
            read_table(zones.publication("level_b/vendor_curves") / "vendor_curves.parquet", VENDOR_CURVES),
            picture=picture,
            folder=staging.folder,
            settings=settings,
            progress=progress_of(context),
        )
        staging.rows.extend(summary.ledger)
        check_gate(check(DATASET_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return dataset_figures(images_of(ladder), *tables_of(folder))

    made = ladder.make(
        DATASET_KEY,
        "",
        inputs=lambda: ladder.digests("level_b/images", "level_b/vendor_curves", LABELS_KEY),
        parameters={"settings": sha256_of_json(asdict(settings))},
        build=build,
    )
    table, exclusions, plan = tables_of(made.folder)
    frame = DATASET.frame(table)
    metadata = {
        "dagster/row_count": len(frame),
        "sample": thumbnail(made.folder / "contact_sheet.png"),
        "density x split": dg.MetadataValue.md(cross_table(frame, "density", "split")),
        "density x view": dg.MetadataValue.md(cross_table(frame, "density", "view")),
        "not in the set because": counts_table(
            "reason", EXCLUSIONS.frame(exclusions)["reason"].value_counts().to_dict()
        ),
        "deficit": counts_table(
            "density view", {f"{r['density']} {r['view']}": r["deficit"] for r in plan.to_pylist()}
        ),
    }
    return made.result(metadata, check_results(check(DATASET_KEY, figures(made.folder))))


def tables_of(folder: Path) -> tuple[pa.Table, pa.Table, pa.Table]:
    """The data set's rows, exclusions and deficit plan."""
    return (
        read_table(folder / "dataset.parquet", DATASET),
        read_table(folder / "exclusions.parquet", EXCLUSIONS),
        read_table(folder / "plan.parquet", PLAN),
    )


def cross_table(frame: pd.DataFrame, rows: str, columns: str) -> str:
    """Counts of two columns against each other, as markdown."""
    table = pd.crosstab(frame[rows], frame[columns])
    head = [f"| {rows} | " + " | ".join(table.columns) + " |", "|---" * (len(table.columns) + 1) + "|"]
    body = [[name, *counts] for name, counts in zip(table.index, table.to_numpy().tolist(), strict=True)]
    return "\n".join(head + ["| " + " | ".join(map(str, cells)) + " |" for cells in body])


@rung(
    EXPORT_KEY, deps=["level_c/objects", "level_b/vendor_curves", LABELS_KEY, DATASET_KEY], kinds={"arrow", "parquet"}
)
def export(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """The level A set as a folder that may leave: tables, pictures, Croissant metadata, card, dictionary, manifest."""
    zones, statement = ladder.zones, statement_of(ladder)

    def build(staging: Staging) -> None:
        summary = write_export(
            zones.publication(DATASET_KEY),
            zones.publication(LABELS_KEY),
            folder=staging.folder,
            stated=stated_files(ladder, DATASET_KEY),
            statement=statement,
            deidentification=deidentification_of(ladder),
            versions={"midar": ladder.publisher.code_version, **libraries()},
            curves=curves_version(ladder),
        )
        staging.rows.extend(summary.ledger)
        check_gate(check(EXPORT_KEY, staged_figures(ladder, staging.folder)))

    made = ladder.make(
        EXPORT_KEY,
        "",
        inputs=lambda: ladder.digests("level_c/objects", "level_b/vendor_curves", LABELS_KEY, DATASET_KEY),
        parameters={"statement": sha256_of_json(asdict(statement))},
        build=build,
    )
    figures = published_figures(ladder, made.folder, EXPORT_KEY)
    metadata = {
        "dagster/row_count": figures["a_export_images"],
        "counts": thumbnail(made.folder / "counts.png"),
        "card": dg.MetadataValue.path(made.folder / "README.md"),
        "license": statement.license,
    }
    return made.result(metadata, check_results(check(EXPORT_KEY, figures)))

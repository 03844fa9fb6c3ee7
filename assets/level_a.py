"""Rung A: density labels with their sources, and the balanced, split, de-duplicated set to train on."""

from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.resources import Ladder
from assets.rung import check_gate, check_results, counts_table, progress_of, rung, thumbnail
from assets.tables_at_hand import copies_at_hand, images_of, pictures_at_hand, split_at_hand, standing_votes
from pipelines.curate.dataset import DatasetSettings, write_dataset
from pipelines.curate.selection import near_links
from pipelines.label.fusion import fuse, label_rows
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import dataset_figures, labels_figures
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging
from pipelines.storage.tables import (
    ASSOCIATION,
    BALANCE,
    DATASET,
    EXCLUSIONS,
    LABELS,
    PLAN,
    POWER,
    VENDOR_CURVES,
    VOTES,
    read_table,
    write_table,
)

LABELS_KEY = "level_a/labels"
SPLITS_KEY = "level_b/splits"
DATASET_KEY = "level_a/dataset"


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


@rung(DATASET_KEY, deps=["level_b/images", SPLITS_KEY, "level_b/vendor_curves", LABELS_KEY], kinds={"numpy", "arrow"})
def dataset(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """The level A set: de-duplicated, split by patient, vendor curves applied; shards, pyramid, deficit plan."""
    zones, settings = ladder.zones, DatasetSettings(ladder.proportions, ladder.balance)

    def build(staging: Staging) -> None:
        summary = write_dataset(
            images_of(ladder),
            read_table(zones.publication(LABELS_KEY) / "labels.parquet", LABELS),
            read_table(zones.publication("level_b/vendor_curves") / "vendor_curves.parquet", VENDOR_CURVES),
            picture=pictures_at_hand(ladder),
            folder=staging.folder,
            settings=settings,
            near=near_links(copies_at_hand(ladder)),
            standing=split_at_hand(ladder),
            progress=progress_of(context),
        )
        staging.rows.extend(summary.ledger)
        check_gate(check(DATASET_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return dataset_figures(images_of(ladder), *tables_of(folder))

    made = ladder.make(
        DATASET_KEY,
        "",
        inputs=lambda: ladder.digests("level_b/images", SPLITS_KEY, "level_b/vendor_curves", LABELS_KEY),
        parameters={"settings": sha256_of_json(asdict(settings))},
        build=build,
    )
    table, exclusions, plan = tables_of(made.folder)
    frame = DATASET.frame(table)
    metadata = {
        "dagster/row_count": len(frame),
        "sample": thumbnail(made.folder / "contact_sheet.png"),
        "density x split": dg.MetadataValue.md(cross_table(frame, "density", "split")),
        "balance of the splits": dg.MetadataValue.md(balance_table(made.folder)),
        "label told by vendor (Cramer's V)": dg.MetadataValue.md(association_table(made.folder)),
        "power": dg.MetadataValue.md(power_table(made.folder)),
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


def balance_table(folder: Path) -> str:
    """Each variable's standardized difference of validation and test from training, as markdown."""
    frame = BALANCE.frame(read_table(folder / "balance.parquet", BALANCE))
    whole = frame[frame["value"] == "*"].set_index(["variable", "split"])["difference"].to_dict()
    lines = ["| variable | validation | test |", "|---|---|---|"]
    for name in dict.fromkeys(frame["variable"]):
        lines.append(f"| {name} | {_two(whole[name, 'validation'])} | {_two(whole[name, 'test'])} |")
    return "\n".join(lines)


def association_table(folder: Path) -> str:
    """Cramér's V between density and manufacturer with its interval, as markdown."""
    lines = ["| split | images | V | 95 % interval |", "|---|---|---|---|"]
    for row in read_table(folder / "association.parquet", ASSOCIATION).to_pylist():
        interval = f"{_two(row['v_low'])} to {_two(row['v_high'])}"
        lines.append(f"| {row['split']} | {row['images']} | {_two(row['v'])} | {interval} |")
    return "\n".join(lines)


def power_table(folder: Path) -> str:
    """The patients of each density in each split, and the difference that they detect, as markdown."""
    lines = ["| split | density | patients | needed | detectable difference | |", "|---" * 6 + "|"]
    for row in read_table(folder / "power.parquet", POWER).to_pylist():
        cells = [row["split"], row["density"], str(row["patients"]), str(row["needed"]), _two(row["detectable"])]
        lines.append("| " + " | ".join([*cells, "" if row["enough"] else "too small"]) + " |")
    return "\n".join(lines)


def _two(value: float | None) -> str:
    return "none" if value is None or pd.isna(value) else f"{value:.2f}"

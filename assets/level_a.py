"""Rung A: density labels with their sources, and the balanced, split, de-duplicated set to train on."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
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
from assets.tables_at_hand import (
    copies_at_hand,
    density_by_image,
    images_of,
    is_training_patient,
    label_inputs,
    pictures_at_hand,
    review_files,
    split_at_hand,
    standing_table,
    standing_votes,
)
from pipelines.curate.dataset import DatasetSettings, write_dataset
from pipelines.curate.export.write import write_export
from pipelines.curate.selection import near_links
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.label.agreement import DRAWS, agreement
from pipelines.label.fusion import label, label_rows
from pipelines.label.pixels import can_learn, learn, measure_pictures, pixel_votes
from pipelines.label.readings import breasts_of
from pipelines.label.review import read_reviews, review_queue, with_reviews
from pipelines.label.table import count_rows
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import dataset_figures, labels_figures
from pipelines.storage.atomic import write_bytes
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging, libraries
from pipelines.storage.tables import (
    AGREEMENT,
    ASSOCIATION,
    BALANCE,
    DATASET,
    DELIVERED_LABELS,
    EXCLUSIONS,
    LABELS,
    PLAN,
    POWER,
    REVIEW_QUEUE,
    REVIEWS,
    VENDOR_CURVES,
    VOTES,
    read_table,
    write_table,
)
from pipelines.storage.workers import Progress

LABELS_KEY = "level_a/labels"
SPLITS_KEY = "level_b/splits"
DATASET_KEY = "level_a/dataset"
EXPORT_KEY = "level_a/export"


@rung(
    LABELS_KEY,
    deps=["level_b/images", SPLITS_KEY, "level_c/objects", "level_c/reports"],
    kinds={"pandas", "parquet"},
)
def labels(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """BI-RADS density A-D per breast and examination with its sources and chance, what to review, and agreement."""
    filled = review_files(ladder)

    def build(staging: Staging) -> None:
        images, folder = images_of(ladder), staging.folder
        reviews = read_reviews(filled, breasts_of(VOTES.build([]), images), Pseudonyms(ladder.key).reader)
        votes = with_reviews(standing_votes(ladder), reviews)
        breasts = breasts_of(votes, images)
        table = label(breasts)
        pixels = votes_of_pixels(ladder, images, density_by_image(table), folder, progress_of(context))
        if pixels:
            votes = VOTES.build([*votes.to_pylist(), *pixels])
            breasts = breasts_of(votes, images)
            table = label(breasts)
        write_table(folder / "votes.parquet", VOTES, votes)
        write_table(folder / "labels.parquet", LABELS, table)
        write_table(folder / "review_queue.parquet", REVIEW_QUEUE, review_queue(breasts, table))
        write_table(folder / "reviews.parquet", REVIEWS, reviews.table)
        write_table(folder / "agreement.parquet", AGREEMENT, agreement(breasts))
        staging.rows.extend([*reviews.ledger, *label_rows(votes, table)])
        check_gate(check(LABELS_KEY, figures(folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return labels_figures(images_of(ladder), read_table(folder / "labels.parquet", LABELS))

    made = ladder.make(
        LABELS_KEY, "", inputs=lambda: label_inputs(ladder, filled), parameters={"agreement": DRAWS}, build=build
    )
    delivered = standing_table(ladder, "level_c/reports", "labels.parquet", DELIVERED_LABELS)
    metadata = labels_metadata(made.folder, delivered)
    return made.result(metadata, check_results(check(LABELS_KEY, figures(made.folder))))


def votes_of_pixels(
    ladder: Ladder, images: pa.Table, density_of: dict[str, str], folder: Path, progress: Progress
) -> list[dict[str, Any]]:
    """What pictures say of their own density, by a model of training patients that is written into the folder; nothing
    where too few of these have a density by readers."""
    is_training = is_training_patient(ladder)
    if not can_learn(images, density_of, is_training):
        return []
    measures = measure_pictures(images, pictures_at_hand(ladder), ladder.workers, progress)
    model = learn(images, measures, density_of, is_training)
    if model is None:
        return []
    write_bytes(folder / "density_model.json", model.to_json().encode())
    return pixel_votes(images, measures, model)


def labels_metadata(folder: Path, delivered: pa.Table) -> dict[str, Any]:
    """What the UI shows of the labels' publication, and of the rows of labels tables (DELIVERED_LABELS) behind it."""
    table = LABELS.frame(read_table(folder / "labels.parquet", LABELS))
    votes = VOTES.frame(read_table(folder / "votes.parquet", VOTES))
    queue = read_table(folder / "review_queue.parquet", REVIEW_QUEUE).to_pylist()
    reviews = REVIEWS.frame(read_table(folder / "reviews.parquet", REVIEWS))
    return {
        "dagster/row_count": len(table),
        "density": counts_table("density", table["density"].fillna("none").value_counts().to_dict()),
        "votes": counts_table("channel", votes["source"].value_counts().to_dict()),
        "rows of labels tables": counts_table("gave", count_rows(delivered, votes.to_dict("records"))),
        "conflicts": int(table["conflict"].sum()),
        "to review": counts_table("reason", Counter(r for row in queue for r in json.loads(row["reasons"]))),
        "reviews": counts_table("review", Counter(reviews["reason"].fillna("taken"))),
        "agreement": agreement_table(read_table(folder / "agreement.parquet", AGREEMENT)),
    }


def agreement_table(table: pa.Table) -> dg.MetadataValue:
    """Weighted kappas of readers and sources with their intervals, as markdown."""

    def cell(row: dict[str, Any], name: str) -> str:
        ends = [row[name + end] for end in ("", "_low", "_high")]
        return "-" if None in ends else "{:.2f} ({:.2f} to {:.2f})".format(*ends)

    head = ["| between | | cases | exact | linear kappa | quadratic kappa |", "|---" * 6 + "|"]
    body = []
    for row in table.to_pylist():
        cells = [row["first"], row["second"], str(row["cases"]), f"{row['exact']:.2f}"]
        body.append("| " + " | ".join([*cells, cell(row, "linear"), cell(row, "quadratic")]) + " |")
    return dg.MetadataValue.md("\n".join(head + body))


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

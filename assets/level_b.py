"""Rung B: one standard picture per mammogram, one gray curve per vendor group, and what the curves did."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pandas as pd

from assets.resources import Ladder
from assets.rung import (
    check_gate,
    check_results,
    counts_table,
    deliveries,
    figures_table,
    progress_of,
    rung,
    thumbnail,
)
from assets.tables_at_hand import (
    density_by_image,
    images_of,
    is_training_patient,
    object_rows,
    pictures_at_hand,
    standing_split,
    standing_votes,
)
from pipelines.curate.joining import write_splits
from pipelines.evaluate.harmonization import measure_harmonization
from pipelines.label.fusion import fuse
from pipelines.normalize.contact_sheet import write_contact_sheet
from pipelines.normalize.delivery import NormalizeSettings, normalize_delivery
from pipelines.normalize.vendor_curves import fit_vendor_curves
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import curves_figures, harmonization_figures, images_figures, splits_figures
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging
from pipelines.storage.tables import (
    COPIES,
    CURVE_IMAGES,
    HARMONIZATION,
    IMAGES,
    PATIENT_SPLITS,
    VENDOR_CURVES,
    read_table,
)

IMAGES_KEY = "level_b/images"
SPLITS_KEY = "level_b/splits"
CURVES_KEY = "level_b/vendor_curves"
HARMONIZATION_KEY = "level_b/harmonization"


@rung(IMAGES_KEY, deps=["level_c/objects"], kinds={"numpy", "arrow"}, partitions_def=deliveries)
def images(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """One 1280x1024 picture per mammogram: gray in the standard's order, breast on the left, air 0; or why not."""
    partition, zones, settings = context.partition_key, ladder.zones, NormalizeSettings(mode=ladder.normalize_mode)
    objects = object_rows(ladder, partition)

    def build(staging: Staging) -> None:
        summary = normalize_delivery(
            objects,
            zones.publication("level_c/objects", partition),
            delivery=partition,
            folder=staging.folder,
            settings=settings,
            workers=ladder.workers,
            progress=progress_of(context),
        )
        write_contact_sheet(read_table(staging.folder / "images.parquet", IMAGES), staging.folder)
        staging.rows.extend(summary.ledger)
        check_gate(check(IMAGES_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return images_figures(objects, read_table(folder / "images.parquet", IMAGES))

    made = ladder.make(
        IMAGES_KEY,
        partition,
        inputs=lambda: {"level_c/objects": ladder.publisher.digest("level_c/objects", partition)},
        parameters={"settings": sha256_of_json(asdict(settings))},
        build=build,
    )
    table = IMAGES.frame(read_table(made.folder / "images.parquet", IMAGES))
    kept = table[table["status"] == "kept"]
    metadata = {
        "dagster/row_count": len(table),
        "worst and a sample": thumbnail(made.folder / "contact_sheet.png", width=900),
        "flags": counts_table("flag", Counter(flag for flags in kept["flags"].dropna() for flag in json.loads(flags))),
        "quality": figures_table(kept["quality"]),
        "status": counts_table("status", table["status"].value_counts().to_dict()),
        "not kept because": counts_table("reason", table["reason"].dropna().value_counts().to_dict()),
        "vendor groups": counts_table("vendor group", kept["vendor_group"].value_counts().to_dict()),
        "views": counts_table(
            "view", (kept["laterality"].fillna("?") + " " + kept["view"].fillna("?")).value_counts().to_dict()
        ),
    }
    return made.result(metadata, check_results(check(IMAGES_KEY, figures(made.folder))))


@rung(SPLITS_KEY, deps=[IMAGES_KEY, "level_c/objects", "level_c/reports"], kinds={"numpy", "parquet"})
def splits(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """Copies, exact and near; the patients whom they join; and every patient's split, which stands once given."""
    proportions = ladder.proportions
    parameters = {"proportions": sha256_of_json(asdict(proportions))}

    def build(staging: Staging) -> None:
        table = images_of(ladder)
        summary = write_splits(
            table,
            fuse(standing_votes(ladder), table),
            picture=pictures_at_hand(ladder),
            folder=staging.folder,
            proportions=proportions,
            standing=standing_split(ladder, sha256_of_json(parameters)),
            workers=ladder.workers,
            progress=progress_of(context),
        )
        staging.rows.extend(summary.ledger)
        check_gate(check(SPLITS_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return splits_figures(images_of(ladder), read_table(folder / "splits.parquet", PATIENT_SPLITS))

    made = ladder.make(
        SPLITS_KEY,
        "",
        inputs=lambda: ladder.digests(IMAGES_KEY, "level_c/objects", "level_c/reports"),
        parameters=parameters,
        build=build,
    )
    copies = COPIES.frame(read_table(made.folder / "copies.parquet", COPIES))
    table = PATIENT_SPLITS.frame(read_table(made.folder / "splits.parquet", PATIENT_SPLITS))
    pairs = copies["kind"] + copies["same_patient"].map({True: ", one patient", False: ", two patients"}).fillna("")
    metadata = {
        "dagster/row_count": len(table),
        "pairs": thumbnail(made.folder / "pairs.png", width=960),
        "pairs of copies": counts_table("pairs", Counter(pairs)),
        "patients joined to others": int(table["cluster"].duplicated(keep=False).sum()),
        "patients": counts_table("split", Counter(table["split"])),
    }
    return made.result(metadata, check_results(check(SPLITS_KEY, figures(made.folder))))


@rung(CURVES_KEY, deps=[IMAGES_KEY, SPLITS_KEY, "level_c/objects", "level_c/reports"], kinds={"numpy", "parquet"})
def vendor_curves(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """One gray curve per vendor group, fitted on training patients' histograms, re-weighted to one density mix."""

    def build(staging: Staging) -> None:
        table = images_of(ladder)
        labels = fuse(standing_votes(ladder), table)
        summary = fit_vendor_curves(table, density_by_image(labels), is_training_patient(ladder), folder=staging.folder)
        staging.rows.extend(summary.ledger)
        check_gate(check(CURVES_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return curves_figures(images_of(ladder), read_table(folder / "vendor_curves.parquet", VENDOR_CURVES))

    made = ladder.make(
        CURVES_KEY,
        "",
        inputs=lambda: ladder.digests(IMAGES_KEY, SPLITS_KEY, "level_c/objects", "level_c/reports"),
        parameters={},
        build=build,
    )
    table = VENDOR_CURVES.frame(read_table(made.folder / "vendor_curves.parquet", VENDOR_CURVES))
    metadata = {
        "dagster/row_count": len(table),
        "curves": thumbnail(made.folder / "curves.png"),
        "images": counts_table("vendor group", dict(zip(table["vendor_group"], table["images"], strict=True))),
        "fitted on": counts_table("fitted on", table["fitted_on"].value_counts().to_dict()),
    }
    return made.result(metadata, check_results(check(CURVES_KEY, figures(made.folder))))


@rung(HARMONIZATION_KEY, deps=[IMAGES_KEY, CURVES_KEY], kinds={"scikitlearn", "parquet"})
def harmonization(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """What the vendor curves did: vendor told and density seen in grays, before and after, on held-out patients."""

    def build(staging: Staging) -> None:
        curves = ladder.zones.publication(CURVES_KEY)
        staging.rows.extend(
            measure_harmonization(
                images_of(ladder),
                read_table(curves / "vendor_curves.parquet", VENDOR_CURVES),
                read_table(curves / "curve_images.parquet", CURVE_IMAGES),
                folder=staging.folder,
            )
        )
        check_gate(check(HARMONIZATION_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return harmonization_figures(read_table(folder / "harmonization.parquet", HARMONIZATION))

    made = ladder.make(
        HARMONIZATION_KEY,
        "",
        inputs=lambda: ladder.digests(IMAGES_KEY, CURVES_KEY),
        parameters={},
        build=build,
    )
    table = HARMONIZATION.frame(read_table(made.folder / "harmonization.parquet", HARMONIZATION))
    metadata = {
        "dagster/row_count": len(table),
        "before and after": thumbnail(made.folder / "harmonization.png", width=960),
        "figures": dg.MetadataValue.md(_figures_table(table)),
    }
    return made.result(metadata, check_results(check(HARMONIZATION_KEY, figures(made.folder))))


def _figures_table(table: pd.DataFrame) -> str:
    """The harmonization's figures with their intervals, as markdown."""
    lines = ["| figure | vendor group | measured on | images | chance | before | after |", "|---" * 7 + "|"]
    for row in table.to_dict("records"):
        cells = [row["figure"], row["vendor_group"].replace("|", " "), row["measured_on"], str(row["images"])]
        cells.append("" if pd.isna(row["chance"]) else f"{row['chance']:.2f}")
        cells += [f"{row[w]:.2f} ({row[f'{w}_low']:.2f} to {row[f'{w}_high']:.2f})" for w in ("before", "after")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)

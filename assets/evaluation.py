"""Where the data stand: the readiness certificate over everything that stands published."""

import json
from pathlib import Path

import dagster as dg

from assets.level_a import tables_of
from assets.level_c import objects_figures_in
from assets.resources import Ladder
from assets.rung import rung
from assets.tables_at_hand import images_of, inventory_of, object_rows, objects_of
from pipelines.readiness import figures
from pipelines.readiness.certificate import write_certificate
from pipelines.readiness.criteria import evaluate
from pipelines.readiness.funnel import funnel
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging, libraries
from pipelines.storage.tables import (
    AUGMENTED,
    DELIVERED_LABELS,
    HARMONIZATION,
    IMAGES,
    INVENTORY,
    LABELS,
    PATIENT_SPLITS,
    REPORTS,
    SYNTHETIC,
    VENDOR_CURVES,
    read_table,
)

KEY = "evaluation/readiness_report"
UPSTREAM = (
    "level_d/inventory",
    "level_c/objects",
    "level_c/reports",
    "level_b/images",
    "level_b/splits",
    "level_b/vendor_curves",
    "level_b/harmonization",
    "level_a/labels",
    "level_a/dataset",
    "pgan/model",
    "synthetic/images",
    "synthetic/augmented_dataset",
)


@rung(KEY, deps=["level_b/harmonization", "level_a/dataset", "synthetic/augmented_dataset"], kinds={"json"})
def readiness_report(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """The readiness certificate: each level's criteria with figures, the funnel with every loss, counts per class."""

    def build(staging: Staging) -> None:
        write_standing_certificate(ladder, staging.folder)

    made = ladder.make(KEY, "", inputs=lambda: ladder.digests(*UPSTREAM), parameters={}, build=build)
    certificate = json.loads((made.folder / "readiness.json").read_text())
    lines = ["| criterion | level | value | holds |", "|---|---|---|---|"]
    lines += [f"| {c['statement']} | {c['level']} | {c['value']} | {c['holds']} |" for c in certificate["criteria"]]
    metadata = {
        "level": certificate["level"] or "none",
        "criteria": dg.MetadataValue.md("\n".join(lines)),
        "funnel": dg.MetadataValue.md("\n".join(f"- {step['count']} {step['step']}" for step in certificate["funnel"])),
    }
    return made.result(metadata, [])


def write_standing_certificate(ladder: Ladder, folder: Path) -> None:
    """Measure everything that stands published and write ``readiness.json``.

    A model or synthetic set that was made from an earlier state of the data set does not count.
    """
    images = images_of(ladder)
    deliveries = {p: delivery_figures(ladder, p) for p in ladder.partitions("level_d/inventory")}
    measured: dict[str, float | None] = {}
    dataset = exclusions = synthetic = None
    root = ladder.zones.publication
    if stands(ladder, "level_b/splits", "level_b/images", "level_c/objects", "level_c/reports"):
        splits = read_table(root("level_b/splits") / "splits.parquet", PATIENT_SPLITS)
        measured |= figures.splits_figures(images, splits)
    if stands(
        ladder, "level_b/vendor_curves", "level_b/images", "level_b/splits", "level_c/objects", "level_c/reports"
    ):
        curves = read_table(root("level_b/vendor_curves") / "vendor_curves.parquet", VENDOR_CURVES)
        measured |= figures.curves_figures(images, curves)
        if stands(ladder, "level_b/harmonization", "level_b/images", "level_b/vendor_curves"):
            found = read_table(root("level_b/harmonization") / "harmonization.parquet", HARMONIZATION)
            measured |= figures.harmonization_figures(found)
    if stands(ladder, "level_a/labels", "level_b/images", "level_c/objects", "level_c/reports"):
        measured |= figures.labels_figures(images, read_table(root("level_a/labels") / "labels.parquet", LABELS))
    if stands(ladder, "level_a/dataset", "level_b/images", "level_b/splits", "level_b/vendor_curves", "level_a/labels"):
        dataset, exclusions, plan = tables_of(root("level_a/dataset"))
        measured |= figures.dataset_figures(images, dataset, exclusions, plan)
        if stands(ladder, "pgan/model", "level_a/dataset"):
            measured |= figures.model_figures(root("pgan/model"))
            if stands(ladder, "synthetic/images", "pgan/model", "level_a/dataset"):
                synthetic = read_table(root("synthetic/images") / "synthetic.parquet", SYNTHETIC)
                measured |= figures.synthetic_figures(plan, synthetic)
                if stands(ladder, "synthetic/augmented_dataset", "level_a/dataset", "synthetic/images"):
                    folder_of = root("synthetic/augmented_dataset")
                    augmented = read_table(folder_of / "augmented.parquet", AUGMENTED)
                    measured |= figures.augmented_figures(dataset, augmented)
    write_certificate(
        folder,
        evaluate(measured, deliveries),
        figures=measured,
        deliveries=deliveries,
        funnel=funnel(
            inventory=inventory_of(ladder),
            objects=objects_of(ladder),
            images=images,
            dataset=dataset,
            exclusions=exclusions,
        ),
        dataset=dataset,
        synthetic=synthetic,
        key_fingerprint=ladder.key.fingerprint,
        versions={"midar": ladder.publisher.code_version, **libraries()},
    )


def stands(ladder: Ladder, asset: str, *upstream: str) -> bool:
    """Does an asset stand published, made from what stands upstream now."""
    batch = ladder.publisher.standing(asset)
    return batch is not None and batch.inputs_sha256 == sha256_of_json(ladder.digests(*upstream))


def delivery_figures(ladder: Ladder, partition: str) -> dict[str, float | None]:
    """The figures of one delivery, as far as it has climbed."""
    root = ladder.zones.publication
    inventory = read_table(root("level_d/inventory", partition) / "inventory.parquet", INVENTORY)
    found = figures.inventory_figures(inventory)
    if partition in ladder.partitions("level_c/objects"):
        found |= objects_figures_in(root("level_c/objects", partition), root("level_d/inventory", partition))
    if partition in ladder.partitions("level_c/reports"):
        folder = root("level_c/reports", partition)
        reports = read_table(folder / "reports.parquet", REPORTS)
        found |= figures.texts_figures(inventory, reports, read_table(folder / "labels.parquet", DELIVERED_LABELS))
    if partition in ladder.partitions("level_b/images"):
        images = read_table(root("level_b/images", partition) / "images.parquet", IMAGES)
        found |= figures.images_figures(object_rows(ladder, partition), images)
    return found

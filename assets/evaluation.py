"""What the pictures are worth to a classifier, and where the data stand: the certificate over all that is published."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from assets.automation import AUGMENTATION, NOVELTY, OVER_ALL, PER_DELIVERY, REPORT, TRANSFER, WORTH
from assets.leaving import published_figures
from assets.level_a import tables_of
from assets.level_c import objects_figures_in
from assets.novelty import UPSTREAM as NOVELTY_UPSTREAM
from assets.novelty import figures_of as novelty_of
from assets.resources import Ladder, Training
from assets.rung import check_results, progress_of, rung, thumbnail
from assets.set_quality import quality_lines
from assets.tables_at_hand import images_of, inventory_of, label_inputs, object_rows, objects_of, review_files
from assets.vendor_transfer import UPSTREAM as TRANSFER_UPSTREAM
from assets.vendor_transfer import figures_of as transfer_of
from assets.vendor_transfer import lines_of, verdicts_of
from pipelines.evaluate.worth_settings import WorthSettings
from pipelines.readiness import figures
from pipelines.readiness.certificate import write_certificate
from pipelines.readiness.cost import climb_cost
from pipelines.readiness.criteria import check, evaluate
from pipelines.readiness.funnel import funnel
from pipelines.readiness.page import PAGE, Exhibits, write_page
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging, libraries
from pipelines.storage.tables import (
    AUGMENTED,
    DATASET,
    DELIVERED_LABELS,
    DOWNSTREAM,
    HARMONIZATION,
    IMAGES,
    INVENTORY,
    LABELS,
    PATIENT_SPLITS,
    REPORTS,
    SCREENING,
    SYNTHETIC,
    VENDOR_CURVES,
    read_table,
)
from pipelines.storage.workers import Workers

KEY = REPORT
UPSTREAM = (*PER_DELIVERY, *OVER_ALL, *AUGMENTATION)


def worth_settings_of(training: Training) -> WorthSettings:
    """The trainings of a preset, on its device."""
    presets = {"demo": WorthSettings.demo, "tiny": WorthSettings.tiny}
    settings = presets.get(training.chosen_preset, WorthSettings)()
    return replace(settings, classifier=replace(settings.classifier, device=training.chosen_device))


@rung(WORTH, deps=["level_a/dataset", "synthetic/augmented_dataset"], kinds={"pytorch", "parquet"}, pool="gpu")
def downstream(context: dg.AssetExecutionContext, ladder: Ladder, training: Training) -> dg.MaterializeResult:
    """Does it help? A density classifier taught by real, classically changed and synthetic pictures, tested on real."""
    settings = worth_settings_of(training)
    dataset_folder = ladder.zones.publication("level_a/dataset")

    def build(staging: Staging) -> None:
        from pipelines.evaluate.downstream import measure_worth
        from pipelines.evaluate.downstream_parts import real_parts, synthetic_part

        augmented = read_table(ladder.zones.publication("synthetic/augmented_dataset") / "augmented.parquet", AUGMENTED)
        shape, synthetic = synthetic_part(augmented, ladder.zones.publication, settings.shape)
        parts = real_parts(read_table(dataset_folder / "dataset.parquet", DATASET), dataset_folder, shape)
        workers = ladder.workers if training.chosen_device == "cpu" else Workers()
        staging.rows.extend(
            measure_worth(
                parts,
                synthetic,
                settings=replace(settings, shape=shape),
                workers=workers,
                folder=staging.folder,
                progress=progress_of(context),
            )
        )

    made = ladder.make(
        WORTH,
        "",
        inputs=lambda: ladder.digests("level_a/dataset", "synthetic/augmented_dataset"),
        parameters={"settings": sha256_of_json(asdict(settings))},
        build=build,
    )
    summary = json.loads((made.folder / "downstream.json").read_text())
    metadata = {
        "verdict": dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in summary["verdicts"])),
        "real told from synthetic": dg.MetadataValue.json(summary["told_apart"]),
        "figures": thumbnail(made.folder / "downstream.png", width=960),
        "table": dg.MetadataValue.path(made.folder / "downstream.parquet"),
    }
    found = figures.worth_figures(read_table(made.folder / "downstream.parquet", DOWNSTREAM))
    return made.result(metadata, check_results(check(WORTH, found)))


@rung(
    KEY,
    deps=[
        "level_b/harmonization",
        "level_a/dataset",
        "level_a/export",
        "synthetic/augmented_dataset",
        WORTH,
        NOVELTY,
        TRANSFER,
    ],
    kinds={"json", "html"},
)
def readiness_report(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """The readiness certificate: each level's criteria with figures, the funnel with every loss; and its page."""

    def build(staging: Staging) -> None:
        write_standing_certificate(ladder, staging.folder)

    made = ladder.make(KEY, "", inputs=lambda: ladder.digests(*UPSTREAM), parameters={}, build=build)
    certificate = json.loads((made.folder / "readiness.json").read_text())
    lines = ["| criterion | level | value | holds |", "|---|---|---|---|"]
    lines += [f"| {c['statement']} | {c['level']} | {c['value']} | {c['holds']} |" for c in certificate["criteria"]]
    metadata = {
        "level": certificate["level"] or "none",
        "page": dg.MetadataValue.path(made.folder / PAGE),
        "criteria": dg.MetadataValue.md("\n".join(lines)),
        "funnel": dg.MetadataValue.md("\n".join(f"- {step['count']} {step['step']}" for step in certificate["funnel"])),
    }
    return made.result(metadata, [])


def write_standing_certificate(ladder: Ladder, folder: Path) -> None:
    """Measure everything that stands published and write ``readiness.json`` and the page that shows it.

    A model or synthetic set that was made from an earlier state of the data set does not count.
    """
    images = images_of(ladder)
    deliveries = {p: delivery_figures(ladder, p) for p in ladder.partitions("level_d/inventory")}
    found = measure_set(ladder, images)
    content = write_certificate(
        folder,
        evaluate(found.figures, deliveries),
        figures=found.figures,
        deliveries=deliveries,
        funnel=funnel(
            inventory=inventory_of(ladder),
            objects=objects_of(ladder),
            images=images,
            dataset=found.exhibits.dataset,
            exclusions=found.exclusions,
        ),
        dataset=found.exhibits.dataset,
        synthetic=found.synthetic,
        key_fingerprint=ladder.key.fingerprint,
        versions={"midar": ladder.publisher.code_version, **libraries()},
    )
    ledgers = [ladder.publisher.ledger_of(asset) for asset in ("level_d/inventory", KEY)]
    costs = climb_cost((batch for ledger in ledgers for batch in ledger.headings()), UPSTREAM)
    of_all = {name: digest for name, digest in ladder.digests(*UPSTREAM).items() if name in UPSTREAM}
    write_page(folder, content, replace(found.exhibits, costs=costs, digests=of_all))


@dataclass(frozen=True)
class Measured:
    """What was measured over all deliveries, what the page shows of it, and the tables that are counted."""

    figures: dict[str, float | None]
    exhibits: Exhibits
    exclusions: pa.Table | None
    synthetic: pa.Table | None


def measure_set(ladder: Ladder, images: pa.Table) -> Measured:
    """The figures of everything that stands published over all deliveries, made from what stands upstream now."""
    measured: dict[str, float | None] = {}
    dataset = exclusions = synthetic = None
    root = ladder.zones.publication
    exhibits = Exhibits()
    if stands(ladder, "level_b/splits", "level_b/images", "level_c/objects", "level_c/reports"):
        splits = read_table(root("level_b/splits") / "splits.parquet", PATIENT_SPLITS)
        measured |= figures.splits_figures(images, splits)
        exhibits = with_picture(exhibits, "pairs", root("level_b/splits") / "pairs.png")
    if stands(
        ladder, "level_b/vendor_curves", "level_b/images", "level_b/splits", "level_c/objects", "level_c/reports"
    ):
        curves = read_table(root("level_b/vendor_curves") / "vendor_curves.parquet", VENDOR_CURVES)
        measured |= figures.curves_figures(images, curves)
        exhibits = with_picture(exhibits, "curves", root("level_b/vendor_curves") / "curves.png")
        if stands(ladder, "level_b/harmonization", "level_b/images", "level_b/vendor_curves"):
            found = read_table(root("level_b/harmonization") / "harmonization.parquet", HARMONIZATION)
            measured |= figures.harmonization_figures(found)
            exhibits = with_picture(exhibits, "harmonization", root("level_b/harmonization") / "harmonization.png")
    if made_from(ladder, "level_a/labels", label_inputs(ladder, review_files(ladder))):
        labels = read_table(root("level_a/labels") / "labels.parquet", LABELS)
        measured |= figures.labels_figures(images, labels)
        exhibits = with_tables(replace(exhibits, labels=labels), root("level_a/labels"), "agreement")
    if stands(ladder, "level_a/dataset", "level_b/images", "level_b/splits", "level_b/vendor_curves", "level_a/labels"):
        dataset, exclusions, plan = tables_of(root("level_a/dataset"))
        measured |= figures.dataset_figures(images, dataset, exclusions, plan)
        exhibits = replace(exhibits, dataset=dataset, plan=plan)
        exhibits = with_tables(exhibits, root("level_a/dataset"), "association", "power")
        exhibits = with_picture(exhibits, "sheet", root("level_a/dataset") / "contact_sheet.png")
        if stands(
            ladder, "level_a/export", "level_c/objects", "level_b/vendor_curves", "level_a/labels", "level_a/dataset"
        ):
            measured |= published_figures(ladder, root("level_a/export"), "level_a/export")
        if stands(ladder, "pgan/model", "level_a/dataset"):
            measured |= figures.model_figures(root("pgan/model"))
            if stands(ladder, TRANSFER, *TRANSFER_UPSTREAM):
                measured |= transfer_of(root(TRANSFER))
                exhibits = with_transfer(exhibits, root(TRANSFER))
            if stands(ladder, NOVELTY, *NOVELTY_UPSTREAM):
                measured |= novelty_of(root(NOVELTY))
                exhibits = with_picture(exhibits, "novelty", root(NOVELTY) / "novelty.png")
                exhibits = with_tables(exhibits, root(NOVELTY), "oddities")
            if stands(ladder, "synthetic/images", "pgan/model", "level_a/dataset"):
                exhibits = with_quality(exhibits, root("synthetic/images"))
                synthetic = read_table(root("synthetic/images") / "synthetic.parquet", SYNTHETIC)
                for name, file in (("synthetic", "sheet.png"), ("gallery", "gallery.png")):
                    exhibits = with_picture(exhibits, name, root("synthetic/images") / file)
                screening = read_table(root("synthetic/images") / "screening.parquet", SCREENING)
                measured |= figures.synthetic_figures(plan, synthetic, screening)
                if stands(ladder, "synthetic/augmented_dataset", "level_a/dataset", "synthetic/images"):
                    folder_of = root("synthetic/augmented_dataset")
                    augmented = read_table(folder_of / "augmented.parquet", AUGMENTED)
                    measured |= figures.augmented_figures(dataset, augmented)
                    if stands(ladder, WORTH, "level_a/dataset", "synthetic/augmented_dataset"):
                        worth = read_table(root(WORTH) / "downstream.parquet", DOWNSTREAM)
                        measured |= figures.worth_figures(worth)
                        exhibits = with_worth(exhibits, root(WORTH))
    return Measured(measured, exhibits, exclusions, synthetic)


def with_picture(exhibits: Exhibits, name: str, picture: Path) -> Exhibits:
    """The exhibits with a picture more, where the publication holds it."""
    return replace(exhibits, pictures={**exhibits.pictures, name: picture}) if picture.exists() else exhibits


def with_worth(exhibits: Exhibits, folder: Path) -> Exhibits:
    """The exhibits with what the pictures are worth to a classifier."""
    summary = json.loads((folder / "downstream.json").read_text())
    return replace(with_picture(exhibits, "worth", folder / "downstream.png"), worth=summary)


def with_transfer(exhibits: Exhibits, folder: Path) -> Exhibits:
    """The exhibits with what became of pictures that were brought from one vendor's look to another's."""
    exhibits = with_lines(exhibits, "transfer", lines_of(folder))
    return replace(with_picture(exhibits, "transfer", folder / "transfer.png"), transfer=verdicts_of(folder))


def with_quality(exhibits: Exhibits, folder: Path) -> Exhibits:
    """The exhibits with what the kept synthetic pictures are as a set."""
    if not (folder / "quality.json").exists():
        return exhibits
    quality = json.loads((folder / "quality.json").read_text())
    lines = [{"figure": name, "synthetic": made, "real": real} for name, made, real in quality_lines(quality["set"])]
    return with_picture(with_lines(exhibits, "quality", lines), "rejected", folder / "odd.png")


def with_lines(exhibits: Exhibits, name: str, lines: Sequence[Mapping[str, Any]]) -> Exhibits:
    """The exhibits with a table more, of lines alike; as they are without one."""
    table = {name: pa.Table.from_pylist(lines)} if lines else {}
    return replace(exhibits, tables={**exhibits.tables, **table})


def with_tables(exhibits: Exhibits, folder: Path, *names: str) -> Exhibits:
    """The exhibits with those of the named tables that a publication holds."""
    paths = {name: folder / f"{name}.parquet" for name in names}
    found = {name: pq.read_table(path) for name, path in paths.items() if path.exists()}
    return replace(exhibits, tables={**exhibits.tables, **found})


def stands(ladder: Ladder, asset: str, *upstream: str) -> bool:
    """Does an asset stand published, made from what stands upstream now."""
    return made_from(ladder, asset, ladder.digests(*upstream))


def made_from(ladder: Ladder, asset: str, inputs: Mapping[str, str]) -> bool:
    """Does an asset stand published, made from just these content digests."""
    batch = ladder.publisher.standing(asset)
    return batch is not None and batch.inputs_sha256 == sha256_of_json(dict(inputs))


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

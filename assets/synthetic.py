"""Synthetic mammograms: the deficit filled, screened, and set beside the real ones for training alone."""

import json
from dataclasses import asdict
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assets.leaving import stated_files, statement_of
from assets.level_a import cross_table, tables_of
from assets.resources import Ladder, Training
from assets.rung import check_gate, check_results, counts_table, progress_of, rung, thumbnail
from assets.screen_judges import judges_of
from assets.set_quality import density_table, quality_table, write_quality
from assets.tables_at_hand import images_of
from pipelines.curate.export.croissant import stated_properties
from pipelines.pgan.feed import rows_of
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import augmented_figures, synthetic_figures
from pipelines.storage.croissant import NAME as CROISSANT
from pipelines.storage.curriculum import NAME as CURRICULUM
from pipelines.storage.curriculum import Stage, read_curriculum
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging
from pipelines.storage.pyramid import Pyramid
from pipelines.storage.tables import AUGMENTED, SCREENING, SYNTHETIC, SYNTHETIC_PATIENTS, read_table, write_table
from pipelines.synthesize.augmented import write_augmented
from pipelines.synthesize.augmented_metadata import PublishedFile, write_metadata
from pipelines.synthesize.dicom import FULL_SPACING
from pipelines.synthesize.patients import SHEET as PATIENTS_SHEET
from pipelines.synthesize.patients import TABLE as PATIENTS
from pipelines.synthesize.patients import Women
from pipelines.synthesize.quota import PictureSet, SynthesisSettings, fill_quota
from pipelines.synthesize.walk import Along, Between, draw_gallery

if TYPE_CHECKING:
    from pipelines.pgan.sampler import Sampler

IMAGES_KEY = "synthetic/images"
AUGMENTED_KEY = "synthetic/augmented_dataset"
TABLES = (("synthetic.parquet", SYNTHETIC), ("screening.parquet", SCREENING))


@rung(IMAGES_KEY, deps=["pgan/model", "level_a/dataset"], kinds={"pytorch", "dicom"}, pool="gpu")
def images(context: dg.AssetExecutionContext, ladder: Ladder, training: Training) -> dg.MaterializeResult:
    """Generated mammograms for the short classes, screened for copies and all that is odd; also as DICOM, marked so.

    A model of both views gives whole pretend patients as well.
    """
    settings, device = ladder.synthesis, training.chosen_device
    dataset_folder = ladder.zones.publication("level_a/dataset")

    def build(staging: Staging) -> None:
        _synthesize(context, ladder, settings, device, staging)
        check_gate(check(IMAGES_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        tables = ((folder / name, contract) for name, contract in TABLES)
        return synthetic_figures(tables_of(dataset_folder)[2], *(read_table(*table) for table in tables))

    made = ladder.make(
        IMAGES_KEY,
        "",
        inputs=lambda: ladder.digests("pgan/model", "level_a/dataset"),
        parameters={"settings": sha256_of_json(asdict(settings))},
        build=build,
    )
    table = SYNTHETIC.frame(read_table(made.folder / "synthetic.parquet", SYNTHETIC))
    metadata = {
        "dagster/row_count": len(table),
        "sheet": thumbnail(made.folder / "sheet.png", width=640),
        "rejected": thumbnail(made.folder / "odd.png", width=640),
        "walks": thumbnail(made.folder / "gallery.png", width=640),
        **patients_of(made.folder),
        "verdicts": counts_table("verdict", table["verdict"].value_counts().to_dict()),
        "rejected because": counts_table("reason", table["reason"].dropna().value_counts().to_dict()),
        "kept": dg.MetadataValue.md(cross_table(table[table["verdict"] == "kept"], "density", "view")),
        **quality_of(made.folder),
    }
    return made.result(metadata, check_results(check(IMAGES_KEY, figures(made.folder))))


def _synthesize(
    context: dg.AssetExecutionContext, ladder: Ladder, settings: SynthesisSettings, device: str, staging: Staging
) -> None:
    """Draw, screen and write; empty tables where no model stands."""
    from pipelines.pgan.sampler import load_sampler

    model_folder = ladder.zones.publication("pgan/model")
    dataset_folder = ladder.zones.publication("level_a/dataset")
    dataset, _, plan = tables_of(dataset_folder)
    if not (model_folder / "model.json").exists():
        write_table(staging.folder / "synthetic.parquet", SYNTHETIC, SYNTHETIC.build([]))
        write_table(staging.folder / "screening.parquet", SCREENING, SCREENING.build([]))
        return
    sampler = load_sampler(model_folder, device)
    pyramid = Pyramid(dataset_folder)

    def pictures_of(split: str) -> PictureSet:
        rows = rows_of(dataset, split)
        names = (rows[c].to_pylist() for c in ("image_id", "density", "view"))
        return PictureSet(pyramid.take(rows, sampler.resolution), *names)

    training, held_back = pictures_of("train"), pictures_of("validation")
    judges = judges_of(model_folder, training, rows_of(dataset, "train")["patient"].to_pylist(), device)
    summary = fill_quota(
        plan,
        sample=partial(sampler.sample, truncation=settings.truncation),
        score=judges,
        training=training,
        held_back=held_back,
        model_sha256=sampler.model_sha256,
        settings=settings,
        conditions=set(sampler.conditions),
        women=women_of(sampler, settings),
        spacing=spacing_of(ladder, dataset),
        folder=staging.folder,
        progress=progress_of(context),
    )
    staging.rows.extend(summary.ledger)
    for short in summary.shortfalls:
        cell = f"density {short.density}, {short.view}"
        context.log.warning(f"{cell}: {short.kept} of {short.wanted} wanted images kept ({short.reason})")
    write_quality(staging.folder, training, held_back, judges)
    draw_gallery(staging.folder / "gallery.png", sampler.conditions, *walks_of(sampler, settings))


def published_files(ladder: Ladder, asset: str, *patterns: str) -> list[PublishedFile]:
    """The files of a publication that match, with their digests as the ledger states them."""
    folder = ladder.zones.publication(asset)
    return [
        PublishedFile(f"{asset}/{path}", folder / path, digest)
        for path, digest in sorted(stated_files(ladder, asset).items())
        if any(fnmatchcase(path, pattern) for pattern in patterns)
    ]


def stage_in_words(stage: Stage) -> str:
    """A stage of the curriculum for the UI."""
    images = sum(sum(views.values()) for views in stage.images.values())
    return (
        f"{stage.name}: {images:.0f} images, {stage.labels} labels, {stage.share_of_steps:.0%} of the steps at "
        f"{stage.learning_rate:g} times the learning rate"
    )


def women_of(sampler: "Sampler", settings: SynthesisSettings) -> Women | None:
    """Pretend patients of a model of both views; None of any other."""
    if not sampler.two_views:
        return None
    return partial(sampler.sample_women, likeness=settings.likeness, truncation=settings.truncation)


def walks_of(sampler: "Sampler", settings: SynthesisSettings) -> tuple[Along, Between]:
    """The walks that the gallery shows: of the run's first picture, and to its second."""
    from pipelines.pgan.sampler import Place

    def along(low: str, high: str, view: str, frames: int) -> np.ndarray:
        return sampler.walk_density(Place(settings.seed, 0, low, view), low, high, frames, settings.truncation)

    def between(density: str, view: str, frames: int) -> np.ndarray:
        one, other = (Place(settings.seed, number, density, view) for number in (0, 1))
        return sampler.walk(one, other, frames, settings.truncation)

    return along, between


def spacing_of(ladder: Ladder, dataset: pa.Table) -> float:
    """The median spacing of the training images, in mm at full size; what the standard picture aims at without any."""
    images = images_of(ladder)
    known = pc.and_(
        pc.is_in(images["image_id"], value_set=rows_of(dataset, "train")["image_id"].combine_chunks()),
        pc.and_kleene(pc.is_valid(images["spacing"]), pc.greater(images["spacing"], 0)),
    )
    found = images.filter(known)["spacing"].to_numpy()
    return float(np.median(found)) if len(found) else FULL_SPACING


def patients_of(folder: Path) -> dict[str, Any]:
    """The pretend patients for the UI; nothing where the model does not make whole ones."""
    path = folder / PATIENTS
    if not path.exists():
        return {}
    table = SYNTHETIC_PATIENTS.frame(read_table(path, SYNTHETIC_PATIENTS))
    verdicts = table.drop_duplicates("synthetic_patient")["verdict"].value_counts().to_dict()
    return {
        "pretend patients": thumbnail(folder / PATIENTS_SHEET, width=640),
        "pretend patients' verdicts": counts_table("verdict", verdicts),
    }


def quality_of(folder: Path) -> dict[str, Any]:
    """What the kept set is as a whole, and the screen's thresholds, for the UI; nothing where none was wanted."""
    if not (folder / "quality.json").exists():
        return {}
    quality = json.loads((folder / "quality.json").read_text())
    return {
        "quality beside real": dg.MetadataValue.md(quality_table(quality["set"])),
        "density asked for and seen": dg.MetadataValue.md(density_table(quality["density"])),
        "thresholds": dg.MetadataValue.json(json.loads((folder / "screen.json").read_text())),
    }


@rung(AUGMENTED_KEY, deps=["level_a/dataset", IMAGES_KEY], kinds={"pandas", "parquet"})
def augmented_dataset(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """The level A set and the synthetic images together; synthetic is marked, and in the training split alone."""
    dataset_folder = ladder.zones.publication("level_a/dataset")
    synthetic_folder = ladder.zones.publication(IMAGES_KEY)

    def build(staging: Staging) -> None:
        dataset, _, _ = tables_of(dataset_folder)
        synthetic = read_table(synthetic_folder / "synthetic.parquet", SYNTHETIC)
        summary = write_augmented(dataset, synthetic, folder=staging.folder)
        staging.rows.extend(summary.ledger)
        statement = statement_of(ladder)
        write_metadata(
            staging.folder,
            summary,
            title=statement.title,
            stated=stated_properties(statement),
            files=published_files(ladder, "level_a/dataset", "shard-*.arrow")
            + published_files(ladder, IMAGES_KEY, "synthetic-*.arrow", "synthetic.parquet"),
        )
        check_gate(check(AUGMENTED_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return augmented_figures(tables_of(dataset_folder)[0], read_table(folder / "augmented.parquet", AUGMENTED))

    made = ladder.make(
        AUGMENTED_KEY,
        "",
        inputs=lambda: ladder.digests("level_a/dataset", IMAGES_KEY),
        parameters={"statement": sha256_of_json(asdict(statement_of(ladder)))},
        build=build,
    )
    curriculum = read_curriculum(made.folder / CURRICULUM)
    table = AUGMENTED.frame(read_table(made.folder / "augmented.parquet", AUGMENTED))
    train = table[table["split"] == "train"]
    metadata = {
        "dagster/row_count": len(table),
        "croissant": dg.MetadataValue.path(made.folder / CROISSANT),
        "curriculum": dg.MetadataValue.md("\n".join(f"1. {stage_in_words(stage)}" for stage in curriculum.stages)),
        "density x synthetic (training)": dg.MetadataValue.md(
            cross_table(
                train.assign(origin=train["is_synthetic"].map({True: "synthetic", False: "real"})), "density", "origin"
            )
        ),
    }
    return made.result(metadata, check_results(check(AUGMENTED_KEY, figures(made.folder))))

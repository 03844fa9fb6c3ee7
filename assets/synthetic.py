"""Synthetic mammograms: the deficit filled, screened, and set beside the real ones for training alone."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from assets.level_a import cross_table, tables_of
from assets.resources import Ladder
from assets.rung import check_gate, check_results, counts_table, progress_of, rung, thumbnail
from assets.screen_judges import judges_of
from assets.set_quality import density_table, quality_table, write_quality
from pipelines.pgan.feed import rows_of
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import augmented_figures, synthetic_figures
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging
from pipelines.storage.pyramid import Pyramid
from pipelines.storage.tables import AUGMENTED, SCREENING, SYNTHETIC, read_table, write_table
from pipelines.synthesize.augmented import write_augmented
from pipelines.synthesize.quota import PictureSet, SynthesisSettings, fill_quota

IMAGES_KEY = "synthetic/images"
AUGMENTED_KEY = "synthetic/augmented_dataset"
TABLES = (("synthetic.parquet", SYNTHETIC), ("screening.parquet", SCREENING))


@rung(IMAGES_KEY, deps=["pgan/model", "level_a/dataset"], kinds={"pytorch", "dicom"}, pool="gpu")
def images(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """Generated mammograms for the short classes, screened for copies and all that is odd; also as DICOM, marked so."""
    settings = SynthesisSettings()
    model_folder = ladder.zones.publication("pgan/model")
    dataset_folder = ladder.zones.publication("level_a/dataset")

    def build(staging: Staging) -> None:
        from pipelines.pgan.sampler import load_sampler

        dataset, _, plan = tables_of(dataset_folder)
        if not (model_folder / "model.json").exists():
            write_table(staging.folder / "synthetic.parquet", SYNTHETIC, SYNTHETIC.build([]))
            write_table(staging.folder / "screening.parquet", SCREENING, SCREENING.build([]))
            return
        sampler = load_sampler(model_folder)
        pyramid = Pyramid(dataset_folder)

        def pictures_of(split: str) -> PictureSet:
            rows = rows_of(dataset, split)
            names = (rows[c].to_pylist() for c in ("image_id", "density", "view"))
            return PictureSet(pyramid.take(rows, sampler.resolution), *names)

        training, held_back = pictures_of("train"), pictures_of("validation")
        judges = judges_of(model_folder, training, rows_of(dataset, "train")["patient"].to_pylist())
        summary = fill_quota(
            plan,
            sample=sampler.sample,
            score=judges,
            training=training,
            held_back=held_back,
            model_sha256=sampler.model_sha256,
            settings=settings,
            conditions=set(sampler.conditions),
            folder=staging.folder,
            progress=progress_of(context),
        )
        staging.rows.extend(summary.ledger)
        for short in summary.shortfalls:
            cell = f"density {short.density}, {short.view}"
            context.log.warning(f"{cell}: {short.kept} of {short.wanted} wanted images kept ({short.reason})")
        write_quality(staging.folder, training, held_back, judges)
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
        "verdicts": counts_table("verdict", table["verdict"].value_counts().to_dict()),
        "rejected because": counts_table("reason", table["reason"].dropna().value_counts().to_dict()),
        "kept": dg.MetadataValue.md(cross_table(table[table["verdict"] == "kept"], "density", "view")),
        **quality_of(made.folder),
    }
    return made.result(metadata, check_results(check(IMAGES_KEY, figures(made.folder))))


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
        staging.rows.extend(write_augmented(dataset, synthetic, folder=staging.folder).ledger)
        check_gate(check(AUGMENTED_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return augmented_figures(tables_of(dataset_folder)[0], read_table(folder / "augmented.parquet", AUGMENTED))

    made = ladder.make(
        AUGMENTED_KEY,
        "",
        inputs=lambda: ladder.digests("level_a/dataset", IMAGES_KEY),
        parameters={},
        build=build,
    )
    table = AUGMENTED.frame(read_table(made.folder / "augmented.parquet", AUGMENTED))
    train = table[table["split"] == "train"]
    metadata = {
        "dagster/row_count": len(table),
        "density x synthetic (training)": dg.MetadataValue.md(
            cross_table(
                train.assign(origin=train["is_synthetic"].map({True: "synthetic", False: "real"})), "density", "origin"
            )
        ),
    }
    return made.result(metadata, check_results(check(AUGMENTED_KEY, figures(made.folder))))

"""Real pictures that are out of the ordinary: ranked over all deliveries, for whoever looks after the data."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pyarrow as pa

from assets.automation import NOVELTY as KEY
from assets.detectors import detectors_of
from assets.level_a import tables_of
from assets.resources import Ladder
from assets.rung import check_results, progress_of, rung, thumbnail
from assets.screen_judges import feature_settings_for
from assets.tables_at_hand import curves_at_hand, densities_at_hand, images_of, pictures_at_hand
from pipelines.evaluate.novelty import Ordinary, Subject, measure_novelty
from pipelines.evaluate.worth_settings import COMPARED_AT
from pipelines.pgan.feed import rows_of
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import novelty_figures
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging
from pipelines.storage.pyramid import Pyramid
from pipelines.storage.shards import apply_curve
from pipelines.storage.tables import NOVELTY, ODDITIES, read_table
from pipelines.storage.workers import Progress
from pipelines.synthesize.pictures import evenly

UPSTREAM = ("level_b/images", "level_b/vendor_curves", "level_a/labels", "level_a/dataset", "pgan/model")
MOST_SHOWN = 10
MOST_LEARNED = 20_000
"""Training pictures that detectors learn from: 200 MB."""

MOST_ORDINARY = 256
"""Held-back pictures that detectors are tried on: at 1280×1024 all of them would not fit into memory."""


@rung(KEY, deps=list(UPSTREAM), kinds={"pytorch", "parquet"}, pool="gpu")
def novelty(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """How far each real picture lies out of normal feature space, by the best of critic and features; the oddest."""

    def build(staging: Staging) -> None:
        from pipelines.pgan.model import read_description

        zones = ladder.zones
        model = zones.publication("pgan/model")
        has_model = (model / "model.json").exists()
        shape = read_description(model).settings.resolution if has_model else COMPARED_AT
        dataset_folder = zones.publication("level_a/dataset")
        dataset, _, _ = tables_of(dataset_folder)
        pyramid = Pyramid(dataset_folder)

        settings = feature_settings_for(shape[0])
        learned = rows_of(dataset, "train")
        learned = learned.take(pa.array(evenly(learned.num_rows, MOST_LEARNED), pa.int64()))
        pictures = pyramid.take(learned, min(shape, COMPARED_AT))
        detectors = detectors_of(model if has_model else None, pictures, learned["density"].to_pylist(), settings)
        held_back = pa.concat_tables([rows_of(dataset, split) for split in ("validation", "test")])
        held_back = held_back.take(pa.array(evenly(held_back.num_rows, MOST_ORDINARY), pa.int64()))
        ordinary = Ordinary(
            pyramid.take(held_back, shape),
            *(held_back[name].to_pylist() for name in ("density", "view", "cluster")),
        )
        split_of = dict(zip(dataset["image_id"].to_pylist(), dataset["split"].to_pylist(), strict=True))
        subjects = subjects_of(ladder, shape, split_of, progress_of(context))
        staging.rows.extend(measure_novelty(subjects, ordinary, detectors, folder=staging.folder))

    made = ladder.make(
        KEY,
        "",
        inputs=lambda: ladder.digests(*UPSTREAM),
        parameters={"features": sha256_of_json(asdict(feature_settings_for(COMPARED_AT[0])))},
        build=build,
    )
    return made.result(metadata_of(made.folder), check_results(check(KEY, figures_of(made.folder))))


def subjects_of(
    ladder: Ladder, shape: tuple[int, int], split_of: dict[str, str], progress: Progress
) -> Iterator[Subject]:
    """Level B's kept pictures of all deliveries, harmonized and averaged down to a shape, one at a time."""
    from pipelines.evaluate.feature_space import at_shape

    luts, labels = curves_at_hand(ladder), densities_at_hand(ladder)
    source = pictures_at_hand(ladder)
    rows = [row for row in images_of(ladder).to_pylist() if row["status"] == "kept"]
    for done, row in enumerate(sorted(rows, key=lambda r: (r["delivery"], r["image_id"])), start=1):
        picture = source(row["delivery"], row["shard"], row["shard_row"])
        if row["vendor_group"] in luts:
            picture = apply_curve(luts[row["vendor_group"]], picture)
        facts = {name: row[name] for name in ("image_id", "delivery", "vendor_group", "view")}
        facts |= {"density": labels.get(row["image_id"]), "split": split_of.get(row["image_id"])}
        yield Subject(at_shape(picture[None], shape)[0], facts, row["picture_sha256"])
        progress(done, len(rows))


def figures_of(folder: Path) -> dict[str, float | None]:
    """The figures of a published ranking."""
    tables = (read_table(folder / f"{t.name.split('.')[1]}.parquet", t) for t in (NOVELTY, ODDITIES))
    return novelty_figures(*tables)


def metadata_of(folder: Path) -> dict[str, dg.MetadataValue | int]:
    """The sheet, the oddest pictures, and what each detector is worth."""
    table = NOVELTY.frame(read_table(folder / "novelty.parquet", NOVELTY))
    told = ODDITIES.frame(read_table(folder / "oddities.parquet", ODDITIES))
    lines = ["| rank | image | delivery | split | oddness | novel |", "|---|---|---|---|---|---|"]
    for row in table.head(MOST_SHOWN).itertuples():
        novel = "yes" if row.is_novel else "no"
        lines.append(f"| {row.rank} | {row.image_id} | {row.delivery} | {row.split} | {row.oddness:.3g} | {novel} |")
    worth = ["| detector | oddity | chosen on | measured on | chosen |", "|---|---|---|---|---|"]
    for (detector, kind, chosen), own in told.groupby(["detector", "kind", "chosen"]):
        by_half = own.set_index("measured_on")["auroc"]
        mark = "yes" if chosen else ""
        worth.append(f"| {detector} | {kind} | {by_half['choosing']:.3f} | {by_half['measuring']:.3f} | {mark} |")
    return {
        "dagster/row_count": len(table),
        "oddest": thumbnail(folder / "novelty.png", width=900),
        "oddest by rank": dg.MetadataValue.md("\n".join(lines)),
        "oddities told (AUROC)": dg.MetadataValue.md("\n".join(worth)),
        "novel": int(table["is_novel"].sum()),
    }

"""May pictures be brought from one vendor's look to another's: by the curves, and by the generator on request."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from assets.automation import TRANSFER as KEY
from assets.resources import Ladder, Training
from assets.rung import check_results, progress_of, rung, thumbnail
from assets.tables_at_hand import (
    curves_at_hand,
    densities_at_hand,
    images_of,
    is_training_patient,
    pictures_at_hand,
)
from pipelines.evaluate.vendor_statistics import is_enough
from pipelines.evaluate.vendor_transfer import Cases, Way, assess_transfer
from pipelines.evaluate.worth_settings import COMPARED_AT
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import transfer_figures
from pipelines.readiness.page_drawings import in_words
from pipelines.storage.publication import Staging
from pipelines.storage.shards import apply_curve
from pipelines.storage.tables import TRANSFER, read_table

MOST = 200
"""Pictures of a vendor that are compared, by their ids, which are keyed hashes."""

STEPS = 100
"""Steps of the search for a picture's latent."""

UPSTREAM = ("level_b/images", "level_b/splits", "level_b/vendor_curves", "level_a/labels", "pgan/model")


@rung(KEY, deps=list(UPSTREAM), kinds={"scikitlearn", "parquet"}, pool="gpu")
def vendor_transfer(context: dg.AssetExecutionContext, ladder: Ladder, training: Training) -> dg.MaterializeResult:
    """Vendor told, density seen and structure kept, before and after a transfer; a plain verdict whether to use it."""
    projected, device = training.chosen_projections, training.chosen_device

    def build(staging: Staging) -> None:
        model = ladder.zones.publication("pgan/model")
        projector, shape = None, COMPARED_AT
        if (model / "model.json").exists():
            from pipelines.pgan.model import read_description
            from pipelines.pgan.projection import load_projector

            shape = read_description(model).settings.resolution
            projector = load_projector(model, STEPS, device) if projected else None
        cases, harmonized = cases_of(ladder, shape)
        ways = [Way("harmonization", range(len(harmonized)), harmonized)]
        if projector is not None:
            rows = [i for i in first_of_each(cases.facts, projected) if pd.notna(cases.facts["density"][i])]
            tell, made = progress_of(context), []
            for done, i in enumerate(rows, start=1):
                facts = cases.facts.iloc[i]
                made.append(projector(cases.pictures[i : i + 1], [facts["density"]], [facts["view"]]).pictures)
                tell(done, len(rows))
            ways.append(Way("projection", rows, np.concatenate([np.empty((0, *shape), np.uint16), *made])))
        staging.rows.extend(assess_transfer(cases, ways, folder=staging.folder))

    made = ladder.make(
        KEY,
        "",
        inputs=lambda: ladder.digests(*UPSTREAM),
        parameters={"projected": projected},
        build=build,
    )
    return made.result(metadata_of(made.folder), check_results(check(KEY, figures_of(made.folder))))


def cases_of(ladder: Ladder, shape: tuple[int, int]) -> tuple[Cases, np.ndarray]:
    """Level B's kept pictures as they came, averaged down to a shape, and the same with their vendor's curve applied.

    Of patients that no curve was fitted on where two vendors have 30 pictures of 8 of them, else of all.
    """
    from pipelines.evaluate.feature_space import at_shape

    luts, source = curves_at_hand(ladder), pictures_at_hand(ladder)
    rows = [row for row in chosen_of(ladder, densities_at_hand(ladder)) if row["vendor_group"] in luts]
    came, curved = [], []
    for row in rows:
        picture = source(row["delivery"], row["shard"], row["shard_row"])
        came.append(at_shape(picture[None], shape)[0])
        curved.append(at_shape(apply_curve(luts[row["vendor_group"]], picture)[None], shape)[0])
    names = ("image_id", "vendor_group", "patient", "density", "view", "picture_sha256")
    facts = pd.DataFrame([{name: row[name] for name in names} for row in rows], columns=list(names)).astype(object)
    empty = np.empty((0, *shape), np.uint16)
    return Cases(np.stack(came) if came else empty, facts), np.stack(curved) if curved else empty


def chosen_of(ladder: Ladder, labels: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of level B to compare, with the density of each."""
    rows = [r for r in images_of(ladder).to_pylist() if r["status"] == "kept" and r["patient"] and r["vendor_group"]]
    rows = [row | {"density": labels.get(row["image_id"])} for row in rows if row["view"] in ("CC", "MLO")]
    in_training = is_training_patient(ladder)
    held_out = [row for row in rows if not in_training(row["patient"])]
    names = ["vendor_group", "patient"]
    frame = pd.DataFrame(held_out, columns=names)
    several = frame.loc[is_enough(frame, "vendor_group"), "vendor_group"].nunique() > 1
    chosen = sorted(held_out if several else rows, key=lambda row: (row["image_id"], row["delivery"]))
    return [chosen[i] for i in first_of_each(pd.DataFrame(chosen, columns=names), MOST)]


def first_of_each(facts: pd.DataFrame, most: int) -> list[int]:
    """The places of at most so many rows of each vendor group."""
    return sorted(np.flatnonzero(facts.groupby("vendor_group").cumcount().to_numpy() < most).tolist())


def figures_of(folder: Path) -> dict[str, float | None]:
    """The figures of a published assessment."""
    return transfer_figures(read_table(folder / "transfer.parquet", TRANSFER))


def verdicts_of(folder: Path) -> list[str]:
    """A plain sentence for each way, of a published assessment."""
    return list(json.loads((folder / "transfer.json").read_text())["verdicts"].values())


def lines_of(folder: Path) -> list[dict[str, str]]:
    """The figures of a published assessment, as they are read."""
    table = TRANSFER.frame(read_table(folder / "transfer.parquet", TRANSFER))
    return [
        {
            "way": row["way"],
            "figure": in_words(row["figure"]),
            "vendor group": row["vendor_group"].replace("|", " · "),
            "images": str(row["images"]),
        }
        | {w: f"{row[w]:.2f} ({row[f'{w}_low']:.2f} to {row[f'{w}_high']:.2f})" for w in ("before", "after")}
        for row in table.to_dict("records")
    ]


def metadata_of(folder: Path) -> dict[str, Any]:
    """Verdicts, pictures and figures for the UI."""
    lines = lines_of(folder)
    heads = ["way", "figure", "vendor group", "images", "before", "after"]
    table = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    table += [f"| {' | '.join(line[head] for head in heads)} |" for line in lines]
    return {
        "dagster/row_count": len(lines),
        "verdict": dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in verdicts_of(folder))),
        "before and after": thumbnail(folder / "transfer.png", width=960),
        "figures": dg.MetadataValue.md("\n".join(table)),
    }

"""The progressive GAN, trained on level A's training split."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from assets.pgan_apart import train_apart
from assets.pgan_worker import Work
from assets.resources import Ladder, Training
from assets.rung import check_gate, check_results, rung, thumbnail
from pipelines.pgan.budget import Underway, note_underway, scaled_schedule
from pipelines.pgan.feed import read_dataset, rows_of
from pipelines.pgan.headline import headline
from pipelines.pgan.settings import PGANSettings
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import model_figures
from pipelines.storage.atomic import write_json
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.publication import Staging

KEY = "pgan/model"


class InTraining(Exception):  # noqa: N818 - no error: the night is over
    """The budget is used up, and a checkpoint holds what was done."""

    def __init__(self, underway: Underway) -> None:
        super().__init__(str(underway))
        self.underway = underway


def settings_of(training: Training, images_at_hand: int) -> PGANSettings:
    """The settings of a preset, its schedule scaled where that is asked for. Raises ValueError for an unknown one."""
    presets: dict[str, Callable[[], PGANSettings]] = {
        "demo": PGANSettings.demo,
        "tiny": PGANSettings.tiny,
        "full": PGANSettings,
        "korkinof2018": PGANSettings.korkinof2018,
    }
    if training.chosen_preset not in presets:
        raise ValueError(f"unknown pGAN preset; known: {', '.join(presets)}")
    settings = replace(presets[training.chosen_preset](), seed=training.seed, device=training.chosen_device)
    processes = training.chosen_processes
    if settings.parts % processes:
        settings = replace(settings, parts=processes)
    if training.makes_two_views:
        settings = replace(settings, two_views=True)
    images = training.chosen_images
    if not images:
        return settings
    return scaled_schedule(settings, max(1, images_at_hand), None if images == "data" else int(images))


@rung(KEY, deps=["level_a/dataset"], kinds={"pytorch"}, pool="gpu", output_required=False)
def model(
    context: dg.AssetExecutionContext, ladder: Ladder, training: Training
) -> dg.MaterializeResult | list[dg.AssetCheckResult]:
    """A class-conditional progressive GAN (Korkinof et al. 2018) and its critic; resumes where a killed run stopped.

    It trains in a process of its own. Where a night's budget ends it, nothing is published: the next run goes on.
    """
    zones, dataset_folder = ladder.zones, ladder.zones.publication("level_a/dataset")
    settings = settings_of(training, rows_of(read_dataset(dataset_folder), "train").num_rows)
    parameters = {"settings": settings.to_json()}
    told: dict[str, Any] = {}

    def inputs() -> dict[str, str]:
        return ladder.digests("level_a/dataset")

    def build(staging: Staging) -> None:
        run = sha256_of_json([inputs(), parameters, ladder.publisher.code_version])[:16]
        workspace = zones.workspace(KEY) / run
        work = Work(
            dataset=str(dataset_folder),
            folder=str(staging.folder),
            checkpoints=str(workspace / "checkpoints"),
            journal=str(workspace / "journal"),
            errors=str(ladder.errors),
            budget=training.chosen_budget,
            settings=settings.to_json(),
            processes=training.chosen_processes,
        )
        outcome = train_apart(context, work, workspace / "work.json")
        if outcome["outcome"] == "in_training":
            raise InTraining(Underway(outcome["images"], outcome["total"]))
        if outcome["outcome"] == "not_trained":
            write_json(staging.folder / "not_trained.json", {"reason": outcome["reason"]})
            return
        for other in set(zones.workspace(KEY).iterdir()) - {workspace}:
            shutil.rmtree(other, ignore_errors=True)  # of other data, settings or code: nobody goes on with them
        told.update({name: outcome[name] for name in ("images_per_second", "peak_memory", "resumed_from", "notes")})
        told["logs"] = dg.MetadataValue.path(workspace / "journal")
        staging.rows.extend(LedgerRow(**{**row, "inputs": _pairs(row["inputs"])}) for row in outcome["ledger"])
        check_gate(check(KEY, model_figures(staging.folder)))

    try:
        made = ladder.make(KEY, "", inputs=inputs, parameters=parameters, build=build)
    except InTraining as night:
        note_underway(zones.workspace(KEY), night.underway)
        context.log.info(f"{night}; nothing is published yet, the next run goes on")
        context.log_event(dg.AssetObservation(KEY.split("/"), description=str(night)))
        return check_results(check(KEY, model_figures(zones.publication(KEY))))
    note_underway(zones.workspace(KEY), None)
    metadata = {**pictures_of(made.folder), **report_of(made.folder), **told, "device": settings.device}
    return made.result(metadata, check_results(check(KEY, model_figures(made.folder))))


def _pairs(inputs: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, digest) for name, digest in inputs)


def pictures_of(folder: Path) -> dict[str, dg.MetadataValue]:
    """The sample grid of each level and the course of the losses, small, for the UI."""
    grids = {path.stem.replace("_", " "): path for path in sorted(folder.glob("samples*.png"))}
    shown = {name: thumbnail(path, width=640) for name, path in grids.items()}
    return {**shown, "losses": thumbnail(folder / "losses.png", width=480)}


def report_of(folder: Path) -> dict[str, Any]:
    """The training's figures for the UI; why there is no model, where there is none."""
    if (folder / "not_trained.json").exists():
        return {"not_trained": json.loads((folder / "not_trained.json").read_text())}
    report = json.loads((folder / "report.json").read_text())
    rollbacks = [f"{r['images']} → {r['back_to']} images: {r['reason']}" for r in report["rollbacks"]]
    return {
        "resolution": "x".join(map(str, report["levels"][-1]["resolution"])),
        "figures": dg.MetadataValue.md(figures_by_level(report)),
        "rollbacks": rollbacks or "none",
        "card": dg.MetadataValue.path(folder / "MODEL_CARD.md"),
        "report": {name: value for name, value in report.items() if name != "glances"},
    }


def figures_by_level(report: dict[str, Any]) -> str:
    """The headline figures of each level, as markdown."""
    columns = [headline(level) for level in report["levels"]]
    sizes = ["x".join(map(str, level["resolution"])) for level in report["levels"]]
    lines = ["| figure | " + " | ".join(sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for name in columns[0]:
        cells = ("-" if column[name] is None else f"{column[name]:.3g}" for column in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

"""The progressive GAN, trained on level A's training split."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg

from assets.resources import Ladder, Training
from assets.rung import check_gate, check_results, progress_of, rung, thumbnail
from pipelines.pgan.feed import NotEnoughImages
from pipelines.pgan.settings import PGANSettings
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import model_figures
from pipelines.storage.atomic import write_json
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging

KEY = "pgan/model"


def settings_of(training: Training) -> PGANSettings:
    """The settings of a preset. Raises ValueError for an unknown one."""
    presets: dict[str, Callable[[], PGANSettings]] = {
        "demo": PGANSettings.demo,
        "tiny": PGANSettings.tiny,
        "full": PGANSettings,
        "korkinof2018": PGANSettings.korkinof2018,
    }
    if training.chosen_preset not in presets:
        raise ValueError(f"unknown pGAN preset; known: {', '.join(presets)}")
    return replace(presets[training.chosen_preset](), seed=training.seed, device=training.chosen_device)


@rung(KEY, deps=["level_a/dataset"], kinds={"pytorch"}, pool="gpu")
def model(context: dg.AssetExecutionContext, ladder: Ladder, training: Training) -> dg.MaterializeResult:
    """A class-conditional progressive GAN (Korkinof et al. 2018) and its critic; resumes where a killed run stopped."""
    settings = settings_of(training)
    dataset_folder = ladder.zones.publication("level_a/dataset")
    parameters = {"settings": settings.to_json()}

    def inputs() -> dict[str, str]:
        return ladder.digests("level_a/dataset")

    def build(staging: Staging) -> None:
        from pipelines.pgan.training import train

        run = sha256_of_json([inputs(), parameters, ladder.publisher.code_version])[:16]
        try:
            summary = train(
                dataset_folder,
                settings=settings,
                checkpoints=ladder.zones.workspace(KEY) / run,
                folder=staging.folder,
                progress=progress_of(context),
            )
        except NotEnoughImages as error:
            write_json(staging.folder / "not_trained.json", {"reason": str(error)})
            return
        staging.rows.extend(summary.ledger)
        check_gate(check(KEY, model_figures(staging.folder)))

    made = ladder.make(KEY, "", inputs=inputs, parameters=parameters, build=build)
    metadata = {
        "samples": thumbnail(made.folder / "samples.png", width=640),
        "losses": thumbnail(made.folder / "losses.png", width=480),
        "resolution": "x".join(map(str, settings.resolution)),
        "device": settings.device,
        **report_of(made.folder),
    }
    return made.result(metadata, check_results(check(KEY, model_figures(made.folder))))


def report_of(folder: Path) -> dict[str, object]:
    """The training's report for the UI; why there is no model, where there is none."""
    for name in ("report.json", "not_trained.json"):
        if (folder / name).exists():
            return {name.removesuffix(".json"): json.loads((folder / name).read_text())}
    return {}

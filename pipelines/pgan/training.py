"""Training from a level A folder to a published model's files: the loop, its checkpoints, and what it leaves.

Knows nothing of who runs it: progress and the wish to stop come in as functions.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from safetensors.torch import save_file

from pipelines.pgan import distributed
from pipelines.pgan.checkpoint import load_checkpoint, save_checkpoint
from pipelines.pgan.engine import Engine
from pipelines.pgan.evaluation import Watch, calibrate, usual_stddev
from pipelines.pgan.feed import Feed, read_dataset, rows_of
from pipelines.pgan.growth import level_ends, stage_at, total_images
from pipelines.pgan.model import CRITIC, DESCRIPTION, FORMAT, GENERATOR, reproducible
from pipelines.pgan.samples import write_losses
from pipelines.pgan.settings import PGANSettings
from pipelines.storage.atomic import write_json
from pipelines.storage.digests import sha256_of_file, sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.workers import Progress, silent

RECORDS = 200
"""Records of the losses over a whole training."""

LOSSES = "losses.json"
REPORT = "report.json"
GRID = "samples.png"
CHART = "losses.png"


class TrainingStopped(RuntimeError):  # noqa: N818 - named for what happened
    """The training was asked to stop; a checkpoint holds what it had done."""

    def __init__(self, images: int, total: int) -> None:
        super().__init__(f"stopped after {images} of {total} images")
        self.images, self.total = images, total


@dataclass(frozen=True)
class TrainingSummary:
    """What a training made. ``seconds_per_level`` and ``images_per_second`` are of this call alone, not of the files.

    ``model``: id (M-…) and ``model_sha256``: digest of the generator; ``report``: the content of report.json.
    """

    model: str
    model_sha256: str
    resolution: tuple[int, int]
    training_images: int
    images_shown: int
    resumed_from: int
    conditions: tuple[tuple[str, str], ...]
    report: dict[str, Any]
    seconds_per_level: dict[int, float]
    images_per_second: float
    ledger: tuple[LedgerRow, ...]


def never() -> bool:
    """The wish of one who does not wish to stop."""
    return False


def training_fingerprint(dataset: pa.Table, settings: PGANSettings) -> str:
    """What names a training: a digest of its settings and of its data set's images, labels and splits."""
    names = ("image_id", "density", "view", "split", "picture_sha256", "pyramid_row")
    values = {name: value for name, value in settings.to_json().items() if name != "checkpoint_every"}
    return sha256_of_json({"settings": values, "dataset": [dataset[name].to_pylist() for name in names]})


def train(
    dataset_folder: Path,
    *,
    settings: PGANSettings,
    checkpoints: Path,
    folder: Path,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = never,
) -> TrainingSummary:
    """Train on the training split of a level A folder and write the model's files into ``folder``.

    ``checkpoints`` is a folder of this training's own; a training found there, of the same settings and data set, is
    continued: on a CPU its files come out the same, byte for byte, as without the interruption. ``progress`` is told
    images shown and in total; ``should_stop`` is asked after every step. The validation split is scored by the
    finished critic, never trained on. Started by torchrun, every process calls this with the same arguments: the first
    writes and returns, the others end with exit status 0.

    Raises NotEnoughImages, CheckpointError, TrainingDiverged, TrainingStopped (after a checkpoint), ShardError.
    """
    distributed.start(settings.device)
    dataset = read_dataset(dataset_folder)
    feed = Feed.of(dataset_folder, rows_of(dataset, "train"), settings)
    with reproducible():
        run = _Run(settings, feed, checkpoints, training_fingerprint(dataset, settings))
        run.loop(progress, distributed.agreed(should_stop))
        distributed.finish()
        return _publish(run, dataset, folder)


class _Run:
    """A training under way: the engine, its position, and the records so far."""

    def __init__(self, settings: PGANSettings, feed: Feed, checkpoints: Path, fingerprint: str) -> None:
        self.settings, self.feed, self.checkpoints, self.fingerprint = settings, feed, checkpoints, fingerprint
        self.engine = Engine(settings)
        self.watch = Watch(feed, settings.latent_size, settings.seed)
        self.images = 0
        self.losses: list[dict[str, float]] = []
        self.levels: list[dict[str, Any]] = []
        self.seconds: dict[int, float] = {}
        found = load_checkpoint(checkpoints, fingerprint)
        if found is not None:
            self.engine.restore(found, found.state["engine"])
            self.images, self.losses, self.levels = (found.state[name] for name in ("images", "losses", "levels"))
        self.resumed_from = self.images

    def loop(self, progress: Progress, should_stop: Callable[[], bool]) -> None:
        total, ends = total_images(self.settings), level_ends(self.settings)
        pace = max(1, total // RECORDS)
        while self.images < total:
            started, before = time.monotonic(), self.images
            stage = stage_at(self.settings, before)
            size = self.settings.batch_sizes[stage.level - 1]
            self.engine.step(self.feed.batch(before, size, stage.level), stage, before)
            self.images += size
            if self.images // pace > before // pace or self.images >= ends[stage.level - 1]:
                self.losses.append({"images": self.images, "level": stage.level, **self.engine.take_tally()})
            if self.images >= ends[stage.level - 1]:
                self.levels.append(self.watch.measure(self.engine.average, stage.level))
            self.seconds[stage.level] = self.seconds.get(stage.level, 0.0) + time.monotonic() - started
            progress(min(self.images, total), total)
            if self.images < total and should_stop():
                self.save()
                raise TrainingStopped(self.images, total)
            every = self.settings.checkpoint_every
            if self.images >= total or self.images // every > before // every:
                self.save()

    def save(self) -> None:
        self.engine.tally.means()  # a training that has diverged must not be resumed
        state = {"engine": self.engine.state(), "images": self.images, "losses": self.losses, "levels": self.levels}
        if distributed.leads():
            save_checkpoint(self.checkpoints, self.images, self.fingerprint, self.engine.tensors(), state)


def _publish(run: _Run, dataset: pa.Table, folder: Path) -> TrainingSummary:
    """Write the model's files and say what was made."""
    settings, feed, level = run.settings, run.feed, run.settings.levels
    generator, critic = run.engine.average, run.engine.critic
    critic.eval().requires_grad_(False)
    critic.usual_stddev.fill_(usual_stddev(critic, feed, level, settings.batch_sizes[-1]))
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in ((GENERATOR, generator), (CRITIC, critic)):
        save_file({key: value.cpu().contiguous() for key, value in network.state_dict().items()}, folder / name)
    digests = {name: sha256_of_file(folder / name) for name in (GENERATOR, CRITIC)}
    splits = {"training": feed.table, "validation": rows_of(dataset, "validation")}
    calibration = {name: calibrate(critic, feed, table, level) for name, table in splits.items()}
    report = {
        "images_shown": run.images,
        "levels": run.levels,
        "density": run.watch.density(generator, level),
        "critic_scores": calibration,
    }
    inputs = tuple(zip(feed.table["image_id"].to_pylist(), feed.table["picture_sha256"].to_pylist(), strict=True))
    description = {
        "format": FORMAT,
        "settings": settings.to_json(),
        "resolution": list(settings.resolution),
        "conditions": [list(pair) for pair in feed.conditions],
        "training_images": len(inputs),
        "training_set_sha256": sha256_of_json([list(pair) for pair in sorted(inputs)]),
        "sha256": digests,
        "calibration": calibration["validation"],
    }
    write_json(folder / REPORT, report)
    write_json(folder / LOSSES, run.losses)
    write_losses(folder / CHART, run.losses)
    write_json(folder / DESCRIPTION, description)
    run.watch.write_grid(generator, level, folder / GRID)
    model = f"M-{digests[GENERATOR][:16]}"
    seconds = sum(run.seconds.values())
    return TrainingSummary(
        model=model,
        model_sha256=digests[GENERATOR],
        resolution=settings.resolution,
        training_images=len(inputs),
        images_shown=run.images,
        resumed_from=run.resumed_from,
        conditions=feed.conditions,
        report=report,
        seconds_per_level=run.seconds,
        images_per_second=(run.images - run.resumed_from) / seconds if seconds else 0.0,
        ledger=(LedgerRow(model, GENERATOR, digests[GENERATOR], inputs, "train"),),
    )

"""Training from a level A folder to a published model's files: the loop, its watch, and its checkpoints.

Knows nothing of who runs it: progress, the wish to stop and the density estimator come in as functions.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pipelines.pgan import distributed
from pipelines.pgan.checkpoint import Checkpoint, Standing, drop_after, load_checkpoint, save_checkpoint
from pipelines.pgan.detectors import Alarm, GradientMeter, Limits, alarm_of_glances, alarm_of_record
from pipelines.pgan.engine import Engine, TrainingDiverged
from pipelines.pgan.evaluation import Watch
from pipelines.pgan.feed import Feed, read_dataset, rows_of
from pipelines.pgan.fidelity import Estimator
from pipelines.pgan.growth import Stage, level_ends, stage_at, total_images
from pipelines.pgan.journal import Journal
from pipelines.pgan.model import GENERATOR, reproducible
from pipelines.pgan.publishing import Course, Publication, publish_model
from pipelines.pgan.settings import PGANSettings
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.workers import Progress, silent

RECORDS = 200
"""Records of the losses over a whole training."""

GLANCES = 25
"""Looks at a small sample over a whole training, beside those before each checkpoint."""


class TrainingStopped(RuntimeError):  # noqa: N818 - named for what happened
    """The training was asked to stop; a checkpoint holds what it had done."""

    def __init__(self, images: int, total: int) -> None:
        super().__init__(f"stopped after {images} of {total} images")
        self.images, self.total = images, total


@dataclass(frozen=True)
class TrainingSummary:
    """What a training made. Seconds, pace, memory and notes are of this call alone, not of the files.

    ``model``: id (M-…) and ``model_sha256``: digest of the generator; ``report``: the content of report.json;
    ``notes``: what a reader of the log should know (a damaged checkpoint passed over).
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
    peak_memory: dict[str, int]
    notes: tuple[str, ...]
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
    estimator: Estimator | None = None,
    limits: Limits | None = None,
    journal: Path | None = None,
) -> TrainingSummary:
    """Train on the training split of a level A folder and write the model's files into ``folder``.

    ``checkpoints`` is a folder of this training's own; a training found there, of the same settings and data set, is
    continued: on a CPU its files come out the same, byte for byte, as without the interruption. ``progress`` is told
    images shown and in total; ``should_stop`` is asked after every step. The validation split is scored by the
    finished critic and judged by the ``estimator`` of density, never trained on. ``journal`` is a folder for
    TensorBoard logs and pace.

    Where a detector rings (``limits``), the training goes back to its last good checkpoint and on with lower rates.

    Started by torchrun, every process calls this with the same arguments: the first writes and returns, the others end
    with exit status 0.

    Raises NotEnoughImages, CheckpointError, TrainingDiverged (after too many rollbacks), TrainingStopped (after a
    checkpoint), ShardError.
    """
    distributed.start(settings.device)
    dataset = read_dataset(dataset_folder)
    feed = Feed.of(dataset_folder, rows_of(dataset, "train"), settings)
    watch = Watch(feed, settings.latent_size, settings.seed, rows_of(dataset, "validation"), estimator)
    with reproducible(short=True):
        run = _Run(settings, feed, watch, checkpoints, training_fingerprint(dataset, settings), limits or Limits())
        run.journal = Journal(journal if distributed.leads() else None, run.engine.device, run.images)
        try:
            run.loop(progress, distributed.agreed(should_stop))
        finally:
            run.journal.close(run.images)
        distributed.finish()
        made = publish_model(
            folder,
            settings=settings,
            dataset=dataset,
            feed=feed,
            watch=watch,
            generator=run.engine.average,
            critic=run.engine.critic,
            course=run.course(),
        )
        return _summary(run, made)


class _Run:
    """A training under way: the engine, its position, and the records so far."""

    journal: Journal

    def __init__(
        self, settings: PGANSettings, feed: Feed, watch: Watch, checkpoints: Path, fingerprint: str, limits: Limits
    ) -> None:
        self.settings, self.feed, self.watch, self.limits = settings, feed, watch, limits
        self.checkpoints, self.fingerprint = checkpoints, fingerprint
        self.total, self.ends = total_images(settings), level_ends(settings)
        self.notes: list[str] = []
        found = load_checkpoint(checkpoints, fingerprint)
        if found is not None:
            self.notes += [f"checkpoint {name} is damaged: went on from an earlier one" for name in found.skipped]
        self._start(found)
        self.resumed_from = self.images

    def _start(self, found: Checkpoint | None, rollbacks: list[dict[str, Any]] | None = None) -> None:
        """Begin from a checkpoint, or anew; ``rollbacks`` where there are more than the checkpoint knows of."""
        self.engine = Engine(self.settings)
        self.images = 0
        self.losses: list[dict[str, float]] = []
        self.levels: list[dict[str, Any]] = []
        self.glances: list[dict[str, Any]] = []
        self.rollbacks: list[dict[str, Any]] = []
        self.saved: list[dict[str, Any]] = []
        self.grids: dict[int, bytes] = {}
        self.meter = GradientMeter()
        if found is not None:
            self.engine.restore(found, found.state["engine"])
            self.images = found.state["images"]
            self.losses, self.levels, self.glances, self.rollbacks, self.saved = (
                list(found.state[name]) for name in ("losses", "levels", "glances", "rollbacks", "saved")
            )
            self.meter = GradientMeter(found.state["norms"])
            self.grids = {int(level): bytes(png.numpy()) for level, png in found.tensors["grids"].items()}
        if rollbacks is not None:
            self.rollbacks = rollbacks
        self._lower_rates()

    def loop(self, progress: Progress, should_stop: Callable[[], bool]) -> None:
        """Train to the end. Raises TrainingStopped, TrainingDiverged."""
        while self.images < self.total:
            before, stage = self.images, stage_at(self.settings, self.images)
            due = self._crosses(before, self.settings.checkpoint_every, stage) or self._last(before, stage)
            alarm = self._advance(stage, due)
            if distributed.agreed(lambda alarm=alarm: alarm is not None)():  # type: ignore[misc]
                self._go_back(alarm or Alarm("not_finite", "another process' figures", None, None), stage.level)
                continue
            if due:
                self._save(good=True)
            progress(min(self.images, self.total), self.total)
            if self.images < self.total and should_stop():
                if not due:
                    self._save(good=False)
                raise TrainingStopped(self.images, self.total)

    def _crosses(self, before: int, every: int, stage: Stage) -> bool:
        """Does the step that begins after ``before`` images pass a multiple of ``every``?"""
        size, every = self.settings.batch_sizes[stage.level - 1], max(1, every)
        return (before + size) // every > before // every

    def _last(self, before: int, stage: Stage) -> bool:
        return before + self.settings.batch_sizes[stage.level - 1] >= self.total

    def _advance(self, stage: Stage, due: bool) -> Alarm | None:
        """One step and what follows it: a record, a glance, the figures of a level's end; an alarm where one rings.

        ``due``: a checkpoint follows, so a glance is due too, and the averaged generator's score.
        """
        before, size = self.images, self.settings.batch_sizes[stage.level - 1]
        with self.journal.timing(stage.level, size):
            self.engine.step(self.feed.batch(before, size, stage.level), stage, before)
        self.meter.note(self.engine.generator, self.engine.critic)
        self.images += size
        ends = self.images >= self.ends[stage.level - 1]
        if ends or self._crosses(before, self.total // RECORDS, stage):
            alarm = self._record(stage.level)
            if alarm is not None:
                return alarm
        if due or self._crosses(before, self.total // GLANCES, stage):
            alarm = self._glance(stage, scored=due)
            if alarm is not None:
                return alarm
        if ends:
            self._finish(stage.level)
        return None

    def _record(self, level: int) -> Alarm | None:
        try:
            figures = self.engine.take_tally()
        except TrainingDiverged:
            return Alarm("not_finite", "a loss", None, None)
        record = {
            "images": self.images,
            "level": level,
            **figures,
            "critic_gap": figures["real_score"] - figures["fake_score"],
            **self.meter.take(),
        }
        alarm = alarm_of_record(record, self.losses, self.limits)
        if alarm is None:
            self.losses.append(record)
            self.journal.record(record)
        return alarm

    def _glance(self, stage: Stage, *, scored: bool) -> Alarm | None:
        average = self.engine.average if scored else None
        glance = {**self.watch.glance(self.engine.generator, average, stage), "images": self.images}
        self.glances.append(glance)
        alarm = alarm_of_glances(self.glances, self.limits)
        if alarm is None:
            self.journal.glance(glance)
        return alarm

    def _finish(self, level: int) -> None:
        """The figures and the sample grid of a level that has come to its end."""
        last = self.losses[-1]
        training = {name: last[name] for name in ("critic_gap", "critic_gradient", "generator_gradient")}
        figures = {**self.watch.measure(self.engine.average, level), "images": self.images, "training": training}
        self.levels.append(figures)
        self.grids[level] = self.watch.grid(self.engine.average, level)
        self.journal.level(figures, self.images, self.grids[level])

    def _go_back(self, alarm: Alarm, level: int) -> None:
        """Return to the last good checkpoint with lower rates. Raises TrainingDiverged after too many times.

        What is lost with a kill before the next checkpoint is the knowledge of the rollback alone: the same steps from
        the same checkpoint ring the same alarm again.
        """
        if len(self.rollbacks) >= self.limits.rollbacks:
            raise TrainingDiverged(
                f"gave up after {len(self.rollbacks)} rollbacks, at {self.images} of {self.total} images: {alarm}"
            )
        found = load_checkpoint(self.checkpoints, self.fingerprint, good=True)
        back_to = found.images if found else 0
        event = {"images": self.images, "level": level, **asdict(alarm), "back_to": back_to}
        self.notes.append(f"{alarm}: went back from {self.images} to {back_to} images, rates lowered")
        self._start(found, [*self.rollbacks, event])
        if distributed.leads():
            drop_after(self.checkpoints, back_to)
        self.journal.restart(back_to)

    def _lower_rates(self) -> None:
        """Bring a new engine's rates to where the rollbacks have brought them."""
        factor = self.limits.rate_factor ** len(self.rollbacks)
        for optimizer in (self.engine.generator_optimizer, self.engine.critic_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * factor

    def _save(self, *, good: bool) -> None:
        """Write a checkpoint; ``good`` where the detectors have just looked. What is not finite is not kept."""
        if not good and not torch.isfinite(self.engine.tally.sums).all():
            return
        glance = self.glances[-1] if good else None
        standing = Standing(good, *((glance["level"], glance["score"]) if glance else (0, None)))
        if good:
            self.saved.append({"images": self.images, "level": standing.level, "score": standing.score})
        if not distributed.leads():
            return
        state = {"engine": self.engine.state(), "images": self.images, "norms": self.meter.state()}
        state |= {name: getattr(self, name) for name in ("losses", "levels", "glances", "rollbacks", "saved")}
        grids = {str(k): torch.from_numpy(np.frombuffer(png, np.uint8).copy()) for k, png in self.grids.items()}
        tensors = {**self.engine.tensors(), "grids": grids}
        save_checkpoint(self.checkpoints, self.images, self.fingerprint, tensors, state, standing)

    def course(self) -> Course:
        """What the training went through."""
        return Course(
            self.images, self.losses, self.levels, self.glances, self.rollbacks, self.saved, self.grids,
            asdict(self.limits),
        )  # fmt: skip


def _summary(run: _Run, made: Publication) -> TrainingSummary:
    seconds = sum(run.journal.seconds.values())
    return TrainingSummary(
        model=made.model,
        model_sha256=made.model_sha256,
        resolution=run.settings.resolution,
        training_images=len(made.inputs),
        images_shown=run.images,
        resumed_from=run.resumed_from,
        conditions=run.feed.conditions,
        report=made.report,
        seconds_per_level=run.journal.seconds,
        images_per_second=sum(run.journal.images.values()) / seconds if seconds else 0.0,
        peak_memory=run.journal.peak_memory(),
        notes=tuple(run.notes),
        ledger=(LedgerRow(made.model, GENERATOR, made.model_sha256, made.inputs, "train"),),
    )

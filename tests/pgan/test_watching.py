"""A training under watch: planted collapse and divergence, kills, damaged checkpoints, nights with a budget."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.pgan.budget import Budget, Night
from pipelines.pgan.checkpoint import load_checkpoint
from pipelines.pgan.detectors import Limits
from pipelines.pgan.engine import Engine, TrainingDiverged
from pipelines.pgan.feed import read_dataset
from pipelines.pgan.growth import total_images
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import TrainingStopped, TrainingSummary, train, training_fingerprint
from pipelines.storage.digests import sha256_of_file
from tests.pgan.test_tensorboard import read_events

SETTINGS = replace(
    PGANSettings.tiny(), levels=2, stable_images=(40, 48), fade_images=(0, 24), batch_sizes=(8, 8), checkpoint_every=32
)
TOTAL = total_images(SETTINGS)


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of_file(path) for path in folder.rglob("*") if path.is_file()}


def places(root: Path) -> dict[str, Path]:
    return {"checkpoints": root / "checkpoints", "folder": root / "model"}


@pytest.fixture(scope="module")
def unbroken(dataset, tmp_path_factory) -> tuple[Path, TrainingSummary]:
    root = tmp_path_factory.mktemp("unbroken")
    summary = train(dataset, settings=SETTINGS, journal=root / "journal", **places(root))
    return root, summary


def plant(monkeypatch, spoil: Callable[[Engine, int], None]) -> list[float]:
    """Have ``spoil(engine, images before)`` act after each step; the generator's rate at each step."""
    step, rates = Engine.step, []

    def spoiled(self, batch, stage, images):
        rates.append(self.generator_optimizer.param_groups[0]["lr"])
        step(self, batch, stage, images)
        spoil(self, images)

    monkeypatch.setattr(Engine, "step", spoiled)
    return rates


@torch.no_grad()
def collapse(engine: Engine) -> None:
    """The same picture whatever the latent."""
    for layer in engine.generator.to_gray:
        layer.weight.zero_()


def collapse_at_full_rate(engine: Engine, images: int) -> None:
    """A collapse that lower rates avoid."""
    if images == 72 and engine.generator_optimizer.param_groups[0]["lr"] == SETTINGS.generator_rate:
        collapse(engine)


def test_a_planted_collapse_is_caught_and_rolled_back(dataset, unbroken, tmp_path, monkeypatch):
    rates = plant(monkeypatch, collapse_at_full_rate)
    summary = train(dataset, settings=SETTINGS, **places(tmp_path))
    (event,) = summary.report["rollbacks"]
    assert (event["reason"], event["images"], event["back_to"]) == ("collapse", 80, 64)
    assert event["value"] < event["limit"] == Limits().least_diversity
    full, half = SETTINGS.generator_rate, SETTINGS.generator_rate / 2
    assert rates == [full] * 10 + [half] * ((TOTAL - 64) // 8)
    assert summary.images_shown == TOTAL
    assert summary.report["levels"][-1]["diversity"]["mean"] > 0.3
    assert "collapse" in summary.notes[0]
    assert "went back from 80 to 64 images" in summary.notes[0]
    losses = json.loads((tmp_path / "model" / "losses.json").read_text())
    assert [row["images"] for row in losses] == list(range(8, TOTAL + 1, 8))
    assert losses[:8] == json.loads((unbroken[0] / "model" / "losses.json").read_text())[:8]
    assert "| 80 | 2 | collapse | diversity |" in (tmp_path / "model" / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("stops", [(9, 1, 2)])
def test_a_rollback_leaves_the_same_bytes_however_often_it_is_interrupted(dataset, tmp_path, monkeypatch, stops):
    plant(monkeypatch, collapse_at_full_rate)
    train(dataset, settings=SETTINGS, **places(tmp_path / "whole"))
    for steps in stops:
        asked = iter(range(1, 10**6))
        with pytest.raises(TrainingStopped):
            train(
                dataset, settings=SETTINGS, should_stop=lambda asked=asked, steps=steps: next(asked) >= steps,
                **places(tmp_path / "parts"),
            )  # fmt: skip
    train(dataset, settings=SETTINGS, **places(tmp_path / "parts"))
    assert digests(tmp_path / "parts" / "model") == digests(tmp_path / "whole" / "model")


def test_a_collapse_that_lower_rates_do_not_avoid_ends_the_training(dataset, tmp_path, monkeypatch):
    rates = plant(monkeypatch, lambda engine, images: collapse(engine) if images == 72 else None)
    with pytest.raises(
        TrainingDiverged, match=r"gave up after 3 rollbacks, at 80 of 112 images: collapse: diversity is"
    ):
        train(dataset, settings=SETTINGS, **places(tmp_path))
    assert rates[-1] == SETTINGS.generator_rate / 8
    assert not (tmp_path / "model").exists()
    kept = load_checkpoint(tmp_path / "checkpoints", training_fingerprint(read_dataset(dataset), SETTINGS))
    assert kept.images == 64


def test_an_absurd_rate_ends_the_training_and_no_bad_checkpoint_stays(dataset, tmp_path):
    settings = replace(SETTINGS, generator_rate=1e6, critic_rate=1e6)
    with pytest.raises(TrainingDiverged, match="gave up after 3 rollbacks"):
        train(dataset, settings=settings, **places(tmp_path))
    kept = load_checkpoint(tmp_path / "checkpoints", training_fingerprint(read_dataset(dataset), settings))
    assert kept is None or all(torch.isfinite(value).all() for value in kept.tensors["generator"].values())


def test_a_healthy_training_rings_no_alarm(unbroken):
    assert unbroken[1].report["rollbacks"] == []
    assert unbroken[1].notes == ()


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.pgan.training import train
from tests.pgan.test_watching import SETTINGS, places

def progress(done, total):
    if done == {images}:
        os.kill(os.getpid(), signal.SIGKILL)

train(Path(sys.argv[1]), settings=SETTINGS, progress=progress, **places(Path(sys.argv[2])))
"""


def test_kill_9_at_a_random_step_leaves_no_trace(dataset, unbroken, tmp_path):
    images = 8 * random.randrange(1, TOTAL // 8)
    command = [sys.executable, "-c", KILLED.format(images=images), str(dataset), str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL, images
    summary = train(dataset, settings=SETTINGS, **places(tmp_path))
    assert summary.resumed_from == images // 32 * 32
    assert digests(tmp_path / "model") == digests(unbroken[0] / "model"), images


def test_a_damaged_newest_checkpoint_costs_no_more_than_its_steps(dataset, unbroken, tmp_path):
    asked = iter(range(1, 10**6))
    with pytest.raises(TrainingStopped):
        train(dataset, settings=SETTINGS, should_stop=lambda: next(asked) >= 9, **places(tmp_path))
    weights = tmp_path / "checkpoints" / "images-000000000072" / "critic.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    summary = train(dataset, settings=SETTINGS, **places(tmp_path))
    assert summary.resumed_from == 64
    assert summary.notes == ("checkpoint images-000000000072 is damaged: went on from an earlier one",)
    assert digests(tmp_path / "model") == digests(unbroken[0] / "model")


def test_three_short_nights_give_one_continuous_curve(dataset, unbroken, tmp_path):
    told: list[int] = []

    def one_night() -> None:
        night = Night(Budget(images=30))

        def tell(images: int, total: int) -> None:
            told.append(images)
            night.tell(images, total)

        train(dataset, settings=SETTINGS, progress=tell, should_stop=night.is_over, **places(tmp_path))

    for images in (40, 80):
        with pytest.raises(TrainingStopped, match=f"after {images} of {TOTAL} images"):
            one_night()
    one_night()
    assert told == list(range(8, TOTAL + 1, 8))
    assert digests(tmp_path / "model") == digests(unbroken[0] / "model")


def test_the_report_tells_the_course(unbroken):
    report = unbroken[1].report
    assert [glance["images"] for glance in report["glances"]] == list(range(8, TOTAL + 1, 8))
    assert [entry["images"] for entry in report["checkpoints"]] == [32, 64, 96, 112]
    best = report["best_checkpoint"]
    assert best == min(report["checkpoints"][1:], key=lambda entry: entry["score"])
    assert (unbroken[0] / "checkpoints" / f"images-{best['images']:012d}").is_dir()
    last = report["levels"][-1]
    assert set(last["training"]) == {"critic_gap", "critic_gradient", "generator_gradient"}
    assert min(last["training"]["critic_gradient"], last["training"]["generator_gradient"]) > 0
    assert report["limits"]["rollbacks"] == 3
    assert 0 <= report["critic_scores"]["membership_auc"] <= 1


def test_the_journal_holds_logs_pace_and_memory(unbroken):
    journal = unbroken[0] / "journal"
    pace = json.loads((journal / "pace.json").read_text())
    assert [(level["level"], level["images"]) for level in pace["levels"]] == [(1, 40), (2, 72)]
    assert pace["peak_memory"]["process bytes"] > 10**8
    (path,) = journal.glob("events.*")
    values = [(event.step, value) for event in read_events(path) for value in event.summary.value]
    critic = [(step, value.simple_value) for step, value in values if value.tag == "training/critic_loss"]
    losses = json.loads((unbroken[0] / "model" / "losses.json").read_text())
    assert critic == [(row["images"], pytest.approx(row["critic_loss"])) for row in losses]
    pictures = {value.tag: value.image for _, value in values if value.HasField("image")}
    assert set(pictures) == {"samples/5x4", "samples/10x8"}
    assert pictures["samples/10x8"].encoded_image_string == (unbroken[0] / "model" / "samples.png").read_bytes()
    assert {"level/recall", "level/ms_ssim (real)", "memory/process bytes"} <= {value.tag for _, value in values}


def test_the_critic_lies_where_it_does_not_leave(unbroken):
    folder = unbroken[0] / "model" / "restricted"
    assert {path.name for path in folder.iterdir()} == {"critic.safetensors", "embedding.safetensors"}
    assert folder.stat().st_mode & 0o077 == 0

"""A small training end to end: what it writes, that it learns, and that an interruption leaves no trace."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.pgan.checkpoint import CheckpointError
from pipelines.pgan.engine import Engine, TrainingDiverged
from pipelines.pgan.evaluation import Watch
from pipelines.pgan.feed import Batch, Feed, NotEnoughImages, read_dataset, rows_of
from pipelines.pgan.growth import Stage, total_images
from pipelines.pgan.metrics import distance_to_real
from pipelines.pgan.model import CRITIC, reproducible
from pipelines.pgan.networks import group_size
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import TrainingStopped, TrainingSummary, train
from pipelines.storage.digests import sha256_of_file

FILES = {
    "generator.safetensors",
    "restricted/critic.safetensors",
    "restricted/embedding.safetensors",
    "model.json",
    "MODEL_CARD.md",
    "report.json",
    "losses.json",
    "losses.png",
    "samples.png",
    "samples_5x4.png",
    "samples_10x8.png",
}
SETTINGS = replace(PGANSettings.tiny(), stable_images=(48, 48, 48), fade_images=(0, 24, 24), checkpoint_every=64)


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of_file(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def unbroken(dataset, tmp_path_factory) -> tuple[Path, TrainingSummary, list[tuple[int, int]]]:
    """A training that nothing interrupted: its files' folder, its summary, and the progress it told."""
    root, told = tmp_path_factory.mktemp("unbroken"), []
    summary = train(
        dataset,
        settings=SETTINGS,
        checkpoints=root / "checkpoints",
        folder=root / "model",
        progress=lambda done, total: told.append((done, total)),
    )
    return root / "model", summary, told


def stop_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(1, 10**6))
    return lambda: next(asked) >= steps


@pytest.mark.parametrize("stops", [(3,), (7, 9), (18,)])
def test_an_interrupted_training_ends_in_the_same_bytes(dataset, unbroken, tmp_path, stops):
    options = {"settings": SETTINGS, "checkpoints": tmp_path / "checkpoints", "folder": tmp_path / "model"}
    for steps in stops:
        with pytest.raises(TrainingStopped):
            train(dataset, should_stop=stop_after(steps), **options)
        assert not (tmp_path / "model").exists()
    summary = train(dataset, **options)
    assert summary.resumed_from == 8 * sum(stops)
    assert digests(tmp_path / "model") == digests(unbroken[0])


@pytest.mark.parametrize("change", [{"channels_last": True}, {"precision": "bf16", "channels_last": True}])
def test_an_interruption_leaves_no_trace_in_the_fast_settings(dataset, tmp_path, change):
    settings = replace(SETTINGS, **change)
    train(dataset, settings=settings, checkpoints=tmp_path / "c1", folder=tmp_path / "unbroken")
    options = {"settings": settings, "checkpoints": tmp_path / "c2", "folder": tmp_path / "resumed"}
    with pytest.raises(TrainingStopped):
        train(dataset, should_stop=stop_after(11), **options)
    train(dataset, **options)
    assert digests(tmp_path / "resumed") == digests(tmp_path / "unbroken")


def test_a_killed_training_resumes_from_its_last_checkpoint(dataset, unbroken, tmp_path):
    options = {"settings": SETTINGS, "checkpoints": tmp_path / "checkpoints", "folder": tmp_path / "model"}

    def killed(done: int, total: int) -> None:
        if done >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dataset, progress=killed, **options)
    summary = train(dataset, **options)
    assert summary.resumed_from == 64
    assert digests(tmp_path / "model") == digests(unbroken[0])


def test_another_seed_gives_another_model(dataset, unbroken, tmp_path):
    train(dataset, settings=replace(SETTINGS, seed=1), checkpoints=tmp_path / "c", folder=tmp_path / "m")
    assert digests(tmp_path / "m")["generator.safetensors"] != digests(unbroken[0])["generator.safetensors"]


def test_other_settings_do_not_continue_a_training(dataset, tmp_path):
    options = {"checkpoints": tmp_path / "checkpoints", "folder": tmp_path / "model"}
    with pytest.raises(TrainingStopped):
        train(dataset, settings=SETTINGS, should_stop=stop_after(2), **options)
    with pytest.raises(CheckpointError, match="other settings"):
        train(dataset, settings=replace(SETTINGS, seed=1), **options)


def test_progress_counts_up_to_the_total(unbroken):
    total = total_images(SETTINGS)
    done = [images for images, _ in unbroken[2]]
    assert {told for _, told in unbroken[2]} == {total}
    assert done == sorted(done)
    assert done[-1] == total


def test_the_model_describes_itself(dataset, unbroken):
    folder, summary, _ = unbroken
    assert set(digests(folder)) == FILES
    model = json.loads((folder / "model.json").read_text())
    assert model["resolution"] == [20, 16] == list(summary.resolution)
    assert model["sha256"] == {n: digests(folder)[n] for n in ("generator.safetensors", CRITIC)}
    assert model["conditions"] == [[d, v] for d in "ABCD" for v in ("CC", "MLO")]
    assert model["training_images"] == summary.training_images == 24
    assert model["calibration"]["images"] == 4
    assert PGANSettings.from_json(model["settings"]) == SETTINGS
    report = json.loads((folder / "report.json").read_text())
    assert report == summary.report
    assert [level["resolution"] for level in report["levels"]] == [[5, 4], [10, 8], [20, 16]]
    assert report["critic_scores"]["training"]["images"] == 24


def test_losses_are_recorded_and_finite(unbroken):
    losses = json.loads((unbroken[0] / "losses.json").read_text())
    assert [row["images"] for row in losses] == sorted({row["images"] for row in losses})
    assert [row["level"] for row in losses] == sorted(row["level"] for row in losses)
    assert all(np.isfinite(value) for row in losses for value in row.values())


def test_lineage_leads_to_the_training_images_alone(dataset, unbroken):
    (row,) = unbroken[1].ledger
    table = rows_of(read_dataset(dataset), "train")
    assert set(row.inputs) == set(zip(table["image_id"].to_pylist(), table["picture_sha256"].to_pylist(), strict=True))
    assert (row.path, row.operation) == ("generator.safetensors", "train")
    assert row.sha256 == sha256_of_file(unbroken[0] / "generator.safetensors") == unbroken[1].model_sha256


def test_the_grid_has_a_row_for_each_density(unbroken):
    grid = Image.open(unbroken[0] / "samples.png")
    assert grid.mode == "L"
    assert grid.size == (44 + 12 * (16 * 8 + 2), 4 * (20 * 8 + 2))


def test_too_few_images_are_refused_before_anything_is_written(dataset_maker, tmp_path):
    folder = dataset_maker(train={"B": 10})
    with pytest.raises(NotEnoughImages):
        train(folder, settings=SETTINGS, checkpoints=tmp_path / "c", folder=tmp_path / "m")
    assert not (tmp_path / "c").exists()
    assert not (tmp_path / "m").exists()


def test_without_validation_images_there_is_no_calibration(dataset_maker, tmp_path):
    folder = dataset_maker(train={"B": 10, "C": 10}, validation=0)
    settings = replace(SETTINGS, levels=1, stable_images=(16,), fade_images=(0,), batch_sizes=(8,))
    summary = train(folder, settings=settings, checkpoints=tmp_path / "c", folder=tmp_path / "m")
    assert summary.report["critic_scores"]["validation"] == {
        "images": 0, "mean": None, "deviation": None, "quantiles": None,
    }  # fmt: skip


def test_a_loss_that_is_not_finite_ends_the_training_and_leaves_no_checkpoint(dataset, tmp_path, monkeypatch):
    step = Engine.step

    def poisoned(self: Engine, *arguments: object) -> None:
        step(self, *arguments)
        if self.steps == 4:
            with torch.no_grad():
                next(self.generator.parameters()).fill_(float("nan"))

    monkeypatch.setattr(Engine, "step", poisoned)
    settings = replace(SETTINGS, checkpoint_every=1000)
    with pytest.raises(TrainingDiverged):
        train(dataset, settings=settings, checkpoints=tmp_path / "c", folder=tmp_path / "m")
    assert not (tmp_path / "c").exists()


def test_threads_and_determinism_are_put_back():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with reproducible():
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_parts_side_by_side_are_the_parts_one_after_another(dataset, monkeypatch):
    feed = Feed(dataset, rows_of(read_dataset(dataset), "train"), 0)
    engines = [Engine(SETTINGS), Engine(SETTINGS)]
    monkeypatch.setattr(engines[1], "_spread", lambda work, parts: [work(part) for part in parts])
    with reproducible():
        for engine in engines:
            for step in range(6):
                engine.step(feed.batch(8 * step, 8, 2), Stage(2, 0.5, True), 8 * step)
    for mine, other in zip(engines[0].average.parameters(), engines[1].average.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_step_follows_the_gradient_of_the_mean_over_parts(dataset):
    """Two images twice, as one part or as two: the minibatch statistic is the same, so the critic's gradient is too."""
    feed = Feed(dataset, rows_of(read_dataset(dataset), "train"), 0)
    gradients = []
    for parts in (1, 2):
        engine = Engine(replace(SETTINGS, parts=parts))
        batch = feed.batch(0, 4, 1)
        doubled = Batch(batch.pictures[:2].repeat(2, 0), batch.codes[:2].repeat(2, 0))
        engine.latents.manual_seed(5)
        with reproducible():
            pieces = engine._split(engine._inputs(doubled, Stage(1, 1.0, False)), 1, False)
            latents = torch.randn(2, SETTINGS.latent_size, generator=engine.latents).repeat_interleave(2, dim=0)
            for index, piece in enumerate(pieces):
                piece.latents = latents[index::parts]
            own = engine._spread(lambda part, engine=engine: engine._judge(part, True), pieces)
        gradients.append([torch.stack(g).mean(0) for g in zip(*own, strict=True) if g[0] is not None])
    for whole, halves in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, halves, rtol=1e-3, atol=1e-4)


def test_the_memory_format_does_not_change_what_is_learned(dataset):
    feed = Feed(dataset, rows_of(read_dataset(dataset), "train"), 0)
    engines = [Engine(replace(SETTINGS, channels_last=last)) for last in (False, True)]
    with reproducible():
        for engine in engines:
            for step in range(4):
                engine.step(feed.batch(8 * step, 8, 3), Stage(3, 1.0, False), 8 * step)
    for network in ("generator", "critic"):
        first, second = (dict(getattr(engine, network).named_parameters()) for engine in engines)
        for name, value in first.items():
            torch.testing.assert_close(value, second[name], rtol=0, atol=2e-3, msg=f"{network} {name}")


def test_the_minibatch_statistics_groups_lie_within_a_class(dataset):
    feed = Feed(dataset, rows_of(read_dataset(dataset), "train"), 0)
    engine = Engine(SETTINGS)
    for part in engine._split(engine._inputs(feed.batch(0, 16, 1), Stage(1, 1.0, False)), 1, False):
        densities = part.codes[:, :3].sum(dim=1).reshape(group_size(len(part.codes)), -1)
        assert (densities == densities[0]).all()


def test_bf16_trains_to_finite_losses_and_float32_weights(dataset, tmp_path):
    settings = replace(SETTINGS, precision="bf16", channels_last=True)
    summary = train(dataset, settings=settings, checkpoints=tmp_path / "c", folder=tmp_path / "m")
    assert all(np.isfinite(level["sliced_wasserstein"]["generated"]["mean"]) for level in summary.report["levels"])
    from safetensors.torch import load_file

    assert {value.dtype for value in load_file(tmp_path / "m" / "generator.safetensors").values()} == {torch.float32}


@pytest.mark.slow
def test_training_brings_samples_nearer_to_the_real_pictures(dataset_maker, tmp_path):
    folder = dataset_maker(train={"A": 16, "B": 16, "C": 16, "D": 16})
    settings = replace(
        PGANSettings.tiny(), stable_images=(400, 1200, 2400), fade_images=(0, 400, 800), batch_sizes=(16, 16, 16),
        ema_half_images=300, maps_base=128, maps_max=32, latent_size=32,
    )  # fmt: skip
    summary = train(folder, settings=settings, checkpoints=tmp_path / "c", folder=tmp_path / "m")
    feed = Feed(folder, rows_of(read_dataset(folder), "train"), 0)
    watch = Watch(feed, settings.latent_size, settings.seed)
    untrained = watch.measure(Engine(settings).average, 3)["sliced_wasserstein"]["generated"]["mean"]
    final = summary.report["levels"][-1]
    assert final["sliced_wasserstein"]["generated"]["mean"] < 0.5 * untrained
    assert final["diversity"]["mean"] > 0.3
    assert summary.report["density"]["generated"]["spearman"] > 0.5
    real = feed.pictures(feed.table, 3)[:, 0]
    assert final["sliced_wasserstein"]["real"] == distance_to_real(real, real, settings.seed)["real"]

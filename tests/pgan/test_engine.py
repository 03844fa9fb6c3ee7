"""The engine's ways to save memory and time, which must not change what is learned; what only a GPU does, on a CPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipelines.pgan.checkpoint import Checkpoint
from pipelines.pgan.engine import Engine
from pipelines.pgan.growth import Stage
from pipelines.pgan.losses import r1_penalty
from pipelines.pgan.model import reproducible
from pipelines.pgan.settings import PGANSettings
from tests.pgan.test_recipes import batch_of

SETTINGS = PGANSettings.tiny()
STAGE = Stage(3, 0.5, True)


def stepped(settings: PGANSettings, steps: int = 2, size: int = 8) -> Engine:
    engine = Engine(settings)
    with reproducible():
        for step in range(steps):
            engine.step(batch_of(3, size, step), STAGE, size * step)
    return engine


def assert_alike(one: Engine, other: Engine, atol: float = 0.0) -> None:
    for name in ("generator", "critic", "average"):
        theirs = dict(getattr(other, name).named_parameters())
        for key, value in getattr(one, name).named_parameters():
            torch.testing.assert_close(value, theirs[key], rtol=0, atol=atol, msg=f"{name} {key}")


def test_pictures_made_again_are_the_same_pictures():
    assert_alike(stepped(SETTINGS), stepped(replace(SETTINGS, regenerate=True)))


@pytest.mark.parametrize("recipe", ["default", "korkinof2018"])
def test_activations_made_again_do_not_change_the_step(recipe):
    """Nor under R1 and the gradient penalty, which differentiate through them twice."""
    settings = replace(SETTINGS, recipe=recipe)
    assert_alike(stepped(settings), stepped(replace(settings, recompute_from=2)))


def most_kept(settings: PGANSettings, monkeypatch: pytest.MonkeyPatch) -> int:
    """Most elements kept at once for backward passes over a step without a penalty, parts one after another."""
    engine = Engine(settings)
    engine.steps, now, most = 1, 0, 0

    class Kept:
        def __init__(self, value: torch.Tensor) -> None:
            nonlocal now, most
            self.value, self.size = value, value.numel() if value.dim() == 4 and value.shape[0] > 1 else 0
            now += self.size
            most = max(most, now)

        def __del__(self) -> None:
            nonlocal now
            now -= self.size

    monkeypatch.setattr(engine, "_spread", lambda work, parts: [work(part) for part in parts])
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.value):
        engine.step(batch_of(3, 16), STAGE, 0)
    return most


def test_what_is_kept_for_the_backward_pass_shrinks(monkeypatch):
    # maps as wide as pictures are small, so that activations outweigh kernels (which are kept as well)
    settings = replace(SETTINGS, batch_sizes=(16, 16, 16), parts=4, maps_base=32, maps_max=4)
    plain = most_kept(settings, monkeypatch)
    assert most_kept(replace(settings, regenerate=True), monkeypatch) < 0.5 * plain
    assert most_kept(replace(settings, recompute_from=2), monkeypatch) < 0.6 * plain


def test_compiled_passes_learn_the_same_and_r1_needs_the_plain_critic(monkeypatch):
    """torch.compile with a backend that traces as for a GPU and runs the traced graph on the CPU."""

    def compiles(self: Engine, network: torch.nn.Module) -> object:
        return torch.compile(network, backend="aot_eager", dynamic=False)

    settings, stage, batch = replace(SETTINGS, parts=1), Stage(1, 1.0, False), batch_of(1)
    plain = Engine(settings)
    monkeypatch.setattr(Engine, "_compiled", compiles)
    compiled = Engine(settings)
    for engine in (plain, compiled):
        engine.step(batch, stage, 0)  # the first step evaluates R1
    assert_alike(plain, compiled, atol=2e-4)
    codes, real = torch.from_numpy(batch.codes), torch.from_numpy(batch.pictures)
    with pytest.raises(RuntimeError):
        r1_penalty(lambda x: compiled._score(x, codes, 1), real).backward()
    r1_penalty(lambda x: compiled.critic(x, codes, 1), real).backward()


def test_the_large_presets_settings_run_on_a_cpu():
    """The settings object meant for a GPU, narrowed: bf16, channels_last, compile asked for, activations made again."""
    settings = replace(
        PGANSettings(), levels=3, stable_images=(8,) * 3, fade_images=(0,) * 3, batch_sizes=(8,) * 3, latent_size=16,
        maps_base=64, maps_max=16, device="cpu", regenerate=True, parts=2, recompute_from=3,
    )  # fmt: skip
    engine = stepped(settings, 3)
    assert all(np.isfinite(value) for value in engine.take_tally().values())


@pytest.mark.parametrize("parts", [2, 4])
def test_gradients_of_parts_are_their_mean(parts, monkeypatch):
    """Each part alone, as a batch of its own in float64, and the mean of their gradients: what the step follows."""
    settings = replace(SETTINGS, parts=parts, batch_sizes=(16,) * 3)
    engine, batch = Engine(settings), batch_of(3, 16)
    engine.critic.double()
    pieces = engine._split(engine._inputs(batch, STAGE), STAGE.level, STAGE.fading)
    assert [len(piece.real) for piece in pieces] == [16 // parts] * parts
    total = None
    for piece in pieces:
        fake = engine.generator(piece.latents, piece.codes, 3, 0.5, True).detach().double()
        scores = [engine.critic(x, piece.codes.double(), 3, 0.5, True) for x in (piece.real.double(), fake)]
        loss = torch.log1p(torch.exp(-scores[0])).mean() + torch.log1p(torch.exp(scores[1])).mean()
        own = torch.autograd.grad(loss, list(engine.critic.parameters()), allow_unused=True)
        total = own if total is None else [a if a is None else a + b for a, b in zip(total, own, strict=True)]
    engine.critic.float()
    followed = []
    monkeypatch.setattr(engine.critic_optimizer, "step", lambda: followed.append(1))
    engine._update(engine.critic_optimizer, engine._spread(lambda part: engine._judge(part, False), pieces))
    assert followed == [1]
    for parameter, wanted in zip(engine.critic.parameters(), total, strict=True):
        if wanted is None:
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad.double(), wanted / parts, rtol=1e-3, atol=1e-5)


def test_an_engine_continues_with_its_augmentation():
    settings = replace(SETTINGS, augment=True, augment_images=100)
    engine = stepped(settings, 7)
    assert engine.steering.steps == 3
    other = Engine(settings)
    tensors = {name: {k: v.clone() for k, v in group.items()} for name, group in engine.tensors().items()}
    other.restore(Checkpoint(tensors, {}), engine.state())
    assert other.steering == engine.steering
    with reproducible():
        for mine in (engine, other):
            mine.step(batch_of(3, 8, 9), STAGE, 56)
    assert_alike(engine, other)

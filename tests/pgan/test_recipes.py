"""Recipes: WGAN-GP against float64 formulas and finite differences, and what the published recipe fixes."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from pipelines.pgan import recipes
from pipelines.pgan.conditions import ConditionError
from pipelines.pgan.engine import Engine
from pipelines.pgan.feed import Batch
from pipelines.pgan.growth import Stage
from pipelines.pgan.losses import (
    gradient_penalty,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
)
from pipelines.pgan.networks import Critic, Generator
from pipelines.pgan.sampler import load_sampler
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import train

PUBLISHED = replace(
    PGANSettings.tiny(), recipe="korkinof2018", sampling="natural", stable_images=(16, 16, 24), fade_images=(0, 8, 8)
)


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def batch_of(level: int, count: int = 8, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    shape = (count, 1, 5 << (level - 1), 4 << (level - 1))
    return Batch(rng.uniform(-1, 1, shape).astype(np.float32), rng.integers(0, 2, (count, 5)).astype(np.float32))


def test_wasserstein_losses_are_their_formulas():
    real, fake = np.array([1.5, -2.0, 4.0]), np.array([0.3, -0.7, 2.0])
    expected = fake.mean() - real.mean() + 0.001 * (real**2).mean()
    assert wasserstein_critic_loss(torch.from_numpy(real), torch.from_numpy(fake)).item() == pytest.approx(expected)
    assert wasserstein_generator_loss(torch.from_numpy(fake)).item() == pytest.approx(-fake.mean())


def test_the_gradient_penalty_agrees_with_finite_differences():
    critic = Critic(replace(PUBLISHED, levels=1, stable_images=(1,), fade_images=(0,), batch_sizes=(4,))).double()
    real, fake = (torch.rand(2, 1, 5, 4, dtype=torch.float64) for _ in range(2))
    mix = torch.tensor([0.2, 0.9], dtype=torch.float64).reshape(2, 1, 1, 1)

    def score(x: torch.Tensor) -> torch.Tensor:
        return critic(x, torch.zeros(2, 5, dtype=torch.float64), 1)

    between, slopes, step = real + mix * (fake - real), torch.zeros(2, 20, dtype=torch.float64), 1e-5
    with torch.no_grad():
        for index in range(40):
            shift = torch.zeros_like(real)
            shift.view(-1)[index] = step
            change = (score(between + shift).sum() - score(between - shift).sum()) / (2 * step)
            slopes.view(-1)[index] = change
    expected = (slopes.norm(dim=1) - 1).square().mean().item()
    assert gradient_penalty(score, real, fake, mix).item() == pytest.approx(expected, rel=1e-6)


def test_the_gradient_penaltys_own_gradient_is_right_for_a_linear_score():
    """Score w·x: the gradient's norm is |w| at every image, the penalty (|w| − 1)², its slope 2 (|w| − 1) w / |w|."""
    weight = torch.tensor([3.0, -4.0], dtype=torch.float64, requires_grad=True)
    real, fake = (torch.rand(3, 1, 1, 2, dtype=torch.float64) for _ in range(2))
    mix = torch.rand(3, 1, 1, 1, dtype=torch.float64)
    penalty = gradient_penalty(lambda x: (x * weight).sum(dim=(1, 2, 3)), real, fake, mix)
    penalty.backward()
    assert penalty.item() == pytest.approx(16.0)
    np.testing.assert_allclose(weight.grad.numpy(), 8 * np.array([0.6, -0.8]))


@pytest.mark.parametrize("recipe", ["default", "korkinof2018"])
def test_penalties_are_in_float32_outside_autocast(recipe, monkeypatch):
    seen = []

    def spy(engine: Engine) -> None:
        inner = engine.recipe.penalty

        def penalty(score, real, fake, mix):
            value = inner(score, real, fake, mix)
            seen.append((torch.is_autocast_enabled("cpu"), score(real).dtype, fake.dtype, value.dtype))
            return value

        engine.recipe = replace(engine.recipe, penalty=penalty)

    engine = Engine(replace(PUBLISHED, recipe=recipe, precision="bf16", parts=1))
    spy(engine)
    engine.step(batch_of(2), Stage(2, 1.0, False), 0)
    assert seen == [(False, torch.float32, torch.float32, torch.float32)]


def test_the_published_recipes_constants():
    settings = PGANSettings.korkinof2018()
    assert settings.resolution == (1280, 1024)
    assert settings.batch_sizes == (16, 16, 16, 16, 16, 16, 14, 6, 3)
    assert set(settings.stable_images) | set(settings.fade_images[1:]) == {800_000}
    assert settings.precision == "float32"
    recipe = recipes.recipe_of(settings)
    assert (recipe.weight, recipe.interval) == (10.0, 1)
    assert recipe.pace(16, 10**6) == recipe.pace(3, 0) == pytest.approx(0.001)
    engine = Engine(replace(settings, device="cpu", maps_base=8, latent_size=4, compile=False))
    for optimizer in (engine.generator_optimizer, engine.critic_optimizer):
        assert optimizer.defaults["betas"] == (0.0, 0.99)
        assert optimizer.defaults["lr"] == 0.001
    assert PGANSettings.korkinof2018(5).resolution == (80, 64)


def test_parameters_are_those_of_karras_table():
    """Table 2 of Karras et al. 2018 counts 23.1 million in each network at 1024×1024, RGB, nine stages from 4×4.

    Ours counted without the lower levels' 1×1 layers, which the table leaves out; 5×4 pixels at the start in place of
    4×4 add 4 · 512 · 512 weights to each dense layer; gray in place of RGB takes 2 · 32 weights; the generator's dense
    layer has a bias for each pixel, theirs one for each map.
    """
    settings = PGANSettings.korkinof2018()
    maps = [settings.maps(stage) for stage in range(1, 10)]
    assert maps == [512, 512, 512, 512, 256, 128, 64, 32, 16]

    def count(network: torch.nn.Module, leave: str) -> int:
        kept = (p for n, p in network.named_parameters() if not n.startswith(leave) or n.startswith(f"{leave}.8"))
        return sum(p.numel() for p in kept)

    ours = count(Generator(settings), "to_gray"), count(Critic(settings), "from_gray")
    square = ours[0] - 4 * 512 * 512 - (20 - 1) * 512 + 2 * (16 + 1), ours[1] - 4 * 512 * 512 + 2 * 16

    def convolutions(doubling: bool) -> int:
        pairs = pairwise(maps)
        return sum(9 * (a * b + b * b) + 2 * b if doubling else 9 * (a * b + b * b) + a + b for a, b in pairs)

    first = (512 * 512 * 16 + 512) + (512 * 512 * 9 + 512)
    assert square[0] == first + convolutions(True) + 3 * (16 + 1)
    last = (513 * 512 * 9 + 512) + (512 * 512 * 16 + 512) + 513
    assert square[1] == (3 * 16 + 16) + convolutions(False) + last
    assert [round(n / 1e6, 1) for n in square] == [23.1, 23.1]


def test_without_conditions_codes_do_not_count():
    generator, critic = Generator(PUBLISHED), Critic(PUBLISHED)
    latents, batch = torch.randn(4, 16), batch_of(3, 4)
    codes = torch.from_numpy(batch.codes)
    assert torch.equal(generator(latents, codes, 3), generator(latents, 1 - codes, 3))
    pictures = torch.from_numpy(batch.pictures)
    assert torch.equal(critic(pictures, codes, 3), critic(pictures, 1 - codes, 3))


def test_the_published_recipe_trains_and_its_model_sells_no_density(dataset, tmp_path):
    summary = train(dataset, settings=PUBLISHED, checkpoints=tmp_path / "c", folder=tmp_path / "m")
    losses = json.loads((tmp_path / "m" / "losses.json").read_text())
    assert {"gradient_penalty"} <= losses[0].keys()
    assert "r1" not in losses[0]
    assert all(np.isfinite(value) for row in losses for value in row.values())
    assert summary.images_shown == 72
    sampler = load_sampler(tmp_path / "m")
    assert sampler.conditions == ()
    with pytest.raises(ConditionError, match="knows no conditions"):
        sampler.sample(1, [0], ["A"], ["CC"])


def test_wgan_gp_learns_the_mean_of_a_plain_picture():
    """Real pictures are all the same gradient: after some steps the generated ones are nearer to it than at first."""
    settings = replace(PUBLISHED, levels=1, stable_images=(1,), fade_images=(0,), batch_sizes=(8,))
    engine = Engine(settings)
    target = np.linspace(-1, 1, 20, dtype=np.float32).reshape(1, 1, 5, 4)
    batch = Batch(target.repeat(8, 0), np.zeros((8, 5), np.float32))
    latents, codes = torch.randn(32, 16), torch.zeros(32, 5)

    def error() -> float:
        with torch.no_grad():
            return (engine.generator(latents, codes, 1) - torch.from_numpy(target)).square().mean().item()

    before = error()
    for step in range(80):
        engine.step(batch, Stage(1, 1.0, False), 8 * step)
    assert error() < 0.5 * before

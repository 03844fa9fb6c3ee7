"""Layers against independent formulas in float64, and every level's shapes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipelines.pgan.conditions import CODE_SIZE, codes
from pipelines.pgan.layers import fix_kernels
from pipelines.pgan.losses import critic_loss, generator_loss, r1_penalty
from pipelines.pgan.networks import Critic, Generator, blend, group_size, minibatch_stddev
from pipelines.pgan.settings import PGANSettings, resolution_of


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def test_a_network_that_knows_ages_takes_them():
    settings = replace(PGANSettings.tiny(), condition_age=True)
    generator, critic = Generator(settings), Critic(settings)
    wanted = torch.from_numpy(codes(["A", "A"], ["CC", "CC"], [45.0, None]))
    pictures = generator(torch.ones(2, 16), wanted, 3)
    assert not torch.allclose(pictures[0], pictures[1])
    assert critic(pictures, wanted, 3).shape == (2,)


@pytest.mark.parametrize(("images", "size"), [(16, 4), (14, 2), (6, 3), (3, 3), (5, 1), (1, 1)])
def test_groups_divide_the_batch(images, size):
    assert group_size(images) == size


def test_minibatch_statistic_is_the_deviation_within_strided_groups():
    x = np.random.default_rng(2).standard_normal((8, 3, 2, 2)).astype(np.float32)
    figures = minibatch_stddev(torch.from_numpy(x)).numpy()
    for image in range(8):
        group = x[image % 2 :: 2]
        assert figures[image] == pytest.approx(group.std(axis=0).mean(), rel=1e-4)


def test_minibatch_statistic_of_a_single_image_is_zero():
    assert minibatch_stddev(torch.randn(1, 3, 2, 2)).abs().max().item() < 2e-4


def test_blend_is_linear_between_old_and_new():
    old, new = torch.zeros(2, 2), torch.full((2, 2), 8.0)
    assert blend(old, new, 0.25).tolist() == [[2.0, 2.0], [2.0, 2.0]]


def _pair(levels: int = 3) -> tuple[PGANSettings, Generator, Critic, torch.Tensor, torch.Tensor]:
    settings = replace(
        PGANSettings.tiny(),
        levels=levels,
        stable_images=(1,) * levels,
        fade_images=(0,) * levels,
        batch_sizes=(4,) * levels,
    )
    latents, codes = torch.randn(4, settings.latent_size), torch.rand(4, CODE_SIZE)
    return settings, Generator(settings), Critic(settings), latents, codes


def test_fade_in_starts_at_the_doubled_lower_level_and_ends_at_the_new_one():
    _, generator, critic, latents, codes = _pair()
    below = generator(latents, codes, 2)
    doubled = functional.interpolate(below, scale_factor=2.0, mode="nearest")
    torch.testing.assert_close(generator(latents, codes, 3, 0.0, True), doubled)
    new = generator(latents, codes, 3)
    torch.testing.assert_close(generator(latents, codes, 3, 1.0, True), new)
    torch.testing.assert_close(generator(latents, codes, 3, 0.5, True), (doubled + new) / 2)
    torch.testing.assert_close(critic(doubled, codes, 3, 0.0, True), critic(below, codes, 2))
    torch.testing.assert_close(critic(new, codes, 3, 1.0, True), critic(new, codes, 3))


def test_the_latents_length_does_not_matter():
    _, generator, _, latents, codes = _pair()
    torch.testing.assert_close(generator(latents, codes, 3), generator(latents * 7, codes, 3), rtol=1e-4, atol=1e-5)


def test_projection_adds_the_condition_linearly_in_the_code():
    _, _, critic, _, _ = _pair()
    pictures = torch.rand(1, 1, 20, 16)
    codes = [torch.eye(CODE_SIZE)[[i]] for i in range(2)]
    zero = critic(pictures, torch.zeros(1, CODE_SIZE), 3)
    one, two = (critic(pictures, code, 3) - zero for code in codes)
    torch.testing.assert_close(critic(pictures, codes[0] + codes[1], 3) - zero, one + two, rtol=1e-4, atol=1e-6)
    assert abs(one.item()) > 1e-4


def test_alone_a_score_does_not_depend_on_the_other_pictures():
    _, _, critic, _, codes = _pair()
    pictures = torch.rand(4, 1, 20, 16)
    changed = torch.cat([pictures[:1], torch.zeros(3, 1, 20, 16)])
    torch.testing.assert_close(critic(pictures, codes, 3, alone=True)[:1], critic(changed, codes, 3, alone=True)[:1])
    assert not torch.allclose(critic(pictures, codes, 3)[:1], critic(changed, codes, 3)[:1])


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_has_its_shape(level):
    settings = replace(
        PGANSettings(), latent_size=8, maps_base=64, maps_max=4, device="cpu", precision="float32", compile=False
    )
    with torch.no_grad():
        pictures = Generator(settings)(torch.randn(1, 8), torch.rand(1, CODE_SIZE), level)
        assert pictures.shape == (1, 1, *resolution_of(level))
        assert Critic(settings)(pictures, torch.rand(1, CODE_SIZE), level).shape == (1,)
    assert torch.isfinite(pictures).all()


def test_losses_are_their_formulas():
    real, fake = np.array([1.5, -2.0, 40.0]), np.array([0.3, -0.7, 2.0])
    expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
    assert critic_loss(torch.from_numpy(real), torch.from_numpy(fake)).item() == pytest.approx(expected, rel=1e-6)
    assert generator_loss(torch.from_numpy(fake)).item() == pytest.approx(np.log1p(np.exp(-fake)).mean(), rel=1e-6)


def test_r1_is_the_squared_gradient_by_finite_differences():
    _, _, critic, _, codes = _pair(1)
    critic, codes = critic.double(), codes[:2].double()
    pictures = torch.rand(2, 1, 5, 4, dtype=torch.float64)

    def score(x: torch.Tensor) -> torch.Tensor:
        return critic(x, codes, 1)

    total, step = 0.0, 1e-4
    with torch.no_grad():
        for index in range(pictures.numel()):
            shift = torch.zeros_like(pictures)
            shift.view(-1)[index] = step
            slope = (score(pictures + shift).sum() - score(pictures - shift).sum()) / (2 * step)
            total += slope.item() ** 2
    assert r1_penalty(score, pictures).item() == pytest.approx(total / 2, rel=1e-3)


def test_r1s_own_gradient_is_right_for_a_quadratic_score():
    weight = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    pictures = torch.rand(4, 1, 5, 4, dtype=torch.float64)
    penalty = r1_penalty(lambda x: (weight * x**2).sum(dim=(1, 2, 3)), pictures)
    mean_square = (4 * pictures**2).sum(dim=(1, 2, 3)).mean().item()
    penalty.backward()
    assert penalty.item() == pytest.approx(9 * mean_square)
    assert weight.grad.item() == pytest.approx(6 * mean_square)


def test_kernels_made_once_change_no_picture_and_no_score():
    settings = PGANSettings.tiny()
    generator, critic = Generator(settings).requires_grad_(False), Critic(settings).requires_grad_(False)
    latents, table = torch.randn(2, 16), torch.from_numpy(codes(["A", "C"], ["CC", "MLO"]))
    before = generator(latents, table, 3)
    score, names = critic(before, table, 3), set(generator.state_dict())
    fix_kernels(generator)
    fix_kernels(critic)
    assert torch.equal(generator(latents, table, 3), before)
    assert torch.equal(critic(before, table, 3), score)
    assert set(generator.state_dict()) == names

"""Layers against independent formulas in float64; packed pixels and second derivatives against torch's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipelines.pgan import layers
from pipelines.pgan.conditions import CODE_SIZE
from pipelines.pgan.layers import (
    EqualizedConvolution,
    EqualizedLinear,
    packed,
    pixel_norm,
    spread_kernel,
    spread_table,
    unpacked,
)
from pipelines.pgan.losses import gradient_penalty, r1_penalty
from pipelines.pgan.networks import Critic
from pipelines.pgan.recipes import critic_of, generator_of
from pipelines.pgan.settings import PGANSettings, resolution_of


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def test_equalized_weights_have_unit_variance_and_keep_the_signal():
    layer = EqualizedConvolution(64, 96, gain=1.0)
    assert layer.weight.std().item() == pytest.approx(1.0, abs=0.02)
    assert layer.scale == pytest.approx(1 / np.sqrt(64 * 9))
    linear = EqualizedLinear(400, 500, gain=1.0)
    x = torch.randn(200, 400)
    assert linear(x).std().item() == pytest.approx(1.0, abs=0.03)


def test_equalized_linear_is_the_scaled_product():
    layer = EqualizedLinear(7, 3).double()
    torch.nn.init.normal_(layer.bias)
    x = np.random.default_rng(0).standard_normal((5, 7))
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = x @ weight.T * np.sqrt(2 / 7) + bias
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-12)


def test_pixel_norm_gives_unit_mean_square_over_features():
    x = np.random.default_rng(1).standard_normal((2, 6, 3, 4))
    expected = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(pixel_norm(torch.from_numpy(x)).numpy(), expected, rtol=1e-12)


def test_pixel_norms_gradient_is_the_formulas():
    """Autograd through the formula in float64 against the gradient that is written out."""
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    (expected,) = torch.autograd.grad((x / (x**2).mean(1, keepdim=True).add(1e-8).sqrt() * weights).sum(), x)
    (gradient,) = torch.autograd.grad((pixel_norm(x) * weights).sum(), x)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(pixel_norm, x)


def test_a_spread_kernel_adds_up_the_four_shifts():
    weight = np.random.default_rng(3).standard_normal((2, 3, 3, 3))
    expected = np.zeros((2, 3, 4, 4))
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        expected[:, :, row : row + 3, column : column + 3] += weight
    np.testing.assert_allclose(
        spread_kernel(torch.from_numpy(weight), spread_table().double()).numpy(), expected, rtol=1e-12
    )
    with torch.autocast("cpu", torch.bfloat16):
        assert spread_kernel(torch.from_numpy(weight).float(), spread_table()).dtype == torch.float32


def test_fused_doubling_is_nearest_then_convolution():
    layer = EqualizedConvolution(3, 5, resample="up").double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    doubled = functional.interpolate(x, scale_factor=2.0, mode="nearest")
    expected = functional.conv2d(doubled, layer.weight * layer.scale, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_fused_halving_is_convolution_then_averaging():
    layer = EqualizedConvolution(3, 5, resample="down").double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    convolved = functional.conv2d(x, layer.weight * layer.scale, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), functional.avg_pool2d(convolved, 2), rtol=1e-12, atol=1e-12)


def test_packed_pixels_come_apart_again():
    x = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    y = packed(x)
    assert y.shape == (2, 12, 2, 3)
    assert y[1, 3 * (2 * 1 + 0) + 2, 1, 2] == x[1, 2, 2 * 1 + 1, 2 * 2 + 0]
    assert torch.equal(unpacked(y), x)


@pytest.mark.parametrize("resample", [None, "up", "down"])
def test_a_packed_convolution_is_the_same_convolution(resample, monkeypatch):
    layer = EqualizedConvolution(3, 5, resample=resample).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64)
    expected = layer(x)
    monkeypatch.setattr(layers, "on_card", lambda x: True)
    found = layer(packed(x))
    assert found.shape[1] == 20  # packed
    torch.testing.assert_close(unpacked(found), expected, rtol=1e-12, atol=1e-12)
    if resample == "up":
        torch.testing.assert_close(unpacked(layer(x)), expected, rtol=1e-12, atol=1e-12)


def test_pixel_norm_of_packed_pixels_is_each_pixels_own():
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(unpacked(pixel_norm(packed(x), 6)), pixel_norm(x), rtol=1e-12, atol=1e-12)


def _outcome(settings: PGANSettings, level: int, fading: bool) -> list[torch.Tensor]:
    """Pictures, scores, R1, and all their gradients, of networks drawn from one seed, in float64."""
    torch.manual_seed(1)
    generator, critic = generator_of(settings).double(), critic_of(settings).double()
    latents, codes = torch.randn(4, settings.latent_size).double(), torch.rand(4, CODE_SIZE).double()
    pictures = generator(latents, codes, level, 0.3, fading)
    scores = critic(pictures, codes, level, 0.3, fading)
    parameters = [*generator.parameters(), *critic.parameters()]
    slopes = torch.autograd.grad(scores.sum(), parameters, allow_unused=True)
    penalty = r1_penalty(lambda x: critic(x, codes, level, 0.3, fading), pictures)
    bends = torch.autograd.grad(penalty, list(critic.parameters()), allow_unused=True)
    return [pictures, scores, penalty, *(g for g in (*slopes, *bends) if g is not None)]


@pytest.mark.parametrize(("two_views", "level", "fading"), [(False, 4, True), (False, 5, False), (True, 5, True)])
def test_networks_of_packed_stages_are_the_same_networks(two_views, level, fading, monkeypatch):
    """Stages of 64, 32, 16, 8 and 4 maps: the first is not packed, the last two pass packed pixels on."""
    settings = replace(
        PGANSettings.demo(), maps_base=128, maps_max=64, latent_size=8, two_views=two_views, precision="float32"
    )
    expected = _outcome(settings, level, fading)
    monkeypatch.setattr(layers, "on_card", lambda x: True)
    found = _outcome(settings, level, fading)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def _bent(penalty: str, level: int = 4) -> tuple[torch.Tensor, list[torch.Tensor]]:
    settings = replace(PGANSettings.demo(), maps_base=64, maps_max=12, latent_size=8)
    torch.manual_seed(2)
    critic = Critic(settings).double()
    codes = torch.rand(4, CODE_SIZE).double()
    real, fake = (torch.rand(4, 1, *resolution_of(level)).double() for _ in range(2))

    def score(x: torch.Tensor) -> torch.Tensor:
        return critic(x, codes, level)

    mix = torch.rand(4, 1, 1, 1).double()
    value = r1_penalty(score, real) if penalty == "r1" else gradient_penalty(score, real, fake, mix)
    found = torch.autograd.grad(value, list(critic.parameters()), allow_unused=True)
    return value, [g for g in found if g is not None]


@pytest.mark.parametrize("penalty", ["r1", "gradient_penalty"])
def test_second_derivatives_are_torchs_own(penalty, monkeypatch):
    value, found = _bent(penalty)
    monkeypatch.setattr(
        layers, "convolve", lambda x, kernel, bias, stride, padding: functional.conv2d(x, kernel, bias, stride, padding)
    )
    plain, expected = _bent(penalty)
    torch.testing.assert_close(value, plain, rtol=1e-12, atol=1e-12)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_first_derivatives_of_a_convolution_are_torchs_own():
    x, kernel, bias = (
        torch.randn(*s, dtype=torch.float64, requires_grad=True) for s in ((2, 3, 6, 8), (4, 3, 3, 3), (4,))
    )
    for stride in (1, 2):
        weights = torch.randn(2, 4, 6 // stride, 8 // stride, dtype=torch.float64)
        own = torch.autograd.grad((layers.convolve(x, kernel, bias, stride, 1) * weights).sum(), (x, kernel, bias))
        plain = functional.conv2d(x, kernel, bias, stride, 1)
        expected = torch.autograd.grad((plain * weights).sum(), (x, kernel, bias))
        for one, other in zip(own, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)

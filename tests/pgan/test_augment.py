"""Adaptive augmentation: what it does to a picture, how its probability is steered, that it keeps to the seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from pipelines.pgan.augment import DEGREES, MOST, SHIFT, STEPS, TARGET, Steering, draw_warps, warp
from pipelines.pgan.engine import Engine
from pipelines.pgan.growth import Stage
from pipelines.pgan.model import reproducible
from pipelines.pgan.settings import PGANSettings
from tests.pgan.test_recipes import batch_of

SHAPE = (40, 32)


def drawn(count: int, probability: float, seed: int = 0) -> torch.Tensor:
    return draw_warps(count, SHAPE, probability, torch.Generator().manual_seed(seed))


def blobs(count: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(1)
    noise = ndimage.gaussian_filter(rng.standard_normal((count, 1, *SHAPE)), (0, 0, 2, 2))
    return torch.from_numpy(noise / noise.std()).float()


def test_at_probability_zero_pictures_stay():
    pictures = blobs(8)
    torch.testing.assert_close(warp(pictures, drawn(8, 0.0)), pictures, rtol=0, atol=1e-5)


def test_maps_are_shifts_by_whole_pixels_turns_and_scales_as_often_as_they_are_probable():
    maps = drawn(4000, 0.3).double()
    pixels = maps[:, 0, 2] * SHAPE[1] / 2
    torch.testing.assert_close(pixels, pixels.round(), rtol=0, atol=1e-5)
    assert pixels.abs().max() == SHIFT * SHAPE[1]
    assert (maps[:, 1, 2] == 0).all()  # sideways alone
    turn = torch.atan2(maps[:, 1, 0] * SHAPE[0] / SHAPE[1], maps[:, 1, 1])
    assert turn.abs().max() <= np.radians(DEGREES) + 1e-6
    assert (turn != 0).double().mean().item() == pytest.approx(0.3, abs=0.03)
    assert (pixels != 0).double().mean().item() == pytest.approx(0.3 * 8 / 9, abs=0.03)
    factor = 1 / torch.hypot(maps[:, 1, 0] * SHAPE[0] / SHAPE[1], maps[:, 1, 1])
    assert ((factor - 1).abs() > 1e-5).double().mean().item() == pytest.approx(0.3, abs=0.03)
    assert factor.log2().std().item() == pytest.approx(0.1 * 0.3**0.5, rel=0.1)
    determinant = maps[:, 0, 0] * maps[:, 1, 1] - maps[:, 0, 1] * maps[:, 1, 0]
    assert (determinant > 0).all()  # no mirror images


def test_a_shift_moves_pixels_and_repeats_the_edge():
    pictures, maps = blobs(), torch.tensor([[[1.0, 0, -2 * 3 / SHAPE[1]], [0, 1, 0]]])
    moved = warp(pictures, maps)
    torch.testing.assert_close(moved[..., 3:], pictures[..., :-3], rtol=0, atol=1e-4)
    torch.testing.assert_close(moved[..., :3], pictures[..., :1].expand(-1, -1, -1, 3), rtol=0, atol=1e-4)


def test_turning_and_scaling_are_those_of_scipy():
    """In pixels, not in the picture's unequal sides: against scipy's affine map by linear interpolation."""
    maps, pictures = drawn(40, 1.0, seed=4), blobs()
    rows, columns = SHAPE
    for each in maps[:5]:
        a = each.double().numpy()
        matrix = np.array([[a[1, 1], a[1, 0] * rows / columns], [a[0, 1] * columns / rows, a[0, 0]]])
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(2) * np.linalg.det(matrix), atol=1e-6)  # turn and scale
        center = np.array([(rows - 1) / 2, (columns - 1) / 2])
        offset = center - matrix @ center + np.array([0, a[0, 2] * columns / 2])
        expected = ndimage.affine_transform(pictures[0, 0].numpy(), matrix, offset, order=1, mode="nearest")
        np.testing.assert_allclose(warp(pictures, each[None])[0, 0].numpy(), expected, atol=2e-3)


def test_gradients_flow_back_through_a_warp():
    pictures = blobs(2).requires_grad_(True)
    (gradient,) = torch.autograd.grad(warp(pictures, drawn(2, 1.0)).sum(), pictures)
    assert gradient.abs().sum() > 0


def test_the_probability_follows_the_critics_certainty():
    steering = Steering(span=1000)
    for _ in range(STEPS - 1):
        steering.see(1.0, 16)
    assert steering.probability == 0
    steering.see(1.0, 16)
    assert steering.probability == pytest.approx(16 * STEPS / 1000)
    for _ in range(200):
        steering.see(TARGET + 0.2, 16)
    assert steering.probability == MOST
    for _ in range(200):
        steering.see(TARGET - 0.2, 16)
    assert steering.probability == 0


def test_a_training_with_augmentation_keeps_to_its_seed_and_starts_without():
    settings = replace(PGANSettings.tiny(), augment=True, augment_images=64)
    engines = [Engine(settings), Engine(settings), Engine(PGANSettings.tiny())]
    with reproducible():
        for engine in engines:
            for step in range(STEPS):
                engine.step(batch_of(2, 8, step), Stage(2, 1.0, False), 8 * step)
        first = [dict(engine.generator.state_dict()) for engine in engines]
        assert all(torch.equal(first[0][name], first[2][name]) for name in first[0])  # its probability was 0 so far
        for engine in engines:
            engine.steering.probability = 0.5 if engine.settings.augment else 0.0
            engine.step(batch_of(2, 8, 9), Stage(2, 1.0, False), 32)
    after = [engine.generator.embed.weight for engine in engines]
    assert torch.equal(after[0], after[1])
    assert not torch.equal(after[0], after[2])

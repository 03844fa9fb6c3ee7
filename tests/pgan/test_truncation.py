"""Truncation toward a condition's mean, in the space of the first level's features."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipelines.pgan.conditions import codes
from pipelines.pgan.latents import latent_of
from pipelines.pgan.model import Description
from pipelines.pgan.networks import Generator, pixel_norm
from pipelines.pgan.recipes import generator_of
from pipelines.pgan.sampler import Sampler
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.truncation import Truncation

SEEN = tuple((density, view) for density in "ABCD" for view in ("CC", "MLO"))


def untrained(settings: PGANSettings) -> Sampler:
    description = Description(settings, SEEN, {"generator.safetensors": "0"}, {})
    return Sampler(generator_of(settings).requires_grad_(False), description)


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    torch.manual_seed(0)
    settings = PGANSettings.tiny()
    return Sampler(
        generator_of(settings).requires_grad_(False), Description(settings, SEEN, {"generator.safetensors": "0"}, {})
    )


def sampled(sampler: Sampler, truncation: float, density: str = "B", count: int = 24) -> np.ndarray:
    return sampler.sample(3, range(count), [density] * count, ["CC"] * count, truncation=truncation)


def test_one_changes_nothing(sampler):
    np.testing.assert_array_equal(
        sampled(sampler, 1.0), sampler.sample(3, range(24), ["B"] * 24, ["CC"] * 24)
    )  # fmt: skip


def test_pictures_draw_together_toward_their_class(sampler):
    whole, some, near = (sampled(sampler, psi).astype(float) for psi in (1.0, 0.7, 0.05))
    spread = [pictures.std(0).mean() for pictures in (whole, some, near)]
    assert spread[0] > spread[1] > 5 * spread[2]
    other = sampled(sampler, 0.05, "D").astype(float)
    assert np.abs(near.mean(0) - other.mean(0)).mean() > 5 * spread[2]


def test_a_shorter_latent_would_change_nothing(sampler):
    latents = np.stack([latent_of(3, "B", "CC", number, 16) for number in range(4)])
    whole, shorter = (sampler.draw(f * latents, ["B"] * 4, ["CC"] * 4).astype(int) for f in (1.0, 0.7))
    assert np.abs(whole - shorter).max() <= 1


def test_features_are_moved_as_the_formula_says(sampler):
    torch.manual_seed(1)
    generator: Generator = sampler._generator
    table = torch.from_numpy(codes(["A", "C"], ["CC", "MLO"]))
    features = generator.start(torch.randn(2, 16), table)
    many = torch.stack([torch.from_numpy(latent_of(0, 0.0, "mean", number, 16)) for number in range(512)])
    means = torch.stack([generator.start(many, code[None].expand(512, -1)).double().mean(0) for code in table])
    moved = means + 0.6 * (features.double() - means)
    expected = moved / (moved.square().mean(1, keepdim=True) + 1e-8).sqrt()
    torch.testing.assert_close(Truncation(generator, 0.6)(features, table).double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(Truncation(generator, 1.0)(features, table), pixel_norm(features), rtol=1e-4, atol=1e-5)


def test_it_is_the_same_in_any_batch(sampler):
    together = sampled(sampler, 0.7)
    for number in (0, 23):
        alone = sampler.sample(3, [number], ["B"], ["CC"], truncation=0.7)[0]
        np.testing.assert_array_equal(alone, together[number])


@pytest.mark.parametrize("psi", [0.0, -0.5, 1.01, float("nan")])
def test_beyond_its_range_is_refused(sampler, psi):
    with pytest.raises(ValueError, match="within 0…1"):
        sampled(sampler, psi)


def test_both_views_of_a_pair_are_truncated():
    torch.manual_seed(0)
    settings = replace(PGANSettings.tiny(), two_views=True)
    sampler = Sampler(
        generator_of(settings).requires_grad_(False), Description(settings, SEEN, {"generator.safetensors": "0"}, {})
    )
    whole, near = (sampler.sample_pairs(1, range(8), ["B"] * 8, psi).astype(float) for psi in (1.0, 0.1))
    assert (whole.std(0).mean((1, 2)) > 3 * near.std(0).mean((1, 2))).all()

"""Projection: what the generator itself has made is found again, nearer than at first; the same each time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipelines.pgan.conditions import codes
from pipelines.pgan.feed import to_gray
from pipelines.pgan.latents import latent_of
from pipelines.pgan.projection import Projector
from pipelines.pgan.recipes import generator_of
from pipelines.pgan.settings import PGANSettings


@pytest.mark.parametrize("two_views", [False, True])
def test_a_picture_of_the_generators_own_is_found_again(two_views):
    settings = replace(PGANSettings.tiny(), two_views=two_views)
    torch.manual_seed(0)
    generator = generator_of(settings).eval().requires_grad_(False)
    latents = torch.from_numpy(np.stack([latent_of(9, "B", "MLO", n, settings.latent_size) for n in range(2)]))
    with torch.no_grad():
        made = generator(latents, torch.from_numpy(codes(["B", "B"], ["MLO", "MLO"])), settings.levels)
    pictures = to_gray(made[:, -1:].numpy())
    project = Projector(generator, settings.levels, steps=60)
    found = project(pictures, ["B", "B"], ["MLO", "MLO"])
    assert found.pictures.shape == pictures.shape
    assert (found.at_last < 0.5 * found.at_first).all()
    error = (found.pictures.astype(float) - pictures) / 2047.5
    assert np.mean(error**2) < found.at_first.mean()
    again = project(pictures[1:], ["B"], ["MLO"])
    assert np.array_equal(again.pictures[0], found.pictures[1])
    assert project(pictures[:0], [], []).pictures.shape == (0, *pictures.shape[1:])

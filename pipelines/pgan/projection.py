"""Real pictures through the generator: the latent whose picture comes nearest (projection, Karras et al. 2020, app. D).

What comes back has what the generator knows of breasts and nothing else: no vendor, and no detail that it cannot make.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pipelines.pgan.conditions import VIEW, codes
from pipelines.pgan.feed import to_gray, to_unit
from pipelines.pgan.latents import latent_of
from pipelines.pgan.model import GENERATOR, load_network, read_description, reproducible
from pipelines.pgan.networks import Generator
from pipelines.pgan.recipes import generator_of

STARTS = 32
"""Latents that are looked at first: the search begins at the nearest."""

RATE = 0.05
HALVINGS = 3
"""Pictures are compared at their own size and averaged down so many times."""


@dataclass(frozen=True)
class Projection:
    """Reproductions uint16 (n, rows, columns), and their squared distances (n,) from the pictures: of the nearest of
    the first latents, and at the end."""

    pictures: np.ndarray
    at_first: np.ndarray
    at_last: np.ndarray


class Projector:
    """Projects pictures through a published model's generator; the same picture gives the same reproduction."""

    def __init__(self, generator: Generator, levels: int, steps: int) -> None:
        self._generator, self._levels, self._steps = generator, levels, steps

    def __call__(self, pictures: np.ndarray, densities: list[str], views: list[str]) -> Projection:
        """Of pictures uint16 (n, rows, columns) of the generator's size with densities and views, one at a time."""
        with reproducible():
            found = [self._one(p, d, v) for p, d, v in zip(pictures, densities, views, strict=True)]
        made = np.concatenate([to_gray(one.cpu().numpy()) for one, _, _ in found]) if found else pictures
        first, last = (np.array([row[n] for row in found], np.float64) for n in (1, 2))
        return Projection(made, first, last)

    def _one(self, picture: np.ndarray, density: str, view: str) -> tuple[Tensor, float, float]:
        device = next(self._generator.parameters()).device
        wanted = torch.from_numpy(to_unit(picture[None])).to(device)
        code = torch.from_numpy(codes([density], [view])).to(device)
        starts = np.stack([latent_of(0, density, view, n, self._generator.latent_size) for n in range(STARTS)])
        with torch.no_grad():
            tries = [self._distance(self._draw(torch.from_numpy(z[None]).to(device), code), wanted) for z in starts]
        nearest = int(np.argmin([float(t) for t in tries]))
        latent = torch.from_numpy(starts[nearest][None] * np.sqrt(starts.shape[1])).float().to(device).requires_grad_()
        adam = torch.optim.Adam([latent], RATE)
        best, kept = float(tries[nearest]), self._draw(latent, code).detach()
        for _ in range(self._steps):
            drawn = self._draw(latent, code)
            distance = self._distance(drawn, wanted)
            if float(distance.detach()) < best:
                best, kept = float(distance.detach()), drawn.detach()
            (latent.grad,) = torch.autograd.grad(distance, latent)
            adam.step()
        return kept.clamp(-1, 1), float(tries[nearest]), best

    def _draw(self, latent: Tensor, code: Tensor) -> Tensor:
        """The picture (1, 1, rows, columns) of a latent; of a generator of pairs, the view that the code names."""
        made = self._generator(latent, code, self._levels)
        return made[:, :1] if made.shape[1] == 1 else made[:, int(code[0, VIEW] > 0.5)][:, None]

    @staticmethod
    def _distance(drawn: Tensor, wanted: Tensor) -> Tensor:
        """Mean squared difference, averaged over the sizes."""
        total = (drawn - wanted).square().mean()
        for _ in range(HALVINGS):
            if min(drawn.shape[2:]) < 4:
                break
            drawn, wanted = avg_pool2d(drawn, 2), avg_pool2d(wanted, 2)
            total = total + (drawn - wanted).square().mean()
        return total


def load_projector(model_folder: Path, steps: int, device: str = "cpu") -> Projector:
    """The projector of a published model. Raises ModelError where the folder is damaged."""
    description = read_description(model_folder)
    generator = load_network(model_folder, GENERATOR, generator_of(description.settings), description, device)
    return Projector(generator, description.settings.levels, steps)

"""Sampling from a published model, and its critic as a judge of novelty: what ``synthesize`` is given as functions."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipelines.pgan.conditions import ConditionError, codes
from pipelines.pgan.feed import to_gray, to_unit
from pipelines.pgan.model import (
    CRITIC,
    GENERATOR,
    Description,
    generate,
    load_network,
    read_description,
    reproducible,
    scores,
)
from pipelines.pgan.networks import Critic, Generator

Score = Callable[[np.ndarray, Sequence[str], Sequence[str]], np.ndarray]


def latent_of(seed: int, density: str, view: str, number: int, size: int) -> np.ndarray:
    """The latent, float32 (size,), of picture ``number`` of a run: from its own counter-based generator."""
    digest = hashlib.sha256(f"{seed}|{density}|{view}|{number}".encode()).digest()
    stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return stream.standard_normal(size, dtype=np.float32)


class Sampler:
    """Makes pictures by (seed, number, density, view); the same four give the same picture in any batch."""

    def __init__(self, generator: Generator, description: Description) -> None:
        self._generator, self._description = generator, description
        self.resolution = description.settings.resolution
        self.conditions = description.conditions
        self.model_sha256 = description.sha256[GENERATOR]

    def sample(self, seed: int, numbers: Sequence[int], densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
        """Pictures uint16 0…4095 (n, rows, columns), one for each number with its density and view.

        Raises ConditionError where a condition is unknown or was not among the training images.
        """
        table = codes(densities, views)
        unseen = sorted(set(zip(densities, views, strict=True)) - set(self.conditions))
        if unseen:
            names = ", ".join(f"{density} {view}" for density, view in unseen)
            raise ConditionError(f"the model saw no training images of {names}")
        if not len(numbers):
            return np.empty((0, *self.resolution), np.uint16)
        settings = self._description.settings
        asked = zip(densities, views, numbers, strict=True)
        latents = np.stack([latent_of(seed, d, v, int(n), settings.latent_size) for d, v, n in asked])
        with reproducible():
            return to_gray(generate(self._generator, latents, table, settings.levels))


def load_sampler(model_folder: Path, device: str = "cpu") -> Sampler:
    """The sampler of a published model. Raises ModelError where the folder is damaged."""
    description = read_description(model_folder)
    generator = load_network(model_folder, GENERATOR, Generator(description.settings), description, device)
    return Sampler(generator, description)


def load_critic(model_folder: Path, device: str = "cpu") -> Score:
    """The critic as a function of pictures uint16 (n, rows, columns), densities and views to scores float64 (n,).

    High is real-looking for that condition. Pictures larger than the model by a power of two are averaged down. A
    picture's score does not depend on the others. Raises ModelError; the function raises ValueError for other sizes.
    """
    description = read_description(model_folder)
    critic = load_network(model_folder, CRITIC, Critic(description.settings), description, device)
    rows, columns = description.settings.resolution

    def score(pictures: np.ndarray, densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
        n, height, width = pictures.shape
        factor = height // rows
        if (height, width) != (rows * factor, columns * factor) or factor & (factor - 1):
            raise ValueError(f"pictures of {height}×{width} do not reduce to the model's {rows}×{columns}")
        small = np.rint(pictures.reshape(n, rows, factor, columns, factor).mean((2, 4))) if factor > 1 else pictures
        with reproducible():
            return scores(critic, to_unit(small), codes(densities, views), description.settings.levels)

    return score

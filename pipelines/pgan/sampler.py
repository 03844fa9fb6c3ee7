"""Sampling from a published model, and its critic as a judge of novelty: what ``synthesize`` is given as functions."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipelines.pgan.conditions import ConditionError, Density, codes, neighbors
from pipelines.pgan.feed import to_gray, to_unit
from pipelines.pgan.model import (
    CRITIC,
    GENERATOR,
    Description,
    generate,
    generate_views,
    load_network,
    read_description,
    reproducible,
    scores,
)
from pipelines.pgan.networks import Generator
from pipelines.pgan.recipes import critic_of, generator_of
from pipelines.storage.tables import VIEWS

Score = Callable[[np.ndarray, Sequence[str], Sequence[str]], np.ndarray]


def latent_of(seed: int, density: Density, view: str, number: int, size: int) -> np.ndarray:
    """The latent, float32 (size,), of picture ``number`` of a run: from its own counter-based generator."""
    digest = hashlib.sha256(f"{seed}|{density}|{view}|{number}".encode()).digest()
    stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return stream.standard_normal(size, dtype=np.float32)


class Sampler:
    """Makes pictures by (seed, number, density, view); the same four give the same picture in any batch.

    A density is a class A–D, or a rank 0 (A) … 3 (D) between two that were both among the training images.
    """

    def __init__(self, generator: Generator, description: Description) -> None:
        self._generator, self._description = generator, description
        self.resolution = description.settings.resolution
        self.conditions = description.conditions if description.settings.conditional else ()
        self.model_sha256 = description.sha256[GENERATOR]

    def sample(
        self,
        seed: int,
        numbers: Sequence[int],
        densities: Sequence[Density],
        views: Sequence[str],
        ages: Sequence[float | None] | None = None,
    ) -> np.ndarray:
        """Pictures uint16 0…4095 (n, rows, columns), one for each number with its density and view.

        ``ages``: in years, None where it is left open; only for a model that was trained with them. Raises
        ConditionError where a condition is unknown or was not among the training images.
        """
        table = self._codes(densities, views, ages)
        if not len(numbers):
            return np.empty((0, *self.resolution), np.uint16)
        latents = self._latents(seed, numbers, densities, views)
        with reproducible():
            return to_gray(generate(self._generator, latents, table, self._description.settings.levels))

    def sample_pairs(self, seed: int, numbers: Sequence[int], densities: Sequence[Density]) -> np.ndarray:
        """CC and MLO of one breast for each number, uint16 0…4095 (n, 2, rows, columns).

        Raises ConditionError as ``sample`` does, and where the model does not make pairs.
        """
        settings = self._description.settings
        if not settings.two_views:
            raise ConditionError("the model does not make two views of one breast")
        for view in VIEWS:
            table = self._codes(densities, [view] * len(densities), None)
        if not len(numbers):
            return np.empty((0, len(VIEWS), *self.resolution), np.uint16)
        latents = self._latents(seed, numbers, densities, ["+".join(VIEWS)] * len(densities))
        with reproducible():
            pairs = generate_views(self._generator, latents, table, settings.levels)
        return to_gray(pairs.reshape(-1, 1, *self.resolution)).reshape(pairs.shape)

    def _latents(
        self, seed: int, numbers: Sequence[int], densities: Sequence[Density], views: Sequence[str]
    ) -> np.ndarray:
        size = self._description.settings.latent_size
        asked = zip(densities, views, numbers, strict=True)
        return np.stack([latent_of(seed, d, v, int(n), size) for d, v, n in asked])

    def _codes(
        self, densities: Sequence[Density], views: Sequence[str], ages: Sequence[float | None] | None
    ) -> np.ndarray:
        """Codes of conditions that the model knows. Raises ConditionError."""
        settings = self._description.settings
        if not settings.conditional:
            raise ConditionError("the model knows no conditions: what it makes has no known density")
        if ages is not None and not settings.condition_age:
            raise ConditionError("the model was trained without ages")
        table = codes(densities, views, ages)
        asked = {(near, view) for d, view in zip(densities, views, strict=True) for near in neighbors(d)}
        unseen = sorted(asked - set(self.conditions))
        if unseen:
            names = ", ".join(f"{density} {view}" for density, view in unseen)
            raise ConditionError(f"the model saw no training images of {names}")
        return table


def load_sampler(model_folder: Path, device: str = "cpu") -> Sampler:
    """The sampler of a published model. Raises ModelError where the folder is damaged."""
    description = read_description(model_folder)
    generator = load_network(model_folder, GENERATOR, generator_of(description.settings), description, device)
    return Sampler(generator, description)


def load_critic(model_folder: Path, device: str = "cpu") -> Score:
    """The critic as a function of pictures uint16 (n, rows, columns), densities and views to scores float64 (n,).

    High is real-looking for that condition. Pictures larger than the model by a power of two are averaged down. A
    picture's score does not depend on the others. Raises ModelError; the function raises ValueError for other sizes.
    """
    description = read_description(model_folder)
    critic = load_network(model_folder, CRITIC, critic_of(description.settings), description, device)
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

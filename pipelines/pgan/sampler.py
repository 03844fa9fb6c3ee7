"""Sampling from a published model, and its critic as a judge of novelty: what ``synthesize`` is given as functions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from pipelines.pgan.conditions import ConditionError, Density, codes, neighbors, rank_of
from pipelines.pgan.feed import to_gray, to_unit
from pipelines.pgan.latents import along_arc, latent_of, sisters
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
from pipelines.pgan.truncation import Truncation
from pipelines.storage.tables import LATERALITIES, VIEWS

Score = Callable[[np.ndarray, Sequence[str], Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Place:
    """What names a picture of a model: seed of the run, running number, density and view."""

    seed: int
    number: int
    density: Density
    view: str


class Sampler:
    """Makes pictures by (seed, number, density, view); the same four give the same picture in any batch.

    A density is a class A–D, or a rank 0 (A) … 3 (D) between two that were both among the training images.
    ``truncation``: ψ in 0…1, see ``pipelines.pgan.truncation``; 1 leaves the pictures as they are.
    """

    def __init__(self, generator: Generator, description: Description) -> None:
        self._generator, self._description = generator, description
        self.resolution = description.settings.resolution
        self.conditions = description.conditions if description.settings.conditional else ()
        self.two_views = description.settings.two_views
        self.model_sha256 = description.sha256[GENERATOR]
        self._truncations: dict[float, Truncation] = {}

    def sample(
        self,
        seed: int,
        numbers: Sequence[int],
        densities: Sequence[Density],
        views: Sequence[str],
        ages: Sequence[float | None] | None = None,
        truncation: float = 1.0,
    ) -> np.ndarray:
        """Pictures uint16 0…4095 (n, rows, columns), one for each number with its density and view.

        ``ages``: in years, None where it is left open; only for a model that was trained with them. Raises
        ConditionError where a condition is unknown or was not among the training images, ValueError for a truncation
        beyond 0…1.
        """
        asked = zip(numbers, densities, views, strict=True)
        latents = [self._latent(Place(seed, int(number), density, view)) for number, density, view in asked]
        return self.draw(latents, densities, views, ages, truncation)

    def stream(
        self, seed: int, density: Density, view: str, *, first: int = 0, batch: int = 16, truncation: float = 1.0
    ) -> Iterator[np.ndarray]:
        """The pictures of a condition from number ``first`` on, without end: (rows, columns) each.

        ``batch`` are made at a time, and none is kept. Raises as ``sample`` does.
        """
        for start in count(first, batch):
            yield from self.sample(
                seed, range(start, start + batch), [density] * batch, [view] * batch, None, truncation
            )

    def draw(
        self,
        latents: Sequence[np.ndarray] | np.ndarray,
        densities: Sequence[Density],
        views: Sequence[str],
        ages: Sequence[float | None] | None = None,
        truncation: float = 1.0,
    ) -> np.ndarray:
        """Pictures of latents (n, latent size) of one's own choice, otherwise as ``sample``."""
        table = self._codes(densities, views, ages)
        shift = self._shift(truncation)
        if not len(latents):
            return np.empty((0, *self.resolution), np.uint16)
        levels = self._description.settings.levels
        with reproducible():
            return to_gray(generate(self._generator, np.stack(list(latents)), table, levels, shift))

    def sample_pairs(
        self, seed: int, numbers: Sequence[int], densities: Sequence[Density], truncation: float = 1.0
    ) -> np.ndarray:
        """CC and MLO of one breast for each number, uint16 0…4095 (n, 2, rows, columns).

        Raises as ``sample`` does, and ConditionError where the model does not make pairs.
        """
        asked = zip(numbers, densities, strict=True)
        latents = [self._latent(Place(seed, int(n), d, "+".join(VIEWS))) for n, d in asked]
        return self._pairs(latents, densities, truncation)

    def sample_women(
        self,
        seed: int,
        numbers: Sequence[int],
        densities: Sequence[Density],
        likeness: float,
        truncation: float = 1.0,
    ) -> np.ndarray:
        """Both breasts of a woman for each number: uint16 (n, 2 sides, 2 views, rows, columns), left first, CC first.

        A woman's breasts have one density, and latents near one another on the sphere, of a cosine of about
        ``likeness`` (see ``latents.sisters``): one latent would give mirror images, two of chance two women's. All
        breasts have the chest wall on the left. Raises as ``sample_pairs`` does.
        """
        latents: list[np.ndarray] = []
        for number, density in zip(numbers, densities, strict=True):
            shared, *own = (self._latent(Place(seed, int(number), density, who)) for who in ("woman", *LATERALITIES))
            latents.extend(sisters(shared, own, likeness))
        sides = [density for density in densities for _ in LATERALITIES]
        return self._pairs(latents, sides, truncation).reshape(-1, len(LATERALITIES), len(VIEWS), *self.resolution)

    def walk(self, start: Place, end: Place, frames: int, truncation: float = 1.0) -> np.ndarray:
        """The way from one picture to another: uint16 (frames, rows, columns), the first and the last being theirs.

        Latents go along the great circle, densities through the ranks between. Raises ConditionError where the views
        differ, or as ``sample`` does.
        """
        ends = self._latent(start), self._latent(end)
        latents = along_arc(*ends, np.linspace(0, 1, frames).tolist())
        latents[0], latents[-1] = ends  # without the rounding of the way
        return self._way(latents, start, end, truncation)

    def walk_density(
        self, place: Place, low: Density, high: Density, frames: int, truncation: float = 1.0
    ) -> np.ndarray:
        """One picture's latent along density, from a low to a high one: uint16 (frames, rows, columns)."""
        latents = np.repeat(self._latent(place)[None], frames, axis=0)
        return self._way(latents, replace(place, density=low), replace(place, density=high), truncation)

    def _way(self, latents: np.ndarray, start: Place, end: Place, truncation: float) -> np.ndarray:
        if start.view != end.view:
            raise ConditionError("there is no way from one view to another")
        ranks = np.linspace(rank_of(start.density), rank_of(end.density), len(latents)).tolist()
        return self.draw(latents, ranks, [start.view] * len(latents), None, truncation)

    def _pairs(self, latents: Sequence[np.ndarray], densities: Sequence[Density], truncation: float) -> np.ndarray:
        settings = self._description.settings
        if not self.two_views:
            raise ConditionError("the model does not make two views of one breast")
        for view in VIEWS:
            table = self._codes(densities, [view] * len(densities), None)
        shift = self._shift(truncation)
        if not len(latents):
            return np.empty((0, len(VIEWS), *self.resolution), np.uint16)
        with reproducible():
            pairs = generate_views(self._generator, np.stack(latents), table, settings.levels, shift)
        return to_gray(pairs.reshape(-1, 1, *self.resolution)).reshape(pairs.shape)

    def _latent(self, place: Place) -> np.ndarray:
        size = self._description.settings.latent_size
        return latent_of(place.seed, place.density, place.view, place.number, size)

    def _shift(self, truncation: float) -> Truncation | None:
        if truncation not in self._truncations:
            self._truncations[truncation] = Truncation(self._generator, truncation)
        return None if truncation == 1 else self._truncations[truncation]

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

"""Truncation: features drawn toward the mean of their condition's, for typical pictures at the cost of diversity.

Measured on 240 pictures of a model of drawn breasts at 80×64, ψ = 1, 0.85, 0.7, 0.5: diversity 0.93, 0.83, 0.73, 0.57
of the real pictures'; sliced Wasserstein distance 19.5, 19.6, 20.5, 21.4; the density estimator agrees with 73, 72, 72,
72 % of them. Nothing is won there, so that 1 is the default.
"""

import numpy as np
import torch
from torch import Tensor

from pipelines.pgan.latents import latent_of
from pipelines.pgan.networks import Generator, pixel_norm

MEAN_OF = 512
"""Latents that a condition's mean is taken over: always the same ones."""


class Truncation:
    """Moves the first level's features to mean + ψ · (features − mean), the mean being that of their condition.

    The truncation of Karras et al. 2019 (appendix B), in the only feature space that this generator has before pixels:
    a latent cannot be shortened, since it is normalized. What comes out is normalized again as the layers expect it.
    """

    def __init__(self, generator: Generator, psi: float) -> None:
        """``psi``: 0 leaves of each condition its mean alone, 1 changes nothing. Raises ValueError beyond."""
        if not 0 < psi <= 1:
            raise ValueError("truncation is not within 0…1")
        self._generator, self._psi = generator, psi
        self._means: dict[bytes, Tensor] = {}

    def __call__(self, features: Tensor, codes: Tensor) -> Tensor:
        """Features (n, maps, 5, 4) of conditions (n, code size), moved."""
        means = torch.stack([self._mean(code) for code in codes])
        return pixel_norm(means + self._psi * (features - means))

    def _mean(self, code: Tensor) -> Tensor:
        """The mean features (maps, 5, 4) of a condition."""
        key = code.cpu().numpy().tobytes()
        if key not in self._means:
            size = self._generator.latent_size
            latents = np.stack([latent_of(0, 0.0, "mean", number, size) for number in range(MEAN_OF)])
            table = code[None].expand(MEAN_OF, -1)
            self._means[key] = self._generator.start(torch.from_numpy(latents).to(code), table).mean(dim=0)
        return self._means[key]

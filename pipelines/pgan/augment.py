"""Adaptive augmentation (Karras et al. 2020, "Training GANs with limited data"), of geometry alone.

What the critic sees, real and generated, is moved sideways by whole pixels, turned and scaled, each with the same
probability, which rises while the critic is too sure of the real images. No flips: breasts lie on the left; no change
of brightness, which is what tells density. Beyond its edge a picture goes on as at its edge.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SHIFT = 0.125
"""Most that a picture is moved, as a share of its width."""

DEGREES = 5.0
SCALE = 0.1
"""Deviation of the base-2 logarithm of the scale."""

TARGET = 0.6
"""The mean sign of the critic's scores of real images that is steered for."""

MOST = 0.8
"""Most probable augmentation that does not leak into what is generated (there, section 2.2)."""

STEPS = 4
"""Steps between changes of the probability."""


def draw_warps(count: int, shape: tuple[int, int], probability: float, stream: torch.Generator) -> Tensor:
    """Affine maps (count, 2, 3) for ``warp``, from output to input places in −1…1, of pictures of rows × columns."""
    rows, columns = shape
    shift, turn, zoom = (torch.rand(count, generator=stream) < probability for _ in range(3))
    reach = round(SHIFT * columns)
    pixels = torch.randint(-reach, reach + 1, (count,), generator=stream) * shift
    angle = (torch.rand(count, generator=stream) * 2 - 1) * math.radians(DEGREES) * turn
    factor = torch.exp2(torch.randn(count, generator=stream) * SCALE * zoom)
    maps = torch.zeros(count, 2, 3)
    maps[:, 0, 0] = maps[:, 1, 1] = angle.cos() / factor
    maps[:, 0, 1] = -angle.sin() / factor * rows / columns
    maps[:, 1, 0] = angle.sin() / factor * columns / rows
    maps[:, 0, 2] = -2.0 * pixels / columns
    return maps


def warp(pictures: Tensor, maps: Tensor) -> Tensor:
    """Pictures (n, c, rows, columns) under maps (n, 2, 3); differentiable once."""
    grid = functional.affine_grid(maps, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


@dataclass
class Steering:
    """The probability, and what was seen since it last changed; ``span``: images in which it can go from 0 to 1."""

    span: int
    probability: float = 0.0
    signs: float = 0.0
    steps: int = 0

    def see(self, sign: float, images: int) -> None:
        """Take in a step's mean sign of the real scores, over a batch of ``images``."""
        self.signs += sign
        self.steps += 1
        if self.steps == STEPS:
            direction = math.copysign(1.0, self.signs / STEPS - TARGET)
            self.probability = min(MOST, max(0.0, self.probability + direction * images * STEPS / self.span))
            self.signs, self.steps = 0.0, 0

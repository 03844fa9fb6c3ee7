"""Classical augmentation: what synthetic pictures must better. Flip, crop and zoom, rotation and skew, gray jitter.

Breasts lie at the left edge with the chest wall along it, so a picture is mirrored up and down alone.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

ROTATION = 10.0
"""Degrees, either way."""
SKEW = 0.08
ZOOM = 0.15
"""Share by which a picture grows (and is cropped) or shrinks."""
SHIFT = 0.05
"""Share of the height and width."""
GAMMA = 0.25
GAIN = 0.1


def augment(pictures: Tensor, noise: torch.Generator) -> Tensor:
    """Change each picture, float32 (n, 1, rows, columns) in 0…1, in its own way; what comes in from outside is air.

    Air stays 0. All chance comes from ``noise``.
    """
    n, _, rows, columns = pictures.shape

    def drawn(limit: float) -> Tensor:
        return (2 * torch.rand(n, generator=noise) - 1) * limit

    angle, skew = drawn(math.radians(ROTATION)), drawn(SKEW)
    zoom, flip = torch.exp(drawn(math.log1p(ZOOM))), torch.where(drawn(1) > 0, 1.0, -1.0)
    aspect = rows / columns
    down, across = drawn(2 * SHIFT), drawn(2 * SHIFT)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    # affine_grid's coordinates run from -1 to 1 along either axis, so a rotation is sheared by the picture's aspect.
    upper = torch.stack([cos, (skew - sin) * aspect, across], 1)
    lower = torch.stack([sin / aspect * flip, cos * flip, down], 1)
    grid = affine_grid(torch.stack([upper, lower], 1), list(pictures.shape), align_corners=False)
    moved = grid_sample(pictures, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    gamma, gain = torch.exp(drawn(GAMMA)), 1 + drawn(GAIN)
    return (moved.clamp(0, 1) ** gamma[:, None, None, None] * gain[:, None, None, None]).clamp(0, 1)

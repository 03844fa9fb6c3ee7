"""Losses: non-saturating with a lazy R1 penalty (Goodfellow et al. 2014; Mescheder et al. 2018; Karras et al. 2020)."""

from collections.abc import Callable

import torch
from torch.nn.functional import softplus


def critic_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Mean of softplus(−score) over real images plus that of softplus(score) over generated ones; scores (n,)."""
    return softplus(-real).mean() + softplus(fake).mean()


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Mean of softplus(−score) over generated images: −log of the chance to be taken for real."""
    return softplus(-fake).mean()


def r1_penalty(score: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor) -> torch.Tensor:
    """Mean squared norm of the scores' gradient with respect to the real images, differentiable once more.

    ``score`` maps images (n, 1, h, w) to scores (n,). The penalty is γ/2 of this; evaluated at each k-th step alone it
    is weighted by k. Runs in the images' own precision: give float32, outside autocast.
    """
    images = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(images).sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()

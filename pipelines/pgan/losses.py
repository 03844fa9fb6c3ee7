"""Losses: non-saturating with R1 (Goodfellow et al. 2014; Mescheder et al. 2018), and WGAN-GP (Gulrajani et al. 2017).

Penalties run in the images' own precision: give float32, outside autocast.
"""

from collections.abc import Callable

import torch
from torch.nn.functional import softplus

Score = Callable[[torch.Tensor], torch.Tensor]
"""Images (n, c, h, w) to scores (n,)."""


def critic_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Mean of softplus(−score) over real images plus that of softplus(score) over generated ones; scores (n,)."""
    return softplus(-real).mean() + softplus(fake).mean()


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Mean of softplus(−score) over generated images: −log of the chance to be taken for real."""
    return softplus(-fake).mean()


def wasserstein_critic_loss(real: torch.Tensor, fake: torch.Tensor, drift: float = 0.001) -> torch.Tensor:
    """Mean generated less mean real score, plus drift · mean squared real score (Karras et al. 2018, appendix A.1)."""
    return fake.mean() - real.mean() + drift * real.square().mean()


def wasserstein_generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Less the mean score of generated images."""
    return -fake.mean()


def gradient_penalty(score: Score, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """Mean of (norm of the scores' gradient − 1)² at images between real and generated ones, differentiable once more.

    ``mix`` (n, 1, 1, 1) in 0…1: how far each lies from the real towards the generated image. The penalty is λ of this.
    """
    between = (real + mix * (fake - real)).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def r1_penalty(score: Score, real: torch.Tensor) -> torch.Tensor:
    """Mean squared norm of the scores' gradient with respect to the real images, differentiable once more.

    The penalty is γ/2 of this; evaluated at each k-th step alone it
    is weighted by k.
    """
    images = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(images).sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()

"""What a recipe fixes: losses, the penalty and how often it counts, the average's pace; and a setting's networks."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pipelines.pgan import losses
from pipelines.pgan.networks import Critic, Generator
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.two_view import TwoViewCritic, TwoViewGenerator

WASSERSTEIN_LAMBDA = 10.0
WASSERSTEIN_AVERAGE = 0.999
"""How much of the averaged generator stays at each step (Karras et al. 2018, appendix A.1)."""


@dataclass(frozen=True)
class Recipe:
    """Losses of scores, and the penalty that is added to the critic's.

    - ``penalty`` takes the score as a function, real and generated images, and ``mix`` (n, 1, 1, 1) uniform in 0…1.
      It is evaluated at each ``interval``-th step and then weighs ``weight``, the interval counted in.
    - ``penalty_name``: its name among the figures.
    - ``pace``: share that the averaged generator moves, from the batch's images and those shown before.
    """

    critic_loss: Callable[[Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor], Tensor]
    penalty_name: str
    penalty: Callable[[losses.Score, Tensor, Tensor, Tensor], Tensor]
    weight: float
    interval: int
    mixes: bool
    pace: Callable[[int, int], float]


def recipe_of(settings: PGANSettings) -> Recipe:
    """The recipe that the settings name."""
    if settings.recipe == "korkinof2018":
        return Recipe(
            critic_loss=losses.wasserstein_critic_loss,
            generator_loss=losses.wasserstein_generator_loss,
            penalty_name="gradient_penalty",
            penalty=losses.gradient_penalty,
            weight=WASSERSTEIN_LAMBDA,
            interval=1,
            mixes=True,
            pace=lambda batch, images: 1 - WASSERSTEIN_AVERAGE,
        )
    return Recipe(
        critic_loss=losses.critic_loss,
        generator_loss=losses.generator_loss,
        penalty_name="r1",
        penalty=lambda score, real, fake, mix: losses.r1_penalty(score, real),
        weight=settings.r1_gamma / 2 * settings.r1_interval,
        interval=settings.r1_interval,
        mixes=False,
        pace=lambda batch, images: _growing_pace(settings.ema_half_images, batch, images),
    )


def _growing_pace(half_images: int, batch: int, images: int) -> float:
    """The half-life grows with the images shown, up to the setting, so that the start is soon forgotten."""
    half_life = min(float(half_images), 0.05 * (images + batch))
    return 1 - float(0.5 ** (batch / half_life))


def generator_of(settings: PGANSettings) -> Generator:
    """An untrained generator of the settings."""
    return TwoViewGenerator(settings) if settings.two_views else Generator(settings)


def critic_of(settings: PGANSettings) -> Critic:
    """An untrained critic of the settings."""
    return TwoViewCritic(settings) if settings.two_views else Critic(settings)

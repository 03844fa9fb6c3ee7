"""The progressive generator and critic (Karras et al. 2018), grown 5×4 → 1280×1024 (Korkinof et al. 2018).

Both hold the layers of all levels from the start; ``level`` and ``alpha`` say how far they are used. The generator is
conditioned by an embedding concatenated to the latent, the critic by projection (Miyato & Koyama 2018); neither where
the recipe knows no conditions.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipelines.pgan.conditions import code_size
from pipelines.pgan.layers import (
    ROOT2,
    EqualizedConvolution,
    EqualizedLinear,
    FromGray,
    ToGray,
    activate,
    full,
    pixel_norm,
)
from pipelines.pgan.settings import BASE_COLUMNS, BASE_ROWS, PGANSettings

GROUP = 4
"""Images a group of the minibatch statistic (Karras et al. 2018, section 3)."""


def group_size(images: int) -> int:
    """The largest group of at most four images that divides a batch."""
    return next(size for size in range(min(GROUP, images), 0, -1) if images % size == 0)


def minibatch_stddev(x: Tensor) -> Tensor:
    """One figure per image, (n,): the standard deviation within its group, averaged over features and pixels.

    Groups are strided: of n images in groups of g, image i lies in group i mod (n / g).
    """
    size = group_size(x.shape[0])
    grouped = full(x).reshape(size, -1, *x.shape[1:])
    deviation = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt()
    return deviation.mean(dim=(1, 2, 3)).repeat(size)


def recomputed(block: Callable[[Tensor], Tensor], x: Tensor, wanted: bool) -> Tensor:
    """A block's output; where ``wanted``, what its gradient needs is made again in the backward pass, not kept."""
    if wanted and torch.is_grad_enabled():
        return checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
    return block(x)


def blend(old: Tensor, new: Tensor, alpha: Tensor | float) -> Tensor:
    """The fade-in: (1 − α)·old + α·new."""
    return old + alpha * (new - old)


class Generator(nn.Module):
    """Latents and condition codes to pictures in about −1 … 1 (−1 is air), (n, 1, rows, columns) of a level."""

    channels = 1

    def __init__(self, settings: PGANSettings) -> None:
        super().__init__()
        self.maps = maps = settings.maps
        self.latent_size = size = settings.latent_size
        self.code_size, self.recompute_from = code_size(settings.condition_age), settings.recompute_from
        self.embed = EqualizedLinear(self.code_size, size, gain=1.0, bias=False) if settings.conditional else None
        inputs = 2 * size if settings.conditional else size
        self.dense = EqualizedLinear(inputs, maps(1) * BASE_ROWS * BASE_COLUMNS, gain=ROOT2 / 4)
        self.first = EqualizedConvolution(maps(1), maps(1))
        steps = range(2, settings.levels + 1)
        self.up = nn.ModuleList(EqualizedConvolution(maps(s - 1), maps(s), resample="up") for s in steps)
        self.convolution = nn.ModuleList(EqualizedConvolution(maps(s), maps(s)) for s in steps)
        self.to_gray = nn.ModuleList(ToGray(maps(s), self.channels) for s in range(1, settings.levels + 1))

    def forward(
        self, latents: Tensor, codes: Tensor, level: int, alpha: Tensor | float = 1.0, fading: bool = False
    ) -> Tensor:
        """Latents (n, latent_size), of any length since they are normalized, and codes (n, code_size) to pictures.

        ``alpha`` counts only where ``fading``: then the picture is blended with the level below, doubled.
        """
        return self.draw(self.start(latents, codes), level, alpha, fading)

    def draw(self, x: Tensor, level: int, alpha: Tensor | float = 1.0, fading: bool = False) -> Tensor:
        """Pictures of a level from the features of the first, which ``start`` gives."""
        below = x
        for stage in range(2, level + 1):
            below, x = x, self.grow(x, stage, self.up[stage - 2], self.convolution[stage - 2])
        picture = self.to_gray[level - 1](x)
        if fading and level > 1:
            picture = blend(doubled(self.to_gray[level - 2](below)), picture, alpha)
        return full(picture)

    def start(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Features of the first level, (n, maps, 5, 4)."""
        x = pixel_norm(latents)
        if self.embed is not None:
            x = torch.cat([x, self.embed(codes)], dim=1)
        x = self.dense(x).reshape(x.shape[0], -1, BASE_ROWS, BASE_COLUMNS)
        return pixel_norm(activate(self.first(pixel_norm(activate(x)))))

    def grow(self, x: Tensor, stage: int, up: nn.Module, convolution: nn.Module) -> Tensor:
        """Features of a stage 2 … from those of the stage below, through its two layers."""

        maps = self.maps(stage)

        def block(x: Tensor) -> Tensor:
            return pixel_norm(activate(convolution(pixel_norm(activate(up(x)), maps))), maps)

        return recomputed(block, x, stage >= self.recompute_from)


def doubled(pictures: Tensor) -> Tensor:
    """Nearest doubling of (n, c, h, w)."""
    return functional.interpolate(pictures, scale_factor=2.0, mode="nearest")


class Critic(nn.Module):
    """Pictures and condition codes to scores (n,): high for what looks real under that condition."""

    usual_stddev: Tensor

    def __init__(self, settings: PGANSettings) -> None:
        super().__init__()
        maps = settings.maps
        steps = range(2, settings.levels + 1)
        self.code_size, self.recompute_from = code_size(settings.condition_age), settings.recompute_from
        self.from_gray = nn.ModuleList(FromGray(maps(s)) for s in range(1, settings.levels + 1))
        self.convolution = nn.ModuleList(EqualizedConvolution(maps(s), maps(s)) for s in steps)
        self.down = nn.ModuleList(EqualizedConvolution(maps(s), maps(s - 1), resample="down") for s in steps)
        self.last = EqualizedConvolution(maps(1) + 1, maps(1))
        self.dense = EqualizedLinear(maps(1) * BASE_ROWS * BASE_COLUMNS, maps(1))
        self.score = EqualizedLinear(maps(1), 1, gain=1.0)
        conditional = settings.conditional
        self.project = EqualizedLinear(self.code_size, maps(1), gain=1.0, bias=False) if conditional else None
        self.register_buffer("usual_stddev", torch.zeros(()))

    def forward(
        self,
        pictures: Tensor,
        codes: Tensor,
        level: int,
        alpha: Tensor | float = 1.0,
        fading: bool = False,
        alone: bool = False,
    ) -> Tensor:
        """Pictures (n, 1, rows, columns) of the level and codes (n, code_size) to scores.

        ``alone`` scores each picture without regard to the others of its batch: the minibatch statistic is then the
        constant ``usual_stddev``, which training sets to its mean over real batches.
        """
        x = self.trunk(pictures, level, alpha, fading)
        return self.judge(
            self.features(x, self.usual_stddev.expand(x.shape[0]) if alone else minibatch_stddev(x)), codes
        )

    def features(self, x: Tensor, deviation: Tensor) -> Tensor:
        """What the score is linear in, (n, maps), from the trunk's features and each image's minibatch statistic."""
        plane = deviation.to(x.dtype).reshape(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        x = activate(self.last(torch.cat([x, plane], dim=1)))
        return full(activate(self.dense(x.flatten(1))))

    def judge(self, x: Tensor, codes: Tensor) -> Tensor:
        """Scores (n,) from ``features``."""
        score = full(self.score(x)).squeeze(1)
        if self.project is None:
            return score
        return score + (full(self.project(codes)) * x).sum(dim=1) / math.sqrt(x.shape[1])

    def trunk(self, pictures: Tensor, level: int, alpha: Tensor | float, fading: bool) -> Tensor:
        """Features (n, maps, 5, 4) of pictures of a level."""
        x = activate(self.from_gray[level - 1](pictures))
        for index in reversed(range(level - 1)):
            x = recomputed(self._block(index), x, index + 2 >= self.recompute_from)
            if fading and index == level - 2:
                old = activate(self.from_gray[level - 2](functional.avg_pool2d(pictures, 2)))
                x = blend(old.to(x.dtype), x, alpha)
        return x

    def _block(self, index: int) -> Callable[[Tensor], Tensor]:
        return lambda x: activate(self.down[index](activate(self.convolution[index](x))))

    def stddev_of(self, pictures: Tensor, level: int) -> Tensor:
        """The minibatch statistic of a batch, (n,), as the last layers see it."""
        return minibatch_stddev(self.trunk(pictures, level, 1.0, False))

"""The progressive generator and critic (Karras et al. 2018), grown 5×4 → 1280×1024 (Korkinof et al. 2018).

Both hold the layers of all levels from the start; ``level`` and ``alpha`` say how far they are used. The generator is
conditioned by an embedding concatenated to the latent, the critic by projection (Miyato & Koyama 2018).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.pgan.conditions import CODE_SIZE
from pipelines.pgan.settings import BASE_COLUMNS, BASE_ROWS, PGANSettings

SLOPE = 0.2
ROOT2 = math.sqrt(2)
"""He's gain for a layer before a leaky ReLU."""

GROUP = 4
"""Images a group of the minibatch statistic (Karras et al. 2018, section 3)."""


def _full(x: Tensor) -> Tensor:
    """At least float32, out of autocast's bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's feature vector (dimension 1) divided by its root mean square."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def group_size(images: int) -> int:
    """The largest group of at most four images that divides a batch."""
    return next(size for size in range(min(GROUP, images), 0, -1) if images % size == 0)


def minibatch_stddev(x: Tensor) -> Tensor:
    """One figure per image, (n,): the standard deviation within its group, averaged over features and pixels.

    Groups are strided: of n images in groups of g, image i lies in group i mod (n / g).
    """
    size = group_size(x.shape[0])
    grouped = _full(x).reshape(size, -1, *x.shape[1:])
    deviation = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt()
    return deviation.mean(dim=(1, 2, 3)).repeat(size)


def spread_kernel(weight: Tensor) -> Tensor:
    """A 3×3 kernel spread over 4×4: the sum of its four shifts by one pixel.

    Nearest upsampling followed by the 3×3 convolution equals a transposed 4×4 convolution of stride 2 with the spread
    of the flipped kernel; the 3×3 convolution followed by 2×2 averaging equals a quarter of the strided 4×4 one.
    """
    padded = functional.pad(weight, (1, 1, 1, 1))
    return padded[..., 1:, 1:] + padded[..., :-1, 1:] + padded[..., 1:, :-1] + padded[..., :-1, :-1]


class EqualizedLinear(nn.Module):
    """A linear layer whose weights are kept at unit variance and scaled at run time by gain / √fan-in."""

    def __init__(self, inputs: int, outputs: int, gain: float = ROOT2, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) → (n, outputs)."""
        return functional.linear(x, self.weight * self.scale, self.bias)


class EqualizedConvolution(nn.Module):
    """A convolution at equalized learning rate; ``resample`` fuses it with doubling before or halving after it.

    ``resample``: "" keeps the size; "up" is nearest upsampling, then the convolution; "down" the convolution, then
    2×2 averaging; each in one pass (see ``spread_kernel``).
    """

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, gain: float = ROOT2, resample: str | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * size * size)
        self.resample = resample

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) → (n, outputs, h, w), doubled or halved where it resamples."""
        weight = self.weight * self.scale
        if self.resample == "up":
            kernel = spread_kernel(weight.flip(2, 3)).transpose(0, 1)
            return functional.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)
        if self.resample == "down":
            return functional.conv2d(x, spread_kernel(weight) * 0.25, self.bias, stride=2, padding=1)
        return functional.conv2d(x, weight, self.bias, padding=weight.shape[-1] // 2)


def _activate(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


def blend(old: Tensor, new: Tensor, alpha: Tensor | float) -> Tensor:
    """The fade-in: (1 − α)·old + α·new."""
    return old + alpha * (new - old)


class Generator(nn.Module):
    """Latents and condition codes to pictures in about −1 … 1 (−1 is air), (n, 1, rows, columns) of a level."""

    def __init__(self, settings: PGANSettings) -> None:
        super().__init__()
        maps = settings.maps
        self.embed = EqualizedLinear(CODE_SIZE, settings.latent_size, gain=1.0, bias=False)
        self.dense = EqualizedLinear(2 * settings.latent_size, maps(1) * BASE_ROWS * BASE_COLUMNS, gain=ROOT2 / 4)
        self.first = EqualizedConvolution(maps(1), maps(1))
        steps = range(2, settings.levels + 1)
        self.up = nn.ModuleList(EqualizedConvolution(maps(s - 1), maps(s), resample="up") for s in steps)
        self.convolution = nn.ModuleList(EqualizedConvolution(maps(s), maps(s)) for s in steps)
        self.to_gray = nn.ModuleList(EqualizedConvolution(maps(s), 1, 1, 1.0) for s in range(1, settings.levels + 1))

    def forward(
        self, latents: Tensor, codes: Tensor, level: int, alpha: Tensor | float = 1.0, fading: bool = False
    ) -> Tensor:
        """Latents (n, latent_size), of any length since they are normalized, and codes (n, 5) to pictures.

        ``alpha`` counts only where ``fading``: then the picture is blended with the level below, doubled.
        """
        x = torch.cat([pixel_norm(latents), self.embed(codes)], dim=1)
        x = self.dense(x).reshape(x.shape[0], -1, BASE_ROWS, BASE_COLUMNS)
        x = pixel_norm(_activate(x))
        x = below = pixel_norm(_activate(self.first(x)))
        for index in range(level - 1):
            below = x
            x = pixel_norm(_activate(self.up[index](x)))
            x = pixel_norm(_activate(self.convolution[index](x)))
        picture = self.to_gray[level - 1](x)
        if fading and level > 1:
            old = functional.interpolate(self.to_gray[level - 2](below), scale_factor=2.0, mode="nearest")
            picture = blend(old, picture, alpha)
        return _full(picture)


class Critic(nn.Module):
    """Pictures and condition codes to scores (n,): high for what looks real under that condition."""

    usual_stddev: Tensor

    def __init__(self, settings: PGANSettings) -> None:
        super().__init__()
        maps = settings.maps
        steps = range(2, settings.levels + 1)
        self.from_gray = nn.ModuleList(EqualizedConvolution(1, maps(s), 1) for s in range(1, settings.levels + 1))
        self.convolution = nn.ModuleList(EqualizedConvolution(maps(s), maps(s)) for s in steps)
        self.down = nn.ModuleList(EqualizedConvolution(maps(s), maps(s - 1), resample="down") for s in steps)
        self.last = EqualizedConvolution(maps(1) + 1, maps(1))
        self.dense = EqualizedLinear(maps(1) * BASE_ROWS * BASE_COLUMNS, maps(1))
        self.score = EqualizedLinear(maps(1), 1, gain=1.0)
        self.project = EqualizedLinear(CODE_SIZE, maps(1), gain=1.0, bias=False)
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
        """Pictures (n, 1, rows, columns) of the level and codes (n, 5) to scores.

        ``alone`` scores each picture without regard to the others of its batch: the minibatch statistic is then the
        constant ``usual_stddev``, which training sets to its mean over real batches.
        """
        x = self._trunk(pictures, level, alpha, fading)
        deviation = self.usual_stddev.expand(x.shape[0]) if alone else minibatch_stddev(x)
        plane = deviation.to(x.dtype).reshape(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        x = _activate(self.last(torch.cat([x, plane], dim=1)))
        x = _full(_activate(self.dense(x.flatten(1))))
        projection = (_full(self.project(codes)) * x).sum(dim=1) / math.sqrt(x.shape[1])
        return _full(self.score(x)).squeeze(1) + projection

    def _trunk(self, pictures: Tensor, level: int, alpha: Tensor | float, fading: bool) -> Tensor:
        x = _activate(self.from_gray[level - 1](pictures))
        for index in reversed(range(level - 1)):
            x = _activate(self.convolution[index](x))
            x = _activate(self.down[index](x))
            if fading and index == level - 2:
                old = _activate(self.from_gray[level - 2](functional.avg_pool2d(pictures, 2)))
                x = blend(old.to(x.dtype), x, alpha)
        return x

    def stddev_of(self, pictures: Tensor, level: int) -> Tensor:
        """The minibatch statistic of a batch, (n,), as the last layers see it."""
        return minibatch_stddev(self._trunk(pictures, level, 1.0, False))

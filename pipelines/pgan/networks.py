"""The progressive generator and critic (Karras et al. 2018), grown 5×4 → 1280×1024 (Korkinof et al. 2018).

Both hold the layers of all levels from the start; ``level`` and ``alpha`` say how far they are used. The generator is
conditioned by an embedding concatenated to the latent, the critic by projection (Miyato & Koyama 2018); neither where
the recipe knows no conditions.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pipelines.pgan.conditions import code_size
from pipelines.pgan.settings import BASE_COLUMNS, BASE_ROWS, PGANSettings

SLOPE = 0.2
ROOT2 = math.sqrt(2)
"""He's gain for a layer before a leaky ReLU."""

GROUP = 4
"""Images a group of the minibatch statistic (Karras et al. 2018, section 3)."""


def _full(x: Tensor) -> Tensor:
    """At least float32, out of autocast's bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _PixelNorm(torch.autograd.Function):
    """``pixel_norm`` with its gradient written out: autograd's own takes twice as long. Differentiable once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x / √(mean over dimension 1 of x² + 1e-8)."""
        inverse = torch.rsqrt((x * x).mean(dim=1, keepdim=True) + 1e-8)
        y = x * inverse
        ctx.save_for_backward(y, inverse)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """(g − y · mean(g · y)) / √(…)."""
        y, inverse = ctx.saved_tensors
        return (gradient - y * (gradient * y).mean(dim=1, keepdim=True)) * inverse


def pixel_norm(x: Tensor) -> Tensor:
    """Each pixel's feature vector (dimension 1) divided by its root mean square."""
    return _PixelNorm.apply(x)


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


def _spread_table() -> Tensor:
    """(16, 9): which places of a 3×3 kernel each place of its spread adds up."""
    table = torch.zeros(4, 4, 3, 3)
    for down in (0, 1):
        for right in (0, 1):
            for row in range(3):
                for column in range(3):
                    table[row + down, column + right, row, column] = 1
    return table.reshape(16, 9)


_SPREAD = _spread_table()


def spread_kernel(weight: Tensor, scale: float = 1.0, flipped: bool = False) -> Tensor:
    """A 3×3 kernel spread over 4×4: the sum of its four shifts by one pixel, times ``scale``; (o, i, 4, 4).

    Nearest upsampling followed by the 3×3 convolution equals a transposed 4×4 convolution of stride 2 with the spread
    of the flipped kernel; the 3×3 convolution followed by 2×2 averaging equals a quarter of the strided 4×4 one. Made
    by one matrix product, in the weights' precision, channels last.
    """
    outputs, inputs = weight.shape[:2]
    table = (_SPREAD.flip(1) if flipped else _SPREAD).to(weight) * scale  # flipping both sides reverses the nine
    with torch.autocast(weight.device.type, enabled=False):
        spread = table @ weight.permute(0, 2, 3, 1).reshape(outputs, 9, inputs)
    return spread.reshape(outputs, 4, 4, inputs).permute(0, 3, 1, 2)


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

    fixed: Tensor | None

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, gain: float = ROOT2, resample: str | None = None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * size * size)
        self.resample = resample
        self.register_buffer("fixed", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) → (n, outputs, h, w), doubled or halved where it resamples."""
        kernel = self.kernel() if self.fixed is None else self.fixed
        if self.resample == "up":
            return functional.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)
        if self.resample == "down":
            return functional.conv2d(x, kernel, self.bias, stride=2, padding=1)
        return functional.conv2d(x, kernel, self.bias, padding=kernel.shape[-1] // 2)

    def kernel(self) -> Tensor:
        """The scaled weights as the convolution takes them."""
        if self.resample == "up":
            return spread_kernel(self.weight, self.scale, flipped=True).transpose(0, 1)
        if self.resample == "down":
            return spread_kernel(self.weight, self.scale / 4)
        return self.weight * self.scale


@torch.no_grad()
def fix_kernels(network: nn.Module) -> None:
    """Make a network's kernels once and for all: for one that learns no more, the same pictures in less time."""
    for layer in network.modules():
        if isinstance(layer, EqualizedConvolution):
            layer.fixed = layer.kernel()


def activate(x: Tensor) -> Tensor:
    """The leaky ReLU, in place: no layer before it needs its own output for the backward pass."""
    return functional.leaky_relu(x, SLOPE, inplace=True)


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
        maps = settings.maps
        self.latent_size = size = settings.latent_size
        self.code_size, self.recompute_from = code_size(settings.condition_age), settings.recompute_from
        self.embed = EqualizedLinear(self.code_size, size, gain=1.0, bias=False) if settings.conditional else None
        inputs = 2 * size if settings.conditional else size
        self.dense = EqualizedLinear(inputs, maps(1) * BASE_ROWS * BASE_COLUMNS, gain=ROOT2 / 4)
        self.first = EqualizedConvolution(maps(1), maps(1))
        steps = range(2, settings.levels + 1)
        self.up = nn.ModuleList(EqualizedConvolution(maps(s - 1), maps(s), resample="up") for s in steps)
        self.convolution = nn.ModuleList(EqualizedConvolution(maps(s), maps(s)) for s in steps)
        self.to_gray = nn.ModuleList(
            EqualizedConvolution(maps(s), self.channels, 1, 1.0) for s in range(1, settings.levels + 1)
        )

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
        return _full(picture)

    def start(self, latents: Tensor, codes: Tensor) -> Tensor:
        """Features of the first level, (n, maps, 5, 4)."""
        x = pixel_norm(latents)
        if self.embed is not None:
            x = torch.cat([x, self.embed(codes)], dim=1)
        x = self.dense(x).reshape(x.shape[0], -1, BASE_ROWS, BASE_COLUMNS)
        return pixel_norm(activate(self.first(pixel_norm(activate(x)))))

    def grow(self, x: Tensor, stage: int, up: nn.Module, convolution: nn.Module) -> Tensor:
        """Features of a stage 2 … from those of the stage below, through its two layers."""

        def block(x: Tensor) -> Tensor:
            return pixel_norm(activate(convolution(pixel_norm(activate(up(x))))))

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
        self.from_gray = nn.ModuleList(EqualizedConvolution(1, maps(s), 1) for s in range(1, settings.levels + 1))
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
        return _full(activate(self.dense(x.flatten(1))))

    def judge(self, x: Tensor, codes: Tensor) -> Tensor:
        """Scores (n,) from ``features``."""
        score = _full(self.score(x)).squeeze(1)
        if self.project is None:
            return score
        return score + (_full(self.project(codes)) * x).sum(dim=1) / math.sqrt(x.shape[1])

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

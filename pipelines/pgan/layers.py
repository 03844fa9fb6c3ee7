"""Layers of the networks: equalized convolutions that resample in one pass, pixel norm, and pixels packed by fours.

On a GPU a stage of few feature maps is bound by its convolutions' poor use of the matrix units: of 16 maps at 1280×1024
they reach an eighth of what the memory allows. There the features of four neighboring pixels are kept as one of four
times the maps at half the resolution, (n, 4·maps, rows/2, columns/2), ordered row, column, map; every 3×3 convolution
has an equal among kernels of such pixels. Weights stay as they are; only how they are worked with differs.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
ROOT2 = math.sqrt(2)
"""He's gain for a layer before a leaky ReLU."""

PACKED_MAPS = 32
"""Stages of at most so many maps are packed, where they are worked on by a GPU."""


def full(x: Tensor) -> Tensor:
    """At least float32, out of autocast's bfloat16."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def on_card(x: Tensor) -> bool:
    """Is this worked on by a GPU?"""
    return x.is_cuda


def packs(x: Tensor, maps: int) -> bool:
    """Are so many maps of features as large as ``x`` kept packed?"""
    return on_card(x) and maps <= PACKED_MAPS and not (x.shape[2] % 2 or x.shape[3] % 2)


def packed(x: Tensor) -> Tensor:
    """(n, c, 2h, 2w) → (n, 4c, h, w)."""
    n, c, rows, columns = x.shape
    split = x.permute(0, 2, 3, 1).reshape(n, rows // 2, 2, columns // 2, 2, c)
    return split.transpose(2, 3).reshape(n, rows // 2, columns // 2, 4 * c).permute(0, 3, 1, 2)


def unpacked(x: Tensor) -> Tensor:
    """(n, 4c, h, w) → (n, c, 2h, 2w)."""
    n, c, rows, columns = x.shape
    split = x.permute(0, 2, 3, 1).reshape(n, rows, columns, 2, 2, c // 4)
    return split.transpose(2, 3).reshape(n, 2 * rows, 2 * columns, c // 4).permute(0, 3, 1, 2)


class _PixelNorm(torch.autograd.Function):
    """``pixel_norm`` with its gradient written out: autograd's own takes twice as long. Differentiable once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        """x / √(mean over a dimension of x² + 1e-8)."""
        inverse = torch.rsqrt((x * x).mean(dim=dim, keepdim=True) + 1e-8)
        y = x * inverse
        ctx.save_for_backward(y, inverse)
        ctx.dim = dim
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """(g − y · mean(g · y)) / √(…)."""
        y, inverse = ctx.saved_tensors
        return (gradient - y * (gradient * y).mean(dim=ctx.dim, keepdim=True)) * inverse, None


def pixel_norm(x: Tensor, maps: int | None = None) -> Tensor:
    """Each pixel's feature vector (dimension 1) divided by its root mean square; of packed pixels, each of the four."""
    if maps is None or x.shape[1] == maps:
        return _PixelNorm.apply(x, 1)
    return _PixelNorm.apply(x.unflatten(1, (-1, maps)), 2).flatten(1, 2)


def activate(x: Tensor) -> Tensor:
    """The leaky ReLU, in place: no layer before it needs its own output for the backward pass."""
    return functional.leaky_relu(x, SLOPE, inplace=True)


class _Convolution(torch.autograd.Function):
    """A convolution whose gradient with respect to its input can be differentiated again, as penalties do.

    torch's own second derivative convolves pictures with pictures as large: on a GPU seconds, at 1280×1024, for what
    the transposed convolution's first derivative gives in milliseconds. While a graph of the gradient is made, those
    of weight and bias are left out: no penalty is a function of them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
        """The convolution."""
        ctx.save_for_backward(x, kernel)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, kernel, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of input, kernel and bias."""
        x, kernel = ctx.saved_tensors
        stride, padding = ctx.stride, ctx.padding
        if torch.is_grad_enabled():
            return functional.conv_transpose2d(gradient, kernel, None, stride, padding), None, None, None, None
        back = torch.ops.aten.convolution_backward(
            gradient, x, kernel, [len(kernel)], [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1,
            ctx.needs_input_grad[:3],
        )  # fmt: skip
        return *back, None, None


def convolve(x: Tensor, kernel: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """A convolution; outside autocast, where penalties are made, one whose second derivative costs little."""
    if torch.compiler.is_compiling() or torch.is_autocast_enabled(x.device.type) or not torch.is_grad_enabled():
        return functional.conv2d(x, kernel, bias, stride, padding)
    return _Convolution.apply(x, kernel, bias, stride, padding)


def spread_table() -> Tensor:
    """(16, 9): which places of a 3×3 kernel each place of its spread adds up."""
    table = torch.zeros(4, 4, 3, 3)
    for down in (0, 1):
        for right in (0, 1):
            for row in range(3):
                for column in range(3):
                    table[row + down, column + right, row, column] = 1
    return table.reshape(16, 9)


def spread_kernel(weight: Tensor, table: Tensor) -> Tensor:
    """A 3×3 kernel spread over 4×4: the sum of its four shifts by one pixel, by ``table``; (o, i, 4, 4).

    Nearest upsampling followed by the 3×3 convolution equals a transposed 4×4 convolution of stride 2 with the spread
    of the flipped kernel; the 3×3 convolution followed by 2×2 averaging equals a quarter of the strided 4×4 one. Made
    by one matrix product, in the weights' precision, channels last.
    """
    outputs, inputs = weight.shape[:2]
    return _placed(table, weight).reshape(outputs, 4, 4, inputs).permute(0, 3, 1, 2)


def _placed(table: Tensor, weight: Tensor) -> Tensor:
    """(places, 9) and a 3×3 kernel (o, i, 3, 3) → (o, places, i), in the weights' precision."""
    outputs, inputs = weight.shape[:2]
    with torch.autocast(weight.device.type, enabled=False):
        return table @ weight.permute(0, 2, 3, 1).reshape(outputs, 9, inputs)


def _packing_tables() -> dict[str, Tensor]:
    """(places, 9) for each way to resample: where in a kernel of packed pixels each weight of a 3×3 kernel acts.

    Along one side: pixel 2r + a of the output, offset d of the kernel, pixel 2(r + R) + b of the input. Places are
    ordered: output pixels of a four, input pixels of a four, rows and columns of the kernel, where there are any.
    """
    same, up, down = torch.zeros(2, 2, 3, 3), torch.zeros(2, 3, 3), torch.zeros(2, 3, 3)
    for d in (-1, 0, 1):
        for a in (0, 1):
            place, b = divmod(a + d, 2)
            same[a, b, place + 1, d + 1] = 1
            up[a, place + 1, d + 1] = 1  # the input is not packed: its pixel r + R counts for both of its double
            down[b, place + 1, d + 1] += 1  # both pixels of an output's double are added up
    return {
        "": torch.einsum("abRd,cfSe->acbfRSde", same, same).reshape(144, 9),
        "up": torch.einsum("aRd,bSe->abRSde", up, up).reshape(36, 9),
        "down": torch.einsum("aRd,bSe->abRSde", down, down).reshape(36, 9),
    }


def packed_kernel(weight: Tensor, table: Tensor, resample: str | None) -> Tensor:
    """The 3×3 kernel that does with packed pixels, by ``table``, what ``weight`` does with single ones.

    In channels-last memory. Sizes of (o, i, 3, 3): (4o, 4i, 3, 3); with "up", from single pixels to packed ones,
    (4o, i, 3, 3); with "down", to single ones of half the resolution, summed over 2×2, (o, 4i, 3, 3).
    """
    outputs, inputs = weight.shape[:2]
    placed = _placed(table, weight)
    made, taken = (1 if resample == "down" else 4), (1 if resample == "up" else 4)
    kernel = placed.reshape(outputs, made, taken, 3, 3, inputs).permute(1, 0, 3, 4, 2, 5)
    return kernel.reshape(made * outputs, 3, 3, taken * inputs).permute(0, 3, 1, 2)


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
    """A 3×3 convolution at equalized learning rate; ``resample`` fuses it with doubling before or halving after it.

    ``resample``: "" or None keeps the size; "up" is nearest upsampling, then the convolution; "down" the convolution,
    then 2×2 averaging; each in one pass (see ``spread_kernel``). Takes packed features and gives them where ``packs``.
    """

    spread: Tensor
    packing: Tensor

    def __init__(self, inputs: int, outputs: int, gain: float = ROOT2, resample: str | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * 9)
        self.resample = resample
        self.fixed: dict[str, Tensor] | None = None
        # Held where the weights are: a recorded step may not fetch anything from the CPU.
        spread = spread_table()
        flipped = spread.flip(1)  # flipping both sides reverses the nine
        self.register_buffer("spread", flipped if resample == "up" else spread, persistent=False)
        self.register_buffer("packing", _packing_tables()[resample or ""], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) → (n, outputs, h, w), doubled or halved where it resamples."""
        outputs, inputs = self.weight.shape[:2]
        four = x.shape[1] == 4 * inputs
        if self.resample == "up":
            return self._up(unpacked(x) if four else x, outputs)
        if self.resample == "down":
            if four:
                y = convolve(x, self.kernel("packed"), self.bias, 1, 1)
            else:
                y = convolve(x, self.kernel("spread"), self.bias, 2, 1)
            return packed(y) if packs(y, outputs) else y
        if four:
            return convolve(x, self.kernel("packed"), self.bias.repeat(4), 1, 1)
        return convolve(x, self.kernel("plain"), self.bias, 1, 1)

    def _up(self, x: Tensor, outputs: int) -> Tensor:
        if on_card(x) and outputs <= PACKED_MAPS:
            return convolve(x, self.kernel("packed"), self.bias.repeat(4), 1, 1)
        return functional.conv_transpose2d(x, self.kernel("spread").transpose(0, 1), self.bias, stride=2, padding=1)

    def kernel(self, form: str) -> Tensor:
        """The scaled weights as a convolution takes them: "plain", "spread" or "packed"."""
        if self.fixed is None:
            return self._made(form)
        if form not in self.fixed:
            self.fixed[form] = self._made(form).detach()
        return self.fixed[form]

    def _made(self, form: str) -> Tensor:
        scale = self.scale / 4 if self.resample == "down" else self.scale
        if form == "spread":
            return spread_kernel(self.weight, self.spread * scale)
        if form == "packed":
            return packed_kernel(self.weight, self.packing * scale, self.resample)
        return self.weight * scale


def fix_kernels(network: nn.Module) -> None:
    """Make a network's kernels once and for all: for one that learns no more, the same pictures in less time."""
    for layer in network.modules():
        if isinstance(layer, EqualizedConvolution):
            layer.fixed = {}


class _Pointwise(nn.Module):
    """A 1×1 convolution at equalized learning rate."""

    def __init__(self, inputs: int, outputs: int, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs)


class FromGray(_Pointwise):
    """Pictures (n, 1, h, w) to features (n, outputs, h, w), packed where ``packs``.

    On a GPU as a product: as a convolution of one channel it took a twelfth of the step at 1280×1024.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__(1, outputs, ROOT2)

    def forward(self, pictures: Tensor) -> Tensor:
        """The features, in autocast's precision."""
        weight = self.weight * self.scale
        if not on_card(pictures):
            return convolve(pictures, weight, self.bias, 1, 0)
        x = packed(pictures) if packs(pictures, len(weight)) else pictures
        features = (x.permute(0, 2, 3, 1)[..., None] * weight.flatten() + self.bias).flatten(3).permute(0, 3, 1, 2)
        kind = x.device.type
        return features.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else features


class ToGray(_Pointwise):
    """Features (n, inputs, h, w), packed or not, to pictures (n, channels, h, w)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__(inputs, channels, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """The pictures."""
        weight = self.weight * self.scale
        if not on_card(x):
            return functional.conv2d(x, weight, self.bias)
        channels, inputs = weight.shape[:2]
        pixels = full(x).permute(0, 2, 3, 1).unflatten(3, (-1, 1, inputs))
        pictures = ((pixels * weight.reshape(channels, inputs)).sum(dim=-1) + self.bias).flatten(3).permute(0, 3, 1, 2)
        return unpacked(pictures) if x.shape[1] == 4 * inputs else pictures

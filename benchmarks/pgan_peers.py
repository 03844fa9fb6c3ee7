"""What a pGAN step is timed against: the plain float32 WGAN-GP step, and pro_gan_pytorch where it is installed."""

import copy
import math
import sys
import types
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

Step = Callable[[], None]
Shape = tuple[int, int]


class _Scaled(nn.Module):
    """A convolution at equalized learning rate, scaled at run time, and nothing else."""

    def __init__(self, inputs: int, outputs: int, size: int | Shape, padding: int = 0) -> None:
        super().__init__()
        rows, columns = (size, size) if isinstance(size, int) else size
        self.weight = nn.Parameter(torch.randn(outputs, inputs, rows, columns))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = math.sqrt(2 / (inputs * rows * columns)), padding

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


def _normed(x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


class PlainGenerator(nn.Module):
    """Karras et al. 2018 as written: nearest doubling, then two convolutions a level."""

    def __init__(self, maps: list[int], base: Shape, channels: int = 1) -> None:
        super().__init__()
        self.base = base
        self.dense = nn.Linear(maps[0], maps[0] * base[0] * base[1])
        self.first = _Scaled(maps[0], maps[0], 3, 1)
        pairs = list(pairwise(maps))
        self.one = nn.ModuleList(_Scaled(a, b, 3, 1) for a, b in pairs)
        self.two = nn.ModuleList(_Scaled(b, b, 3, 1) for _, b in pairs)
        self.gray = _Scaled(maps[-1], channels, 1)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents to pictures of the top level."""
        x = self.dense(_normed(latents)).reshape(len(latents), -1, *self.base)
        x = _normed(functional.leaky_relu(x, 0.2))
        x = _normed(functional.leaky_relu(self.first(x), 0.2))
        for one, two in zip(self.one, self.two, strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = _normed(functional.leaky_relu(one(x), 0.2))
            x = _normed(functional.leaky_relu(two(x), 0.2))
        return self.gray(x)


class PlainCritic(nn.Module):
    """Its mirror image: two convolutions, then 2×2 averaging a level; the minibatch statistic at the end."""

    def __init__(self, maps: list[int], base: Shape, channels: int = 1) -> None:
        super().__init__()
        self.gray = _Scaled(channels, maps[-1], 1)
        pairs = list(pairwise(maps))[::-1]
        self.one = nn.ModuleList(_Scaled(b, b, 3, 1) for _, b in pairs)
        self.two = nn.ModuleList(_Scaled(b, a, 3, 1) for a, b in pairs)
        self.last = _Scaled(maps[0] + 1, maps[0], 3, 1)
        self.dense = _Scaled(maps[0], maps[0], base)
        self.score = _Scaled(maps[0], 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures of the top level to scores (n,)."""
        x = functional.leaky_relu(self.gray(pictures), 0.2)
        for one, two in zip(self.one, self.two, strict=True):
            x = functional.leaky_relu(one(x), 0.2)
            x = functional.avg_pool2d(functional.leaky_relu(two(x), 0.2), 2)
        grouped = x.reshape(4, -1, *x.shape[1:])
        deviation = ((grouped - grouped.mean(dim=0)).square().mean(dim=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        plane = deviation.repeat(4).reshape(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        x = functional.leaky_relu(self.last(torch.cat([x, plane], dim=1)), 0.2)
        return self.score(functional.leaky_relu(self.dense(x), 0.2)).flatten()


def plain_step(maps: list[int], base: Shape, batch: int, device: str = "cpu") -> Step:
    """One WGAN-GP step (λ = 10 on interpolates, drift 0.001) in eager float32: critic, generator, running average.

    ``maps``: feature maps of each stage; ``base``: rows and columns of the first.
    """
    torch.manual_seed(0)
    generator, critic = PlainGenerator(maps, base).to(device), PlainCritic(maps, base).to(device)
    average = copy.deepcopy(generator)
    adams = [torch.optim.Adam(n.parameters(), 0.001, betas=(0.0, 0.99), eps=1e-8) for n in (generator, critic)]
    scale = 2 ** (len(maps) - 1)
    real = torch.rand(batch, 1, base[0] * scale, base[1] * scale, device=device) * 2 - 1

    def step() -> None:
        fake = generator(torch.randn(batch, maps[0], device=device)).detach()
        real_score, fake_score = critic(real), critic(fake)
        mix = torch.rand(batch, 1, 1, 1, device=device)
        between = (real + mix * (fake - real)).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        loss = fake_score.mean() - real_score.mean() + 10 * penalty + 0.001 * real_score.square().mean()
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
        loss = -critic(generator(torch.randn(batch, maps[0], device=device))).mean()
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        with torch.no_grad():
            for mean, now in zip(average.parameters(), generator.parameters(), strict=True):
                mean.copy_(0.999 * mean + 0.001 * now)

    return step


def pro_gan_step(stages: int, width: int, batch: int) -> Step | None:
    """The step of pro_gan_pytorch (PyPI: pro-gan-pth 3.4) at 4·2^(stages−1) pixels; None where it is not installed.

    Patched at run time: ``torchvision`` and ``tensorboard``, which it needs for saving grids and curves alone,
    are empty modules; its ``nf`` gives
    ``width`` at most and in proportion; its call of ``_output_padding`` gets the argument that torch has added; its
    Adams get β as floats, since torch refuses the integer 0 beside 0.99.
    """
    stand_in = types.ModuleType("torchvision")
    saver = types.ModuleType("torchvision.utils")
    board = types.ModuleType("torch.utils.tensorboard")
    board.SummaryWriter = None  # type: ignore[attr-defined]
    transforms = types.ModuleType("torchvision.transforms")
    saver.save_image = None  # type: ignore[attr-defined]
    modules = {"torchvision": stand_in, "torchvision.utils": saver, "torchvision.transforms": transforms}
    if find_spec("tensorboard") is None:
        modules["torch.utils.tensorboard"] = board
    for name in ("Compose", "Normalize", "RandomHorizontalFlip", "Resize", "ToTensor"):
        setattr(transforms, name, lambda *given: None)
    for name, module in modules.items():
        sys.modules.setdefault(name, module)
    try:
        from pro_gan_pytorch import custom_layers, gan, losses, networks
    except ImportError:
        return None
    custom_layers.EqualizedConvTranspose2d.forward = lambda self, x, output_size=None: torch.conv_transpose2d(
        x, self.weight * self.scale, self.bias, self.stride, self.padding, 0, self.groups, self.dilation
    )
    networks.nf = lambda stage: min((32 * width) >> stage, width)
    torch.manual_seed(0)
    generator = networks.Generator(stages + 1, num_channels=1, latent_size=width)
    critic = networks.Discriminator(stages + 1, num_channels=1, latent_size=width)
    with redirect_stdout(StringIO()):
        trainer = gan.ProGAN(generator, critic, device=torch.device("cpu"))
    adams = [torch.optim.Adam(n.parameters(), 0.003, betas=(0.0, 0.99), eps=1e-8) for n in (generator, critic)]
    loss, side = losses.WganGP(), 4 << (stages - 1)
    real = torch.rand(batch, 1, side, side) * 2 - 1

    def step() -> None:
        noise = torch.randn(batch, width)
        trainer.optimize_discriminator(loss, adams[1], noise, real, stages + 1, 1.0)
        trainer.optimize_generator(loss, adams[0], noise, real, stages + 1, 1.0)
        custom_layers.update_average(trainer.gen_shadow, generator, 0.999)

    return step

"""One training in memory: networks, optimizers, the averaged generator, the step, and what a checkpoint holds."""

import copy
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from pipelines.pgan.checkpoint import Checkpoint, CheckpointError, optimizer_tensors, restore_optimizer
from pipelines.pgan.feed import Batch
from pipelines.pgan.growth import Stage
from pipelines.pgan.losses import critic_loss, generator_loss, r1_penalty
from pipelines.pgan.networks import Critic, Generator, blend
from pipelines.pgan.settings import PGANSettings

FIGURES = ("critic_loss", "r1", "real_score", "fake_score", "generator_loss")
"""What each step measures; R1 counts at the steps that evaluate it alone."""

Gradients = Sequence[torch.Tensor | None]


class TrainingDiverged(RuntimeError):  # noqa: N818 - named for what happened
    """A loss is no longer a finite number."""


@dataclass
class Tally:
    """Sums of the figures since the last record, and over how many steps."""

    sums: torch.Tensor
    steps: int = 0
    penalties: int = 0

    def means(self) -> dict[str, float]:
        """Means of the figures. Raises TrainingDiverged where one is not finite."""
        counts = [self.steps, self.penalties, self.steps, self.steps, self.steps]
        means = {n: s / c for n, s, c in zip(FIGURES, self.sums.tolist(), counts, strict=True) if c}
        if not all(math.isfinite(mean) for mean in means.values()):
            raise TrainingDiverged("a loss is not finite")
        return means


@dataclass
class Part:
    """One part of a batch on its way through a step: ``stage`` is level, α and whether it is fading."""

    real: torch.Tensor
    codes: torch.Tensor
    latents: torch.Tensor
    stage: tuple[int, torch.Tensor, bool]
    fake: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    figures: list[torch.Tensor] = field(default_factory=list)


def _adam(network: torch.nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), rate, betas=(0.0, 0.99), eps=1e-8, fused=True)


class Engine:
    """Networks and optimizers of a training, stepped batch by batch; deterministic on a CPU for given settings."""

    def __init__(self, settings: PGANSettings) -> None:
        self.settings = settings
        self.device = torch.device(settings.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            generator, critic = Generator(settings), Critic(settings)
        self.generator, self.critic = generator.to(self.device), critic.to(self.device)
        if settings.channels_last:
            for network in (self.generator, self.critic):
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.latents = torch.Generator().manual_seed(settings.seed)
        self.steps = 0
        self.tally = self._empty_tally()
        self.generator_optimizer = _adam(self.generator, settings.generator_rate)
        self.critic_optimizer = _adam(self.critic, settings.critic_rate)
        self._threads = ThreadPoolExecutor(settings.parts)
        compiled = settings.compile and self.device.type == "cuda"
        self._generate = torch.compile(self.generator) if compiled else self.generator
        self._score = torch.compile(self.critic) if compiled else self.critic

    def _empty_tally(self) -> Tally:
        return Tally(torch.zeros(len(FIGURES), dtype=torch.float64, device=self.device))

    def _autocast(self) -> torch.autocast:
        lowered = self.settings.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=lowered, cache_enabled=False)

    def step(self, batch: Batch, stage: Stage, images: int) -> None:
        """Train critic and generator once on a batch at a stage, after ``images`` images.

        The generated pictures are made once and serve both networks. A non-finite loss shows in the tally alone.
        """
        parts = self._split(batch, stage)
        lazy = self.steps % self.settings.r1_interval == 0
        self._update(self.critic_optimizer, self._spread(lambda part: self._judge(part, lazy), parts))
        self.critic.requires_grad_(False)
        self._update(self.generator_optimizer, self._spread(self._persuade, parts))
        self.critic.requires_grad_(True)
        self._average(len(batch.codes), images)
        self.tally.sums += torch.stack([torch.stack(part.figures) for part in parts]).mean(dim=0)
        self.tally.steps += 1
        self.tally.penalties += lazy
        self.steps += 1

    def _split(self, batch: Batch, stage: Stage) -> list[Part]:
        alpha = torch.tensor(stage.alpha, device=self.device)
        real = torch.from_numpy(batch.pictures).to(self.device, non_blocking=True)
        codes = torch.from_numpy(batch.codes).to(self.device, non_blocking=True)
        if stage.fading:
            old = functional.interpolate(functional.avg_pool2d(real, 2), scale_factor=2.0, mode="nearest")
            real = blend(old, real, alpha)
        latents = torch.randn(len(real), self.settings.latent_size, generator=self.latents).to(self.device)
        at, parts = (stage.level, alpha, stage.fading), self.settings.parts
        # Every other image: since the classes take turns, the statistic's groups stay within a class.
        return [Part(real[i::parts], codes[i::parts], latents[i::parts], at) for i in range(parts)]

    def _spread(self, work: Callable[[Part], Gradients], parts: list[Part]) -> list[Gradients]:
        """One function over all parts, side by side on a CPU; the results in the parts' order."""
        if self.device.type != "cpu" or len(parts) == 1:
            return [work(part) for part in parts]
        return list(self._threads.map(work, parts))

    def _judge(self, part: Part, lazy: bool) -> Gradients:
        """The critic's gradients on one part, its generated pictures made on the way."""
        with self._autocast():
            part.fake = self._generate(part.latents, part.codes, *part.stage)
            real_score = self._score(part.real, part.codes, *part.stage)
            fake_score = self._score(part.fake.detach(), part.codes, *part.stage)
            loss = critic_loss(real_score, fake_score)
        r1 = torch.zeros((), device=self.device)
        if lazy:
            r1 = r1_penalty(lambda pictures: self.critic(pictures, part.codes, *part.stage), part.real)
        part.figures = [figure.detach().double() for figure in (loss, r1, real_score.mean(), fake_score.mean())]
        total = loss + r1 * (self.settings.r1_gamma / 2 * self.settings.r1_interval)
        return torch.autograd.grad(total, tuple(self.critic.parameters()), allow_unused=True)

    def _persuade(self, part: Part) -> Gradients:
        """The generator's gradients on one part."""
        with self._autocast():
            loss = generator_loss(self._score(part.fake, part.codes, *part.stage))
        part.figures.append(loss.detach().double())
        return torch.autograd.grad(loss, tuple(self.generator.parameters()), allow_unused=True)

    def _update(self, optimizer: torch.optim.Optimizer, gradients: list[Gradients]) -> None:
        """Step with the mean of the parts' gradients; parameters of levels not in use have none."""
        parameters = optimizer.param_groups[0]["params"]
        for parameter, own in zip(parameters, zip(*gradients, strict=True), strict=True):
            present = [gradient for gradient in own if gradient is not None]
            if not present:
                parameter.grad = None
                continue
            if parameter.grad is None:
                parameter.grad = torch.empty_like(
                    parameter
                )  # in its memory format: the fused Adam takes that for granted
            parameter.grad.copy_(torch.stack(present).mean(dim=0))
        optimizer.step()

    def _average(self, batch: int, images: int) -> None:
        """Move the averaged generator; its half-life grows with the images shown, up to the setting."""
        half_life = min(float(self.settings.ema_half_images), 0.05 * (images + batch))
        pace = 1 - 0.5 ** (batch / half_life)
        torch._foreach_lerp_(list(self.average.parameters()), [p.detach() for p in self.generator.parameters()], pace)

    def take_tally(self) -> dict[str, float]:
        """The figures' means since the last call. Raises TrainingDiverged."""
        means = self.tally.means()
        self.tally = self._empty_tally()
        return means

    def tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        """All tensors that a resumed training needs, by group."""
        return {
            "generator": dict(self.generator.state_dict()),
            "critic": dict(self.critic.state_dict()),
            "average": dict(self.average.state_dict()),
            "generator_optimizer": optimizer_tensors(self.generator_optimizer),
            "critic_optimizer": optimizer_tensors(self.critic_optimizer),
            "tally": {"sums": self.tally.sums},
        }

    def state(self) -> dict[str, Any]:
        """All else that it needs, as JSON values."""
        latents = bytes(self.latents.get_state().numpy()).hex()
        return {"latents": latents, "steps": self.steps, "tally": [self.tally.steps, self.tally.penalties]}

    def restore(self, checkpoint: Checkpoint, state: dict[str, Any]) -> None:
        """Continue from a checkpoint. Raises CheckpointError where it does not fit."""
        tensors = checkpoint.tensors
        try:
            for name, network in (("generator", self.generator), ("critic", self.critic), ("average", self.average)):
                network.load_state_dict(tensors[name])
            restore_optimizer(self.generator_optimizer, tensors["generator_optimizer"])
            restore_optimizer(self.critic_optimizer, tensors["critic_optimizer"])
            self.latents.set_state(torch.from_numpy(np.frombuffer(bytes.fromhex(state["latents"]), np.uint8).copy()))
            self.steps = int(state["steps"])
            self.tally = Tally(tensors["tally"]["sums"].to(self.device), *map(int, state["tally"]))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError("the checkpoint does not fit the networks") from error

"""One training in memory: networks, optimizers, the averaged generator, the step, and what a checkpoint holds."""

import copy
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from pipelines.pgan import distributed
from pipelines.pgan.augment import Steering, draw_warps, warp
from pipelines.pgan.checkpoint import Checkpoint, CheckpointError, optimizer_tensors, restore_optimizer
from pipelines.pgan.feed import Batch
from pipelines.pgan.growth import Stage
from pipelines.pgan.networks import blend, doubled
from pipelines.pgan.recipes import Recipe, critic_of, generator_of, recipe_of
from pipelines.pgan.replay import Inputs, Kind, Replay
from pipelines.pgan.settings import PGANSettings, SettingsError, resolution_of

PENALTY = "penalty"
FIGURES = ("critic_loss", PENALTY, "real_score", "fake_score", "real_sign", "generator_loss")
"""What each step measures; the penalty counts at the steps that evaluate it alone, and has its recipe's name."""

RECOMPILATIONS = 256
"""Compiled forms of a network: each level, fading or not, with its parameters' gradients or without."""

Gradients = Sequence[torch.Tensor | None]


class TrainingDiverged(RuntimeError):  # noqa: N818 - named for what happened
    """A loss is no longer a finite number."""


@dataclass
class Tally:
    """Sums of the figures since the last record, and over how many steps."""

    sums: torch.Tensor
    penalty_name: str
    steps: int = 0
    penalties: int = 0

    def means(self) -> dict[str, float]:
        """Means of the figures. Raises TrainingDiverged where one is not finite."""
        names = [self.penalty_name if name == PENALTY else name for name in FIGURES]
        counts = [self.penalties if name == PENALTY else self.steps for name in FIGURES]
        means = {n: s / c for n, s, c in zip(names, self.sums.tolist(), counts, strict=True) if c}
        if not all(math.isfinite(mean) for mean in means.values()):
            raise TrainingDiverged("a loss is not finite")
        return means


@dataclass
class Part:
    """One part of a batch on its way through a step: ``stage`` is level, α and whether it is fading.

    ``warps``: the augmentation of the generated pictures, None where there is none; ``mix``: for a gradient penalty.
    """

    real: torch.Tensor
    codes: torch.Tensor
    latents: torch.Tensor
    mix: torch.Tensor
    warps: torch.Tensor | None
    stage: tuple[int, torch.Tensor, bool]
    fake: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    figures: list[torch.Tensor] = field(default_factory=list)


def _adam(network: torch.nn.Module, rate: float) -> torch.optim.Adam:
    parameters = list(network.parameters())
    recorded = parameters[0].is_cuda
    return torch.optim.Adam(parameters, rate, betas=(0.0, 0.99), eps=1e-8, fused=True, capturable=recorded)


def _mean(gradients: Sequence[Gradients]) -> list[torch.Tensor | None]:
    """The mean of several parts' gradients, summed in order."""
    if len(gradients) == 1:
        return list(gradients[0])
    means = []
    for own in zip(*gradients, strict=True):
        present = [gradient for gradient in own if gradient is not None]
        means.append(torch.stack(present).mean(dim=0) if present else None)
    return means


class Engine:
    """Networks and optimizers of a training, stepped batch by batch; deterministic on a CPU for given settings.

    Among several processes (see ``distributed``) each gives ``step`` its own share of the batch: of n processes, the
    r-th those images whose number is r modulo n. All come out with the same networks: those of one process that works
    on as many parts, up to rounding.
    """

    def __init__(self, settings: PGANSettings) -> None:
        self.settings = settings
        self.recipe: Recipe = recipe_of(settings)
        self.rank, self.world = distributed.share()
        if settings.parts % self.world:
            raise SettingsError(f"{settings.parts} parts cannot be shared out among {self.world} processes")
        self.device = distributed.device_of(settings.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            generator, critic = generator_of(settings), critic_of(settings)
        self.generator, self.critic = generator.to(self.device), critic.to(self.device)
        if settings.channels_last:
            for network in (self.generator, self.critic):
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.latents = torch.Generator().manual_seed(settings.seed)
        self.steps = 0
        self.tally = self._empty_tally()
        self.steering = Steering(settings.augment_images)
        self.generator_optimizer = _adam(self.generator, settings.generator_rate)
        self.critic_optimizer = _adam(self.critic, settings.critic_rate)
        self._threads = ThreadPoolExecutor(settings.parts)
        self._generate, self._score = self._compiled(self.generator), self._compiled(self.critic)
        self._replay = Replay()

    def _compiled(self, network: torch.nn.Module) -> Callable[..., torch.Tensor]:
        """The network's plain pass, compiled on a GPU; R1, which a compiled pass cannot do, uses the network itself."""
        if not (self.settings.compile and self.device.type == "cuda"):
            return network
        torch._dynamo.config.recompile_limit = RECOMPILATIONS  # past 8, the default, it would silently run uncompiled
        return torch.compile(network, dynamic=False)

    def _empty_tally(self) -> Tally:
        sums = torch.zeros(len(FIGURES), dtype=torch.float64, device=self.device)
        return Tally(sums, self.recipe.penalty_name)

    def _autocast(self) -> torch.autocast:
        lowered = self.settings.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=lowered, cache_enabled=False)

    def step(self, batch: Batch, stage: Stage, images: int) -> None:
        """Train critic and generator once on a batch at a stage, after ``images`` images.

        The generated pictures are made once and serve both networks. A non-finite loss shows in the tally alone.
        """
        inputs = self._inputs(batch, stage)
        lazy = self.steps % self.recipe.interval == 0
        kind = Kind(stage.level, stage.fading, lazy, len(batch.codes))
        recordable = self.device.type == "cuda" and self.world == 1 and "warps" not in inputs
        run = self._replay if recordable else lambda kind, inputs, work: work(inputs)
        figures = run(kind, inputs, lambda inputs: self._train(kind, inputs))
        shown = len(batch.codes) * self.world
        pace = self.recipe.pace(shown, images)
        torch._foreach_lerp_(list(self.average.parameters()), [p.detach() for p in self.generator.parameters()], pace)
        self.tally.sums += figures
        self.tally.steps += 1
        self.tally.penalties += lazy
        if self.settings.augment:
            self.steering.see(float(figures[FIGURES.index("real_sign")]), shown)
        self.steps += 1

    def _train(self, kind: Kind, inputs: Inputs) -> torch.Tensor:
        """Critic's step and generator's step; the figures' means over all parts and processes."""
        parts = self._split(inputs, kind.level, kind.fading)
        self._update(self.critic_optimizer, self._spread(lambda part: self._judge(part, kind.lazy), parts))
        self.critic.requires_grad_(False)
        self._update(self.generator_optimizer, self._spread(self._persuade, parts))
        self.critic.requires_grad_(True)
        figures = torch.stack([torch.stack(part.figures) for part in parts]).mean(dim=0)
        distributed.average([figures])
        return figures

    def _inputs(self, batch: Batch, stage: Stage) -> dict[str, torch.Tensor]:
        """All that a step is a function of, beside weights and optimizers, on the device."""
        whole = len(batch.codes) * self.world
        inputs = {
            "real": torch.from_numpy(batch.pictures).to(self.device, non_blocking=True),
            "codes": torch.from_numpy(batch.codes).to(self.device, non_blocking=True),
            "alpha": torch.full((), stage.alpha, device=self.device),
            "latents": self._own(torch.randn(whole, self.settings.latent_size, generator=self.latents)),
        }
        if self.recipe.mixes:
            inputs["mix"] = self._own(torch.rand(whole, 1, 1, 1, generator=self.latents))
        if self.steering.probability > 0:
            shape, chance = resolution_of(stage.level), self.steering.probability
            own, warps = (self._own(draw_warps(whole, shape, chance, self.latents)) for _ in range(2))
            inputs |= {"real_warps": own, "warps": warps}
        return inputs

    def _split(self, inputs: Inputs, level: int, fading: bool) -> list[Part]:
        real, codes, alpha, latents = (inputs[name] for name in ("real", "codes", "alpha", "latents"))
        if fading:
            real = blend(doubled(functional.avg_pool2d(real, 2)), real, alpha)
        warps = inputs.get("warps")
        if warps is not None:
            real = warp(real, inputs["real_warps"])
        mix = inputs["mix"] if self.recipe.mixes else torch.zeros(len(real), 1, 1, 1, device=self.device)
        at, parts = (level, alpha, fading), self.settings.parts // self.world
        # Every other image: since the classes take turns, the statistic's groups stay within a class.
        cuts = [slice(i, None, parts) for i in range(parts)]
        return [
            Part(real[cut], codes[cut], latents[cut], mix[cut], None if warps is None else warps[cut], at)
            for cut in cuts
        ]

    def _own(self, drawn: torch.Tensor) -> torch.Tensor:
        """This process' share of what was drawn for the whole batch; on a GPU by a copy that is not waited for."""
        own = drawn[self.rank :: self.world]
        return own.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else own

    def _spread(self, work: Callable[[Part], Gradients], parts: list[Part]) -> list[Gradients]:
        """One function over all parts, side by side on a CPU; the results in the parts' order."""
        if self.device.type != "cpu" or len(parts) == 1:
            return [work(part) for part in parts]
        return list(self._threads.map(work, parts))

    def _fake(self, part: Part) -> torch.Tensor:
        """The part's generated pictures as the critic sees them."""
        with self._autocast():
            fake = self._generate(part.latents, part.codes, *part.stage)
        return fake if part.warps is None else warp(fake, part.warps)

    def _judge(self, part: Part, lazy: bool) -> Gradients:
        """The critic's gradients on one part, its generated pictures made on the way."""
        with torch.set_grad_enabled(not self.settings.regenerate):
            part.fake = self._fake(part)
        with self._autocast():
            real_score = self._score(part.real, part.codes, *part.stage)
            fake_score = self._score(part.fake.detach(), part.codes, *part.stage)
            loss = self.recipe.critic_loss(real_score, fake_score)
        penalty = torch.zeros((), device=self.device)
        if lazy:  # outside autocast: in float32

            def score(pictures: torch.Tensor) -> torch.Tensor:
                return self.critic(pictures, part.codes, *part.stage)

            penalty = self.recipe.penalty(score, part.real, part.fake.detach(), part.mix)
        figures = (loss, penalty, real_score.mean(), fake_score.mean(), real_score.sign().mean())
        part.figures = [figure.detach().double() for figure in figures]
        return torch.autograd.grad(
            loss + penalty * self.recipe.weight, tuple(self.critic.parameters()), allow_unused=True
        )

    def _persuade(self, part: Part) -> Gradients:
        """The generator's gradients on one part."""
        fake = self._fake(part) if self.settings.regenerate else part.fake
        with self._autocast():
            loss = self.recipe.generator_loss(self._score(fake, part.codes, *part.stage))
        part.figures.append(loss.detach().double())
        return torch.autograd.grad(loss, tuple(self.generator.parameters()), allow_unused=True)

    def _update(self, optimizer: torch.optim.Optimizer, gradients: list[Gradients]) -> None:
        """Step with the mean of the parts' gradients over all processes; parameters of levels not in use have none."""
        means = _mean(gradients)
        distributed.average([mean for mean in means if mean is not None])
        kept, new = [], []
        for parameter, mean in zip(optimizer.param_groups[0]["params"], means, strict=True):
            if mean is None:
                parameter.grad = None
                continue
            if parameter.grad is None:  # in its memory format: the fused Adam takes that for granted
                parameter.grad = torch.empty_like(parameter)
            kept.append(parameter.grad)
            new.append(mean)
        torch._foreach_copy_(kept, new)  # on a GPU one kernel, not one a parameter
        optimizer.step()

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
        tally = [self.tally.steps, self.tally.penalties]
        return {"latents": latents, "steps": self.steps, "tally": tally, "steering": asdict(self.steering)}

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
            sums = tensors["tally"]["sums"].to(self.device)
            self.tally = Tally(sums, self.recipe.penalty_name, *map(int, state["tally"]))
            self.steering = Steering(**state["steering"])
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise CheckpointError("the checkpoint does not fit the networks") from error

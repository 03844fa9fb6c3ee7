"""A small convolutional network that tells density from a picture: the yardstick of what training pictures are worth.

Densities are ordered, so the network answers one question for each border between them: does it lie above (Frank & Hall
2001)? The same network with one question tells real from synthetic. It is plain and small on purpose: what is compared
are the pictures it learns from, under equal steps.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, max_pool2d

from pipelines.evaluate.worth_settings import ClassifierSettings

GRAY = 4095
"""White; pictures are uint16, 0 (air) to 4095."""

BLOCKS = 4
CHECKS = 8
"""How often in a training the validation loss is looked at; the best state is kept."""

AT_ONCE = 256

Change = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Cohort:
    """Pictures uint16 (n, rows, columns), 0…4095, and the number 0…classes − 1 of each one's class (n,)."""

    pictures: NDArray[np.uint16]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Cohort":
        """Some of them."""
        return Cohort(self.pictures[rows], self.classes[rows])

    def joined(self, other: "Cohort") -> "Cohort":
        """These and others."""
        return Cohort(np.concatenate([self.pictures, other.pictures]), np.concatenate([self.classes, other.classes]))


@dataclass(frozen=True)
class Phase:
    """A part of a training: what is learned from, for how many steps, at which share of the learning rate, and how the
    pictures are changed on their way, if at all."""

    cohort: Cohort
    steps: int
    pace: float = 1.0
    change: Change | None = None


class DensityClassifier(nn.Module):
    """Pictures (n, 1, rows, columns) in 0…1 to one logit for each border between classes, (n, classes − 1)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        maps = [1, *(width << index for index in range(BLOCKS))]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1, bias=False) for before, after in pairwise(maps)
        )
        # Over the batch: a norm over each picture would take its brightness out, and density with it.
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in maps[1:])
        self.borders = nn.Linear(maps[-1], classes - 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 1, rows, columns) → (n, classes − 1)."""
        x = pictures
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = torch.relu(norm(convolution(x)))
            x = max_pool2d(x, 2) if min(x.shape[2:]) >= 4 else x
        borders: Tensor = self.borders(x.mean((2, 3)))
        return borders


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """One thread, deterministic algorithms and a seeded generator; put back afterwards."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def train_classifier(
    phases: Sequence[Phase], validation: Cohort, *, classes: int, settings: ClassifierSettings, seed: int
) -> DensityClassifier:
    """Train through the phases and return the state of least loss on ``validation`` (of the last phase's checks).

    Every class that a phase has is drawn equally often. Without validation pictures the last state is returned. The
    same arguments give the same network on a CPU.
    """
    with reproducible(seed):
        network = DensityClassifier(settings.width, classes).to(settings.device)
        best, least = network.state_dict(), float("inf")
        for number, phase in enumerate(phases):
            optimizer = torch.optim.AdamW(network.parameters(), settings.rate * phase.pace, weight_decay=1e-3)
            draw = _Draw(phase.cohort, settings.batch, (seed, number))
            noise = torch.Generator().manual_seed(1_000_003 * seed + number)
            network.train()
            for step in range(phase.steps):
                pictures, wanted = draw(classes)
                if phase.change is not None:
                    pictures = phase.change(pictures, noise)
                loss = binary_cross_entropy_with_logits(
                    network(pictures.to(settings.device)), wanted.to(settings.device)
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if phase is phases[-1] and _is_check(step, phase.steps):
                    found = _loss(network.eval(), validation, classes)
                    network.train()
                    if found <= least:
                        least = found
                        best = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(best)
        return network.eval()


def _is_check(step: int, steps: int) -> bool:
    return (step + 1) * CHECKS // steps > step * CHECKS // steps


class _Draw:
    """Batches of a cohort, its classes in turn, each one's pictures in shuffled rounds."""

    def __init__(self, cohort: Cohort, batch: int, seed: tuple[int, int]) -> None:
        self.cohort, self.batch = cohort, batch
        self.rng = np.random.default_rng(seed)
        self.members = [np.flatnonzero(cohort.classes == c) for c in np.unique(cohort.classes)]
        self.rounds: list[list[int]] = [[] for _ in self.members]
        self.turn = 0

    def __call__(self, classes: int) -> tuple[Tensor, Tensor]:
        rows = np.empty(self.batch, np.intp)
        for place in range(self.batch):
            kind = self.turn % len(self.members)
            if not self.rounds[kind]:
                self.rounds[kind] = self.rng.permutation(self.members[kind]).tolist()
            rows[place] = self.rounds[kind].pop()
            self.turn += 1
        return _pictures(self.cohort.pictures[rows]), _above(self.cohort.classes[rows], classes)


def _pictures(pictures: NDArray[np.uint16]) -> Tensor:
    return torch.from_numpy(pictures.astype(np.float32) / GRAY)[:, None]


def _above(numbers: NDArray[np.int64], classes: int) -> Tensor:
    """Which borders each class lies above, float32 (n, classes − 1)."""
    return torch.from_numpy((numbers[:, None] > np.arange(classes - 1)).astype(np.float32))


@torch.no_grad()
def answers(network: DensityClassifier, pictures: NDArray[np.uint16]) -> NDArray[np.float64]:
    """The logits of pictures (n, rows, columns) by a network that does not train, (n, classes − 1)."""
    device = next(network.parameters()).device
    parts = [
        network(_pictures(pictures[start : start + AT_ONCE]).to(device)).cpu().double().numpy()
        for start in range(0, len(pictures), AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty((0, network.borders.out_features))


def classify(network: DensityClassifier, pictures: NDArray[np.uint16]) -> NDArray[np.int64]:
    """The class of each picture: how many borders it lies above."""
    return (answers(network, pictures) > 0).sum(1).astype(np.int64)


def _loss(network: DensityClassifier, cohort: Cohort, classes: int) -> float:
    """Mean cross entropy with every class weighing the same; 0 without pictures."""
    if not len(cohort):
        return 0.0
    logits = torch.from_numpy(answers(network, cohort.pictures))
    each = binary_cross_entropy_with_logits(logits, _above(cohort.classes, classes).double(), reduction="none").mean(1)
    return float(np.mean([each[torch.from_numpy(cohort.classes == c)].mean() for c in np.unique(cohort.classes)]))

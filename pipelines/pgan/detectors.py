"""Detectors of divergence and collapse: pure functions of the records so far, so that a resumed training sees the same.

An alarm makes the training go back to its last good checkpoint with lower rates (``training``). A detector compares
with the training's own past: what is a large gradient differs from level to level and from loss to loss.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Record = Mapping[str, float]


@dataclass(frozen=True)
class Limits:
    """When to ring, and how often a training may go back.

    - ``gradient_factor``, ``gap_factor``: a gradient norm, or the critic's gap, so many times its median over the last
      ``history`` records is an alarm; judged once there are ``least_history`` records.
    - ``least_gap``: no critic's gap below this is an alarm.
    - ``least_diversity``: diversity under this share of the real pictures' is an alarm, once it has been
      ``armed_diversity`` or more: a generator that has not yet learned anything is no collapse.
    - ``rollbacks``: so many times the training goes back; the next alarm ends it.
    - ``rate_factor``: what both learning rates are multiplied by at each rollback.
    """

    gradient_factor: float = 100.0
    gap_factor: float = 30.0
    least_gap: float = 20.0
    history: int = 20
    least_history: int = 5
    least_diversity: float = 0.1
    armed_diversity: float = 0.3
    rollbacks: int = 3
    rate_factor: float = 0.5


@dataclass(frozen=True)
class Alarm:
    """What rang: a reason code, the figure's name, its value (None where it is no finite number), and its limit."""

    reason: str
    figure: str
    value: float | None
    limit: float | None

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.reason}: {self.figure} is not finite"
        return f"{self.reason}: {self.figure} is {self.value:.3g}, the limit {self.limit:.3g}"


def alarm_of_record(record: Record, earlier: Sequence[Record], limits: Limits) -> Alarm | None:
    """Judge a record of losses and gradient norms by the records before it: finite, and of a usual size."""
    for name, value in sorted(record.items()):
        if not math.isfinite(value):
            return Alarm("not_finite", name, None, None)
    past = earlier[-limits.history :]
    if len(past) < limits.least_history:
        return None
    for name, reason, factor, floor in (
        ("generator_gradient", "exploding_gradient", limits.gradient_factor, 0.0),
        ("critic_gradient", "exploding_gradient", limits.gradient_factor, 0.0),
        ("critic_gap", "exploding_critic_gap", limits.gap_factor, limits.least_gap),
    ):
        limit = max(floor, factor * float(np.median([abs(row[name]) for row in past])))
        if limit and abs(record[name]) > limit:
            return Alarm(reason, name, record[name], limit)
    return None


def alarm_of_glances(glances: Sequence[Mapping[str, Any]], limits: Limits) -> Alarm | None:
    """Judge the last glance: finite pictures, and no collapse of the diversity that was there before."""
    last = glances[-1]
    if not last["finite"]:
        return Alarm("not_finite", "generated pictures", None, None)
    values = [glance["diversity"] for glance in glances if glance["diversity"] is not None]
    armed = any(value >= limits.armed_diversity for value in values)
    if armed and last["diversity"] is not None and last["diversity"] < limits.least_diversity:
        return Alarm("collapse", "diversity", last["diversity"], limits.least_diversity)
    return None


def gradient_norm(network: torch.nn.Module) -> torch.Tensor:
    """Euclidean norm of the gradients that the last step left in a network; 0 where there are none."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())


class GradientMeter:
    """Gradient norms of both networks, step by step; a record takes their median over the steps since the last one.

    The median, since a step with a lazy penalty has a norm of many times the others'.
    """

    def __init__(self, state: Sequence[Sequence[float]] = ()) -> None:
        self._norms: deque[torch.Tensor] = deque((torch.tensor(pair) for pair in state), maxlen=64)

    def note(self, generator: torch.nn.Module, critic: torch.nn.Module) -> None:
        """Measure what a step has left."""
        self._norms.append(torch.stack([gradient_norm(generator), gradient_norm(critic)]))

    def take(self) -> dict[str, float]:
        """The medians, and a new beginning."""
        medians = np.median(np.array(self.state()), axis=0).tolist()
        self._norms.clear()
        return dict(zip(("generator_gradient", "critic_gradient"), medians, strict=True))

    def state(self) -> list[list[float]]:
        """What a checkpoint holds of it."""
        return [norm.tolist() for norm in self._norms]  # one by one: those of a checkpoint lie on the CPU

"""Steps recorded once as CUDA graphs and then replayed: below 640×512 launching a step's kernels takes the longest."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

WARM_STEPS = 2
"""Steps of a kind that run as written before one is recorded: they compile, choose algorithms and make buffers."""

Inputs = Mapping[str, Tensor]


class Kind(NamedTuple):
    """What fixes the kernels of a step: the level, is it fading, is the penalty due, and how many images."""

    level: int
    fading: bool
    lazy: bool
    images: int


class _Recorded(NamedTuple):
    graph: Any
    inputs: dict[str, Tensor]
    figures: Tensor


class Replay:
    """Runs ``work`` on inputs, by replaying what it did with others of the same kind.

    ``work`` is a function of the inputs on the GPU alone and of what lies there and stays in its place (weights,
    gradients, the optimizers' state); its result must be read before the next call. Recordings of a level are
    forgotten when the next one begins.
    """

    def __init__(self) -> None:
        self._level = 0
        self._begin(0)

    def _begin(self, level: int) -> None:
        self._level = level
        self._warm: dict[Kind, int] = {}
        self._recorded: dict[Kind, _Recorded] = {}
        self._pool: Any = None

    def __call__(self, kind: Kind, inputs: Inputs, work: Callable[[Inputs], Tensor]) -> Tensor:
        """The figures that ``work`` gives."""
        if kind.level != self._level:
            self._begin(kind.level)
        if self._warm.setdefault(kind, 0) < WARM_STEPS:
            self._warm[kind] += 1
            return work(inputs)
        if kind not in self._recorded:
            self._recorded[kind] = self._record(inputs, work)
        recorded = self._recorded[kind]
        for name, own in recorded.inputs.items():
            own.copy_(inputs[name])
        recorded.graph.replay()
        return recorded.figures

    def _record(self, inputs: Inputs, work: Callable[[Inputs], Tensor]) -> _Recorded:
        own = {name: value.clone() for name, value in inputs.items()}
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Other threads may work meanwhile: the feed's makes pinned memory.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            figures = work(own)
        return _Recorded(graph, own, figures)

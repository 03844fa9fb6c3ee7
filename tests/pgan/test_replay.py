"""What a recorded step needs: nothing but its inputs and what lies on its device, and that kinds are told apart."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pipelines.pgan import layers, replay
from pipelines.pgan.engine import Engine
from pipelines.pgan.replay import Inputs, Kind, Replay
from pipelines.pgan.settings import PGANSettings, resolution_of

LEVEL, IMAGES = 5, 8


class _Elsewhere(TorchDispatchMode):
    """Operations that bring tensors of the CPU and of the device together, or fetch a value."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, out))
        if len({leaf.device for leaf in leaves if isinstance(leaf, torch.Tensor)}) > 1 or "_local_scalar" in str(func):
            self.found.add(str(func))
        return out


@contextmanager
def _on_meta(settings: PGANSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine whose networks lie on torch's meta device, which stands for the GPU: it computes shapes alone."""
    engine = Engine(settings)
    for name in ("generator", "critic", "average"):
        setattr(engine, name, getattr(engine, name).to("meta"))
    engine._generate, engine._score = engine.generator, engine.critic
    engine.generator_optimizer, engine.critic_optimizer = (
        torch.optim.SGD(network.parameters(), 0.001)  # the fused Adam of a GPU has no counterpart here
        for network in (engine.generator, engine.critic)
    )
    engine.device = torch.device("meta")
    monkeypatch.setattr(Engine, "_autocast", lambda self: nullcontext())
    monkeypatch.setattr(layers, "on_card", lambda x: True)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind=None: False)
    monkeypatch.setattr(torch, "autocast", lambda *given, **wishes: nullcontext())
    yield engine


@pytest.mark.parametrize(
    "wish", [{}, {"two_views": True}, {"recipe": "korkinof2018"}, {"parts": 2, "regenerate": True}]
)
def test_a_step_touches_nothing_outside_its_device(wish, monkeypatch):
    """A CUDA graph holds no copy from the CPU: a constant that lies there would end the recording."""
    settings = replace(PGANSettings.demo(), **({"parts": 1} | wish))
    views = 2 if settings.two_views else 1
    shapes = {"real": (IMAGES, views, *resolution_of(LEVEL)), "codes": (IMAGES, 5), "alpha": ()}
    shapes |= {"latents": (IMAGES, settings.latent_size), "mix": (IMAGES, 1, 1, 1)}
    inputs = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    with _on_meta(settings, monkeypatch) as engine:
        for fading in (False, True):
            for lazy in (False, True):
                kind = Kind(LEVEL, fading, lazy, IMAGES)
                engine._train(kind, inputs)
                with _Elsewhere() as elsewhere:
                    figures = engine._train(kind, inputs)
                assert figures.device.type == "meta"
                assert not elsewhere.found


def test_each_kind_is_recorded_once_after_it_has_run_as_written(monkeypatch):
    calls: list[str] = []

    def record(self: Replay, inputs: Inputs, work: Any) -> replay._Recorded:
        own = {name: value.clone() for name, value in inputs.items()}
        out = torch.zeros(())
        calls.append("recorded")

        class Graph:
            def replay(self) -> None:
                out.copy_(work(own))

        return replay._Recorded(Graph(), own, out)

    monkeypatch.setattr(Replay, "_record", record)
    run = Replay()

    def work(inputs: Inputs) -> torch.Tensor:
        return inputs["x"].sum()

    def figures(kind: Kind, values: list[float]) -> list[float]:
        return [float(run(kind, {"x": torch.full((2,), value)}, work)) for value in values]

    plain, lazy, above = Kind(1, False, False, 2), Kind(1, False, True, 2), Kind(2, False, False, 2)
    assert figures(plain, [1, 2, 3, 4]) == [2, 4, 6, 8]
    assert figures(lazy, [5, 6]) == [10, 12]
    assert calls == ["recorded"]
    assert figures(lazy, [7]) + figures(plain, [8]) == [14, 16]
    assert calls == ["recorded"] * 2
    assert figures(above, [1, 2, 3]) == [2, 4, 6]
    assert calls == ["recorded"] * 3
    assert figures(plain, [9, 9]) == [18, 18]  # the lower level's recordings are forgotten
    assert calls == ["recorded"] * 3

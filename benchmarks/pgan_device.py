"""The pGAN's step on a GPU: images a second, shares of the card's own measured rates, memory, compile time."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from benchmarks.pgan_peers import plain_step
from pipelines.pgan.engine import Engine
from pipelines.pgan.feed import Batch
from pipelines.pgan.growth import Stage
from pipelines.pgan.settings import PGANSettings

GOAL = 3.0
BATCHES = {7: (16,), 8: (8, 16), 9: (3, 8)}
"""Images a step that are timed at a level; 8 at those not named."""

SECONDS = 2.0
"""How long each thing is timed."""

WARM_BLOCKS = 3
"""Blocks of steps before one is timed: those that compile, and those that are recorded (``replay``)."""


class _Count(TorchDispatchMode):
    """Operations of matrix products and convolutions, and bytes that all kernels read and write, each operand once.

    torch's own FlopCounterMode cannot be used: its hooks on modules bar gradients of gradients.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        if func._overloadpacket in flop_registry:
            self.flops += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


def on_device(device: str, levels: list[int]) -> None:
    """Measure the card, then each level; print a line each and whether the limit is met."""
    rate, bandwidth = _matrix_rate(device), _bandwidth(device)
    name = torch.cuda.get_device_name(device) if device != "cpu" else "CPU"
    print(f"{name}, torch {torch.__version__}: {rate / 1e12:.0f} TFLOP/s bf16, {bandwidth / 1e9:.0f} GB/s", flush=True)
    for level in levels:
        for batch in BATCHES.get(level, (8,)):
            _level(device, level, batch, rate, bandwidth)


def _level(device: str, level: int, batch: int, rate: float, bandwidth: float) -> None:
    settings = replace(
        PGANSettings(), levels=level, stable_images=(100,) * level, fade_images=(0,) * level,
        batch_sizes=(batch,) * level, device=device,
    )  # fmt: skip
    flops, traffic = _counted(settings)
    step = _step(settings)
    _reset(device)
    started = time.perf_counter()
    for _ in range(WARM_BLOCKS * settings.r1_interval):
        step()
    _wait(device)
    first = time.perf_counter() - started
    seconds = _seconds(step, device, settings.r1_interval)
    rows, columns = settings.resolution
    print(
        f"{rows}×{columns}, batch {batch}: {batch / seconds:.1f} images/s; {flops / batch / 1e9:.0f} GFLOP an image, "
        f"{flops / seconds / rate:.0%} of the matrix rate; {traffic / seconds / bandwidth:.0%} of the bandwidth, were "
        f"all moved that the eager step moves; {_peak(device):.1f} GiB; compiled and recorded in "
        f"{max(0.0, first - WARM_BLOCKS * settings.r1_interval * seconds):.0f} s",
        flush=True,
    )
    for wish in ({"compile": False}, {"recompute_from": 8}, {"channels_last": False}):
        _variant(replace(settings, **wish), wish, seconds)
    del step
    maps = [settings.maps(stage) for stage in range(1, level + 1)]
    size = batch - batch % 4 or 4  # the plain minibatch statistic takes groups of four
    plain = _seconds(plain_step(maps, (5, 4), size, device), device, 1) / size * batch
    met = "met" if plain / seconds >= GOAL else "missed"
    print(f"  plain eager float32: {batch / plain:.1f} images/s; {plain / seconds:.1f} times, limit {GOAL:.0f}: {met}")


def _variant(settings: PGANSettings, wish: dict[str, Any], seconds: float) -> None:
    _reset(settings.device)
    step = _step(settings)
    for _ in range(WARM_BLOCKS * settings.r1_interval):
        step()
    own = _seconds(step, settings.device, settings.r1_interval)
    print(f"  with {wish}: {own / seconds:.2f} times the time, {_peak(settings.device):.1f} GiB", flush=True)


def _step(settings: PGANSettings) -> Callable[[], None]:
    engine, level, size = Engine(settings), settings.levels, settings.batch_sizes[-1]
    rng = np.random.default_rng(0)
    pictures = rng.uniform(-1, 1, (size, 1, *settings.resolution)).astype(np.float32)
    batch = Batch(pictures, rng.uniform(0, 1, (size, 5)).astype(np.float32))
    return lambda: engine.step(batch, Stage(level, 1.0, False), 1000)


def _counted(settings: PGANSettings) -> tuple[float, float]:
    """Operations and bytes of an eager step, R1 averaged in: the first step evaluates it, the second does not."""
    step = _step(replace(settings, compile=False))
    counts = []
    for _ in range(2):
        with _Count() as count:
            step()
        counts.append((count.flops, count.bytes))
    share = 1 / settings.r1_interval
    flops_mean, bytes_mean = (lazy * share + plain * (1 - share) for lazy, plain in zip(*counts, strict=True))
    return flops_mean, bytes_mean


def _seconds(step: Callable[[], None], device: str, block: int) -> float:
    """Seconds a step: whole blocks of steps until the time is up, after one block to warm up."""
    for _ in range(block):
        step()
    _wait(device)
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        for _ in range(block):
            step()
        _wait(device)
        steps += block
    return (time.perf_counter() - started) / steps


def _matrix_rate(device: str, size: int = 8192) -> float:
    """Operations a second of a square bf16 matrix product."""
    size = size if device != "cpu" else 512
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / _seconds(lambda: torch.matmul(a, b), device, 5)  # type: ignore[arg-type,return-value]


def _bandwidth(device: str, size: int = 1 << 30) -> float:
    """Bytes a second that a copy within the card's memory reads and writes."""
    a = torch.empty(size if device != "cpu" else size >> 6, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    return 2 * a.numel() / _seconds(lambda: b.copy_(a), device, 5)  # type: ignore[arg-type,return-value]


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _reset(device: str) -> None:
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: str) -> float:
    """Most memory taken since the last reset, that of recorded steps included, GiB."""
    return torch.cuda.max_memory_reserved(device) / 2**30 if device != "cpu" else 0.0

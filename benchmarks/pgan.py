"""Seconds per pGAN step (critic + generator, lazy terms averaged in) against public code and the plain recipe.

    python -m benchmarks.pgan [--width 256] [--levels 5 6] [--batch 16]
    python -m benchmarks.pgan --device cuda [--levels 7 8 9]

On a CPU: the step of the default recipe at 80×64 and 160×128 (levels 5 and 6), in bf16 where the processor has it, in
one thread, against the plain float32 WGAN-GP step of ``pgan_peers`` at the same sizes, and against pro_gan_pytorch at
64×64 and 128×128, which are a fifth smaller. All have the same widths: 32 · ``--width`` / 2^stage maps, at most
``--width`` (512 is pro_gan_pytorch's own; the default is half of it, since its step at 512 takes minutes). Figures are
CPU seconds of this process, the best of two steps (at level 6 and up, one, after a warm-up at a small size), and of
ours 15 plain steps and one with R1, averaged. Limit: at least 6 times as fast as the peer, or the plain step where the
peer is not there. The feed's CPU seconds a batch are told beside: it reads ahead in a thread while steps run.

pro_gan_pytorch is no part of the project; install it where this Python finds it (``pip install --no-deps pro-gan-pth``,
or the unpacked sdist on PYTHONPATH); what it needs but the step does not is replaced by empty modules.

On a GPU (``pgan_device``): images/s at each level, share of the card's measured bf16 matrix rate and memory bandwidth,
peak memory, compile time, and the plain eager float32 step in the same run; limit: at least 3 times as fast.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.pgan_device import on_device
from benchmarks.pgan_peers import Step, plain_step, pro_gan_step
from pipelines.pgan.engine import Engine
from pipelines.pgan.feed import Batch, Feed
from pipelines.pgan.growth import Stage
from pipelines.pgan.model import reproducible
from pipelines.pgan.settings import PGANSettings, resolution_of
from pipelines.storage.pyramid import FOLDER, level_name
from pipelines.storage.shards import ShardWriter
from pipelines.storage.tables import DATASET

GOAL = 6.0


def main() -> None:
    """Time the steps, print a line each and whether the limit is met."""
    options = _options()
    if options.device != "cpu":
        on_device(options.device, options.levels or [7, 8, 9])
        return
    with reproducible():
        plain_step([8, 8], (5, 4), 4)()  # libraries are loaded and their kernels made before anything is timed
        for level in options.levels or [5, 6]:
            _compare(level, options.width, options.batch)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for the GPU part")
    parser.add_argument("--levels", type=int, nargs="+", help="levels to time (5 6 on a CPU; 7 8 9 on a GPU)")
    parser.add_argument("--width", type=int, default=256, help="most feature maps, and latent size (256)")
    parser.add_argument("--batch", type=int, default=16, help="images a step (16)")
    return parser.parse_args()


def settings_of(level: int, width: int, batch: int) -> PGANSettings:
    """The default recipe at the peers' widths, on a CPU."""
    return PGANSettings(
        levels=level,
        stable_images=(100,) * level,
        fade_images=(0,) * level,
        batch_sizes=(batch,) * level,
        latent_size=width,
        maps_base=32 * width,
        maps_max=width,
        device="cpu",
        compile=False,
    )


def _compare(level: int, width: int, batch: int) -> None:
    settings = settings_of(level, width, batch)
    maps = [settings.maps(stage) for stage in range(1, level + 1)]
    rows, columns = settings.resolution
    rounds = 2 if level < 6 else 1
    ours, lazy = _ours(settings)
    print(f"{rows}×{columns}, {width} maps, batch {batch}: {ours:.2f} CPU-s a step (with R1 {lazy:.2f})", flush=True)
    plain = _best(plain_step(maps, (5, 4), batch), rounds)
    print(f"  plain float32 WGAN-GP at the same size: {plain:.2f}, {plain / ours:.1f} times ours", flush=True)
    peer, ratio = pro_gan_step(level, width, batch), plain / ours
    if peer is None:
        print("  pro_gan_pytorch is not installed")
    else:
        seconds = _best(peer, rounds)
        ratio = seconds / ours
        print(f"  pro_gan_pytorch at {4 << (level - 1)}², a fifth smaller: {seconds:.2f}, {ratio:.1f} times ours")
    print(f"  limit: {GOAL:.0f} times: {'met' if ratio >= GOAL else 'missed'}")
    seconds = _feed_seconds(level, batch)
    print(f"  the feed: {seconds * 1e3:.2f} CPU-ms a batch, {seconds / ours:.1e} of a step", flush=True)


def _best(step: Step, rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        step()
        seconds.append(time.process_time() - started)
    return min(seconds)


def _ours(settings: PGANSettings) -> tuple[float, float]:
    """CPU seconds of a step on average, and of one that evaluates R1."""
    engine, level = Engine(settings), settings.levels
    rng, size = np.random.default_rng(0), settings.batch_sizes[-1]
    pictures = rng.uniform(-1, 1, (size, 1, *settings.resolution)).astype(np.float32)
    batch = Batch(pictures, rng.uniform(0, 1, (size, 5)).astype(np.float32))

    def step() -> None:
        engine.step(batch, Stage(level, 1.0, False), 1000)

    step()
    lazy_at = settings.r1_interval
    plain = _best(step, 2)
    engine.steps = lazy_at
    lazy = _best(step, 1)
    return (plain * (lazy_at - 1) + lazy) / lazy_at, lazy


def _feed_seconds(level: int, batch: int, batches: int = 100) -> float:
    """CPU seconds that a batch costs, its thread's included, from 512 pictures of noise."""
    shape, rng = resolution_of(level), np.random.default_rng(0)
    row = {"delivery": "D-1", "cluster": "P-1", "patient": "P-1", "view": "CC", "confidence": 1.0, "vendor_group": "V"}
    with tempfile.TemporaryDirectory(prefix="midar-benchmark-") as name:
        folder, rows = Path(name), []
        with ShardWriter(folder / FOLDER, level_name(shape), shape, mapped_rows=256) as writer:
            for index in range(512):
                writer.append(f"I-{index}", rng.integers(0, 4096, shape).astype(np.uint16))
                places = {"shard": "shard-00000.arrow", "shard_row": index, "pyramid_row": index, "split": "train"}
                own = {"image_id": f"I-{index}", "density": "ABCD"[index % 4], "picture_sha256": "0" * 64}
                rows.append(row | places | own)
        feed = Feed(folder, DATASET.build(rows), seed=0)
        feed.batch(0, batch, level)
        started = time.process_time()
        for number in range(1, batches + 1):
            feed.batch(number * batch, batch, level)
        return (time.process_time() - started) / batches


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

"""Generated images per second, and what writing them as DICOM adds, against a plain generator pass.

    python -m benchmarks.synthesize [--levels 5 6 7 8 9] [--batches 1 16] [--width 128]
    python -m benchmarks.synthesize --device cuda

From 80×64 (level 5) to 1280×1024 (9), with random weights of the networks' widths: 16 · ``--width`` / 2^stage maps, at
most ``--width`` (512, the default on a GPU, is the full preset's). Ours is what the ladder does: ``Sampler.stream``,
with its latents, codes and gray values, in float32, on a CPU one picture at a time in one thread, so that a picture is
the same in any batch. The peer is the generator of Karras et al. 2018 as written, in eager float32 (without TF32, as
ours), without gradients, at the same widths and batch: the pass alone. On a CPU figures are images per CPU second, on a
GPU per second, with the most memory that tensors took. Limit: no slower than the peer. ``dicom`` is ``encode`` on the
CPU, and its share of the time of both together.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from benchmarks.pgan_peers import PlainGenerator
from pipelines.pgan.layers import fix_kernels
from pipelines.pgan.model import GENERATOR, Description
from pipelines.pgan.networks import Generator
from pipelines.pgan.sampler import Sampler
from pipelines.pgan.settings import PGANSettings
from pipelines.storage.tables import DENSITIES, VIEWS
from pipelines.synthesize.dicom import Origin, encode

SECONDS = 1.5
"""How long each thing is timed at least, after one call to warm up."""

SEEN = tuple((density, view) for density in DENSITIES for view in VIEWS)


@dataclass(frozen=True)
class Rate:
    """Images a second, and the most memory taken meanwhile (GiB; 0 on a CPU)."""

    images: float
    memory: float


def main() -> None:
    """Time each level and batch, and print a line each."""
    options = _options()
    name = torch.cuda.get_device_name() if options.device != "cpu" else "CPU, one thread"
    print(f"{name}, torch {torch.__version__}, {options.width} maps at most; images a second", flush=True)
    for level in options.levels:
        _level(level, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument("--levels", type=int, nargs="+", default=[5, 6, 7, 8, 9], help="levels (5 6 7 8 9)")
    parser.add_argument("--batches", type=int, nargs="+", help="batch sizes (1 16)")
    parser.add_argument("--width", type=int, help="most feature maps, and latent size (128; on a GPU 512)")
    options = parser.parse_args()
    options.batches = options.batches or [1, 16]
    options.width = options.width or (128 if options.device == "cpu" else 512)
    return options


def _level(level: int, options: argparse.Namespace) -> None:
    settings = PGANSettings(
        levels=level,
        stable_images=(100,) * level,
        fade_images=(0,) * level,
        batch_sizes=(8,) * level,
        latent_size=options.width,
        maps_base=16 * options.width,
        maps_max=options.width,
        device=options.device,
    )
    torch.manual_seed(0)
    generator = Generator(settings).to(options.device).eval().requires_grad_(False)
    fix_kernels(generator)
    sampler = Sampler(generator, Description(settings, SEEN, {GENERATOR: "0" * 64}, {}))
    maps = [settings.maps(stage) for stage in range(1, level + 1)]
    peer = PlainGenerator(maps, (5, 4)).to(options.device).eval().requires_grad_(False)
    for batch in options.batches:
        ours = _batch(settings, sampler, peer, batch)
    dicom = _encoding(sampler.sample(0, [0], ["C"], ["CC"])[0])
    print(f"  dicom: {1e3 * dicom:.2f} ms an image, {dicom / (dicom + 1 / ours.images):.1%} of drawing and writing")


def _batch(settings: PGANSettings, sampler: Sampler, peer: PlainGenerator, batch: int) -> Rate:
    """Compare at one batch size; our rate."""
    device, size = settings.device, settings.maps(1)
    stream = sampler.stream(0, "C", "CC", batch=batch)
    ours = _rate(lambda: list(islice(stream, batch)), batch, device)
    plain = _rate(lambda: peer(torch.randn(batch, size, device=device)), batch, device)
    rows, columns = settings.resolution
    ratio = ours.images / plain.images
    memory = f"; {ours.memory:.2f} GiB, plain {plain.memory:.2f}" if device != "cpu" else ""
    print(
        f"{rows}×{columns}, batch {batch}: {ours.images:.3g}; plain {plain.images:.3g}; {ratio:.2f} times, limit 1: "
        f"{'met' if ratio >= 1 else 'missed'}{memory}",
        flush=True,
    )
    return ours


def _encoding(picture: np.ndarray) -> float:
    """Seconds that a picture's DICOM file takes."""
    origin = Origin("S-0", "0" * 64, 0, 0, "C", "CC")
    return 1 / _rate(lambda: encode(picture, origin), 1, "cpu").images


def _rate(make: Callable[[], object], images: int, device: str) -> Rate:
    """Repeat until the time is up; CPU seconds on a CPU, seconds on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    with torch.inference_mode():
        make()
        _settle(device)
        started, rounds = clock(), 0
        while clock() - started < SECONDS:
            make()
            _settle(device, reset=False)
            rounds += 1
        seconds = clock() - started
    memory = torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else 0.0
    return Rate(images * rounds / seconds, memory)


def _settle(device: str, reset: bool = True) -> None:
    """Wait for the GPU, and forget how much memory was taken before."""
    if device != "cpu":
        torch.cuda.synchronize()
        if reset:
            torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    main()

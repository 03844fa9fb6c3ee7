"""Image shards against an npy memmap, on the same pictures and in one run: reading, disk, exactness, memory.

    python benchmarks/shards.py

Pictures are the real mammograms of ../shared/data/dicom-mg as level B makes them (1280×1024, 0…4095, air 0); where
they are not at hand, the phantom's drawn breasts with noise. There are few: each comes again, moved down a little
further each time, so that no two pictures of the set are the same. ``--pictures`` of them are written, at full size and
as a pyramid, in a process of their own, and the same arrays as npy files.

Reading means that a random batch of 16 pictures arrives as one array in this process' memory: ``memmap[rows]`` there,
``take`` here; ``out`` says that the array is there before and is used again (``numpy.take(memmap, rows, out=…)``), so
that the system need not find and clear new pages. Files are in the system's cache; rows are drawn anew for each batch,
over all pictures. GB/s are bytes of pictures over CPU time (user and system) of this process; the two take turns,
several rounds of them, and best and median are printed; ratios are of the best. In a batch of the smallest levels there
is next to nothing to copy: what is measured there is what a call costs, and what it costs to touch memory.

Peak memory is VmHWM of the writing process: what ru_maxrss would be, had the process not been started by a larger one.
It is told after a quarter of the pictures and after all. Drift is the difference of a level's mean gray from the full
picture's, of the worst picture.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipelines.curate.pyramid import LARGEST_MAPPED_ROWS, PyramidWriter, halvings, level_shapes
from pipelines.storage.pyramid import Level, level_name
from pipelines.storage.shards import ShardReader, ShardWriter

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared/data/dicom-mg"
SHAPE = (1280, 1024)
BATCH = 16
ROUND_BYTES = 600e6
"""Bytes of pictures that a round reads, but at most 3,000 batches."""

Places = list[tuple[str, int]]
Read = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Write the pictures both ways, read them both ways, print figures and what they should be."""
    options = _options()
    if options.write:
        _write(options.write, options.pictures)
        return
    with tempfile.TemporaryDirectory(prefix="midar-benchmark-", dir=options.place) as name:
        folder = Path(name)
        base, what = _base()
        np.save(folder / "base.npy", base)
        print(f"{options.pictures} pictures of 1280×1024, from {len(base)} {what}")
        places = _writing(folder, options.pictures)
        memmaps = _peers(folder, options.pictures)
        _disk(folder, memmaps)
        _exactness(folder, memmaps, places)
        _reading(folder, memmaps, places, options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1024, help="how many pictures (1024: 5 GB of disk)")
    parser.add_argument("--rounds", type=int, default=7, help="how often each way of reading runs (7)")
    parser.add_argument("--place", type=Path, help="where the files lie (the system's temporary folder)")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _base() -> tuple[np.ndarray, str]:
    """Pictures (n, 1280, 1024) and what they are."""
    if REAL.is_dir():
        from pipelines.normalize.mammogram import NormalizeSettings, normalize_file

        outcomes = [normalize_file(path, NormalizeSettings(*SHAPE)) for path in sorted(REAL.iterdir())]
        return np.stack([o.picture for o in outcomes if o.picture is not None]), "real mammograms"
    from pipelines.phantom.breast import draw_breast, grow

    rng = np.random.default_rng(0)
    drawn = []
    for number, density in enumerate("ABCDABCD"):
        view = ("CC", "MLO")[number // 4]
        breast = draw_breast(grow(density, number), "L", view, shape=SHAPE, spacing=0.18)
        noisy = np.rint(breast.picture * 3500 + rng.normal(0, 25, SHAPE)).clip(1, 4095)
        drawn.append(np.where(breast.breast, noisy, 0).astype(np.uint16))
    return np.stack(drawn), "drawn breasts with noise"


def _pictures(folder: Path, count: int) -> Iterator[np.ndarray]:
    base = np.load(folder / "base.npy")
    for number in range(count):
        yield np.roll(base[number % len(base)], 7 * (number // len(base)), axis=0)


def _write(folder: Path, count: int) -> None:
    """Write the shards and the pyramid in this process, and print what it took."""
    places, peaks, spent = [], [], 0.0
    with ShardWriter(folder, "shard", SHAPE) as shards, PyramidWriter(folder / "pyramid", SHAPE) as pyramid:
        for number, picture in enumerate(_pictures(folder, count), start=1):
            start = time.process_time()
            places.append(shards.append(str(number), picture))
            pyramid.append(str(number), picture)
            spent += time.process_time() - start
            if number == max(1, count // 4):
                peaks.append(_peak())
    print(json.dumps({"places": places, "peaks": [*peaks, _peak()], "seconds": spent}))


def _peak() -> float:
    """Peak memory of this process in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _writing(folder: Path, count: int) -> Places:
    run = subprocess.run(
        [sys.executable, __file__, "--write", folder, "--pictures", str(count)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    figures = json.loads(run.stdout)
    quarter, whole = figures["peaks"]
    print(f"writing: {1e3 * figures['seconds'] / count:.1f} ms of CPU a picture with its pyramid")
    _goal(f"MB of peak memory, {count * 2 * SHAPE[0] * SHAPE[1] / 1e6:.0f} MB of pictures", whole, "at most", 1000)
    _goal("peak memory, all pictures / a quarter of them", whole / quarter, "at most", 1.05)
    return [(name, row) for name, row in figures["places"]]


def _peers(folder: Path, count: int) -> dict[tuple[int, int], np.ndarray]:
    """The same arrays at each size as npy files, opened as memory maps."""
    names = {shape: folder / f"{level_name(shape)}.npy" for shape in (SHAPE, *level_shapes(SHAPE))}
    files = {shape: np.lib.format.open_memmap(name, "w+", np.uint16, (count, *shape)) for shape, name in names.items()}
    for number, picture in enumerate(_pictures(folder, count)):
        for level in (picture, *halvings(picture)):
            files[level.shape][number] = level
    for file in files.values():
        file.flush()
    del files
    return {shape: np.load(name, mmap_mode="r") for shape, name in names.items()}


def _disk(folder: Path, memmaps: dict[tuple[int, int], np.ndarray]) -> None:
    full = sum(path.stat().st_size for path in folder.glob("*.arrow"))
    levels = sum(path.stat().st_size for path in (folder / "pyramid").glob("*.arrow"))
    npy = {shape: memmap.nbytes for shape, memmap in memmaps.items()}
    print(f"disk: shards {full / 1e6:.0f} MB, pyramid {levels / 1e6:.0f} MB; npy {sum(npy.values()) / 1e6:.0f} MB")
    _goal("npy / shards, full size", npy[SHAPE] / full, "at least", 2)
    _goal("npy / shards, full size and pyramid", sum(npy.values()) / (full + levels), "at least", 2)


def _exactness(folder: Path, memmaps: dict[tuple[int, int], np.ndarray], places: Places) -> None:
    """Every picture at every size, read once in order: is it what went in, and how far is its mean from the full's."""
    reader = ShardReader(folder)
    wrong, means = 0, []
    for row, place in enumerate(places):
        picture = reader.read(*place)
        wrong += not np.array_equal(picture, memmaps[SHAPE][row])
        means.append(picture.mean(dtype=np.float64))
    print("exactness:")
    for shape in level_shapes(SHAPE):
        level = Level(folder / "pyramid", shape)
        wrong += len(level) != len(places)
        drift = 0.0
        for row, mean in enumerate(means):
            wrong += not np.array_equal(level[row], memmaps[shape][row])
            drift = max(drift, abs(level[row].mean(dtype=np.float64) - mean))
        _goal(f"gray levels of drift at {shape[0]}×{shape[1]}", drift, "at most", 0.05, digits=4)
    _goal("pictures not bit for bit what went in, all sizes", wrong, "at most", 0)


def _reading(folder: Path, memmaps: dict[tuple[int, int], np.ndarray], places: Places, rounds: int) -> None:
    reader = ShardReader(folder)
    print(f"reading batches of {BATCH}, GB/s of CPU time: best (median)")
    print(f"  {'':34}{'memmap':>16}{'shards':>16}")
    _compare("full size, LZ4", memmaps[SHAPE], lambda rows: reader.take([places[row] for row in rows]), rounds)
    out = np.empty((BATCH, *SHAPE), np.uint16)
    _compare(
        "full size, LZ4, out",
        memmaps[SHAPE],
        lambda rows: reader.take([places[row] for row in rows], out=out),
        rounds,
        out,
    )
    ours, theirs = 0.0, 0.0
    for shape in level_shapes(SHAPE):
        level, mapped = Level(folder / "pyramid", shape), shape[0] <= LARGEST_MAPPED_ROWS
        name = f"{shape[0]}×{shape[1]}, {'mapped' if mapped else 'LZ4'}"
        seconds = _compare(name, memmaps[shape], level.take, rounds)
        if mapped:
            theirs, ours = theirs + seconds[0], ours + seconds[1]
    _goal("shards / memmap, a batch of each mapped level", theirs / ours, "at least", 0.8)


def _compare(
    name: str, memmap: np.ndarray, take: Read, rounds: int, out: np.ndarray | None = None
) -> tuple[float, float]:
    """Print the rates of both and their ratio; returns the best seconds a batch, memmap's first."""

    def peer(rows: np.ndarray) -> np.ndarray:
        return memmap[rows] if out is None else np.take(memmap, rows, axis=0, out=out, mode="clip")

    size = BATCH * memmap[0].nbytes
    batches = int(min(3000, ROUND_BYTES // size))
    rng = np.random.default_rng(len(name))
    for row in range(len(memmap)):
        take(np.array([row] * BATCH))
        memmap[row].max()
    spent: dict[Read, list[float]] = {peer: [], take: []}
    for _ in range(rounds):
        draws = [rng.permutation(len(memmap))[:BATCH] for _ in range(batches)]
        for read, seconds in spent.items():
            start = time.process_time()
            for rows in draws:
                read(rows)
            seconds.append((time.process_time() - start) / batches)
    best = min(spent[peer]), min(spent[take])
    rates = [
        f"{size / least / 1e9:9.2f} ({size / statistics.median(seconds) / 1e9:.2f})"
        for least, seconds in zip(best, spent.values(), strict=True)
    ]
    print(f"  {name:34}{rates[0]:>16}{rates[1]:>16}")
    _goal(f"shards / memmap, {name}", best[0] / best[1], "at least", 0.8)
    return best


def _goal(what: str, value: float, side: str, goal: float, digits: int = 2) -> None:
    met = value <= goal if side == "at most" else value >= goal
    print(f"  {what:66}{value:9.{digits}f} {side} {goal:g} {'met' if met else 'missed'}", flush=True)


if __name__ == "__main__":
    main()

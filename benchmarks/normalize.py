"""Normalization: CPU time per picture and step against pydicom and scikit-image, memory, two workers, and outlines.

    python benchmarks/normalize.py --peers peers/bin/python [--sheet FOLDER]

Peers, in a virtual environment of their own: ``python -m venv peers``, then ``peers/bin/pip install pydicom
scikit-image python-gdcm pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg``. Without ``--peers`` ours is run alone.

The pictures are grown breasts (densities A to D, CC and MLO) as a vendor with 4096×3328 pixels of 12 bits would store
them, in four transfer syntaxes; JPEG lossless and JPEG-LS are made by dcmtk. The peer does what preprocessing scripts
do, at full size: pydicom decodes (with whichever of its plug-ins comes first) and applies modality and VOI tables;
scikit-image finds the breast by Otsu's threshold, its largest component and the filling of holes, crops, resizes with
anti-aliasing, flips and pads, and measures sharpness and noise. Ours does all that ends in a row of the table; the
digest of the stored pixels, which the peer has no counterpart for, is printed apart. Both run in one thread and in the
environment of a worker process; the least CPU time of several rounds counts, and the mean over the pictures.

``--sheet`` writes contact sheets with the outlines found on the real films and detectors of ``../shared/data``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ[variable] = "1"

DATA = ROOT.parent / "shared" / "data"
SYNTAXES = {
    "uncompressed": ([], 25.0),
    "JPEG lossless": (["dcmcjpeg", "+e1"], 8.0),
    "JPEG-LS": (["dcmcjpls"], 8.0),
    "JPEG 2000": ([], 2.0),
}
"""By name: dcmtk's command that makes it, and how many times as fast as the peer it is to be."""
MARKER = "figures:"


def main() -> None:
    """Make the pictures, run both, print figures and what they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="python of an environment with pydicom, scikit-image and decoders")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sheet", type=Path, help="folder for contact sheets of outlines; nothing else is run")
    parser.add_argument("--measure", choices=("ours", "peer", "memory", "workers"), help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sheet:
        _sheets(options.sheet)
    elif options.measure:
        measure = {"ours": _ours, "peer": _peer, "memory": _memory, "workers": _workers}[options.measure]
        print(MARKER + json.dumps(measure(options.folder, options.rounds)))
    else:
        with tempfile.TemporaryDirectory(prefix="midar-benchmark-") as folder:
            _speed(Path(folder), options)


def _speed(folder: Path, options: argparse.Namespace) -> None:
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    made = list(_make(folder))
    print(f"{len(list(made[0][1].iterdir()))} pictures of 4096x3328, one thread, load average {load}; CPU ms a picture")
    print(f"  {'':16}{'decode':>8}{'after':>8}{'digest':>8}{'all':>8}   peer: {'decode':>8}{'after':>8}{'all':>8}")
    after: list[tuple[float, float]] = []
    ratios = []
    for name, place in made:
        ours = _run(sys.executable, "ours", place, options.rounds)
        line = f"  {name:16}{ours['decode']:8.1f}{ours['after']:8.1f}{ours['digest']:8.1f}{ours['all']:8.1f}"
        if options.peers:
            peer = _run(options.peers, "peer", place, options.rounds)
            line += f"         {peer['decode']:8.1f}{peer['after']:8.1f}{peer['all']:8.1f}"
            after.append((ours["after"], peer["after"]))
            ratios.append((name, peer["all"] / ours["all"]))
        else:
            after.append((ours["after"], 0.0))
        print(line, flush=True)
    _goal("after decoding, without the digest, ms", min(a for a, _ in after), "at most", 20)
    if options.peers:
        _goal("after decoding, peer / ours", min(p for _, p in after) / min(a for a, _ in after), "at least", 20)
        for name, ratio in ratios:
            _goal(f"{name}, peer / ours", ratio, "at least", SYNTAXES[name][1])
    memory = _run(sys.executable, "memory", made[0][1], 1)
    _goal("peak memory of a worker, MB", memory["peak"], "below", 600)
    print(f"  ({memory['peak_large']:.0f} MB with a picture of 5928x4728)")
    for name, place in made[:2]:
        workers = _run(sys.executable, "workers", place, options.rounds)
        _goal(f"{name}: pictures a second, 2 workers / 1", workers["ratio"], "at least", 1.7)


def _goal(what: str, value: float, side: str, goal: float) -> None:
    met = value >= goal if side == "at least" else value <= goal
    print(f"  {what:52}{value:8.2f} {side} {goal:g} {'met' if met else 'missed'}", flush=True)


def _run(python: Path | str, what: str, folder: Path, rounds: int) -> dict[str, float]:
    from pipelines.storage.workers import ENVIRONMENT

    command = [str(python), __file__, "--measure", what, "--rounds", str(rounds), str(folder)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **ENVIRONMENT})
    figures: dict[str, float] = json.loads(run.stdout.split(MARKER, 1)[1])
    return figures


def _make(folder: Path) -> Iterator[tuple[str, Path]]:
    """Folders with the same pictures in each transfer syntax that can be made here."""
    import imagecodecs
    from pydicom import dcmread, uid
    from pydicom.encaps import encapsulate

    plain = folder / "uncompressed"
    plain.mkdir()
    for number, dataset in enumerate(_pictures((4096, 3328), 0.07)):
        dataset.save_as(plain / f"{number}.dcm", enforce_file_format=True)
    for name, (command, _) in SYNTAXES.items():
        place = folder / name
        place.mkdir(exist_ok=True)
        if command and shutil.which(command[0]) is None:
            print(f"  {name}: {command[0]} is not at hand")
            continue
        for source in sorted(plain.iterdir()):
            if command:
                subprocess.run([*command, str(source), str(place / source.name)], check=True)
            elif name == "JPEG 2000":
                dataset = dcmread(source)
                frame = imagecodecs.jpeg2k_encode(dataset.pixel_array, level=0, codecformat="j2k", bitspersample=12)
                dataset.PixelData = encapsulate([frame])
                dataset["PixelData"].VR = "OB"
                dataset.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
                dataset.save_as(place / source.name)
        yield name, place


def _pictures(shape: tuple[int, int], spacing: float) -> Iterator[Any]:
    import numpy as np

    from pipelines.phantom import breast, grayscale, vendors
    from tests.normalize.drawing import wrap

    for number, (density, side, view) in enumerate(
        (("A", "L", "CC"), ("B", "R", "MLO"), ("C", "L", "MLO"), ("D", "R", "CC"))
    ):
        drawn = breast.draw_breast(breast.grow(density, 40 + number), side, view, shape=shape, spacing=spacing)
        pixels = grayscale.present(vendors.HOLOGIC.gray, drawn.picture, np.random.default_rng(number))
        yield wrap(
            pixels,
            bits=12,
            ImageLaterality=side,
            ViewPosition=view,
            SOPInstanceUID=f"2.25.{number + 1}",
            PhotometricInterpretation=vendors.HOLOGIC.gray.photometric,
        )


def _cpu(function: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Least CPU milliseconds of several rounds, and what came out."""
    least, value = float("inf"), None
    for _ in range(rounds):
        start = time.process_time()
        value = function()
        least = min(least, 1e3 * (time.process_time() - start))
    return least, value


def _ours(folder: Path, rounds: int) -> dict[str, float]:
    """Mean CPU milliseconds of our steps over a folder's pictures."""
    from pipelines.normalize import decode, mammogram

    settings = mammogram.NormalizeSettings()
    totals = dict.fromkeys(("decode", "digest", "all"), 0.0)
    paths = sorted(folder.iterdir())
    mammogram.normalize_file(paths[0], settings)
    for path in paths:
        spent, values = _cpu(lambda p=path: decode.decode(decode.read_object(p)), rounds)
        totals["decode"] += spent
        totals["digest"] += _cpu(lambda v=values: decode.pixel_digest(v), rounds)[0]
        spent, outcome = _cpu(lambda p=path: mammogram.normalize_file(p, settings), rounds)
        totals["all"] += spent
        assert outcome.picture is not None, outcome.reason
    means = {name: total / len(paths) for name, total in totals.items()}
    return means | {"after": means["all"] - means["decode"] - means["digest"]}


def _peer(folder: Path, rounds: int) -> dict[str, float]:
    """The same for pydicom and scikit-image."""
    import pydicom

    totals = dict.fromkeys(("decode", "after"), 0.0)
    paths = sorted(folder.iterdir())
    for path in paths:
        spent, dataset = _cpu(lambda p=path: _peer_decode(pydicom.dcmread(p)), rounds)
        totals["decode"] += spent
        totals["after"] += _cpu(lambda d=dataset: _peer_normalize(*d), rounds)[0]
    means = {name: total / len(paths) for name, total in totals.items()}
    return means | {"all": means["decode"] + means["after"]}


def _peer_decode(dataset: Any) -> tuple[Any, Any]:
    return dataset, dataset.pixel_array


def _peer_normalize(dataset: Any, pixels: Any) -> Any:
    import numpy as np
    from pydicom.pixels import apply_modality_lut, apply_voi_lut
    from scipy import ndimage
    from skimage import filters, measure, transform

    gray = apply_voi_lut(apply_modality_lut(pixels, dataset), dataset).astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        gray = gray.max() - gray
    labels = measure.label(gray > filters.threshold_otsu(gray))
    breast = ndimage.binary_fill_holes(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
    rows, columns = np.flatnonzero(breast.any(1)), np.flatnonzero(breast.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    crop = np.where(breast[box], gray[box], 0)
    scale = min(1280 / crop.shape[0], 1024 / crop.shape[1])
    shape = (round(crop.shape[0] * scale), round(crop.shape[1] * scale))
    small = transform.resize(crop, shape, order=1, anti_aliasing=True, preserve_range=True)
    if dataset.ImageLaterality == "R":
        small = small[:, ::-1]
    picture = np.zeros((1280, 1024), np.uint16)
    top = (1280 - shape[0]) // 2
    picture[top : top + shape[0], : shape[1]] = np.clip(small * (4095 / max(float(gray.max()), 1.0)), 0, 4095)
    sharpness = float((small - filters.gaussian(small, 2)).std())
    noise = float(np.median(np.abs(filters.laplace(small))))
    return picture, sharpness, noise, np.bincount(picture.ravel(), minlength=4096)


def _memory(folder: Path, rounds: int) -> dict[str, float]:
    """Peak resident memory in MB of a process that normalizes a folder, then one large picture."""
    from pipelines.normalize import mammogram

    for path in sorted(folder.iterdir()):
        mammogram.normalize_file(path, mammogram.NormalizeSettings())
    peak = _peak()
    large = folder.parent / "large.dcm"
    pid = os.fork()  # what draws the large picture must not count
    if pid == 0:
        next(_pictures((5928, 4728), 0.05)).save_as(large, enforce_file_format=True)
        os._exit(0)
    os.waitpid(pid, 0)
    mammogram.normalize_file(large, mammogram.NormalizeSettings())
    return {"peak": peak, "peak_large": _peak()}


def _peak() -> float:
    """Peak resident memory of this process in MB; what ``getrusage`` tells begins with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


def _workers(folder: Path, rounds: int) -> dict[str, float]:
    """Pictures a second of two workers over those of one, started both; the best of several rounds of each.

    A delivery's whole way: decoded, normalized, compressed into shards and a table.
    """
    from pipelines.normalize.delivery import normalize_delivery
    from pipelines.storage.tables import OBJECTS
    from pipelines.storage.workers import Workers

    names = [path.name for path in sorted(folder.iterdir())] * 15
    facts = {"status": "written", "sha256": "0" * 64, "patient": "P-1"}
    rows = [
        facts | {"file_id": f"F-{n}", "path": name, "sop_instance_uid": f"2.25.{n}"} for n, name in enumerate(names)
    ]
    objects = OBJECTS.build(rows)
    best = {1: float("inf"), 2: float("inf")}
    for _ in range(rounds + 1):
        for processes in best:
            with tempfile.TemporaryDirectory(dir=folder.parent) as made:
                start = time.perf_counter()
                summary = normalize_delivery(
                    objects, folder, delivery="D-1", folder=Path(made), workers=Workers(processes)
                )
                best[processes] = min(best[processes], time.perf_counter() - start)
            assert summary.kept == len(names), summary.reasons
    return {"ratio": best[1] / best[2]}


def _sheets(folder: Path) -> None:
    """Contact sheets of outlines on the real films (as DICOM) and detectors."""
    import outlines

    folder.mkdir(parents=True, exist_ok=True)
    for name, count in outlines.write(DATA, folder):
        print(f"{name}: {count} pictures")


if __name__ == "__main__":
    main()

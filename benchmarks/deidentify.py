"""CPU time and memory of de-identification, against copying and against other tools, in one run.

    python benchmarks/deidentify.py --peers peers/bin/python

Peers, in a virtual environment of their own: ``python -m venv peers``, then
``peers/bin/pip install dicognito dicom-anonymizer``. Without ``--peers`` only ``cp -r`` is run beside.

Measured are headers, pseudonyms, text policies and the residual scan, once without and once with the SHA-256 of what
was written, which goes into the ledger and no other tool computes; the latter stands beside ``cp -r`` followed by
openssl's digest (coreutils' is several times slower). The share of text policies is printed apart. The search for
burned-in text is off.

CPU time is user and system time of a process and its children, start and imports included; each tool runs in one
process on the same files, which were made once and are read before. All tools run in turn, several rounds of them, and
the least time of each counts: what else the machine does, a disk's write-back above all, only adds to it. What start-up
costs is told by a run over one file; a mammogram's own cost beside ``cp -r`` is without it, that beside other tools
with it. A tool that does not write as many files as it was given ends the benchmark.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = Path(__file__).parents[1]
MAMMOGRAM = ROOT.parent / "shared/data/dicom-mg/ge_essential_GH133.dcm"
MARKER = "figures:"


def main() -> None:
    """Build the files, run all, print figures and what they should be."""
    options = _options()
    if options.measure:
        _measure(Path(options.measure), options.out, options.processes, digest=not options.no_digest)
        return
    with tempfile.TemporaryDirectory(prefix="midar-benchmark-", dir=options.place) as folder:
        place = Path(folder)
        if options.large:
            _case("large", _mammograms(place / "large", options.large), options, place)
            shutil.rmtree(place / "large")
        if options.small:
            _case("small", _slices(place / "small", options.small), options, place)
            shutil.rmtree(place / "small")
        if options.memory:
            _memory(_slices(place / "memory", options.memory))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="python of an environment with dicognito and dicom-anonymizer")
    parser.add_argument("--large", type=int, default=60, help="mammograms of 27 MB (60)")
    parser.add_argument("--small", type=int, default=2000, help="files of 24 KB (2000)")
    parser.add_argument("--memory", type=int, default=10_000, help="files over which memory is watched (10000)")
    parser.add_argument("--place", type=Path, help="where the files lie (the system's temporary folder)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each tool runs (3)")
    parser.add_argument("--no-digest", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, default=1, help=argparse.SUPPRESS)
    return parser.parse_args()


def _mammograms(folder: Path, count: int) -> Path:
    """Mammograms with a real header (or, where the real files are not at hand, a CT's) and noise, 4 in a study."""
    base = pydicom.dcmread(MAMMOGRAM if MAMMOGRAM.is_file() else get_testdata_file("CT_small.dcm"))
    pixels = np.random.default_rng(0).integers(0, 4096, (4096, 3328), dtype=np.uint16)
    return _files(folder, base, pixels, count, 4)


def _slices(folder: Path, count: int) -> Path:
    """CT slices with a header of 258 elements, 50 in a study."""
    base = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    pixels = np.random.default_rng(0).integers(0, 4096, (96, 96), dtype=np.uint16)
    return _files(folder, base, pixels, count, 50)


def _files(folder: Path, base: Dataset, pixels: np.ndarray, count: int, per_study: int) -> Path:
    folder.mkdir()
    base.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    base.Rows, base.Columns = pixels.shape
    base.PatientBirthDate = "19520314"
    base.BitsAllocated, base.BitsStored, base.HighBit, base.PixelRepresentation = 16, 12, 11, 0
    base.add_new(0x7FE00010, "OW", pixels.tobytes())
    base["PixelData"].is_undefined_length = False
    base._read_implicit, base._read_little = False, True
    for number in range(count):
        study = number // per_study
        base.PatientName, base.PatientID = f"Kowalewska{study}^Jadwiga", f"MRN{study:07d}"
        base.StudyInstanceUID, base.SeriesInstanceUID = f"1.2.276.0.99.1.{study}", f"1.2.276.0.99.2.{study}"
        base.SOPInstanceUID = base.file_meta.MediaStorageSOPInstanceUID = f"1.2.276.0.99.3.{number}"
        base.InstanceNumber = number % per_study
        base.save_as(folder / f"IM{number:05d}.dcm", enforce_file_format=True)
    return folder


def _case(name: str, source: Path, options: argparse.Namespace, place: Path) -> None:
    peers: Path | None = options.peers
    files = sorted(source.iterdir())
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{name}: {len(files)} files of {files[0].stat().st_size / 1e6:.3f} MB, one process, load average {load}")
    print(f"  {'what':40}{'CPU s':>8}{'ms a file':>11}")
    runs: dict[str, Callable[[Path, Path], list[Any]]] = {"cp -r": lambda given, out: ["cp", "-r", given, out]}
    runs["cp -r, openssl dgst"] = lambda given, out: ["sh", "-c", _COPY_AND_DIGEST, "sh", given, out]
    if peers:
        runs["dicognito"] = lambda given, out: [peers, "-m", "dicognito", "-q", "-o", out, given]
        runs["dicom-anonymizer"] = lambda given, out: [peers.with_name("dicom-anonymizer"), given, out]
    runs["midar"] = lambda given, out: [sys.executable, __file__, "--measure", given, "--out", out]
    runs["midar without digest"] = lambda given, out: [*runs["midar"](given, out), "--no-digest"]
    seconds: dict[str, float] = {}
    text = 0.0
    for _ in range(options.rounds):
        for tool, command in runs.items():
            spent, printed = _run(tool, command, source, place)
            if spent < seconds.get(tool, spent + 1):
                seconds[tool] = spent
                text = _figures(printed)["text"] if tool == "midar without digest" else text
    seconds["midar without digest and text policies"] = seconds["midar without digest"] - text
    for tool, spent in seconds.items():
        _row(tool, spent, len(files))
    one = place / "one"
    one.mkdir(exist_ok=True)
    shutil.copy(files[0], one)
    start = {
        tool: min(_run(tool, runs[tool], one, place)[0] for _ in range(options.rounds))
        for tool in ("midar", "midar without digest", *_PEERS)
        if tool in runs
    }
    for tool, spent in start.items():
        _row(f"{tool}, over one file", spent, 1)
    shutil.rmtree(one)
    print(f"  {'ratio of CPU':66}{'ratio':>6}{'goal':>9}")
    if name == "large":
        for ours, copying in (("midar without digest", "cp -r"), ("midar", "cp -r, openssl dgst")):
            spent = (seconds[ours] - start[ours]) * len(files) / (len(files) - 1)
            _goal(f"{ours}, started / {copying}", spent / seconds[copying], "at most", 2.0)
            print(f"  {ours + ' / ' + copying:66}{seconds[ours] / seconds[copying]:6.2f}")
    for peer in filter(seconds.__contains__, _PEERS):
        for ours in ("midar without digest", "midar"):
            if name == "large":
                _goal(f"{peer} / {ours}", seconds[peer] / seconds[ours], "at least", 1.5)
            else:
                _goal(f"{ours} / {peer}", seconds[ours] / seconds[peer], "at most", 1 / 3)


_PEERS = ("dicognito", "dicom-anonymizer")
_COPY_AND_DIGEST = 'cp -r "$1" "$2" && find "$2" -type f -exec openssl dgst -sha256 {} +'


def _run(tool: str, command: Callable[[Path, Path], list[Any]], source: Path, place: Path) -> tuple[float, str]:
    """CPU seconds of a tool over a folder, and what it printed. Raises RuntimeError where files are missing."""
    out = place / "out"
    out.mkdir()
    given = 0
    for path in source.iterdir():
        path.read_bytes()
        given += 1
    seconds, printed = _cpu(command(source, out))
    own = _figures(printed)["written"] if tool.startswith("midar") else None
    written = sum(path.is_file() for path in out.rglob("*")) if own is None else own
    shutil.rmtree(out)
    if written != given:
        raise RuntimeError(f"{tool} wrote {written} of {given} files")
    return seconds, printed


def _figures(printed: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(printed.split(MARKER, 1)[1])
    return figures


def _row(what: str, seconds: float, files: int) -> None:
    print(f"  {what:40}{seconds:8.2f}{1e3 * seconds / files:11.2f}")


def _goal(what: str, value: float, side: str, goal: float) -> None:
    met = value <= goal if side == "at most" else value >= goal
    print(f"  {what:66}{value:6.2f} {side} {goal:.2f} {'met' if met else 'missed'}", flush=True)


def _cpu(command: list[Any]) -> tuple[float, str]:
    """CPU seconds of a command and its children, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        env=_environment(),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, run.stdout.decode(errors="replace")


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def _memory(source: Path) -> None:
    count = sum(1 for _ in source.iterdir())
    out = source.with_name("out")
    out.mkdir()
    _, printed = _cpu([sys.executable, __file__, "--measure", source, "--out", out, "--processes", "2"])
    shutil.rmtree(out)
    sizes = [size / 1e6 for size in _figures(printed)["resident"]]
    tenths = " ".join(f"{size:.0f}" for size in sizes)
    print(f"memory: {count} files, largest worker's resident memory at each tenth: {tenths} MB")
    _goal("MB a worker", max(sizes), "at most", 150)
    _goal("growth from the second tenth to the last", sizes[-1] / sizes[1], "at most", 1.05)


class _NoDigest:
    """Stands for a digest that is not computed."""

    def update(self, data: Any) -> None:
        """Nothing."""

    def hexdigest(self) -> str:
        """A digest of nothing."""
        return "0" * 64


def _measure(source: Path, out: Path, processes: int, *, digest: bool) -> None:
    """De-identify a folder into another in this process (or several) and print what was measured."""
    from pipelines.deidentify import engine, kept_values, writing
    from pipelines.deidentify.delivery import deidentify_delivery
    from pipelines.deidentify.profile import load_profile
    from pipelines.storage.keys import Key
    from pipelines.storage.tables import INVENTORY
    from pipelines.storage.workers import Workers, hush

    hush()
    spent = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            nonlocal spent
            start = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                spent += time.process_time() - start

        return run

    for module, name in (
        (kept_values, "cleaned_by"),
        (kept_values, "is_harmless_code"),
        (engine, "is_harmless_code"),
    ):
        setattr(module, name, timed(getattr(module, name)))
    if not digest:
        writing.new_digest = _NoDigest  # type: ignore[assignment]
    default = (ROOT / "pipelines/deidentify/profile.toml").read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as settings:
        settings.write(default.replace("clean_pixel_data = true", "clean_pixel_data = false"))
        settings.flush()
        entries = [
            {
                "file_id": f"F-{number:05d}",
                "location": f"inbox:{path.name}",
                "size": 0,
                "sha256": "",
                "kind": "dicom",
                "status": "accepted",
            }
            for number, path in enumerate(sorted(source.iterdir()))
        ]
        resident: list[int] = []

        def watch(done: int, total: int) -> None:
            if processes > 1 and done % max(1, total // 10) == 0:
                resident.append(max(map(_resident, _children())))

        summary = deidentify_delivery(
            INVENTORY.build(entries),
            source=lambda location: source / location.removeprefix("inbox:"),
            key=Key(bytes(range(32))),
            profile=load_profile(Path(settings.name)),
            folder=out,
            workers=Workers(processes=processes),
            progress=watch,
        )
    figures = {"written": summary.written, "reasons": summary.reasons, "resident": resident, "text": spent}
    print(MARKER + json.dumps(figures))


def _children() -> list[int]:
    import multiprocessing

    return [process.pid for process in multiprocessing.active_children() if process.pid]


def _resident(process: int) -> int:
    """Resident memory of a process in bytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()

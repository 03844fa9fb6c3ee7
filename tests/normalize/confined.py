"""Files normalized in a child process that may not have much memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pydicom

ADDRESS_SPACE = 800 << 20
"""Bytes that the child may map: a mammogram of 4096 × 3328 takes some 500 MB, all libraries and JPEG 2000 included."""

RESIDENT = 500 << 10
"""KB of memory that the child may touch; such a mammogram takes some 200 MB, and 49 million pixels 430 MB."""

CHILD = """
import json, resource, sys
from pathlib import Path
from pipelines.normalize.mammogram import NormalizeSettings, normalize_file
from pipelines.storage.workers import hush
hush()
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(Path(sys.argv[1]).iterdir()):
    outcome = normalize_file(path, NormalizeSettings())
    status = Path("/proc/self/status").read_text()  # ru_maxrss begins with the parent's
    peak = int(status.split("VmHWM:")[1].split()[0])
    print(json.dumps([path.name, outcome.status, outcome.reason, peak]), flush=True)
"""


def outcomes(folder: Path) -> dict[str, tuple[str, str | None]]:
    """Normalize all files of a folder in a child with little memory; every one of them has to come back."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
    command = [sys.executable, "-c", CHILD, str(folder), str(ADDRESS_SPACE)]
    child = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | threads, cwd=Path(__file__).parents[2]
    )
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    done = {name for name, *_ in lines}
    assert child.returncode == 0, ([p.name for p in sorted(folder.iterdir()) if p.name not in done][:1], child.stderr)
    assert len(lines) == len(list(folder.iterdir()))
    assert max(peak for *_, peak in lines) < RESIDENT, max((peak, name) for name, *_, peak in lines)
    return {name: (status, reason) for name, status, reason, _ in lines}


def write_all(folder: Path, objects: dict[str, pydicom.Dataset]) -> None:
    """Write objects as files of their names into a folder."""
    folder.mkdir(exist_ok=True)
    for name, dataset in objects.items():
        dataset.save_as(folder / name, enforce_file_format=True)

"""Several training processes on one machine: the one that Dagster started leads, and starts the rest itself.

They meet in a file, not on a port. Each works on its share of every batch (``pipelines.pgan.distributed``); the leader
alone reports, writes and hears signals. Who follows ends when the leader does.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.storage.workers import end_with

PATIENCE = 60.0
"""Seconds that the others have to end once the leader is done."""


def rank() -> int:
    """This process' number; 0 for the one that leads."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def led(work: Path, processes: int) -> Iterator[None]:
    """Have ``processes`` − 1 others at the same work while the block runs; none of them is left when it ends."""
    if processes == 1:
        yield
        return
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="midar-training-") as meeting:
        shared = {"WORLD_SIZE": str(processes), "MIDAR_RENDEZVOUS": f"file://{meeting}/processes"}
        shared["GLOO_SOCKET_IFNAME"] = before.get("GLOO_SOCKET_IFNAME", "lo")
        places = [shared | {"RANK": str(n), "LOCAL_RANK": str(n)} for n in range(processes)]
        command = [sys.executable, "-m", "assets.pgan_worker", str(work)]
        others = [subprocess.Popen(command, env=before | place, stdin=subprocess.DEVNULL) for place in places[1:]]
        os.environ.update(places[0])
        try:
            yield
            _wait(others)
        finally:
            for other in others:
                other.kill()
                other.wait()
            for name in places[0]:
                os.environ.pop(name, None)
            os.environ.update(before)


def _wait(others: list[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + PATIENCE
    for other in others:
        try:
            other.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            return


def follow(leader: int) -> None:
    """Leave signals to the leader, and end when it is gone: nobody would answer any more."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)

    threading.Thread(target=end_with, args=(leader,), daemon=True).start()

"""The executor seam: spread a function over many items with a `concurrent.futures` executor, and lose none of them.

Items travel in chunks. A worker that dies (a decoder's segmentation fault, the kernel's memory killer) or outlasts its
time costs no more than the item that it was busy with: the pool is rebuilt, the chunk's items are tried one by one,
and the guilty one comes back as a failure with a reason code.
"""

import logging
import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, TypeVar

from pipelines.storage.parcels import Parcel, pack

Item = TypeVar("Item")
Value = TypeVar("Value")

ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""What worker processes start with: memory in large pages, where the kernel gives them to those who ask.

On a busy machine pictures in pages of 4 kB can cost a third more time. Read by glibc 2.35 and later, by nothing else.
"""

Progress = Callable[[int, int], None]
"""Told how many of how many items are done."""


def silent(done: int, total: int) -> None:
    """A progress listener that does not listen."""


@dataclass(frozen=True)
class Result(Generic[Item, Value]):
    """What became of an item: its value, or the reason code of its failure (never the exception's text)."""

    item: Item
    value: Value | None
    failure: str | None = None


@dataclass(frozen=True)
class Workers:
    """How work is spread: ``processes`` local processes (1 works in this process), in chunks of ``chunk`` items.

    ``time_limit`` is in seconds for one item; a chunk has that much for each of its items together. In this process
    there is no time limit and no protection against a crash.
    """

    processes: int = 1
    chunk: int = 50
    time_limit: float = 600.0

    def spread(
        self, function: Callable[[Item], Value], items: Iterable[Item], scratch: Path | None = None
    ) -> Iterator[Result[Item, Value]]:
        """Yield one result per item, in the items' order, whatever the timing; at most a few chunks are in memory.

        ``function`` is a module-level function or a partial of one. An exception in it becomes the failure
        ``error_<Class>``. The processes stay for the next call: what they have imported is not imported again.
        ``scratch``: a folder through which large arrays of results come faster than by a pipe. Whoever gives it removes
        it: a worker that died may have left a file.
        """
        if self.processes <= 1:
            for item in items:
                yield _attempt(function, item)
            return
        yield from _Spread(self, function, scratch).run(list(items))


def _attempt(function: Callable[[Item], Value], item: Item) -> Result[Item, Value]:
    try:
        return Result(item, function(item))
    except MemoryError:
        return Result(item, None, "out_of_memory")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary of bad input: a status row in place of a lost night
        return Result(item, None, f"error_{type(error).__name__}")  # panics of codecs in Rust are no Exceptions


def _attempt_all(function: Callable[[Item], Value], chunk: Sequence[Item]) -> list[Result[Item, Value]]:
    return [_attempt(function, item) for item in chunk]


def _attempt_and_pack(function: Callable[[Item], Value], scratch: Path, chunk: Sequence[Item]) -> Parcel:
    return pack(_attempt_all(function, chunk), scratch)


def hush() -> None:
    """Silence this process' warnings and library logs: they quote values, which may identify a patient."""
    warnings.simplefilter("ignore")
    for library in ("pydicom", "presidio-analyzer", "RapidOCR", "highdicom", "pylibjpeg"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)


_executors: dict[int, ProcessPoolExecutor] = {}
"""The process pools at hand, by their number of processes."""


def _executor(processes: int) -> ProcessPoolExecutor:
    if processes not in _executors:
        for variable, value in ENVIRONMENT.items():
            os.environ.setdefault(variable, value)  # a process inherits it and reads it as it starts, not later
        context = get_context("spawn")
        _executors[processes] = ProcessPoolExecutor(processes, context, _start_worker, (os.getpid(),))
    return _executors[processes]


def _kill(processes: int) -> None:
    executor = _executors.pop(processes, None)
    if executor is None:
        return
    for process in list((getattr(executor, "_processes", None) or {}).values()):
        process.kill()
    executor.shutdown(wait=True, cancel_futures=True)


def _start_worker(parent: int) -> None:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ[variable] = "1"
    hush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()


def end_with(parent: int) -> None:
    """End this process when its parent has been killed: nobody is left to take its results."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


class _Spread(Generic[Item, Value]):
    """One function spread over many items; the pool is rebuilt when a worker dies."""

    def __init__(self, workers: Workers, function: Callable[[Item], Value], scratch: Path | None) -> None:
        self.workers = workers
        attempt = partial(_attempt_and_pack, function, scratch) if scratch else partial(_attempt_all, function)
        self._work: Callable[[list[Item]], Parcel | list[Result[Item, Value]]] = attempt

    def run(self, items: list[Item]) -> Iterator[Result[Item, Value]]:
        size = min(self.workers.chunk, max(1, -(-len(items) // (4 * self.workers.processes))))
        waiting = deque(items[i : i + size] for i in range(0, len(items), size))
        running: deque[tuple[list[Item], Future[Parcel | list[Result[Item, Value]]]]] = deque()
        try:
            while waiting or running:
                while waiting and len(running) < 2 * self.workers.processes:
                    chunk = waiting.popleft()
                    running.append((chunk, self._submit(chunk)))
                chunk, future = running.popleft()
                try:
                    results = _unpacked(future.result(self.workers.time_limit * len(chunk)))
                except (BrokenProcessPool, FutureTimeout):
                    _kill(self.workers.processes)
                    for later, _ in reversed(running):
                        waiting.appendleft(later)
                    running.clear()
                    results = self._one_by_one(chunk)
                yield from results
        finally:
            for _, future in running:
                future.cancel()

    def _one_by_one(self, chunk: list[Item]) -> Iterator[Result[Item, Value]]:
        for item in chunk:
            future = self._submit([item])
            try:
                yield from _unpacked(future.result(timeout=self.workers.time_limit))
            except (BrokenProcessPool, FutureTimeout) as error:
                _kill(self.workers.processes)
                yield Result(item, None, "time_limit" if isinstance(error, FutureTimeout) else "worker_died")

    def _submit(self, chunk: list[Item]) -> "Future[Parcel | list[Result[Item, Value]]]":
        try:
            return _executor(self.workers.processes).submit(self._work, chunk)
        except BrokenProcessPool:
            # A worker died while the pool was idle, or with an earlier chunk: the items are as good as before.
            _kill(self.workers.processes)
            return _executor(self.workers.processes).submit(self._work, chunk)


def _unpacked(results: Parcel | list[Result[Item, Value]]) -> Iterable[Result[Item, Value]]:
    return results.unpack() if isinstance(results, Parcel) else results

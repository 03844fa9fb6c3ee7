"""The executor seam: spread a function over many items with a `concurrent.futures` executor, and lose none of them.

Items travel in chunks. A worker that dies (a decoder's segmentation fault, the kernel's memory killer) or outlasts its
time costs no more than the item that it was busy with: the pool is rebuilt, the chunk's items are tried one by one,
and the guilty one comes back as a failure with a reason code.
"""

import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")

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
        self,
        function: Callable[[Item], Value],
        items: Iterable[Item],
        *,
        initializer: Callable[..., None] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> Iterator[Result[Item, Value]]:
        """Yield one result per item, in the items' order, whatever the timing; at most a few chunks are in memory.

        ``function`` and ``initializer`` are module-level functions (or partials of them). An exception in ``function``
        becomes the failure ``error_<Class>``.
        """
        if self.processes <= 1:
            if initializer is not None:
                initializer(*initargs)
            for item in items:
                yield _attempt(function, item)
            return
        pool = _Pool(self, function, initializer, initargs)
        try:
            yield from pool.run(list(items))
        finally:
            pool.kill()


def _attempt(function: Callable[[Item], Value], item: Item) -> Result[Item, Value]:
    try:
        return Result(item, function(item))
    except MemoryError:
        return Result(item, None, "out_of_memory")
    except Exception as error:  # noqa: BLE001 - the boundary of bad input: a status row in place of a lost night
        return Result(item, None, f"error_{type(error).__name__}")


def _attempt_all(function: Callable[[Item], Value], chunk: Sequence[Item]) -> list[Result[Item, Value]]:
    return [_attempt(function, item) for item in chunk]


def hush() -> None:
    """Silence this process' warnings and library logs: they quote values, which may identify a patient."""
    warnings.simplefilter("ignore")
    for library in ("pydicom", "presidio-analyzer", "RapidOCR", "highdicom", "pylibjpeg"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)


def _start_worker(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    hush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    if initializer is not None:
        initializer(*initargs)


class _Pool(Generic[Item, Value]):
    """A process pool that is rebuilt when a worker dies."""

    def __init__(
        self,
        workers: Workers,
        function: Callable[[Item], Value],
        initializer: Callable[..., None] | None,
        initargs: tuple[Any, ...],
    ) -> None:
        self.workers, self.function = workers, function
        self.initializer, self.initargs = initializer, initargs
        self.executor: ProcessPoolExecutor | None = None

    def run(self, items: list[Item]) -> Iterator[Result[Item, Value]]:
        size = min(self.workers.chunk, max(1, -(-len(items) // (4 * self.workers.processes))))
        waiting = deque(items[i : i + size] for i in range(0, len(items), size))
        running: deque[tuple[list[Item], Future[list[Result[Item, Value]]]]] = deque()
        while waiting or running:
            while waiting and len(running) < 2 * self.workers.processes:
                chunk = waiting.popleft()
                running.append((chunk, self._submit(chunk)))
            chunk, future = running.popleft()
            try:
                results: Iterable[Result[Item, Value]] = future.result(self.workers.time_limit * len(chunk))
            except (BrokenProcessPool, FutureTimeout):
                self.kill()
                for later, _ in reversed(running):
                    waiting.appendleft(later)
                running.clear()
                results = self._one_by_one(chunk)
            yield from results

    def _one_by_one(self, chunk: list[Item]) -> Iterator[Result[Item, Value]]:
        for item in chunk:
            future = self._submit([item])
            try:
                yield from future.result(timeout=self.workers.time_limit)
            except (BrokenProcessPool, FutureTimeout) as error:
                self.kill()
                yield Result(item, None, "time_limit" if isinstance(error, FutureTimeout) else "worker_died")

    def _submit(self, chunk: list[Item]) -> "Future[list[Result[Item, Value]]]":
        if self.executor is None:
            self.executor = ProcessPoolExecutor(
                self.workers.processes,
                mp_context=get_context("spawn"),
                initializer=_start_worker,
                initargs=(self.initializer, self.initargs),
            )
        try:
            return self.executor.submit(_attempt_all, self.function, chunk)
        except BrokenProcessPool as error:
            future: Future[list[Result[Item, Value]]] = Future()
            future.set_exception(error)
            return future

    def kill(self) -> None:
        if self.executor is None:
            return
        for process in list((getattr(self.executor, "_processes", None) or {}).values()):
            process.kill()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.executor = None

"""Starts the training process through Dagster Pipes, passes its progress on, and tells what became of it."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any, cast

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError  # the one error of a process that failed; not exported

import assets
from assets.pgan_worker import Work
from assets.rung import progress_of
from pipelines.storage.workers import Progress


class ProgressReader(dg.PipesTempFileMessageReader):
    """Reads the process' messages from a temporary file and tells of progress as it comes."""

    def __init__(self, tell: Progress) -> None:
        super().__init__()
        self._tell = tell
        self._here = copy_context()
        self.last: tuple[int, int] | None = None
        self.outcome: dict[str, Any] | None = None

    @contextmanager
    def read_messages(self, handler: Any) -> Iterator[Any]:
        """As its base, with custom messages taken out for progress and outcome."""
        with super().read_messages(cast(Any, _Aside(handler, self))) as parameters:
            yield parameters

    def take(self, payload: dict[str, Any]) -> None:
        """Take a message of the process."""
        if "progress" in payload:
            done, total = self.last = tuple(payload["progress"])
            self._here.run(self._tell, done, total)
        else:
            self.outcome = payload


class _Aside:
    """A message handler that gives custom messages to the reader, and all others to Dagster's own handler."""

    def __init__(self, handler: Any, reader: ProgressReader) -> None:
        self._handler, self._reader = handler, reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def handle_message(self, message: Any) -> None:
        """Called by Dagster's reading thread for each message."""
        if message["method"] == "report_custom_message":
            self._reader.take(message["params"]["payload"])
        else:
            self._handler.handle_message(message)


class _NoAsset:
    """A context that owns to no asset: of an asset Pipes demands a result, and a night may end without one."""

    has_assets_def = False

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def train_apart(context: dg.AssetExecutionContext, work: Work, path: Path) -> dict[str, Any]:
    """Have a process of its own do the work that is written to ``path``; its outcome.

    Outcomes: trained, in_training, not_trained (see ``assets.pgan_worker``). Raises Failure with a reason where the
    process failed, gave up, was ended or killed; a retry goes on from the last checkpoint.
    """
    work.write(path)
    reader = ProgressReader(progress_of(context))
    client = dg.PipesSubprocessClient(message_reader=reader, termination_timeout_seconds=600)
    root = str(Path(assets.__file__).parents[1])  # the code that this process runs, wherever it was started
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "assets.pgan_worker", str(path)]
    code = "0"
    try:
        client.run(context=cast(Any, _NoAsset(context)), command=command, env={"PYTHONPATH": paths})
    except DagsterPipesExecutionError as error:
        code = (re.findall(r"code (-?\d+)$", str(error)) or ["unknown"])[0]
    return _judged(reader, code)


def _judged(reader: ProgressReader, code: str) -> dict[str, Any]:
    """The outcome that the process reported. Raises Failure for any that is no result."""
    outcome = reader.outcome or {"outcome": "silent"}
    where = "before its first step" if reader.last is None else f"after {reader.last[0]} of {reader.last[1]} images"
    goes_on = "the next try goes on from the last checkpoint"
    match outcome["outcome"]:
        case "trained" | "in_training" | "not_trained" if code == "0":
            return outcome
        case "gave_up":
            raise dg.Failure(f"the training gave up: {outcome['reason']}", allow_retries=False)
        case "failed":
            account = f"the full account is in restricted/errors/{outcome['account']}"
            raise dg.Failure(f"the training failed {where}: {outcome['error']}; {account}; {goes_on}")
        case "ended":
            raise dg.Failure(f"the training process was asked to end {where}; {goes_on}")
        case _ if code.startswith("-"):
            raise dg.Failure(f"the training process was killed by signal {code[1:]} {where}; {goes_on}")
        case _:
            raise dg.Failure(f"the training process ended with code {code} {where}; {goes_on}")

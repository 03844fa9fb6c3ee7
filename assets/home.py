"""DAGSTER_HOME under the data root: made on first use, telemetry off, no sign-up dialog, one run at a time per pool."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from pipelines.storage.atomic import write_bytes

CONFIGURATION = """\
telemetry:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
concurrency:
  runs:
    max_concurrent_runs: 2
  pools:
    default_limit: 1
    granularity: op
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 60
run_retries:
  enabled: true
  max_retries: 1
"""


def prepare_home(data: Path) -> Path:
    """Make ``<data>/dagster_home`` with its configuration where there is none, and point the environment at it."""
    home = data.absolute() / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        write_bytes(home / "dagster.yaml", CONFIGURATION.encode())
    nux = home / ".nux" / "nux.yaml"
    if not nux.exists():
        write_bytes(nux, b"seen: 1\n")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    return home


UNFINISHED = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
COMMAND_TAG = "midar/command"
"""Marks the runs that the command executes in its own process."""


class AlreadyRunningError(RuntimeError):
    """Another run of the command is at work on the same data root."""


@contextmanager
def alone(data: Path) -> Iterator[dg.DagsterInstance]:
    """The instance, for the one command that runs on this data root.

    Runs of an earlier command that was killed are ended first: they would hold their pool's slots for ever. Raises
    AlreadyRunningError.
    """
    with open_instance(data) as instance, (prepare_home(data) / ".run.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError("another midar run is at work on this data root") from None
        for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags={COMMAND_TAG: "run"})):
            instance.report_run_failed(run, "the command was ended before the run was")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        yield instance


def open_instance(data: Path) -> dg.DagsterInstance:
    """The Dagster instance that lives under the data root."""
    prepare_home(data)
    return dg.DagsterInstance.get()

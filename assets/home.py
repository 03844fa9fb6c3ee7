"""DAGSTER_HOME under the data root: made on first use, telemetry off, no sign-up dialog, one run at a time per pool."""

import os
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


def open_instance(data: Path) -> dg.DagsterInstance:
    """The Dagster instance that lives under the data root."""
    prepare_home(data)
    return dg.DagsterInstance.get()

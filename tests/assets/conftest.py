"""Dagster remembers the last instance that was opened in a process; each test gets one that is alive."""

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture(autouse=True)
def living_instance() -> Iterator[None]:
    with dg.DagsterInstance.ephemeral():
        yield

"""Runs of the command over pretend archives, made once and read by many tests."""

import pytest

from tests.end_to_end.runs import Ran, ran


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """What ``make demo`` makes."""
    return ran(tmp_path_factory.mktemp("demo"), patients=40, seed=7)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A small archive, climbed with the tiny pGAN."""
    root = tmp_path_factory.mktemp("small")
    return ran(root, "--preset", "tiny", patients=10, seed=3, phantom=("--scale", 0.1))

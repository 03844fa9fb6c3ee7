"""Work is spread in order; a dead or slow worker costs one item and nothing else."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from pipelines.storage.workers import ENVIRONMENT, Workers


def square(item: int) -> int:
    return item * item


def treacherous(item: int) -> int:
    if item == 7:
        os._exit(11)
    if item == 9:
        raise ValueError("Jane Doe")
    return item


def slow(item: int) -> int:
    if item == 3:
        time.sleep(90)
    return item


def chatty(item: int) -> int:
    warnings.warn("Jane Doe", stacklevel=1)
    print("Jane Doe")
    return item


def started_with(variable: str) -> str | None:
    """What a process found in its environment as it started, whatever it has set since."""
    stood = Path("/proc/self/environ").read_bytes().decode().split("\0")
    return dict(line.split("=", 1) for line in stood if "=" in line).get(variable)


def test_workers_start_in_their_environment() -> None:
    results = list(Workers(2, chunk=1).spread(started_with, ENVIRONMENT))
    assert {r.item: r.value for r in results} == {name: os.environ[name] for name in ENVIRONMENT}


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_items_order(processes: int) -> None:
    results = list(Workers(processes, chunk=3).spread(square, range(20)))
    assert [(r.item, r.value, r.failure) for r in results] == [(i, i * i, None) for i in range(20)]


def test_dead_worker_costs_one_item() -> None:
    results = list(Workers(2, chunk=4).spread(treacherous, range(20)))
    assert [r.item for r in results] == list(range(20))
    assert {r.item: r.failure for r in results if r.failure} == {7: "worker_died", 9: "error_ValueError"}
    assert all(r.value == r.item for r in results if not r.failure)


def picture_of(item: int) -> np.ndarray:
    if item == 7:
        os._exit(11)
    return np.full((200, 100), item, np.uint16)


def test_large_results_come_by_scratch_files_that_are_gone(tmp_path: Path) -> None:
    results = Workers(2, chunk=4).spread(picture_of, range(20), tmp_path)
    for item, result in enumerate(results):
        assert result.item == item
        if item == 7:
            assert result.failure == "worker_died"
        else:
            assert result.value is not None
            np.testing.assert_array_equal(result.value, picture_of(item))
    assert not list(tmp_path.iterdir())


class PanicError(BaseException):
    """As a codec in Rust raises: no Exception."""


def panic(item: int) -> int:
    raise PanicError


def interrupted(item: int) -> int:
    raise KeyboardInterrupt


def test_a_codecs_panic_is_a_failure_and_an_interruption_is_not() -> None:
    assert [r.failure for r in Workers(1).spread(panic, [1])] == ["error_PanicError"]
    with pytest.raises(KeyboardInterrupt):
        list(Workers(1).spread(interrupted, [1]))


def test_item_over_its_time_is_given_up() -> None:
    results = list(Workers(2, chunk=1, time_limit=10).spread(slow, range(8)))
    assert {r.item: r.failure for r in results if r.failure} == {3: "time_limit"}
    assert [r.item for r in results] == list(range(8))


def test_workers_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert len(list(Workers(2).spread(chatty, range(4)))) == 4
    out, err = capfd.readouterr()
    assert "Jane" not in out + err


def own_process(item: int) -> int:
    return os.getpid()


def test_processes_stay_for_the_next_call() -> None:
    workers = Workers(2, chunk=1)
    processes = {r.value for _ in range(4) for r in workers.spread(own_process, range(8))}
    assert len(processes) <= 2  # one of the two may be too late for a call
    assert os.getpid() not in processes


def test_workers_end_when_their_parent_is_killed(tmp_path) -> None:
    code = (
        "import os, time\n"
        "from pathlib import Path\n"
        "from pipelines.storage.workers import Workers\n"
        "from tests.storage.test_workers import note_and_sleep\n"
        "if __name__ == '__main__':\n"
        f"    list(Workers(2, chunk=1).spread(note_and_sleep, [{str(tmp_path)!r}] * 2))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": root})
    assert wait_until(lambda: len(list(tmp_path.glob("pid-*"))) == 2)
    parent.kill()
    parent.wait()
    pids = [int(p.name.removeprefix("pid-")) for p in tmp_path.glob("pid-*")]
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def note_and_sleep(folder: str) -> None:
    (Path(folder) / f"pid-{os.getpid()}").touch()
    time.sleep(120)


def wait_until(condition) -> bool:
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False

"""Same input, key and seed give the same bytes, also after a kill; an edit shows."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.end_to_end.runs import COMMAND, Ran, environment, give_key, midar, published

pytestmark = pytest.mark.xdist_group("small")


def differences(first: Path, second: Path) -> list[str]:
    a, b = published(first), published(second)
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def test_same_inputs_twice_give_the_same_bytes(small: Ran, tmp_path: Path) -> None:
    give_key(tmp_path / "data")
    midar(
        "run",
        "--inbox",
        small.inbox,
        "--data",
        tmp_path / "data",
        "--preset",
        "tiny",
        "--processes",
        1,
        temporary=small.temporary,
    )
    assert len(published(small.data)) > 50
    assert differences(small.data, tmp_path / "data") == []


def test_run_again_makes_nothing_again(small: Ran) -> None:
    batches = len(list(small.research.glob("ledger/*.parquet")))
    midar("run", "--inbox", small.inbox, "--data", small.data, "--preset", "tiny", temporary=small.temporary)
    assert len(list(small.research.glob("ledger/*.parquet"))) == batches


@pytest.mark.parametrize("moment", ["level_c/objects", "pgan/model"])
def test_killed_run_started_again_ends_in_the_same_bytes(small: Ran, tmp_path: Path, moment: str) -> None:
    data = tmp_path / "data"
    give_key(data)
    command = [COMMAND, "run", "--inbox", small.inbox, "--data", data, "--preset", "tiny"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment(small.temporary), **quiet)
    wait_for(data / "research", moment, process)
    process.kill()
    process.wait()
    midar("run", "--inbox", small.inbox, "--data", data, "--preset", "tiny", temporary=small.temporary)
    assert differences(small.data, data) == []
    assert not list(data.rglob(".staging-*"))
    assert midar("verify", "--data", data, temporary=small.temporary).stdout.strip().endswith("0 problems")


def wait_for(research: Path, moment: str, process: subprocess.Popen) -> None:
    """Wait until the asset of the moment is being written."""
    asset = research / moment
    for _ in range(6000):
        if list(asset.glob(".staging-*")) or (asset.parent / f".staging-{asset.name}").exists():
            return
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    raise AssertionError("the run never came to the moment of the kill")


def test_flipped_byte_is_named(small: Ran) -> None:
    file = sorted((small.research / "level_b" / "images").rglob("shard-*.arrow"))[0]
    whole = file.read_bytes()
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    try:
        result = midar("verify", "--data", small.data, temporary=small.temporary, check=False)
        assert result.returncode == 1
        assert str(file.relative_to(small.data)) in result.stdout
    finally:
        file.write_bytes(whole)
    assert midar("verify", "--data", small.data, temporary=small.temporary).returncode == 0

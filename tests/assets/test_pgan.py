"""The pGAN's asset: it trains in a process of its own, survives its death, and goes on after a night's budget."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import torch
from safetensors.torch import load_file

from assets import pgan
from assets.home import open_instance
from assets.pgan_apart import ProgressReader, _judged
from assets.pgan_worker import Wish, Work, every
from assets.resources import Ladder, Training
from assets.rung import listener
from pipelines.pgan.budget import Budget, Night, read_underway
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.ledger import LedgerRow
from tests.pgan.conftest import make_dataset

TRAINING = {"preset": "tiny", "images": "64"}
TOTAL = 72  # whole batches of each span


@pytest.fixture(scope="module")
def level_a(tmp_path_factory) -> Path:
    """A toy level A folder."""
    return make_dataset(tmp_path_factory.mktemp("toy") / "dataset", train={"A": 4, "B": 10, "C": 8, "D": 2})


def ladder_over(root: Path, level_a: Path) -> Ladder:
    """A ladder on which the toy set stands published."""
    ladder = Ladder(data=str(root))

    def build(staging) -> None:
        shutil.copytree(level_a, staging.folder, dirs_exist_ok=True)
        staging.rows.append(LedgerRow("I-0000", "dataset.parquet", "0" * 64, (), "select"))

    ladder.make("level_a/dataset", "", inputs=dict, parameters={}, build=build)
    return ladder


def materialize(ladder: Ladder, **training: str | int) -> dg.ExecuteInProcessResult:
    with open_instance(Path(ladder.data)) as instance:
        return dg.materialize(
            [pgan.model, after], instance=instance, raise_on_error=False,
            resources={"ladder": ladder, "training": Training(**{**TRAINING, **training})},
        )  # fmt: skip


@dg.asset(deps=[["pgan", "model"]])
def after() -> None:
    """What stands on the model."""


def model_of(ladder: Ladder) -> dict[str, str]:
    folder = ladder.zones.publication("pgan/model")
    return {str(p.relative_to(folder)): sha256_of_file(p) for p in folder.rglob("*") if p.is_file()}


@contextmanager
def hearing(listen: Callable[[str, int, int], None]) -> Iterator[None]:
    token = listener.set(listen)
    try:
        yield
    finally:
        listener.reset(token)


def worker() -> int:
    """The process id of this process' training process."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except OSError:  # it ended while we looked
            continue
        if parent == os.getpid() and b"assets.pgan_worker" in command:
            return int(status.parent.name)
    raise AssertionError("there is no training process")


def reasons(result: dg.ExecuteInProcessResult) -> list[str]:
    """Why steps failed or are tried again."""
    events = [e for e in result.all_events if e.is_step_failure or e.is_step_up_for_retry]
    errors = [(e.step_failure_data if e.is_step_failure else e.step_retry_data).error for e in events]
    messages = [(error.cause or error).message for error in errors]
    return [message.removeprefix("dagster._core.definitions.events.Failure: ").strip() for message in messages]


@pytest.fixture(scope="module")
def unbroken(level_a, tmp_path_factory) -> tuple[Ladder, dg.ExecuteInProcessResult, list[tuple[str, int, int]]]:
    told = []
    with dg.DagsterInstance.ephemeral():
        ladder = ladder_over(tmp_path_factory.mktemp("unbroken"), level_a)
        with hearing(lambda *message: told.append(message)):
            result = materialize(ladder)
    return ladder, result, told


def test_it_trains_publishes_and_shows_figures(unbroken):
    ladder, result, told = unbroken
    assert result.success
    assert {name for name, _, _ in told} == {"pgan/model"}
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})
    assert told[-1][1:] == (TOTAL, TOTAL)
    [event] = [e for e in result.get_asset_materialization_events() if e.asset_key.path == ["pgan", "model"]]
    metadata = event.materialization.metadata
    assert {"samples", "samples 5x4", "losses", "figures", "card", "logs", "peak_memory"} <= set(metadata)
    assert "| sliced_wasserstein (real) |" in metadata["figures"].value
    assert metadata["images_per_second"].value > 0
    assert list(Path(metadata["logs"].value).glob("events.out.tfevents.*"))
    assert json.loads((ladder.zones.publication("pgan/model") / "report.json").read_text())["images_shown"] == TOTAL
    rows = ladder.publisher.ledger_of("pgan/model").rows(ladder.publisher.standing("pgan/model")).to_pylist()
    [trained] = [row for row in rows if row["operation"] == "train"]
    assert trained["sha256"] == model_of(ladder)["generator.safetensors"]


def test_a_night_whose_budget_ends_and_a_kill_leave_no_trace_in_the_bytes(unbroken, level_a, tmp_path, monkeypatch):
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda self, attempt: 0.1)
    ladder, killed = ladder_over(tmp_path, level_a), []
    the_budget_ends(ladder)

    def kill_once(asset: str, done: int, total: int) -> None:
        if done >= 48 and not killed:
            killed.append(worker())
            os.kill(killed[0], signal.SIGKILL)

    (ladder.zones.workspace("pgan/model") / "of-another-training").mkdir()
    with hearing(kill_once):
        result = materialize(ladder)
    assert result.success
    [reason] = reasons(result)
    assert reason.startswith("the training process was killed by signal 9 after ")
    assert reason.endswith("of 72 images; the next try goes on from the last checkpoint")
    assert len(result.get_asset_materialization_events()) == 2
    assert model_of(ladder) == model_of(unbroken[0])
    workspace = ladder.zones.workspace("pgan/model")
    assert read_underway(workspace) is None
    assert [path.is_dir() for path in workspace.iterdir()] == [True]


def the_budget_ends(ladder: Ladder) -> None:
    """A night that is over before the training: no failure, nothing published, what stands on it skipped."""
    night = materialize(ladder, budget="24")
    assert night.success
    assert night.get_asset_materialization_events() == []
    assert [e.step_key for e in night.all_events if e.is_step_skipped] == ["after"]
    [seen] = [e for e in night.all_events if e.event_type_value == "ASSET_OBSERVATION"]
    assert seen.asset_observation_data.asset_observation.description == "in training, 32 of 72 images"
    assert str(read_underway(ladder.zones.workspace("pgan/model"))) == "in training, 32 of 72 images"
    assert ladder.publisher.standing("pgan/model") is None
    assert not ladder.zones.publication("pgan/model").exists()


def processes_at(workspace: Path) -> list[int]:
    """The processes that work on a training under this folder."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told = command.read_bytes()
        except OSError:  # it ended while we looked
            continue
        if b"assets.pgan_worker" in told and str(workspace).encode() in told:
            found.append(int(command.parent.name))
    return found


def test_two_processes_share_a_training_and_end_together(unbroken, level_a, tmp_path, monkeypatch):
    """A night's end, a killed leader, and the rest: the model of one process, but for rounding."""
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda self, attempt: 3.0)
    ladder, seen, killed = ladder_over(tmp_path, level_a), set(), []
    workspace = ladder.zones.workspace("pgan/model")
    night = materialize(ladder, budget="24", processes=2)
    assert night.success
    assert str(read_underway(workspace)) == "in training, 32 of 72 images"
    assert processes_at(workspace) == []

    def kill_once(asset: str, done: int, total: int) -> None:
        seen.update(processes_at(workspace))
        if done >= 48 and not killed:
            killed.append(worker())
            os.kill(killed[0], signal.SIGKILL)

    with hearing(kill_once):
        result = materialize(ladder, processes=2)
    assert result.success
    [reason] = reasons(result)
    assert "was killed by signal 9" in reason
    assert len(seen) == 4  # two before the kill, two after
    assert processes_at(workspace) == []
    one, two = (
        load_file(own.zones.publication("pgan/model") / "generator.safetensors") for own in (unbroken[0], ladder)
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=5e-3, msg=name)


def test_an_error_leaves_the_process_with_its_class_alone(level_a, tmp_path, monkeypatch):
    monkeypatch.setattr(dg.RetryPolicy, "max_retries", 0, raising=False)
    broken = Path(shutil.copytree(level_a, tmp_path / "broken"))
    for shard in (broken / "pyramid").rglob("*.arrow"):
        shard.write_bytes(b"DOE^JANE")
    ladder = ladder_over(tmp_path / "data", broken)
    [reason, *_] = reasons(materialize(ladder))
    assert reason.startswith("the training failed before its first step: ")
    [account] = ladder.errors.iterdir()
    assert account.name in reason
    assert "Traceback" in account.read_text()
    assert account.stat().st_mode & 0o777 == 0o600
    for file in (tmp_path / "data" / "dagster_home").rglob("*"):
        assert not file.is_file() or b"Traceback" not in file.read_bytes().replace(b"no Traceback", b"")


@pytest.mark.parametrize(
    ("outcome", "code", "last", "message", "retries"),
    [
        ({"outcome": "gave_up", "reason": "after 3 rollbacks"}, "0", (8, 96), "gave up: after 3 rollbacks", False),
        ({"outcome": "ended"}, "0", (8, 96), "asked to end after 8 of 96 images", True),
        (None, "-11", (8, 96), "killed by signal 11 after 8 of 96", True),
        (None, "-9", None, "killed by signal 9 before its first step", True),
        (None, "3", None, "ended with code 3", True),
        ({"outcome": "trained"}, "-9", (96, 96), "killed by signal 9 after 96 of 96", True),
    ],
)
def test_what_is_no_result_is_a_failure_with_its_reason(outcome, code, last, message, retries):
    reader = ProgressReader(lambda done, total: None)
    reader.outcome, reader.last = outcome, last
    with pytest.raises(dg.Failure, match=message) as failure:
        _judged(reader, code)
    assert failure.value.allow_retries is retries


def test_work_travels_as_json(tmp_path):
    work = Work("d", "f", "c", "j", "e", "8h", {"levels": 3})
    work.write(tmp_path / "work.json")
    assert Work.read(tmp_path / "work.json") == work
    assert work.parent == os.getpid()


def test_progress_is_sent_so_many_times_and_the_end_always():
    sent = []
    tell = every(10, sent.append)
    for done in range(1, 1001):
        tell({"progress": [done, 1000]})
    assert len(sent) == 11
    assert sent[-1] == {"progress": [1000, 1000]}


def test_the_process_wishes_to_stop_at_a_signal_or_without_its_parent():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        wish = Wish(Night(Budget()), os.getppid())
        assert not wish()
        assert Wish(Night(Budget()), os.getpid())()
        wish = Wish(Night(Budget()), os.getppid())
        os.kill(os.getpid(), signal.SIGTERM)
        assert wish()
        assert wish.signaled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

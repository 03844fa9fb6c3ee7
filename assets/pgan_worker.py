"""The training process: ``python -m assets.pgan_worker WORK.json``, started by ``assets.pgan_apart``.

It knows no Dagster but the pipe: a crash of it (a GPU fault, the kernel's memory killer) leaves the daemon alive. Its
work is a JSON file; what it sends are counts, figures and reason codes. On SIGINT or SIGTERM, and when its parent is
gone, it writes a checkpoint and ends. Of several processes at one work (``pgan_followers``) the first does all this.
"""

import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from dagster_pipes import PipesContext, open_dagster_pipes

from assets.pgan_followers import follow, led, rank
from pipelines.pgan.budget import Budget, Night
from pipelines.pgan.settings import PGANSettings
from pipelines.storage.accounts import write_account
from pipelines.storage.atomic import write_json
from pipelines.storage.workers import hush

ASSET = "pgan/model"


@dataclass(frozen=True)
class Work:
    """What is to be trained: the level A folder, where files, checkpoints, logs and accounts of errors go; budget,
    settings, how many processes share it, and the process that waits for it."""

    dataset: str
    folder: str
    checkpoints: str
    journal: str
    errors: str
    budget: str
    settings: dict[str, Any]
    processes: int = 1
    parent: int = field(default_factory=os.getpid)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what ``write`` wrote. Raises TypeError or ValueError where it is none of it."""
        return cls(**json.loads(path.read_text()))


class Wish:
    """The wish to stop: by a signal, by the end of the night, or because nobody is left to take the result.

    Of several processes the first is asked alone.
    """

    def __init__(self, night: Night, parent: int) -> None:
        self._night, self._parent = night, parent
        self.signaled = False
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._hear)

    def _hear(self, number: int, frame: object) -> None:
        self.signaled = True

    def __call__(self) -> bool:
        """Is it time to stop?"""
        return self.signaled or os.getppid() != self._parent or self._night.is_over()


def train_work(work: Work, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Do the work; the outcome as JSON values. ``tell`` is given progress messages."""
    from assets.density_judge import ESTIMATOR
    from pipelines.pgan.checkpoint import CheckpointError
    from pipelines.pgan.engine import TrainingDiverged
    from pipelines.pgan.feed import NotEnoughImages
    from pipelines.pgan.training import TrainingStopped, train

    night = Night(Budget.parse(work.budget))
    wish = Wish(night, work.parent)

    def progress(done: int, total: int) -> None:
        night.tell(done, total)
        tell({"progress": [done, total]})

    try:
        with nullcontext() if rank() else _alone(Path(work.checkpoints)):
            summary = train(
                Path(work.dataset),
                settings=PGANSettings.from_json(work.settings),
                checkpoints=Path(work.checkpoints),
                folder=Path(work.folder),
                progress=progress,
                should_stop=wish,
                estimator=ESTIMATOR,
                journal=Path(work.journal),
            )
    except NotEnoughImages as error:
        return {"outcome": "not_trained", "reason": str(error)}
    except TrainingStopped as stopped:
        outcome = "ended" if wish.signaled else "in_training"
        return {"outcome": outcome, "images": stopped.images, "total": stopped.total}
    except (TrainingDiverged, CheckpointError) as error:  # their words are ours, and trying again changes nothing
        return {"outcome": "gave_up", "reason": str(error)}
    return {
        "outcome": "trained",
        "ledger": [asdict(row) for row in summary.ledger],
        "images_per_second": summary.images_per_second,
        "seconds_per_level": {str(level): seconds for level, seconds in summary.seconds_per_level.items()},
        "peak_memory": summary.peak_memory,
        "resumed_from": summary.resumed_from,
        "notes": list(summary.notes),
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a training's checkpoints alone: a process whose parent was killed may still be writing its last one."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def every(times: int, send: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Pass on progress at most so many times over the whole; all else at once."""
    told = -1

    def pass_on(message: dict[str, Any]) -> None:
        nonlocal told
        done, total = message["progress"]
        step = times * done // max(1, total)
        if step != told:
            told = step
            send(message)

    return pass_on


def main(path: Path) -> int:
    """Do the work that a file describes and report through the pipe; 0, or 1 where it failed for no known reason."""
    hush()
    work = Work.read(path)
    if rank():
        return _follow(work)
    with open_dagster_pipes() as pipes, led(path, work.processes):
        return _report(work, pipes)


def _follow(work: Work) -> int:
    """Do the work beside the leader, and say nothing: what happens here happens there."""
    follow(os.getppid())
    try:
        train_work(work, lambda message: None)
    except Exception:  # noqa: BLE001 - the wall between raw values and the log
        write_account(Path(work.errors), ASSET)
        return 1
    return 0


def _report(work: Work, pipes: PipesContext) -> int:
    try:
        pipes.report_custom_message(train_work(work, every(200, pipes.report_custom_message)))
    except Exception as error:  # noqa: BLE001 - the wall between raw values and the event log
        name = write_account(Path(work.errors), ASSET)
        pipes.report_custom_message({"outcome": "failed", "error": type(error).__name__, "account": name})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

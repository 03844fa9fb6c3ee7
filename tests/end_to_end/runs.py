"""Running the command as a user does, and reading what it published."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipelines.readiness.page import PAGE

TIMES = re.compile(rb'<section id="cost".*?</section>', re.DOTALL)
"""The part of the certificate's page that says how long the climb took."""

COMMAND = Path(sys.executable).parent / "midar"


@dataclass(frozen=True)
class Ran:
    """A finished run: its folders, and all that it printed."""

    inbox: Path
    data: Path
    truth: Path
    temporary: Path
    printed: str

    @property
    def research(self) -> Path:
        return self.data / "research"


def environment(temporary: Path) -> dict[str, str]:
    """The environment of a run: a temporary folder of its own, no settings from outside."""
    temporary.mkdir(parents=True, exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MIDAR_", "DAGSTER_"))}
    return {**kept, "TMPDIR": str(temporary), "COLUMNS": "160", "DAGSTER_DISABLE_TELEMETRY": "1"}


def midar(*arguments: object, temporary: Path, check: bool = True) -> subprocess.CompletedProcess:
    """Run the command to its end."""
    result = subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, env=environment(temporary), check=False
    )
    if check and result.returncode:
        raise AssertionError(f"exit {result.returncode}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}")
    return result


def give_key(data: Path) -> None:
    """Put a key into a data root's vault, so that ids, splits and shifts are the same in every test run."""
    vault = data / "restricted" / "vault"
    vault.mkdir(parents=True, mode=0o700)
    (vault / "key").write_text("5eed" * 16)
    (vault / "key").chmod(0o600)


def published(data: Path) -> dict[str, bytes]:
    """Every published file of the research zone by its path; times aside: the ledger, and a section of the page."""
    research = data / "research"
    return {
        str(p.relative_to(research)): TIMES.sub(b"", p.read_bytes()) if p.name == PAGE else p.read_bytes()
        for p in sorted(research.rglob("*"))
        if p.is_file() and not {"ledger", ".locks", ".work"} & set(p.relative_to(research).parts)
    }


def ran(root: Path, *options: object, patients: int, seed: int, phantom: tuple[object, ...] = ()) -> Ran:
    """Make a phantom archive under ``root`` and climb it."""
    inbox, data, truth, temporary = root / "inbox", root / "data", root / "truth", root / "tmp"
    midar("phantom", inbox, "--patients", patients, "--seed", seed, "--truth", truth, *phantom, temporary=temporary)
    give_key(data)
    result = midar("run", "--inbox", inbox, "--data", data, *options, temporary=temporary)
    return Ran(inbox, data, truth, temporary, result.stdout + result.stderr)

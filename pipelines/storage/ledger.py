"""The ledger: what was made from what, by which version, under which key; chained so that an edit shows.

A ledger is a folder of numbered Parquet batches, one for each publication. A batch holds the SHA-256 of the batch
before it in its metadata; changing or removing any but the last breaks the chain. There is one ledger in each zone:
digests of raw, identified content are in the restricted one alone.
"""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.atomic import replacing
from pipelines.storage.digests import sha256_of_file

FILE = "file"
"""The operation of the rows that state each published file's digest."""

_FIRST = "0" * 64
_SCHEMA = pa.schema(
    [
        pa.field("output", pa.string(), False, {"meaning": "id of what was made"}),
        pa.field("path", pa.string(), False, {"meaning": "file below the publication's folder that holds it"}),
        pa.field("sha256", pa.string(), False, {"meaning": "digest of what was made"}),
        pa.field("operation", pa.string(), False, {"meaning": "what was done; 'file' states a whole file's digest"}),
        pa.field("inputs", pa.list_(pa.struct([("id", pa.string()), ("sha256", pa.string())])), False),
    ]
)


class LedgerError(ValueError):
    """The ledger's chain is broken or a batch cannot be read."""


@dataclass(frozen=True)
class LedgerRow:
    """One thing made: its id, the file that holds it, its digest, and the (id, digest) of what it was made from."""

    output: str
    path: str
    sha256: str
    inputs: tuple[tuple[str, str], ...]
    operation: str


@dataclass(frozen=True)
class Batch:
    """The heading of a batch: one publication of an asset.

    ``recorded_at`` is when it was published and ``started_at`` when its making began, both in UTC as ISO 8601; the
    latter is empty in batches that were written before it was recorded.
    """

    sequence: int
    previous_sha256: str
    asset: str
    partition: str
    content_sha256: str
    inputs_sha256: str
    parameters_sha256: str
    code_version: str
    libraries: dict[str, str]
    key_fingerprint: str
    recorded_at: str
    started_at: str = ""


class Ledger:
    """Appends batches to a ledger's folder and reads them. Appending is safe among processes of one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, rows: Sequence[LedgerRow], **heading: str | dict[str, str]) -> Batch:
        """Append a batch; ``heading`` gives Batch's fields but sequence, previous_sha256 and recorded_at."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            last = self._paths()[-1:]
            batch = Batch(
                sequence=int(last[0].stem) + 1 if last else 1,
                previous_sha256=sha256_of_file(last[0]) if last else _FIRST,
                recorded_at=now(),
                **heading,  # type: ignore[arg-type]
            )
            table = pa.table(
                {
                    "output": [r.output for r in rows],
                    "path": [r.path for r in rows],
                    "sha256": [r.sha256 for r in rows],
                    "operation": [r.operation for r in rows],
                    "inputs": [[{"id": i, "sha256": s} for i, s in r.inputs] for r in rows],
                },
                schema=_SCHEMA.with_metadata({"batch": json.dumps(asdict(batch), sort_keys=True)}),
            )
            with replacing(self.folder / f"{batch.sequence:08d}.parquet") as temporary:
                pq.write_table(table, temporary, compression="zstd")
        return batch

    def headings(self) -> list[Batch]:
        """All batches' headings, oldest first. Raises LedgerError where a batch cannot be read."""
        return [_heading(path, path.stat().st_mtime_ns) for path in self._paths()]

    def latest(self) -> dict[tuple[str, str], Batch]:
        """The newest batch of each (asset, partition): what stands published now."""
        return {(b.asset, b.partition): b for b in self.headings()}

    def rows(self, batch: Batch) -> pa.Table:
        """A batch's rows."""
        return pq.ParquetFile(self.folder / f"{batch.sequence:08d}.parquet").read()

    def broken_links(self) -> list[str]:
        """What is wrong with the chain, a sentence each; empty where it is whole."""
        problems = []
        previous, expected = _FIRST, 1
        for path in self._paths():
            try:
                batch = _heading(path, path.stat().st_mtime_ns)
                pq.ParquetFile(path).read()
            except (LedgerError, OSError, pa.ArrowException):
                problems.append(f"ledger batch {path.name} cannot be read")
                previous, expected = sha256_of_file(path), int(path.stem) + 1
                continue
            if batch.sequence != expected or int(path.stem) != expected:
                problems.append(f"ledger batches are missing before {path.name}")
            elif batch.previous_sha256 != previous:
                problems.append(f"ledger batch {expected - 1:08d}.parquet was changed after {path.name} was written")
            previous, expected = sha256_of_file(path), int(path.stem) + 1
        return problems

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.parquet"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def now() -> str:
    """The time in UTC, to the millisecond, as the ledger writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@lru_cache(maxsize=4096)
def _heading(path: Path, modified: int) -> Batch:  # modified: lets the cache notice a change
    try:
        metadata = pq.read_schema(path).metadata or {}
        return Batch(**json.loads(metadata[b"batch"]))
    except (KeyError, TypeError, ValueError, OSError, pa.ArrowException) as error:
        raise LedgerError(f"ledger batch {path.name} cannot be read") from error

"""Publications: an asset's output appears whole, after its gate, with its rows in the ledger; or not at all.

The ledger's row is the commit: a publication that a crash cut short has no batch, and is made again. One that stands
with the same inputs, parameters and code, and whose files are whole, need not be made again.
"""

import fcntl
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

import pipelines
from pipelines.storage.atomic import publish_folder, recover_folder
from pipelines.storage.digests import sha256_of_file, sha256_of_json
from pipelines.storage.keys import VaultKeyError
from pipelines.storage.ledger import FILE, Batch, Ledger, LedgerRow, now
from pipelines.storage.zones import Zones

LIBRARIES = ("numpy", "pandas", "pyarrow", "pydicom", "scikit-image", "torch", "presidio-analyzer", "imagecodecs")


class GateError(RuntimeError):
    """A rung's gate did not open: nothing was published. The message names the rule, never a value."""


@dataclass
class Staging:
    """Where a publication under way is written: its folder, and the ledger rows to record with it."""

    folder: Path
    rows: list[LedgerRow] = field(default_factory=list)


@dataclass(frozen=True)
class Publisher:
    """Publishes assets' outputs into the zones and records them."""

    zones: Zones
    key_fingerprint: str

    def ledger_of(self, asset: str) -> Ledger:
        """The ledger of the zone in which an asset is published."""
        return Ledger(self.zones.zone_of(asset) / "ledger")

    def standing(self, asset: str, partition: str = "") -> Batch | None:
        """The batch of what stands published, if anything does."""
        return self.ledger_of(asset).latest().get((asset, partition))

    def check_key(self) -> None:
        """Raise VaultKeyError where something stands published that was made under another key."""
        for ledger in (Ledger(zone / "ledger") for zone in (self.zones.restricted, self.zones.research)):
            others = {b.key_fingerprint for b in ledger.latest().values()} - {self.key_fingerprint}
            if others:
                raise VaultKeyError(
                    f"the key in the vault ({self.key_fingerprint}) is not the one that the published data were made "
                    f"with ({', '.join(sorted(others))}): put that key back, or begin a new data root"
                )

    def digest(self, asset: str, partition: str = "") -> str:
        """The content digest of what stands published; empty where nothing does."""
        batch = self.standing(asset, partition)
        return batch.content_sha256 if batch else ""

    def current(self, asset: str, partition: str, inputs: Mapping[str, str], parameters: object) -> Batch | None:
        """What stands published, if it is what the same inputs, parameters and code made, and every byte is whole."""
        recover_folder(self.zones.publication(asset, partition))
        batch = self.standing(asset, partition)
        if batch is None or (
            batch.inputs_sha256,
            batch.parameters_sha256,
            batch.code_version,
            batch.key_fingerprint,
        ) != (sha256_of_json(dict(inputs)), sha256_of_json(parameters), self.code_version, self.key_fingerprint):
            return None
        return None if self.damaged(batch) else batch

    def damaged(self, batch: Batch) -> list[str]:
        """Published files that are missing, changed or not in the ledger: paths below the zone."""
        folder = self.zones.publication(batch.asset, batch.partition)
        rows = self.ledger_of(batch.asset).rows(batch).to_pylist()
        stated = {r["path"]: r["sha256"] for r in rows if r["operation"] == FILE}
        found = set(_files(folder)) if folder.is_dir() else set()
        bad = {p for p in stated if p not in found or sha256_of_file(folder / p) != stated[p]} | (found - set(stated))
        return [str((folder / path).relative_to(self.zones.root)) for path in sorted(bad)]

    @contextmanager
    def publishing(
        self, asset: str, partition: str, inputs: Mapping[str, str], parameters: object
    ) -> Iterator[Staging]:
        """Give a staging folder; on a clean exit it replaces what stood published and a ledger batch records it.

        ``inputs`` maps the names of what it is made from to their content digests; ``parameters`` is a JSON value. On
        an exception nothing is published and the staging folder is removed. Hold ``exclusive`` around it.
        """
        final = self.zones.publication(asset, partition)
        staging = final.parent / f".staging-{final.name}"
        started = now()
        recover_folder(final)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            work = Staging(staging)
            yield work
            files = [(path, sha256_of_file(staging / path)) for path in _files(staging)]
            publish_folder(staging, final)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        self.ledger_of(asset).append(
            [*_file_rows(files), *work.rows],
            asset=asset,
            partition=partition,
            content_sha256=sha256_of_json(files),
            inputs_sha256=sha256_of_json(dict(inputs)),
            parameters_sha256=sha256_of_json(parameters),
            code_version=self.code_version,
            libraries=libraries(),
            key_fingerprint=self.key_fingerprint,
            started_at=started,
        )

    @property
    def code_version(self) -> str:
        """The package's version and a digest of its sources, e.g. ``0.1.0+3f2a9c81d0b4``."""
        return code_version()

    @contextmanager
    def exclusive(self, asset: str, partition: str = "") -> Iterator[None]:
        """Hold the asset's partition alone: read the inputs' digests, compare and publish within it."""
        folder = self.zones.zone_of(asset) / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{asset.replace('/', '.')}.{partition}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@cache
def code_version() -> str:
    """The distribution's version and a digest of the pipelines' sources and data, e.g. ``0.1.0+3f2a9c81d0b4``.

    Taken once in a process: what it has imported does not change with the files.
    """
    root = Path(pipelines.__file__).parent
    sources = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    digest = sha256_of_json([(str(p.relative_to(root)), sha256_of_file(p)) for p in sources])
    return f"{metadata.version('midar')}+{digest[:12]}"


def libraries() -> dict[str, str]:
    """Versions of the libraries that results depend on."""
    return {name: metadata.version(name) for name in LIBRARIES}


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def _file_rows(files: Sequence[tuple[str, str]]) -> list[LedgerRow]:
    return [LedgerRow(path, path, digest, (), FILE) for path, digest in files]

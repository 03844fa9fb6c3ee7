"""Deliveries: the folders directly under the inbox, their partitions, and whether they still grow.

The register in the vault maps folder names to partitions; folder names may hold patients' names and stay there.
Nothing under the inbox is ever changed.
"""

import fcntl
import hashlib
import json
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.archive.walk import Entry, is_folder, walk
from pipelines.storage.atomic import write_json
from pipelines.storage.keys import Key

_REGISTER = "deliveries.json"


@dataclass(frozen=True)
class Delivery:
    """A folder directly under the inbox, or the loose files directly in the inbox (``name`` is empty then).

    ``name`` is the percent-encoded folder name, so that names that are no valid UTF-8 survive JSON.
    """

    name: str
    folder: Path
    loose: bool = False

    def entries(self) -> Iterator[Entry]:
        """Everything in the delivery that is not a readable folder, in the order of the paths' bytes."""
        return walk(self.folder, recurse=not self.loose)


def list_deliveries(inbox: Path) -> list[Delivery]:
    """The deliveries under the inbox, sorted by name; loose files directly in the inbox are one delivery of their own.

    A folder may be a symbolic link. A missing inbox has no deliveries. Raises OSError where the inbox cannot be read.
    """
    if not inbox.exists():
        return []
    with os.scandir(inbox) as entries:
        found = sorted(entries, key=lambda e: os.fsencode(e.name))
    deliveries = [Delivery(_quoted(e.name), inbox / e.name) for e in found if is_folder(e, follow=True)]
    if len(deliveries) < len(found):
        deliveries.insert(0, Delivery("", inbox, loose=True))
    return deliveries


def register(vault: Path, key: Key, delivery: Delivery) -> str:
    """The partition of a delivery, ``D-<yyyymmdd>-<12 hex>``: its folder's day and a keyed id.

    The day is the UTC date of the folder's modification time at the first call; it is remembered in
    ``vault/deliveries.json`` (mode 0600), so the partition never changes. Raises ValueError where two deliveries would
    share a partition.
    """
    with _locked(vault):
        known = _read(vault)
        if delivery.name not in known:
            day = datetime.fromtimestamp(delivery.folder.stat().st_mtime, UTC).strftime("%Y%m%d")
            partition = f"D-{day}-{key.identify('delivery', delivery.name, 12)}"
            if partition in known.values():
                raise ValueError("two deliveries have the same keyed id")
            known[delivery.name] = partition
            write_json(vault / _REGISTER, known, mode=0o600)
        return known[delivery.name]


def find_delivery(vault: Path, inbox: Path, partition: str) -> Delivery:
    """The delivery registered as a partition. Raises LookupError where it is unknown or no longer in the inbox."""
    with _locked(vault):
        known = _read(vault)
    for delivery in list_deliveries(inbox):
        if known.get(delivery.name) == partition:
            return delivery
    raise LookupError("no delivery in the inbox is registered as this partition")


def listing_digest(delivery: Delivery, key: Key) -> str:
    """A keyed digest (32 hex digits) over relative paths, sizes and modification times; a change changes it."""
    digest = hashlib.sha256()
    for entry in delivery.entries():
        fields = (str(entry.size), str(entry.modified_ns), entry.problem or "")
        digest.update(entry.relative + b"\0" + "\0".join(fields).encode() + b"\0")
    return key.identify("listing", digest.digest(), 32)


def is_settled(delivery: Delivery, quiet_seconds: float, now: float) -> bool:
    """Whether nothing in the delivery has changed for ``quiet_seconds`` before ``now`` (seconds since the epoch).

    Judged by the file system's change time: copying tools set the modification time to that of the source, which may
    be years ago or, from a device with a wrong clock, in the future.
    """
    newest = delivery.folder.stat().st_ctime
    for entry in delivery.entries():
        newest = max(newest, entry.changed)
    return now - newest >= quiet_seconds


def _quoted(name: str) -> str:
    return urllib.parse.quote_from_bytes(os.fsencode(name))


def _read(vault: Path) -> dict[str, str]:
    path = vault / _REGISTER
    return json.loads(path.read_text()) if path.exists() else {}


@contextmanager
def _locked(vault: Path) -> Iterator[None]:
    vault.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (vault / f".{_REGISTER}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

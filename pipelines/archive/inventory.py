"""Level D: the inventory of a delivery. Every file found is accepted, a duplicate, or quarantined with a reason."""

import os
import urllib.parse
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.archive.content import Content, Source, data_set_digest, examine
from pipelines.archive.deliveries import Delivery
from pipelines.archive.limits import ArchiveError, ArchiveLimits, Budget
from pipelines.archive.unpack import unpack
from pipelines.archive.walk import Entry
from pipelines.storage.column_maps import ColumnMap, load_column_maps
from pipelines.storage.keys import Key
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import INVENTORY, write_table
from pipelines.storage.workers import Progress, Workers, silent

OPERATION = "inventory"


@dataclass(frozen=True)
class InventorySummary:
    """Counts of an inventory: found = accepted + duplicates + quarantined; ``reasons`` counts the quarantined."""

    found: int
    accepted: int
    duplicates: int
    quarantined: int
    reasons: dict[str, int]
    ledger: tuple[LedgerRow, ...]


@dataclass
class _File:
    """A file found: where, in which archive, and what became of it. ``problem`` is known before it is opened."""

    file_id: str
    location: str
    source: Source | None
    size: int = 0
    problem: str | None = None
    container: "_File | None" = None
    member: str | None = None
    budget: Budget | None = None
    content: Content | None = None
    status: str = "accepted"
    reason: str | None = None
    duplicate_of: str | None = None

    def quarantine(self, reason: str) -> None:
        self.status, self.reason, self.duplicate_of = "quarantined", reason, None


def take_inventory(
    delivery: Delivery,
    *,
    key: Key,
    folder: Path,
    workers: Workers,
    limits: ArchiveLimits = ArchiveLimits(),  # noqa: B008 - frozen
    maps: tuple[ColumnMap, ...] | None = None,
    progress: Progress = silent,
) -> InventorySummary:
    """Find, recognize and hash every file of a delivery; write ``folder/inventory.parquet``.

    Members of archives are written to ``folder/unpacked/<file_id>``. The first of several files with the same content,
    in the order of locations, plain files before members of archives, is accepted and the others are duplicates of it.
    Nothing in the delivery is changed. ``maps``: the labels tables that are known beside those with our own columns;
    the packaged ones where it is None.
    """
    known = load_column_maps() if maps is None else maps
    inventory = _Inventory(delivery, key, folder, workers, limits, known, progress)
    files = inventory.take()
    write_table(folder / "inventory.parquet", INVENTORY, INVENTORY.build(_row(f) for f in files))
    status = Counter(f.status for f in files)
    reasons = Counter(f.reason for f in files if f.reason)
    return InventorySummary(
        found=len(files),
        accepted=status["accepted"],
        duplicates=status["duplicate"],
        quarantined=status["quarantined"],
        reasons=dict(sorted(reasons.items())),
        ledger=tuple(_ledger_rows(files)),
    )


@dataclass
class _Inventory:
    """An inventory under way: plain files first, then the members of archives, archives nested in those, and so on."""

    delivery: Delivery
    key: Key
    folder: Path
    workers: Workers
    limits: ArchiveLimits
    maps: tuple[ColumnMap, ...]
    progress: Progress
    first_of: dict[str, _File] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def take(self) -> list[_File]:
        wave = sorted((self._plain(e) for e in self.delivery.entries()), key=lambda f: f.location)
        files: list[_File] = []
        depth = 0
        while wave:
            self._examine(wave)
            files += wave
            archives = [f for f in wave if f.status == "accepted" and f.content and f.content.kind == "archive"]
            wave = [member for archive in archives for member in self._open(archive, depth)]
            depth += 1
        self._settle_instances(files)
        _settle_copies(files)
        return files

    def _plain(self, entry: Entry) -> _File:
        location = "inbox:" + urllib.parse.quote_from_bytes(entry.relative)
        path = self.delivery.folder / os.fsdecode(entry.relative)
        return _File(self._id(location), location, self._source(path, path.name), entry.size, entry.problem)

    def _source(self, path: Path, name: str) -> Source:
        """A file to look at; only tables, which are told by their names, need to know of the maps."""
        return Source(path, name, self.maps if name.lower().endswith((".csv", ".parquet")) else ())

    def _id(self, place: str) -> str:
        return "F-" + self.key.identify("file", f"{self.delivery.name}\0{place}")

    def _examine(self, wave: list[_File]) -> None:
        """Look at files and settle which of them are copies of a file seen before."""
        self.total += len(wave)
        readable = [(f, f.source) for f in wave if f.source is not None and not f.problem]
        results = self.workers.spread(examine, [source for _, source in readable])
        for (file, _), result in zip(readable, results, strict=True):
            file.content = result.value
            file.problem = result.failure
            self.done += 1
            self.progress(self.done, self.total)
        for file in wave:
            self._settle(file)
        self.done = self.total

    def _settle(self, file: _File) -> None:
        reason = file.problem or (file.content.reason if file.content else None)
        if reason:
            file.quarantine(reason)
        elif file.content is not None:
            first = self.first_of.setdefault(file.content.sha256, file)
            if first is not file:
                file.status, file.duplicate_of = "duplicate", first.file_id

    def _open(self, archive: _File, depth: int) -> list[_File]:
        """The members of an archive, written below the folder; the archive is quarantined where it is not whole."""
        if archive.source is None or archive.content is None or archive.content.form is None:
            return []
        if depth >= self.limits.depth:
            archive.quarantine("archive_too_deep")
            return []
        budget = archive.budget or Budget(self.limits, archive.content.size)
        (self.folder / "unpacked").mkdir(exist_ok=True)
        members: list[_File] = []
        written: list[Path] = []

        def target(number: int, name: str) -> Path:
            written.append(self.folder / "unpacked" / self._id(f"{archive.file_id}\0{number}\0{name}"))
            return written[-1]

        try:
            for member in unpack(archive.source.path, archive.content.form, target, budget):
                file_id = self._id(f"{archive.file_id}\0{member.number}\0{member.name}")
                name = member.name.replace("\\", "/").rpartition("/")[2]
                source = self._source(member.path, name) if member.path else None
                place = urllib.parse.quote_from_bytes(member.name.encode("utf-8", "surrogateescape"))
                members.append(_File(file_id, f"unpacked:{file_id}", source, 0, member.problem, archive, place, budget))
        except ArchiveError as error:
            archive.quarantine(error.reason)
            if error.hostile:
                for path in written:
                    path.unlink(missing_ok=True)
                return []
        return members

    def _settle_instances(self, files: list[_File]) -> None:
        """Files that claim the same SOP Instance UID: the same data set is a duplicate, another one is a conflict."""
        claims: dict[str, list[_File]] = {}
        for file in files:
            if file.status == "accepted" and file.content and (uid := file.content.columns.get("sop_instance_uid")):
                claims.setdefault(uid, []).append(file)
        disputed = [file for group in claims.values() if len(group) > 1 for file in group]
        paths = [file.source.path for file in disputed if file.source]
        digests = {
            file.file_id: result.value
            for file, result in zip(disputed, self.workers.spread(data_set_digest, paths), strict=True)
        }
        for group in claims.values():
            for later in group[1:]:
                digest = digests[later.file_id]
                if digest is not None and digest == digests[group[0].file_id]:
                    later.status, later.duplicate_of = "duplicate", group[0].file_id
                else:
                    later.quarantine("conflicting_sop_instance_uid")


def _settle_copies(files: list[_File]) -> None:
    """Copies of a file share what was settled about it later: its quarantine, or that it is a duplicate itself."""
    by_id = {file.file_id: file for file in files}
    for file in files:
        first = by_id.get(file.duplicate_of or "")
        if first is not None and first.reason:
            file.quarantine(first.reason)
        elif first is not None and first.duplicate_of:
            file.duplicate_of = first.duplicate_of


def _row(file: _File) -> dict[str, Any]:
    content = file.content or Content(file.size, "", "other")
    return {
        "file_id": file.file_id,
        "location": file.location,
        "container": file.container.file_id if file.container else None,
        "member": file.member,
        "size": content.size,
        "sha256": content.sha256,
        "kind": content.kind,
        "status": file.status,
        "reason": file.reason,
        "duplicate_of": file.duplicate_of,
        **content.columns,
    }


def _ledger_rows(files: list[_File]) -> Iterable[LedgerRow]:
    for file in sorted(files, key=lambda f: f.file_id):
        if file.content and file.content.sha256:
            above = file.container
            inputs = ((above.file_id, above.content.sha256),) if above and above.content else ()
            yield LedgerRow(file.file_id, file.location, file.content.sha256, inputs, OPERATION)

"""What only those may ask who can read the restricted zone: originals behind pseudonyms, scores against answers.

Reads the zones; changes nothing. Originals go to standard output alone; scores hold no values.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from pipelines.archive.deliveries import find_delivery
from pipelines.deidentify.answers import Answer, read_answers
from pipelines.deidentify.crosswalk import read_crosswalks
from pipelines.deidentify.score import Pair, Scores, score
from pipelines.storage.atomic import write_bytes
from pipelines.storage.keys import Key
from pipelines.storage.publication import Publisher
from pipelines.storage.tables import INVENTORY, OBJECTS, read_table
from pipelines.storage.zones import Zones

OBJECTS_KEY = "level_c/objects"
ORIGINALS = ("sop_instance_uid", "series_instance_uid", "study_instance_uid", "accession_number", "patient_id")


class ClosedVaultError(PermissionError):
    """The vault is not there, or not to be read by whoever asks."""


def print_original(data: Path, pseudonym: str) -> bool:
    """Print what stands behind a pseudonym; False where neither the crosswalk nor a table of objects knows it.

    Raises ClosedVaultError, and VaultKeyError where the key or a crosswalk is damaged.
    """
    zones = Zones.at(data)
    with _open_vault(zones) as key:
        known = (crosswalk.original(pseudonym) for crosswalk in read_crosswalks(zones.vault, key))
        found = next(filter(None, known), None) or _original_object(zones, pseudonym)
    for name, value in (found or {}).items():
        typer.echo(f"{name}: {value}")
    return found is not None


def print_score(data: Path, inbox: Path | None, answers: Path, report: Path | None) -> float:
    """Score what stands published against an answer file, print passed and total by action; the share passed.

    The report is a CSV of line, file_id, action, tag, passed and reason code: no value and no path. Raises
    ClosedVaultError, AnswersError, and OSError where a file cannot be read.
    """
    zones = Zones.at(data, inbox)
    with _open_vault(zones):
        scores = score(read_answers(answers), DeliveredObjects(zones).find)
    table = Table("action", "passed", "total", "share")
    for action, (passed, total) in scores.by_action().items():
        table.add_row(action, str(passed), str(total), f"{passed / total:.4f}")
    passed, total = sum(v.passed for v in scores.verdicts), len(scores.verdicts)
    table.add_row("all", str(passed), str(total), f"{scores.share:.4f}", style="bold")
    console = Console()
    console.print(table)
    reasons = Counter((v.answer.action, v.why) for v in scores.verdicts if not v.passed)
    for (action, why), count in sorted(reasons.items()):
        console.print(f"{action}: {count} failed: {why}", highlight=False)
    if report is not None:
        _write_report(report, scores)
    return scores.share


class DeliveredObjects:
    """Every file that the inventories of published deliveries know, by path below the inbox and by original SOP
    Instance UID. Copies stand for the file that they repeat."""

    def __init__(self, zones: Zones) -> None:
        self._by_path: dict[str, Pair] = {}
        self._by_uid: dict[str, Pair] = {}
        for partition in _published(zones):
            self._add(zones, partition)

    def find(self, answer: Answer) -> Pair | None:
        """The object that an answer is about; None where no inventory knows it."""
        return self._by_path.get(answer.source) or self._by_uid.get(answer.sop_instance_uid)

    def _add(self, zones: Zones, partition: str) -> None:
        delivery = find_delivery(zones.vault, zones.inbox, partition)
        inventory, published = (zones.publication(asset, partition) for asset in ("level_d/inventory", OBJECTS_KEY))
        rows = read_table(inventory / "inventory.parquet", INVENTORY).to_pylist()
        objects = read_table(published / "objects.parquet", OBJECTS).select(["file_id", "path"]).to_pylist()
        path_of = {o["file_id"]: o["path"] for o in objects}
        pairs: dict[str, Pair] = {}
        for row in rows:
            if row["status"] == "accepted" and row["kind"] == "dicom":
                path = path_of.get(row["file_id"])
                source = zones.source_path(row["location"], delivery.folder, inventory)
                pairs[row["file_id"]] = Pair(row["file_id"], source, published / path if path else None)
        for row in rows:
            pair = pairs.get(row["duplicate_of"] or row["file_id"])
            if pair is None:
                continue
            if row["location"].startswith("inbox:"):
                delivered = zones.source_path(row["location"], delivery.folder, inventory)
                self._by_path[delivered.relative_to(zones.inbox).as_posix()] = pair
            standing = self._by_uid.get(row["sop_instance_uid"] or "")
            if row["sop_instance_uid"] and (standing is None or standing.written is None):
                self._by_uid[row["sop_instance_uid"]] = pair


@contextmanager
def _open_vault(zones: Zones) -> Iterator[Key]:
    """The vault's key, which must be there already; what may not be read while it is open is a ClosedVaultError."""
    closed = ClosedVaultError("the vault is not there, or not yours to read")
    try:
        if not os.access(zones.vault, os.R_OK | os.X_OK) or not (zones.vault / "key").exists():
            raise closed
        yield Key.load_or_create(zones.vault)
    except PermissionError:
        raise closed from None


def _published(zones: Zones) -> list[str]:
    latest = Publisher(zones, "").ledger_of(OBJECTS_KEY).latest()
    return sorted(partition for asset, partition in latest if asset == OBJECTS_KEY)


def _original_object(zones: Zones, uid: str) -> dict[str, str] | None:
    """What stands behind an object's new UID: the table of objects names its file, the inventory the file's ids."""
    for partition in _published(zones):
        objects = read_table(zones.publication(OBJECTS_KEY, partition) / "objects.parquet", OBJECTS)
        ids = zip(objects["sop_instance_uid"].to_pylist(), objects["file_id"].to_pylist(), strict=True)
        file = next((file for new, file in ids if new == uid), None)
        if file is not None:
            inventory = zones.publication("level_d/inventory", partition) / "inventory.parquet"
            row = next(r for r in read_table(inventory, INVENTORY).to_pylist() if r["file_id"] == file)
            return {"kind": "object", "file_id": file, **{name: row[name] or "" for name in ORIGINALS}}
    return None


def _write_report(report: Path, scores: Scores) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("line", "file_id", "action", "tag", "passed", "reason"))
    for v in scores.verdicts:
        writer.writerow((v.answer.line, v.file_id, v.answer.action, v.answer.tag, int(v.passed), v.why))
    write_bytes(report, text.getvalue().encode())

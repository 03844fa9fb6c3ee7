"""A delivery, from level D to level C: every accepted object is written de-identified or refused with a reason.

Objects are spread over worker processes (``objects``); texts are ``texts``'s.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydicom.dataset import Dataset

from pipelines.deidentify.objects import RefusedError, Written, deidentify_object
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.texts import TextsSummary, deidentify_texts
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.keys import Key
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import OBJECTS, write_table
from pipelines.storage.workers import Progress, Workers, silent

__all__ = ["ObjectsSummary", "TextsSummary", "deidentify_delivery", "deidentify_texts"]

OPERATION = "deidentify"
_STAGED = ".staged"


@dataclass(frozen=True)
class ObjectsSummary:
    """What became of a delivery's objects: counts, refusals by reason, and header actions by code."""

    written: int
    refused: int
    reasons: dict[str, int]
    text_boxes: int
    actions: dict[str, int]
    ledger: tuple[LedgerRow, ...]


@dataclass(frozen=True)
class _Task:
    file_id: str
    source: Path
    location: str


@dataclass(frozen=True)
class _Outcome:
    """Of one object in a worker: what was written, its digest and size, or the reason code for its refusal."""

    written: Written | None = None
    sha256: str = ""
    size: int = 0
    reason: str | None = None


def deidentify_delivery(
    inventory: pa.Table,
    *,
    source: Callable[[str], Path],
    key: Key,
    profile: Profile,
    folder: Path,
    workers: Workers,
    progress: Progress = silent,
) -> ObjectsSummary:
    """De-identify the accepted objects of an inventory into ``folder``.

    ``source`` opens an inventory's location. Writes ``objects.parquet``, a row for each accepted object, and
    ``<patient>/<sop_instance_uid>.dcm``. Nothing is written for a refused one; of two objects that end in the same SOP
    Instance UID the second, in the inventory's order, is refused.
    """
    accepted = [r for r in inventory.to_pylist() if r["status"] == "accepted" and r["kind"] == "dicom"]
    accepted.sort(key=lambda row: row["file_id"])
    by_id = {row["file_id"]: row for row in inventory.to_pylist()}
    tasks = [_Task(r["file_id"], source(r["location"]), _named(r, by_id)) for r in accepted]
    staged = folder / _STAGED
    staged.mkdir(parents=True)
    function = partial(_deidentify, key=key, profile=profile, staged=staged)
    rows: list[dict[str, Any]] = []
    ledger: list[LedgerRow] = []
    taken: set[str] = set()
    results = workers.spread(function, tasks)
    for done, (result, entry) in enumerate(zip(results, accepted, strict=True), start=1):
        outcome = result.value or _Outcome(reason=result.failure)
        outcome = _publish(outcome, staged / result.item.file_id, folder, taken)
        rows.append(_row(result.item.file_id, outcome))
        ledger += _ledger_rows(entry, outcome, key)
        progress(done, len(tasks))
    shutil.rmtree(staged)
    write_table(folder / "objects.parquet", OBJECTS, OBJECTS.build(rows))
    return _summary(rows, ledger)


def _named(row: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> str:
    """Where a file came from, by a path that people named: an archive member's is its outermost archive's."""
    while (container := row.get("container")) in by_id:
        row = by_id[container]
    return str(row["location"])


def _deidentify(task: _Task, *, key: Key, profile: Profile, staged: Path) -> _Outcome:
    """One object in a worker. Exceptions that are no refusal become reason codes of their class's name alone."""
    target = staged / task.file_id
    try:
        written = deidentify_object(
            task.source,
            target,
            file_id=task.file_id,
            location=task.location,
            profile=profile,
            pseudonyms=Pseudonyms(key),
            clean_pixels=_clean_pixels if profile.is_on("clean_pixel_data") else None,
        )
        return _Outcome(written, sha256_of_file(target), target.stat().st_size)
    except RefusedError as refused:
        return _Outcome(reason=refused.reason)
    except Exception as error:  # noqa: BLE001 - the boundary of bad input: a status row in place of a lost night
        target.unlink(missing_ok=True)
        return _Outcome(reason=f"error_{type(error).__name__}")


def _clean_pixels(dataset: Dataset) -> list[Any]:
    from pipelines.deidentify import burned_in

    try:
        return list(burned_in.clean_pixels(dataset, burned_in.TextSettings()))
    except burned_in.DetectorError as error:
        raise RefusedError(error.reason) from None


def _publish(outcome: _Outcome, staged: Path, folder: Path, taken: set[str]) -> _Outcome:
    """Give a staged file its place, or refuse it where another object has its SOP Instance UID already."""
    if outcome.written is None:
        return outcome
    if outcome.written.sop_instance_uid in taken:
        staged.unlink()
        return _Outcome(reason="duplicate_sop_instance_uid")
    taken.add(outcome.written.sop_instance_uid)
    final = folder / _path(outcome.written)
    final.parent.mkdir(exist_ok=True)
    staged.rename(final)
    return outcome


def _path(written: Written) -> str:
    return f"{written.patient}/{written.sop_instance_uid}.dcm"


def _row(file_id: str, outcome: _Outcome) -> dict[str, Any]:
    written = outcome.written
    if written is None:
        return {"file_id": file_id, "status": "refused", "reason": outcome.reason}
    facts = asdict(written)
    boxes, actions, by_tag = (facts.pop(name) for name in ("boxes", "actions", "actions_by_tag"))
    return {
        "file_id": file_id,
        "status": "written",
        "path": _path(written),
        "sha256": outcome.sha256,
        "size": outcome.size,
        "text_boxes": len(boxes),
        "text_box_list": json.dumps(boxes),
        "actions": json.dumps(actions, sort_keys=True),
        "actions_by_tag": json.dumps(by_tag, sort_keys=True),
        **facts,
    }


def _ledger_rows(entry: dict[str, Any], outcome: _Outcome, key: Key) -> list[LedgerRow]:
    if outcome.written is None:
        return []
    origin = Pseudonyms(key).source(entry["file_id"], entry["sha256"])
    return [LedgerRow(outcome.written.sop_instance_uid, _path(outcome.written), outcome.sha256, (origin,), OPERATION)]


def _summary(rows: Iterable[dict[str, Any]], ledger: list[LedgerRow]) -> ObjectsSummary:
    rows = list(rows)
    actions: Counter[str] = Counter()
    for row in rows:
        actions.update(json.loads(row.get("actions") or "{}"))
    refused = [row["reason"] for row in rows if row["status"] == "refused"]
    return ObjectsSummary(
        written=len(rows) - len(refused),
        refused=len(refused),
        reasons=dict(sorted(Counter(refused).items())),
        text_boxes=sum(row.get("text_boxes") or 0 for row in rows),
        actions=dict(sorted(actions.items())),
        ledger=tuple(ledger),
    )

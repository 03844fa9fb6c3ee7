"""A delivery, from level D to level C: every accepted object is written de-identified or refused with a reason.

Objects are spread over worker processes twice: their headers tell what each study names (``survey``), then each object
is cleaned with its study's names and searched for them (``objects``). Texts are ``texts``'s.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from pipelines.deidentify.deny import name_words
from pipelines.deidentify.objects import Written
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.survey import Survey, named_location, survey
from pipelines.deidentify.tasks import Outcome, Task, deidentify_one
from pipelines.deidentify.texts import TextsSummary, deidentify_texts
from pipelines.deidentify.vocabulary import is_known
from pipelines.storage.keys import Key
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import OBJECTS, write_table
from pipelines.storage.workers import Progress, Workers, silent

__all__ = ["ObjectsSummary", "TextsSummary", "deidentify_delivery", "deidentify_texts"]

OPERATION = "deidentify"
_STAGED = ".staged"
_SHORTEST = 4
_WORDS = re.compile(r"[^\s,;^]+")


@dataclass(frozen=True)
class ObjectsSummary:
    """What became of a delivery's objects: counts, refusals by reason, and header actions by code."""

    written: int
    refused: int
    reasons: dict[str, int]
    text_boxes: int
    actions: dict[str, int]
    ledger: tuple[LedgerRow, ...]


def deidentify_delivery(
    inventory: pa.Table,
    *,
    source: Callable[[str], Path],
    key: Key,
    profile: Profile,
    folder: Path,
    workers: Workers,
    refuse: Mapping[str, str] = MappingProxyType({}),
    patients: Mapping[str, str] = MappingProxyType({}),
    progress: Progress = silent,
) -> ObjectsSummary:
    """De-identify the accepted objects of an inventory into ``folder``.

    ``source`` opens an inventory's location. Writes ``objects.parquet``, a row for each accepted object, and
    ``<patient>/<sop_instance_uid>.dcm``. Nothing is written for a refused one; of two objects that end in the same SOP
    Instance UID the second, in the inventory's order, is refused. ``refuse``: file_id to the reason code of objects
    that are refused before they are opened; ``patients``: file_id to the patient's pseudonym, where it is known better
    than from the object's own header.
    """
    entries = {row["file_id"]: row for row in inventory.to_pylist()}
    accepted = sorted(f for f, r in entries.items() if r["status"] == "accepted" and r["kind"] == "dicom")
    place = {file_id: source(entries[file_id]["location"]) for file_id in accepted}
    surveyed = survey([(file_id, place[file_id]) for file_id in accepted if file_id not in refuse], profile, workers)
    accepted.sort(key=lambda file_id: (surveyed.study_of.get(file_id, ""), file_id))
    tasks = [
        Task(f, place[f], named_location(entries[f], entries), refuse.get(f), patients.get(f), surveyed.of(f))
        for f in accepted
    ]
    staged = folder / _STAGED
    staged.mkdir(parents=True)
    function = partial(deidentify_one, key=key, profile=profile, staged=staged)
    rows: list[dict[str, Any]] = []
    ledger: dict[str, list[LedgerRow]] = {}
    taken: set[str] = set()
    known = _known(inventory, surveyed)
    for done, result in enumerate(workers.spread(function, tasks), start=1):
        file_id = result.item.file_id
        outcome = result.value or Outcome(reason=result.failure)
        outcome = _publish(outcome, staged / file_id, folder, taken, known)
        rows.append(_row(file_id, outcome, key, profile))
        ledger[file_id] = _ledger_rows(entries[file_id], outcome, key)
        progress(done, len(tasks))
    shutil.rmtree(staged)
    rows.sort(key=lambda row: row["file_id"])
    write_table(folder / "objects.parquet", OBJECTS, OBJECTS.build(rows))
    return _summary(rows, [row for file_id in sorted(ledger) for row in ledger[file_id]])


def _known(inventory: pa.Table, surveyed: Survey) -> frozenset[str]:
    """Patient IDs, accession numbers and names of persons of a delivery, whosever: none of them may stand in a table of
    written objects."""
    values = {
        (v or "").strip("\0 ").lower()
        for name in ("patient_id", "accession_number")
        for v in inventory[name].to_pylist()
    }
    for study in surveyed.studies.values():
        values.update(word.lower() for name in study.names for word in name_words(name))
    return frozenset(value for value in values if len(value) >= _SHORTEST and not is_known(value))


def _publish(outcome: Outcome, staged: Path, folder: Path, taken: set[str], known: Collection[str]) -> Outcome:
    """Give a staged file its place, or refuse it: another object has its SOP Instance UID already, or its row in the
    table would hold an identifier."""
    if outcome.written is None:
        return outcome
    if any(word in known for word in _words(outcome.written)):
        staged.unlink()
        return Outcome(reason="identifier_in_table")
    if outcome.written.sop_instance_uid in taken:
        staged.unlink()
        return Outcome(reason="duplicate_sop_instance_uid")
    taken.add(outcome.written.sop_instance_uid)
    final = folder / _path(outcome.written)
    try:
        staged.rename(final)
    except FileNotFoundError:
        final.parent.mkdir(exist_ok=True)
        staged.rename(final)
    return outcome


def _words(written: Written) -> Iterator[str]:
    """What an object's row in the table says, as a whole and word by word, in small letters."""
    facts = (written.patient, written.accession, written.modality, written.manufacturer, written.model)
    for small in ((text or "").strip().lower() for text in facts):
        yield small
        yield from _WORDS.findall(small)


def _path(written: Written) -> str:
    return f"{written.patient}/{written.sop_instance_uid}.dcm"


def _row(file_id: str, outcome: Outcome, key: Key, profile: Profile) -> dict[str, Any]:
    written = outcome.written
    if written is None:
        return {"file_id": file_id, "status": "refused", "reason": outcome.reason}
    facts = dict(vars(written))
    boxes, actions, by_tag = (facts.pop(name) for name in ("boxes", "actions", "actions_by_tag"))
    return {
        "file_id": file_id,
        "status": "written",
        "path": _path(written),
        "text_boxes": len(boxes),
        "text_box_list": json.dumps(boxes),
        "actions": json.dumps(actions, sort_keys=True),
        "actions_by_tag": json.dumps(by_tag, sort_keys=True),
        "profile_sha256": profile.sha256,
        "edition": profile.edition,
        "key_fingerprint": key.fingerprint,
        **facts,
    }


def _ledger_rows(entry: dict[str, Any], outcome: Outcome, key: Key) -> list[LedgerRow]:
    if outcome.written is None:
        return []
    origin = Pseudonyms(key).source(entry["file_id"], entry["sha256"])
    written = outcome.written
    return [LedgerRow(written.sop_instance_uid, _path(written), written.sha256, (origin,), OPERATION)]


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

"""The audit of a delivery before it is published: every written object is read anew and held against its source.

``audit.json`` in the publication's folder records what was found; the rung's gate and its visible checks read it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from pipelines.deidentify.identifiers import HeaderIdentifiers
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet, read_header
from pipelines.deidentify.residual import survivors
from pipelines.deidentify.survey import named_location, survey
from pipelines.storage.atomic import write_json
from pipelines.storage.keys import Key
from pipelines.storage.workers import Workers

AUDIT = "audit.json"
CLEAN_PIXEL_DATA = "113101"
"""What says in (0012,0064) that pictures were searched for text and what was found is blank (PS3.16 CID 7050)."""

_MARKS = (
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "ContributingEquipmentSequence",
)


@dataclass(frozen=True)
class Audit:
    """Of the written objects: how many were audited, hold an identifier of their source, do not say how they were
    de-identified, hold pictures but do not say that these were searched for text, or could not be read back; and
    whether the profile retains UIDs, so that theirs identify nobody."""

    audited: int
    survivors: int
    unmarked: int
    unsearched: int
    unreadable: int
    uids_retained: bool


@dataclass(frozen=True)
class _Pair:
    source: Path
    written: Path
    location: str
    patient: str
    study: HeaderIdentifiers | None


def audit_delivery(
    inventory: pa.Table,
    objects: pa.Table,
    *,
    source: Callable[[str], Path],
    key: Key,
    profile: Profile,
    folder: Path,
    workers: Workers,
) -> Audit:
    """Audit every written object of ``objects`` below ``folder`` and write ``folder/audit.json``.

    ``source`` opens an inventory's location. An object that cannot be read back counts as unreadable, never as clean.
    """
    entries = {row["file_id"]: row for row in inventory.to_pylist()}
    written = sorted(
        (r for r in objects.to_pylist() if r["status"] == "written"), key=lambda r: r["study_instance_uid"] or ""
    )
    place = {row["file_id"]: source(entries[row["file_id"]]["location"]) for row in written}
    surveyed = survey(list(place.items()), profile, workers)
    pairs = [
        _Pair(
            place[file_id := row["file_id"]],
            folder / row["path"],
            named_location(entries[file_id], entries),
            row["patient"],
            surveyed.of(file_id),
        )
        for row in written
    ]
    results = list(workers.spread(partial(_audit, key=key, profile=profile), pairs))
    audit = Audit(
        audited=len(results),
        survivors=sum(r.value is not None and r.value[0] for r in results),
        unmarked=sum(r.value is not None and r.value[1] for r in results),
        unsearched=sum(r.value is not None and r.value[2] for r in results),
        unreadable=sum(r.value is None for r in results),
        uids_retained=profile.is_on("retain_uids"),
    )
    write_json(folder / AUDIT, asdict(audit))
    return audit


def _audit(pair: _Pair, *, key: Key, profile: Profile) -> tuple[bool, bool, bool]:
    """Whether an identifier of the source survives in the written object, whether it is not marked, and whether it
    holds pictures without the mark of Clean Pixel Data."""
    moved = profile.is_on("retain_longitudinal_modified_dates")
    days = Pseudonyms(key).days(pair.patient, profile.most_days) if moved else 0
    with quiet():
        read = read_header(pair.written)
        header, has_pixels = read.dataset, read.pixels is not None and read.pixels.length > 0
        unmarked = header.get("PatientIdentityRemoved") != "YES" or any(mark not in header for mark in _MARKS)
        codes = {item.get("CodeValue") for item in header.get("DeidentificationMethodCodeSequence") or ()}
    left = survivors(pair.source, pair.written, profile, pair.location, days, pair.study)
    return left > 0, unmarked, has_pixels and CLEAN_PIXEL_DATA not in codes

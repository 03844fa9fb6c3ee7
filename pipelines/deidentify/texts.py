"""Reports and labels of a delivery, from level D to level C: each row is cleaned and pseudonymized, or refused."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.deidentify.deny import DenyList, deny_list
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.studies import Studies
from pipelines.deidentify.tables import TableError, read_rows
from pipelines.deidentify.text import clean_text, keep_known_words, remove_denied
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.keys import Key
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import DELIVERED_LABELS, REPORTS, write_table
from pipelines.storage.workers import Progress, silent

OPERATION = "deidentify_text"

_SIDES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R"}
_SCALE_WORDS = r"(?:BI-?RADS|BIRADS|ACR|BREAST|DENSITY|DENSE|CATEGORY|CAT|TYPE|CLASS|GRADE|COMPOSITION)"
_DENSITY = re.compile(
    rf"(?:{_SCALE_WORDS}[ .:_-]*)*(?:[A-DFG]|[1-4](?:\.0)?|I{{1,3}}|IV"
    r"|(?:ALMOST |MOSTLY )?(?:ENTIRELY )?(?:FATTY|FAT)|SCATTERED|HETEROGENEOUS(?:LY)?(?: DENSE)?|(?:EXTREMELY )?DENSE)"
)
_LONGEST_DENSITY = 16
_REFERENCES = ("sop_instance_uid", "study_instance_uid", "accession_number", "patient_id")


@dataclass(frozen=True)
class TextsSummary:
    """What became of a delivery's report and label rows: written ones, refused ones, refusals by reason."""

    reports: int
    labels: int
    refused: int
    reasons: dict[str, int]
    ledger: tuple[LedgerRow, ...]


class _RefusedRowError(ValueError):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def deidentify_texts(
    inventory: pa.Table,
    *,
    source: Callable[[str], Path],
    key: Key,
    profile: Profile,
    folder: Path,
    progress: Progress = silent,
) -> TextsSummary:
    """De-identify the accepted report and label tables of an inventory into ``folder``.

    Writes ``reports.parquet`` and ``labels.parquet``, a row for each row delivered, written or refused with a reason.
    A report is cleaned with the names and ids of its study's headers, found by accession number, and with those that
    the row's other columns hold. ``profile`` decides nothing of texts yet but is part of what they are made under.
    """
    pseudonyms = Pseudonyms(key)
    studies = Studies(inventory, source, pseudonyms)
    accepted = [r for r in inventory.to_pylist() if r["status"] == "accepted" and r["kind"] in ("reports", "labels")]
    accepted.sort(key=lambda row: row["file_id"])
    rows: dict[str, list[dict[str, Any]]] = {"reports": [], "labels": []}
    ledger: list[LedgerRow] = []
    for done, entry in enumerate(accepted, start=1):
        kind = entry["kind"]
        make = _report if kind == "reports" else _label
        name, path = ("report_id", "reports.parquet") if kind == "reports" else ("label_id", "labels.parquet")
        origin = pseudonyms.source(entry["file_id"], entry["sha256"])
        for row in _rows(entry, source, pseudonyms, studies, make, name):
            rows[kind].append(row)
            if row["status"] == "written":
                ledger.append(LedgerRow(row[name], path, sha256_of_json(row), (origin,), OPERATION))
        progress(done, len(accepted))
    write_table(folder / "reports.parquet", REPORTS, REPORTS.build(rows["reports"]))
    write_table(folder / "labels.parquet", DELIVERED_LABELS, DELIVERED_LABELS.build(rows["labels"]))
    reasons = Counter(row["reason"] for kind in rows.values() for row in kind if row["status"] == "refused")
    written = {kind: sum(row["status"] == "written" for row in found) for kind, found in rows.items()}
    return TextsSummary(
        reports=written["reports"],
        labels=written["labels"],
        refused=reasons.total(),
        reasons=dict(sorted(reasons.items())),
        ledger=tuple(ledger),
    )


def _rows(
    entry: dict[str, Any],
    source: Callable[[str], Path],
    pseudonyms: Pseudonyms,
    studies: Studies,
    make: Callable[[dict[str, str], Pseudonyms, Studies], dict[str, Any]],
    name: str,
) -> Iterator[dict[str, Any]]:
    """A row for each row of one table; a table that cannot be read is one refused row."""
    letter = name[0].upper()

    def identity(number: int) -> dict[str, str]:
        digits = pseudonyms.key.identify(name, f"{entry['file_id']}\0{number}")
        return {name: f"{letter}-{digits}", "file_id": entry["file_id"]}

    try:
        delivered = read_rows(source(entry["location"]))
    except (TableError, OSError):
        yield {**identity(0), "status": "refused", "reason": "unreadable_table"}
        return
    for number, row in enumerate(delivered, start=1):
        try:
            made = {"status": "written", **make(row, pseudonyms, studies)}
        except _RefusedRowError as refused:
            made = {"status": "refused", "reason": refused.reason}
        except Exception as error:  # noqa: BLE001 - the boundary of bad input: a status row in place of a lost night
            made = {"status": "refused", "reason": f"error_{type(error).__name__}"}
        yield {**identity(number), **made}


def _report(row: dict[str, str], pseudonyms: Pseudonyms, studies: Studies) -> dict[str, Any]:
    if "report_text" not in row:
        raise _RefusedRowError("columns_missing")
    text, accession = row["report_text"], row.get("accession_number", "")
    if not text:
        raise _RefusedRowError("empty_text")
    references = {name: row.get(name, "") for name in _REFERENCES}
    deny = studies.deny_list(**references) | _deny_list_of_row(row)
    cleaned, replacements = clean_text(text, deny, unknown_names=True)
    if remove_denied(cleaned, deny)[1]:
        raise _RefusedRowError("residual_identifier")
    return {
        "accession": pseudonyms.accession(accession) if accession else None,
        "patient": studies.patient(**references),
        "text": cleaned,
        "replacements": replacements,
    }


def _deny_list_of_row(row: dict[str, str]) -> DenyList:
    """What a row's columns beside the text tell of names, ids and birth dates, by the columns' names."""

    def values(*words: str) -> list[str]:
        return [v for name, v in row.items() if name != "report_text" and v and any(w in name for w in words)]

    return deny_list(
        names=values("name", "physician", "radiologist", "reader", "doctor"),
        places=values("hospital", "institution", "site", "facility", "department", "address"),
        ids=values("patient_id", "mrn", "accession", "ssn", "_id", "number"),
        dates=[re.sub(r"\D", "", v)[:8] for v in values("birth", "dob")],
    )


def _label(row: dict[str, str], pseudonyms: Pseudonyms, studies: Studies) -> dict[str, Any]:
    if "density" not in row or not any(name in row for name in _REFERENCES):
        raise _RefusedRowError("columns_missing")
    references = {name: row.get(name, "") for name in _REFERENCES}
    if not any(references.values()):
        raise _RefusedRowError("no_reference")
    density = _density(row["density"])
    if density is None:
        raise _RefusedRowError("density_not_recognized")
    view, strange = keep_known_words(row.get("view", ""))
    patient_id, accession = references["patient_id"], references["accession_number"]
    patient = studies.patient(**references) or (pseudonyms.patient(patient_id) if patient_id else None)
    return {
        "accession": pseudonyms.accession(accession) if accession else None,
        "study_instance_uid": pseudonyms.uid(references["study_instance_uid"]) or None,
        "sop_instance_uid": pseudonyms.uid(references["sop_instance_uid"]) or None,
        "patient": patient,
        "laterality": _SIDES.get(row.get("laterality", "").upper()),
        "view": view or None if not strange else None,
        "density": density,
        "reader": pseudonyms.reader(row["reader"]) if row.get("reader") else None,
    }


def _density(value: str) -> str | None:
    """A density as given, if it is a value of a density scale of at most 16 characters."""
    text = re.sub(r"\s+", " ", value.strip())
    return text if len(text) <= _LONGEST_DENSITY and _DENSITY.fullmatch(text.upper()) else None

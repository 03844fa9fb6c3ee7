"""Reports and labels of a delivery, from level D to level C: each row is cleaned and pseudonymized, or refused."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.deidentify.deny import DenyList, deny_list
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.studies import Studies
from pipelines.deidentify.tables import TableError, read_rows
from pipelines.deidentify.text import clean_text, keep_known_words, remove_denied
from pipelines.deidentify.text_dates import dates_in
from pipelines.storage.column_maps import SIDES, ColumnMap, fitting, load_column_maps
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.keys import Key
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import DELIVERED_LABELS, REPORTS, write_table
from pipelines.storage.workers import Progress, silent

OPERATION = "deidentify_text"

_SCALE_WORDS = r"(?:BI-?RADS|BIRADS|ACR|BREAST|DENSITY|DENSE|CATEGORY|CAT|TYPE|CLASS|GRADE|COMPOSITION)"
DENSITY_VALUE = re.compile(
    rf"(?:{_SCALE_WORDS}[ .:_-]*)*(?:[A-DFG]|[1-4](?:\.0)?|I{{1,3}}|IV|(?:A ?(?:/|-|TO|OR) ?B|B ?(?:/|-|TO|OR) ?C"
    r"|C ?(?:/|-|TO|OR) ?D|1 ?(?:/|-|TO|OR) ?2|2 ?(?:/|-|TO|OR) ?3|3 ?(?:/|-|TO|OR) ?4)"
    r"|(?:ALMOST |MOSTLY )?(?:ENTIRELY )?(?:FATTY|FAT)|SCATTERED|HETEROGENEOUS(?:LY)?(?: DENSE)?|(?:EXTREMELY )?DENSE)"
)
"""What a density column may hold, in capitals: a value of a density scale, which can name nobody."""

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
    patients: Mapping[str, str] | None = None,
    maps: tuple[ColumnMap, ...] | None = None,
    progress: Progress = silent,
) -> TextsSummary:
    """De-identify the accepted report and label tables of an inventory into ``folder``.

    Writes ``reports.parquet`` and ``labels.parquet``, a row for each row delivered, written or refused with a reason.
    A report is cleaned with the names and ids of its study's headers, found by accession number, and with those that
    the row's other columns hold. A row whose reference is two patients' (an accession number used twice) is refused,
    since it would be read as a statement on both. ``patients``: file_id to the patient's pseudonym, where it is known
    better than from the object's own header. ``maps``: how labels tables that have other columns than ours are to be
    read; the packaged ones where it is None. Of a mapped row nothing leaves but pseudonyms, side, view and one of the
    values of density that the map knows. Dates in reports move as those in the patient's headers do; where it is
    not known whose a report is, they are removed.
    """
    label = partial(_label, maps=load_column_maps() if maps is None else maps)
    pseudonyms = Pseudonyms(key)
    studies = Studies(inventory, source, pseudonyms, profile, patients)
    accepted = [r for r in inventory.to_pylist() if r["status"] == "accepted" and r["kind"] in ("reports", "labels")]
    accepted.sort(key=lambda row: row["file_id"])
    rows: dict[str, list[dict[str, Any]]] = {"reports": [], "labels": []}
    ledger: list[LedgerRow] = []
    for done, entry in enumerate(accepted, start=1):
        kind = entry["kind"]
        make = _report if kind == "reports" else label
        name, path = ("report_id", "reports.parquet") if kind == "reports" else ("label_id", "labels.parquet")
        origin = pseudonyms.source(entry["file_id"], entry["sha256"])
        for row in _rows(entry, source, pseudonyms, studies, profile, make, name):
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
    profile: Profile,
    make: Callable[[dict[str, str], Pseudonyms, Studies, Profile], dict[str, Any]],
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
            made = {"status": "written", **make(row, pseudonyms, studies, profile)}
        except _RefusedRowError as refused:
            made = {"status": "refused", "reason": refused.reason}
        except Exception as error:  # noqa: BLE001 - the boundary of bad input: a status row in place of a lost night
            made = {"status": "refused", "reason": f"error_{type(error).__name__}"}
        yield {**identity(number), **made}


def _report(row: dict[str, str], pseudonyms: Pseudonyms, studies: Studies, profile: Profile) -> dict[str, Any]:
    if "report_text" not in row:
        raise _RefusedRowError("columns_missing")
    text, accession = row["report_text"], row.get("accession_number", "")
    if not text:
        raise _RefusedRowError("empty_text")
    references = {name: row.get(name, "") for name in _REFERENCES}
    patient = _patient(references, studies)
    deny = studies.deny_list(**references) | _deny_list_of_row(row)
    cleaned, replacements = _cleaned(text, deny, profile, _days(patient, pseudonyms, profile))
    return {
        "accession": pseudonyms.accession(accession) if accession else None,
        "patient": patient,
        "text": cleaned,
        "replacements": replacements,
    }


def _cleaned(text: str, deny: DenyList, profile: Profile, days: int | None) -> tuple[str, int]:
    """A report's text by the profile's policy, and the number of pieces replaced or moved."""
    policy = profile.policies["reports"]
    if policy == "remove":
        raise _RefusedRowError("reports_not_kept")
    if policy == "keep":
        return text, 0
    if policy == "vocabulary":
        return keep_known_words(text, deny)
    how: dict[str, Any] = {"unknown_names": True, "oldest": profile.oldest, "model": profile.model}
    cleaned, replacements = clean_text(text, deny, **how, days=days)
    # A moved date may by chance be a birth date: only what stands beside the dates counts as left.
    if remove_denied(cleaned, deny)[1] and remove_denied(clean_text(text, deny, **how)[0], deny)[1]:
        raise _RefusedRowError("residual_identifier")
    return cleaned, replacements


def _days(patient: str | None, pseudonyms: Pseudonyms, profile: Profile) -> int | None:
    """By how many days a patient's dates move into the past; None where dates do not stay, or nobody knows whose."""
    if profile.is_on("retain_longitudinal_full_dates"):
        return 0
    if patient is None or not profile.is_on("retain_longitudinal_modified_dates"):
        return None
    return pseudonyms.days(patient, profile.most_days)


def _patient(references: dict[str, str], studies: Studies) -> str | None:
    patients = studies.patients(**references)
    if len(patients - {None}) > 1:
        raise _RefusedRowError("refers_to_two_patients")
    return patients.pop() if len(patients) == 1 else None


def _deny_list_of_row(row: dict[str, str]) -> DenyList:
    """What a row's columns beside the text tell of names, ids and birth dates, by the columns' names."""

    def values(*words: str) -> list[str]:
        return [v for name, v in row.items() if name != "report_text" and v and any(w in name for w in words)]

    patient = row.get("patient", "")
    return deny_list(
        names=[*values("name", "physician", "radiolog", "reader", "doctor", "tech", "operator", "referr"), patient],
        places=values("hospital", "institution", "site", "facility", "department", "address", "city", "street"),
        ids=values("patient_id", "mrn", "accession", "ssn", "_id", "number", "phone", "email"),
        dates=[day for value in values("birth", "dob") for day in _days_of(value)],
    )


def _days_of(value: str) -> set[str]:
    """Every day, as DA, that a date in figures may name, whatever comes first; and one in words."""
    parts = re.findall(r"\d+", value)
    days = {f"{found.day:%Y%m%d}" for found in dates_in(value) if found.day}
    if len(parts) == 3 and all(len(part) <= 4 for part in parts):
        a, b, c = parts
        ways = ((a, b, c), (c, a, b), (c, b, a))
        days |= {f"{y}{int(m):02d}{int(d):02d}" for y, m, d in ways if len(y) == 4}
    return days | ({parts[0][:8]} if parts and len(parts[0]) >= 8 else set())


def _label(
    row: dict[str, str], pseudonyms: Pseudonyms, studies: Studies, _: Profile, maps: tuple[ColumnMap, ...]
) -> dict[str, Any]:
    chosen = _map_of(row, maps)
    if chosen is None and ("density" not in row or not any(name in row for name in _REFERENCES)):
        raise _RefusedRowError("columns_missing")
    cells = row if chosen is None else chosen.read(row)
    references = _references(cells, studies)
    density, densities = _density(cells["density"], chosen)
    laterality = chosen.side(cells.get("laterality", "")) if chosen else SIDES.get(cells.get("laterality", "").upper())
    if laterality is None:
        raise _RefusedRowError("laterality_not_recognized")
    view, strange = keep_known_words(cells.get("view", ""))
    patient_id, accession = references["patient_id"], references["accession_number"]
    patient = _patient(references, studies) or (pseudonyms.patient(patient_id) if patient_id else None)
    return {
        "accession": pseudonyms.accession(accession) if accession else None,
        "study_instance_uid": pseudonyms.uid(references["study_instance_uid"]) or None,
        "sop_instance_uid": pseudonyms.uid(references["sop_instance_uid"]) or None,
        "patient": patient,
        "laterality": laterality or None,
        "view": view or None if not strange else None,
        "density": density,
        "column_map": chosen.name if chosen else None,
        "densities": densities,
        "reader": pseudonyms.reader(cells["reader"]) if cells.get("reader") else None,
    }


def _map_of(row: dict[str, str], maps: tuple[ColumnMap, ...]) -> ColumnMap | None:
    """The column map that speaks of a row; None where no map knows such tables."""
    fits = fitting(maps, row)
    chosen = next((m for m in fits if m.speaks_of(row)), None)
    if fits and chosen is None:
        empty = not any(m.read(row)["density"] for m in fits)
        raise _RefusedRowError("no_density" if empty else "scale_not_recognized")
    return chosen


def _references(cells: dict[str, str], studies: Studies) -> dict[str, str]:
    """What a row refers to, by raw identifiers; a file's name is resolved to the object of the delivery."""
    references = {name: cells.get(name, "") for name in _REFERENCES}
    file_name = cells.get("file_name", "") if not references["sop_instance_uid"] else ""
    instances = studies.instances(file_name) if file_name else set()
    if len(instances) > 1:
        raise _RefusedRowError("file_name_ambiguous")
    references["sop_instance_uid"] = references["sop_instance_uid"] or next(iter(instances), "")
    if not any(references.values()):
        raise _RefusedRowError("file_not_in_delivery" if file_name else "no_reference")
    return references


def _density(value: str, chosen: ColumnMap | None) -> tuple[str, str | None]:
    """A density as given, if it is one of the map's values or of a density scale, and what the map takes it for."""
    text = re.sub(r"\s+", " ", value.strip())
    if not text:
        raise _RefusedRowError("no_density")
    if chosen is not None and (densities := chosen.density(text)) is not None:
        return text, densities or None
    if chosen is None and len(text) <= _LONGEST_DENSITY and DENSITY_VALUE.fullmatch(text.upper()):
        return text, None
    raise _RefusedRowError("density_not_recognized")

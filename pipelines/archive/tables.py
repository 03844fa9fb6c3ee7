"""Recognize the tables that may lie beside DICOM in a delivery, by their name and their columns."""

import csv
import io
from pathlib import Path

_NAMES = {
    "reports.csv": "reports",
    "reports.parquet": "reports",
    "labels.csv": "labels",
    "labels.parquet": "labels",
}
_LABEL_IDS = frozenset({"accession_number", "study_instance_uid", "sop_instance_uid", "patient_id"})
_LONGEST_HEADER = 1 << 16


def recognize_table(path: Path, name: str) -> tuple[str, str | None] | None:
    """Kind (reports or labels) and reason code of a file that is named like a delivery's table; None for any other.

    ``name`` is the file's own name. reports needs accession_number and report_text; labels needs density and one of
    accession_number, study_instance_uid, sop_instance_uid, patient_id. Raises OSError where it cannot be read.
    """
    kind = _NAMES.get(name.lower())
    if kind is None:
        return None
    columns = _parquet_columns(path) if name.lower().endswith(".parquet") else _csv_columns(path)
    if columns is None:
        return kind, "unreadable_table"
    if kind == "reports":
        complete = {"accession_number", "report_text"} <= columns
    else:
        complete = "density" in columns and bool(columns & _LABEL_IDS)
    return kind, None if complete else "columns_missing"


def _csv_columns(path: Path) -> set[str] | None:
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER).decode("utf-8-sig", "replace")
    try:
        return set(next(csv.reader(io.StringIO(head, newline="")), []))
    except csv.Error:
        return None


def _parquet_columns(path: Path) -> set[str] | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(pq.read_schema(path).names)
    except (pa.ArrowException, ValueError):
        return None

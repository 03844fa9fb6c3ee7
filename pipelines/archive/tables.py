"""Recognize the tables that may lie beside DICOM in a delivery, by their name and their columns."""

import csv
import io
from pathlib import Path

from pipelines.storage.column_maps import ColumnMap, column_name

_NAMES = {
    "reports.csv": "reports",
    "reports.parquet": "reports",
    "labels.csv": "labels",
    "labels.parquet": "labels",
}
_LABEL_IDS = frozenset({"accession_number", "study_instance_uid", "sop_instance_uid", "patient_id"})
_LONGEST_HEADER = 1 << 16
_DELIMITERS = ",;\t|"


def recognize_table(path: Path, name: str, maps: tuple[ColumnMap, ...] = ()) -> tuple[str, str | None] | None:
    """Kind (reports or labels) and reason code of a delivery's table; None for any other file.

    A table is told by its name (reports or labels, .csv or .parquet), or, whatever its name, by one of the ``maps``.
    ``name`` is the file's own name. reports needs accession_number and report_text; labels needs density and one of
    accession_number, study_instance_uid, sop_instance_uid, patient_id, or the columns of one of the ``maps``. Raises
    OSError where it cannot be read.
    """
    kind = _NAMES.get(name.lower())
    if kind is None and not maps:
        return None
    columns = _parquet_columns(path) if name.lower().endswith(".parquet") else _csv_columns(path)
    if kind is None:
        return ("labels", None) if columns and any(m.fits(columns) for m in maps) else None
    if columns is None:
        return kind, "unreadable_table"
    if kind == "reports":
        complete = {"accession_number", "report_text"} <= columns
    else:
        complete = ("density" in columns and bool(columns & _LABEL_IDS)) or any(m.fits(columns) for m in maps)
    return kind, None if complete else "columns_missing"


def _csv_columns(path: Path) -> set[str] | None:
    with path.open("rb") as file:
        head = _decoded(file.read(_LONGEST_HEADER)).lstrip("\r\n")
    first = head.splitlines()[0] if head else ""
    delimiter = max(_DELIMITERS, key=lambda d: (first.count(d), -_DELIMITERS.index(d)))
    try:
        return set(map(column_name, next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])))
    except csv.Error:
        return None


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _parquet_columns(path: Path) -> set[str] | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(map(column_name, pq.read_schema(path).names))
    except (pa.ArrowException, ValueError):
        return None

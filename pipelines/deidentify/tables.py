"""Reading a delivery's report and label tables, CSV or Parquet, as people and systems really write them."""

import csv
import io
import re
from collections import Counter
from pathlib import Path

from pipelines.storage.column_maps import column_name

_DELIMITERS = ",;\t|"
_LONGEST_FIELD = 1 << 24
_PARQUET = b"PAR1"


class TableError(ValueError):
    """A table cannot be read. It holds nothing of the table's content."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """A table's rows, in order, with column names in small letters and values as text, empty where there is none.

    CSV may be UTF-8 (with or without a byte order mark), UTF-16 with one, or Windows-1252, and delimited by comma,
    semicolon, tab or bar. A column whose name stood before gets a number behind it. A row with more cells than there
    are columns is given without any: nobody can tell which cell is which. Raises TableError where it is no table,
    OSError where it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(4)
    try:
        return _parquet_rows(path) if head == _PARQUET else _csv_rows(path.read_bytes())
    except csv.Error:
        raise TableError("not a table of delimited text") from None


def _parquet_rows(path: Path) -> list[dict[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.ParquetFile(path).read().to_pylist()
    except (pa.ArrowException, ValueError):
        raise TableError("not a Parquet table") from None
    columns = _columns(list(rows[0])) if rows else []
    return [dict(zip(columns, map(_text, row.values()), strict=True)) for row in rows]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return _decoded(value).strip()
    return "" if value is None else str(value).strip()


def _csv_rows(data: bytes) -> list[dict[str, str]]:
    csv.field_size_limit(_LONGEST_FIELD)
    text = _decoded(data).replace("\0", "")
    first = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    delimiter = max(_DELIMITERS, key=lambda d: (first.count(d), -_DELIMITERS.index(d)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = _columns(next((cells for cells in reader if any(cells)), []))
    rows: list[dict[str, str]] = []
    for cells in reader:
        if any(cell.strip() for cell in cells[len(columns) :]):
            rows.append({})
        elif any(cell.strip() for cell in cells):
            padded = [*cells, *[""] * (len(columns) - len(cells))]
            rows.append({name: cell.strip() for name, cell in zip(columns, padded, strict=False)})
    return rows


def _columns(names: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    columns = []
    for name in map(column_name, names):
        seen[name] += 1
        columns.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return columns


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")

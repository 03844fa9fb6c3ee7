"""The data dictionary: every column of every table of an export, from the contracts that the tables were checked by."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from pipelines.storage.atomic import write_bytes
from pipelines.storage.contracts import Column, Table
from pipelines.storage.meanings import meaning_of

HEAD = ("file", "column", "type", "unit", "key", "nullable", "allowed", "at_least", "at_most", "meaning")


def write_dictionary(path: Path, tables: Mapping[str, Table]) -> None:
    """Write the dictionary of the tables, by their file's name, as CSV: a row a column.

    A file's first row, whose column is ``*``, tells the table as a whole. Allowed values are parted by ``|``.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for file, table in tables.items():
        writer.writerow((file, "*", "table", "", "|".join(table.key), "", "", "", "", table.meaning))
        writer.writerows(_row(file, table, column) for column in table.columns)
    write_bytes(path, text.getvalue().encode())


def _row(file: str, table: Table, column: Column) -> tuple[str, ...]:
    bounds = ("" if bound is None else f"{bound:g}" for bound in (column.at_least, column.at_most))
    key, nullable = ("yes" if is_so else "no" for is_so in (column.name in table.key, column.nullable))
    allowed = "|".join(map(str, column.allowed))
    return (file, column.name, str(column.type), column.unit, key, nullable, allowed, *bounds, meaning_of(column))

"""What a contract's columns mean in words, for dictionaries and metadata."""

import re

import pyarrow as pa

from pipelines.storage.contracts import Column, Table
from pipelines.storage.tables import CONTRACTS

_ELSEWHERE = re.compile(r"as in (\w+\.\w+)")


def meaning_of(column: Column) -> str:
    """A column's meaning; where its contract points to another table's column of the same name, that one's."""
    elsewhere = _ELSEWHERE.fullmatch(column.meaning)
    if elsewhere is None:
        return column.meaning
    table = next(t for t in CONTRACTS if t.name == elsewhere[1])
    return meaning_of(next(c for c in table.columns if c.name == column.name))


def simple_columns(contract: Table) -> list[Column]:
    """The columns of a contract that hold one value a row."""
    return [c for c in contract.columns if not pa.types.is_nested(c.type)]

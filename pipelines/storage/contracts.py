"""Table contracts: a declared Arrow schema with the meaning of every column, checked on writing and on reading."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.atomic import replacing

if TYPE_CHECKING:
    import pandas as pd


class ContractError(ValueError):
    """A table does not keep its contract. The message names columns and rules, never values."""


@dataclass(frozen=True)
class Column:
    """One column: its name, Arrow type, meaning, and the values it may hold.

    ``allowed`` lists the only values permitted (None is ruled by ``nullable`` alone); ``at_least``/``at_most`` bound
    numbers, in ``unit``.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    allowed: tuple[Any, ...] = ()
    nullable: bool = False
    at_least: float | None = None
    at_most: float | None = None

    @property
    def field(self) -> pa.Field:
        """The Arrow field, with the meaning, the unit and the allowed values as metadata."""
        notes = {"meaning": self.meaning, "unit": self.unit, "allowed": "|".join(map(str, self.allowed))}
        return pa.field(self.name, self.type, self.nullable, {k: v for k, v in notes.items() if v})


@dataclass(frozen=True)
class Table:
    """A table contract: columns in order, and the columns that together identify a row."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """The declared Arrow schema."""
        return pa.schema([c.field for c in self.columns], {"table": self.name, "meaning": self.meaning})

    def build(self, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
        """Build a checked table from rows, sorted by the key; columns that a row lacks are null.

        Raises ContractError where a row holds a column that the contract does not name, or breaks a rule.
        """
        rows = list(rows)
        known = {c.name for c in self.columns}
        strange = sorted({name for row in rows for name in row} - known)
        if strange:
            raise ContractError(f"{self.name}: unknown columns {strange}")
        try:
            table = pa.Table.from_pylist([{n: r.get(n) for n in known} for r in rows], schema=self.schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise ContractError(f"{self.name}: a value does not fit its column's type") from _without_values(error)
        return self.check(table.sort_by([(k, "ascending") for k in self.key]))

    def check(self, table: pa.Table) -> pa.Table:
        """Return the table, cast to the declared schema; raise ContractError where it breaks the contract."""
        missing = [c.name for c in self.columns if c.name not in table.column_names]
        if missing:
            raise ContractError(f"{self.name}: columns missing {missing}")
        try:
            table = table.select([c.name for c in self.columns]).cast(self.schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            raise ContractError(f"{self.name}: a column does not have its declared type") from _without_values(error)
        self._check_values(table)
        return table

    def _check_values(self, table: pa.Table) -> None:
        for column in self.columns:
            if not column.nullable and table.column(column.name).null_count:
                raise ContractError(f"{self.name}: column {column.name} holds nulls")
        if self._keeps_rules(table):
            return
        import pandera.errors

        simple = [c.name for c in self.columns if not pa.types.is_nested(c.type)]
        frame = table.select(simple).to_pandas(types_mapper=_nullable().get)
        try:
            self._pandera.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            cases = errors.failure_cases[["column", "check"]].astype(str).drop_duplicates()
            broken = sorted(set(cases.itertuples(index=False, name=None)))
            raise ContractError(f"{self.name}: broken rules {broken}") from None

    def _keeps_rules(self, table: pa.Table) -> bool:
        """Whether Arrow finds every rule kept. Where it does not, pandera decides and names what is broken: it takes
        half a second to start, which a process that writes one table need not spend."""
        import pyarrow.compute as pc

        for c in self.columns:
            values = table.column(c.name).drop_null()
            if pa.types.is_nested(c.type) or not len(values):
                continue
            rules = [pc.is_in(values, pa.array(c.allowed, c.type))] if c.allowed else []
            rules += [pc.greater_equal(values, c.at_least)] if c.at_least is not None else []
            rules += [pc.less_equal(values, c.at_most)] if c.at_most is not None else []
            if not all(pc.all(rule).as_py() for rule in rules):
                return False
        return bool(table.group_by(list(self.key)).aggregate([]).num_rows == table.num_rows)

    @cached_property
    def _pandera(self) -> Any:
        import pandera.pandas as pandera

        columns = {}
        for c in self.columns:
            checks = []
            if pa.types.is_nested(c.type):
                continue
            if c.allowed:
                checks.append(pandera.Check.isin(c.allowed))
            if c.at_least is not None:
                checks.append(pandera.Check.ge(c.at_least))
            if c.at_most is not None:
                checks.append(pandera.Check.le(c.at_most))
            columns[c.name] = pandera.Column(None, checks, nullable=c.nullable)
        return pandera.DataFrameSchema(columns, unique=list(self.key))

    def frame(self, table: pa.Table) -> "pd.DataFrame":
        """The table as a pandas frame with nullable types (integers stay integers)."""
        return table.to_pandas(types_mapper=_nullable().get)


@cache
def _nullable() -> dict[pa.DataType, Any]:
    """The nullable types of pandas, which takes a quarter of a second to start."""
    import pandas as pd

    return {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
        pa.float64(): pd.Float64Dtype(),
    }


def _without_values(error: Exception) -> Exception:
    """An exception of the same kind that does not repeat the offending value, which may identify a patient."""
    return type(error)("value withheld")


def write_table(path: Path, contract: Table, table: pa.Table) -> None:
    """Write a checked table as Parquet, atomically; the same table gives the same bytes."""
    table = contract.check(table)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=True)


def read_table(path: Path, contract: Table) -> pa.Table:
    """Read a Parquet table and check it against its contract."""
    return contract.check(pq.ParquetFile(path).read())

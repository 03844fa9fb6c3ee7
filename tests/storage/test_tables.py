"""Tables keep their contracts, and a broken one is told without quoting a value."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.storage.tables import CONTRACTS, PLAN, ContractError, Table, read_table, write_table

ROW = {"density": "A", "view": "CC", "real": 3, "target": 5, "deficit": 2}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_empty_tables_keep_the_contract_and_every_column_has_a_meaning(contract: Table, tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", contract, contract.build([]))
    assert read_table(tmp_path / "t.parquet", contract).schema.equals(contract.schema)
    assert all(c.meaning for c in contract.columns)
    assert set(contract.key) <= {c.name for c in contract.columns}


def test_rows_are_sorted_by_the_key_and_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "density": "B"}, {**ROW, "view": "MLO"}]
    write_table(tmp_path / "a.parquet", PLAN, PLAN.build(rows))
    write_table(tmp_path / "b.parquet", PLAN, PLAN.build(reversed(rows)))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert PLAN.build(rows).column("view").to_pylist() == ["CC", "MLO", "CC"]


@pytest.mark.parametrize(
    "rows",
    [
        [{**ROW, "density": "Jane Doe"}],
        [{**ROW, "real": -1}],
        [{**ROW, "real": "Jane Doe"}],
        [{**ROW, "real": None}],
        [{**ROW, "extra": 1}],
        [ROW, ROW],
    ],
    ids=["allowed", "bound", "type", "null", "unknown", "key"],
)
def test_broken_rows_are_errors_that_quote_no_value(rows: list[dict]) -> None:
    with pytest.raises(ContractError) as error:
        PLAN.build(rows)
    assert "Jane" not in str(error.value)
    assert error.value.__cause__ is None or "Jane" not in str(error.value.__cause__)


def test_table_without_a_column_is_refused_on_reading(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"density": ["A"]}), tmp_path / "t.parquet")
    with pytest.raises(ContractError, match="missing"):
        read_table(tmp_path / "t.parquet", PLAN)

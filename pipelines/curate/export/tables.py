"""The tables of an export: the published ones linked, the labels and statements cut to the set's images, the splits.

Rows pass in batches: memory holds ids, not tables.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pipelines.storage.atomic import replacing
from pipelines.storage.contracts import Table
from pipelines.storage.tables import DATASET, EXCLUSIONS, LABELS, PLAN, VOTES

SPLIT_COLUMNS = ("image_id", "patient", "cluster", "split")
SPLITS_TABLE = Table(
    "export.splits",
    "The split manifest: which image, patient and cluster is in which split.",
    tuple(next(c for c in DATASET.columns if c.name == name) for name in SPLIT_COLUMNS),
    ("image_id",),
)

TABLES = {
    "dataset.parquet": DATASET,
    "labels.parquet": LABELS,
    "votes.parquet": VOTES,
    "splits.csv": SPLITS_TABLE,
    "exclusions.parquet": EXCLUSIONS,
    "plan.parquet": PLAN,
}
"""The tables of an export by file."""

ROWS_AT_ONCE = 65536


def place(source: Path, target: Path) -> None:
    """The file under a second name: a hard link where the file system has them, else a copy. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or no links there: what truly hinders also hinders the copy, and is raised by it
        shutil.copyfile(source, target)


def batches(path: Path, contract: Table, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """A table in pieces. Raises ContractError where a whole piece breaks the contract."""
    for batch in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE, columns=columns):
        piece = pa.Table.from_batches([batch])
        yield piece if columns else contract.check(piece)


def column_of(path: Path, name: str) -> pa.Array:
    """One column of a table, in memory."""
    chunks = [batch.column(0) for batch in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE, columns=[name])]
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())


def write_labels(labels_folder: Path, folder: Path) -> None:
    """Write into ``folder`` the labels of the images in its ``dataset.parquet``, and the votes that they rest on."""
    images = column_of(folder / "dataset.parquet", "image_id")
    chosen: list[pa.Array] = []

    def of_the_set(piece: pa.Table) -> pa.Table:
        kept = piece.filter(pc.is_in(piece["image_id"], value_set=images))
        ids = (vote for text in kept["evidence"].to_pylist() for vote in json.loads(text))
        chosen.append(pa.array(ids, pa.string()))
        return kept

    _copy_rows(labels_folder / "labels.parquet", folder / "labels.parquet", LABELS, of_the_set)
    votes = pc.unique(pa.concat_arrays(chosen)) if chosen else pa.array([], pa.string())
    _copy_rows(
        labels_folder / "votes.parquet",
        folder / "votes.parquet",
        VOTES,
        lambda piece: piece.filter(pc.is_in(piece["vote_id"], value_set=votes)),
    )


def write_splits(folder: Path) -> None:
    """Write the split manifest of ``folder/dataset.parquet`` as ``folder/splits.csv``, in the order of the images."""
    schema = pa.schema([(name, pa.string()) for name in SPLIT_COLUMNS])
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with (
        replacing(folder / "splits.csv") as temporary,
        pyarrow.csv.CSVWriter(temporary, schema, write_options=options) as writer,
    ):
        for piece in batches(folder / "dataset.parquet", DATASET, list(SPLIT_COLUMNS)):
            writer.write_table(piece.select(SPLIT_COLUMNS).cast(schema))


def _copy_rows(source: Path, target: Path, contract: Table, choose: Callable[[pa.Table], pa.Table]) -> None:
    with (
        replacing(target) as temporary,
        pq.ParquetWriter(temporary, contract.schema, compression="zstd", store_schema=True) as writer,
    ):
        for piece in batches(source, contract):
            kept = choose(piece)
            if kept.num_rows:
                writer.write_table(kept)

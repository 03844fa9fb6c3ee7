"""Figures of an export: is it whole, valid, and without anything that tells a patient."""

import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pipelines.readiness.figures import LEAST_IDENTIFIER, Figures

TEXTS = (".md", ".json", ".csv", ".py")
_WORD = re.compile(r"[\w.\-/^]*\w")


def export_figures(
    folder: Path, *, unlike_manifest: int, croissant_errors: int, identifiers: Iterable[Iterable[str]]
) -> Figures:
    """The figures of the export in a folder.

    ``unlike_manifest`` is the number of files that its manifest does not state as they are, ``croissant_errors`` what
    mlcroissant finds wrong, ``identifiers`` what the sources state of their patients, a delivery at a time. Short
    identifiers without a digit are common words and do not count.
    """
    index = pq.ParquetFile(folder / "dataset.parquet").read(columns=["image_id", "shard", "split"])
    return {
        "a_export_images": index.num_rows,
        "a_export_unlike_manifest": unlike_manifest,
        "a_export_croissant_errors": croissant_errors,
        "a_export_unaccounted": _unaccounted(folder, index),
        "a_export_identifiers": _identifiers(folder, identifiers),
    }


def _unaccounted(folder: Path, index: pa.Table) -> int:
    """Images of the index that have no label, no line in the split manifest that says the same, or no file."""
    labels = pq.ParquetFile(folder / "labels.parquet").read(columns=["image_id"])["image_id"]
    splits = pyarrow.csv.read_csv(
        folder / "splits.csv",
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={"image_id": pa.string(), "split": pa.string()}, include_columns=["image_id", "split"]
        ),
    )
    said = pc.binary_join_element_wise(splits["image_id"], splits["split"], " ")
    here = pc.binary_join_element_wise(index["image_id"], index["split"], " ")
    files = pa.array([path.name for path in folder.glob("*.arrow")], pa.string())
    sound = pc.and_(
        pc.and_(pc.is_in(index["image_id"], value_set=labels), pc.is_in(here, value_set=said)),
        pc.is_in(index["shard"], value_set=files),
    )
    return index.num_rows - (pc.sum(sound).as_py() or 0) + abs(splits.num_rows - index.num_rows)


def _identifiers(folder: Path, identifiers: Iterable[Iterable[str]]) -> int:
    """How many of the identifiers stand in the export's texts or tables as words."""
    words = _words(folder)
    telling = ({i for i in some if len(i) >= LEAST_IDENTIFIER and re.search(r"\d", i)} for some in identifiers)
    return sum(len(some & words) for some in telling)


def _words(folder: Path) -> set[str]:
    """Every word of the export's texts and of its tables' cells, and every such cell."""
    words: set[str] = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix in TEXTS:
            with path.open(encoding="utf-8") as lines:
                words.update(word for line in lines for word in _WORD.findall(line))
        elif path.suffix == ".parquet":
            for batch in pq.ParquetFile(path).iter_batches():
                for column in batch.columns:
                    if pa.types.is_string(column.type):
                        cells = pc.unique(column).drop_null().to_pylist()
                        words.update(cells)
                        words.update(word for cell in cells for word in _WORD.findall(cell))
    return words

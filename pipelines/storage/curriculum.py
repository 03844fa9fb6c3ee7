"""The curriculum of an augmented set: in which order, from which records, a classifier is to learn.

``curriculum.json`` beside the index (``augmented.parquet``):

- ``format``: 1. ``index``, ``label``: the table of records, and its column to learn.
- ``stages``, in order. Each has a ``name``; ``records``: values that a record's columns must have; ``labels``: ``weak``
  (what a generator was asked for; nobody has read the picture) or ``read``; ``share_of_steps`` of the whole training,
  together 1; ``learning_rate``: factor on the training's own; ``images`` by density and view; ``weights`` by density
  and view: what each of them weighs when records are drawn, so that densities come equally often, and a density's
  views too; the records' mean weight is 1.
- ``select``, ``report``: records to choose a model by, and to report on: real ones alone.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.storage.atomic import write_json

NAME = "curriculum.json"
FORMAT = 1
INDEX, LABEL = "augmented.parquet", "density"

FINE_TUNING = 0.5
"""Share of the steps, and of the learning rate, that real records have after synthetic ones."""

Cells = Mapping[str, Mapping[str, float]]
"""A number by density and view."""


class CurriculumError(ValueError):
    """The file is no curriculum, or one that nobody should follow."""


@dataclass(frozen=True)
class Stage:
    """One stage; see the module for its fields."""

    name: str
    records: Mapping[str, Any]
    labels: str
    share_of_steps: float
    learning_rate: float
    images: Cells
    weights: Cells

    def rows(self, index: pa.Table) -> pa.Table:
        """The stage's records of an index, in its order."""
        return chosen(index, self.records)

    def weights_of(self, index: pa.Table) -> np.ndarray:
        """The weight of each of the stage's records, float64, in the order of ``rows``."""
        rows = self.rows(index)
        cells = zip(rows["density"].to_pylist(), rows["view"].to_pylist(), strict=True)
        return np.array([self.weights[density][view] for density, view in cells])


@dataclass(frozen=True)
class Curriculum:
    """Stages in order, and which records a model is chosen by and reported on."""

    stages: tuple[Stage, ...]
    select: Mapping[str, Any]
    report: Mapping[str, Any]


def chosen(index: pa.Table, records: Mapping[str, Any]) -> pa.Table:
    """The rows of an index whose columns have the values of ``records``."""
    kept = np.ones(index.num_rows, bool)
    for name, value in records.items():
        kept &= np.array([cell == value for cell in index[name].to_pylist()], bool)
    return index.filter(pa.array(kept))


def even_weights(cells: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Weight by (density, view) of records: all densities total the same, so do a density's views; the mean is 1."""
    counts = Counter(cells)
    total = sum(counts.values())
    views = Counter(density for density, _ in counts)
    return {
        (density, view): total / (len(views) * views[density] * count)
        for (density, view), count in sorted(counts.items())
    }


def write_curriculum(folder: Path, curriculum: Curriculum) -> None:
    """Write ``folder/curriculum.json``."""
    content = {"format": FORMAT, "index": INDEX, "label": LABEL, **asdict(curriculum)}
    write_json(folder / NAME, content)


def read_curriculum(path: Path) -> Curriculum:
    """Read a curriculum. Raises CurriculumError where it is none, or would choose or report by synthetic records."""
    try:
        content = json.loads(path.read_text())
        if (content.pop("format"), content.pop("index"), content.pop("label")) != (FORMAT, INDEX, LABEL):
            raise CurriculumError("a curriculum of another format")
        stages = tuple(Stage(**stage) for stage in content.pop("stages"))
        found = Curriculum(stages, **content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, CurriculumError):
            raise
        raise CurriculumError("the curriculum is missing or damaged") from error
    if any(records.get("is_synthetic") is not False for records in (found.select, found.report)):
        raise CurriculumError("a model is to be chosen by and reported on real records alone")
    if found.stages and abs(sum(stage.share_of_steps for stage in found.stages) - 1) > 1e-9:
        raise CurriculumError("the stages' shares of steps do not add up to 1")
    return found

"""What can be said of an export in figures, counted from its own tables: the card and the metadata say the same."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.curate.counts import AGE_BANDS, age_band
from pipelines.curate.export.tables import batches
from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import DATASET, DENSITIES, EXCLUSIONS, LABELS, PLAN, SPLITS, VIEWS, read_table

UNSURE = 0.5
"""A label of lower confidence is called unsure."""

FEW = 100
"""Fewer training images of a density and view are called few."""

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Deidentification:
    """How the pictures' objects were de-identified: edition of PS3.15, digests of the profiles in force, the code and
    meaning (CID 7050) of each option where the profile is at hand, and the fingerprint of the pseudonym key."""

    editions: tuple[str, ...]
    profiles: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    key_fingerprint: str


@dataclass(frozen=True)
class Facts:
    """``counts``: images by split, density, view, laterality, manufacturer and age band, with the column ``images``.

    ``shape``: rows and columns of the full pictures, (0, 0) of an empty set; ``sizes``: those of the pyramid.
    ``channels``: labels by the channels that they rest on, joined by ``+``; ``statements``: what all labels rest on
    together; ``conflicts`` and ``unsure``: labels. ``excluded``: kept pictures that are not in the set, by reason.
    ``plan``: the rows of the deficit plan.
    """

    images: int
    patients: int
    studies: int
    shape: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]
    counts: pd.DataFrame
    channels: Mapping[str, int]
    statements: int
    conflicts: int
    unsure: int
    excluded: Mapping[str, int]
    plan: tuple[Mapping[str, Any], ...]

    def by(self, column: str, split: str | None = None) -> dict[str, int]:
        """Images by one column of ``counts``, of one split or of all; age bands by age, all else by name."""
        counts = self.counts if split is None else self.counts[self.counts["split"] == split]
        found = {str(name): int(n) for name, n in counts.groupby(column, sort=True)["images"].sum().items()}
        return {band: found[band] for band in _BANDS if band in found} if column == "age_band" else found

    def share(self, part: int) -> str:
        """A part of the images in words: ``12.5 %``."""
        return percent(part, self.images)

    @property
    def dense_by_maker(self) -> dict[str, tuple[int, int]]:
        """Of each manufacturer: images of density C or D, and all."""
        dense = self.counts[self.counts["density"].isin(["C", "D"])]
        found = dense.groupby("manufacturer")["images"].sum()
        return {maker: (int(found.get(maker, 0)), n) for maker, n in self.by("manufacturer").items()}

    @property
    def few(self) -> list[str]:
        """The cells of density and view that have few training images, with their number."""
        return [f"{r['density']} {r['view']}: {r['real']}" for r in self.plan if r["real"] < FEW]


def percent(part: int, whole: int) -> str:
    """A share in words, with one decimal; of nothing, 0.0 %."""
    return f"{100 * part / whole if whole else 0:.1f} %"


def count(folder: Path) -> Facts:
    """Count what an export's folder holds: its tables of images, labels, exclusions and plan, and its pictures."""
    cells: Counter[tuple[str, ...]] = Counter()
    patients: set[str] = set()
    studies: set[str] = set()
    for piece in batches(folder / "dataset.parquet", DATASET):
        patients.update(pc.unique(piece["patient"]).to_pylist())
        studies.update(pc.unique(piece["study_instance_uid"]).to_pylist())
        cells.update(_cells(piece))
    channels, statements, conflicts, unsure = _labels(folder)
    reasons: Counter[str] = Counter()
    for piece in batches(folder / "exclusions.parquet", EXCLUSIONS, ["reason"]):
        reasons.update(piece["reason"].to_pylist())
    return Facts(
        images=sum(cells.values()),
        patients=len(patients),
        studies=len(studies - {None}),
        shape=ShardReader(folder).shape,
        sizes=_sizes(folder),
        counts=pd.DataFrame([(*cell, n) for cell, n in sorted(cells.items())], columns=[*_KEYS, "images"]),
        channels=dict(sorted(channels.items(), key=lambda item: (-item[1], item[0]))),
        statements=statements,
        conflicts=conflicts,
        unsure=unsure,
        excluded=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        plan=tuple(read_table(folder / "plan.parquet", PLAN).to_pylist()),
    )


_KEYS = ("split", "density", "view", "laterality", "manufacturer", "age_band")


def _cells(piece: pa.Table) -> Counter[tuple[str, ...]]:
    """Images by the columns of ``Facts.counts``."""
    columns = ["split", "density", "view", "laterality", "vendor_group", "age"]
    found = piece.append_column("age", pc.floor(piece["patient_age"])).group_by(columns).aggregate([([], "count_all")])
    cells: Counter[tuple[str, ...]] = Counter()
    for row in found.to_pylist():
        maker = row["vendor_group"].split("|")[0]
        key = (row["split"], row["density"], row["view"], row["laterality"] or UNKNOWN, maker, age_band(row["age"]))
        cells[key] += row["count_all"]
    return cells


def _labels(folder: Path) -> tuple[Counter[str], int, int, int]:
    """Labels by channels, statements behind them, labels in conflict, unsure labels."""
    channels: Counter[str] = Counter()
    statements = conflicts = unsure = 0
    for piece in batches(folder / "labels.parquet", LABELS):
        channels.update("+".join(sorted(json.loads(text))) for text in piece["sources"].to_pylist())
        statements += sum(len(json.loads(text)) for text in piece["evidence"].to_pylist())
        conflicts += pc.sum(piece["conflict"]).as_py() or 0
        unsure += pc.sum(pc.less(piece["confidence"], UNSURE)).as_py() or 0
    return channels, statements, conflicts, unsure


def _sizes(folder: Path) -> tuple[tuple[int, int], ...]:
    stems = {path.name.split("-")[0] for path in (folder / "pyramid").glob("*.arrow")}
    return tuple(sorted(((int(rows), int(columns)) for rows, columns in (s.split("x") for s in stems)), reverse=True))


def crossed(facts: Facts, rows: str, columns: str) -> list[list[str]]:
    """Images by two columns of ``counts``, with totals: a head and a line a value, as cells of text.

    Splits, views and ages come in their own order, splits and views without gaps for those that are empty.
    """
    across = _ORDERS.get(columns) or facts.by(columns)
    table = [[rows, *across, "all"]]
    for value in _ORDERS.get(rows) or facts.by(rows):
        line = facts.counts[facts.counts[rows] == value].groupby(columns)["images"].sum()
        table.append([value, *(str(int(line.get(name, 0))) for name in across), str(int(line.sum()))])
    totals = facts.by(columns)
    return [*table, ["all", *(str(totals.get(name, 0)) for name in across), str(facts.images)]]


_ORDERS = {"split": SPLITS, "view": VIEWS, "density": DENSITIES}
_BANDS = (*(name for _, _, name in AGE_BANDS), UNKNOWN)

"""Writes the level A set: tables, training shards with the vendor curves applied, the pyramid and a contact sheet.

Kept images of level B = images of the set + exclusions, always. Pictures pass one at a time: memory does not grow with
the set. Same inputs give the same bytes.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.curate.association import measure_association
from pipelines.curate.balance import BalanceSettings, plan_balance
from pipelines.curate.contact_sheet import choose, write_sheet
from pipelines.curate.duplicates import Link
from pipelines.curate.evenness import measure_balance
from pipelines.curate.power import PowerSettings, measure_power
from pipelines.curate.pyramid import PyramidWriter
from pipelines.curate.selection import Selection, select
from pipelines.curate.splits import PROPORTIONS, Proportions
from pipelines.storage.digests import sha256_of_array, sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.pyramid import FOLDER
from pipelines.storage.shards import GRAYS, ShardWriter, apply_curve
from pipelines.storage.tables import ASSOCIATION, BALANCE, DATASET, EXCLUSIONS, PLAN, POWER, write_table
from pipelines.storage.workers import Progress, silent

THUMBNAIL_ROWS = 160


@dataclass(frozen=True)
class DatasetSettings:
    """How the level A set is made; ``shape`` is rows and columns of level B's pictures."""

    proportions: Proportions = PROPORTIONS
    balance: BalanceSettings = field(default_factory=BalanceSettings)
    power: PowerSettings = field(default_factory=PowerSettings)
    shape: tuple[int, int] = (1280, 1024)


@dataclass(frozen=True)
class DatasetSummary:
    """What was written: counts of images, by split and by density; exclusions by reason; synthetic images wanted."""

    images: int
    excluded: int
    reasons: dict[str, int]
    splits: dict[str, int]
    densities: dict[str, int]
    deficit: int
    ledger: tuple[LedgerRow, ...]


def write_dataset(
    images: pa.Table,
    labels: pa.Table,
    curves: pa.Table,
    *,
    picture: Callable[[str, str, int], np.ndarray],
    folder: Path,
    settings: DatasetSettings = DatasetSettings(),
    near: Collection[Link] = (),
    standing: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> DatasetSummary:
    """Write the level A set into ``folder`` from IMAGES (all deliveries), LABELS and VENDOR_CURVES.

    ``near`` are the near copies among the images and ``standing`` the patients' splits, as for ``select``.
    ``picture`` gives level B's picture (uint16, settings.shape, 0…4095) for a delivery, shard and row. Raises
    ShardError where a picture has another shape or a gray value above 4095.
    """
    luts = _luts(curves)
    selection = select(images, labels, settings.proportions, luts, near=near, standing=standing)
    label_digests = {row["image_id"]: sha256_of_json(row) for row in labels.to_pylist()}
    rows, ledger = _write_pictures(selection, luts, label_digests, picture, folder, settings, progress)
    plan = plan_balance(rows, settings.balance)
    dataset = DATASET.build(rows)
    write_table(folder / "dataset.parquet", DATASET, dataset)
    write_table(folder / "balance.parquet", BALANCE, measure_balance(dataset, labels))
    write_table(folder / "association.parquet", ASSOCIATION, measure_association(dataset))
    write_table(folder / "power.parquet", POWER, measure_power(rows, settings.power))
    write_table(folder / "exclusions.parquet", EXCLUSIONS, EXCLUSIONS.build(selection.exclusions))
    write_table(folder / "plan.parquet", PLAN, plan)
    return DatasetSummary(
        images=len(rows),
        excluded=len(selection.exclusions),
        reasons=dict(sorted(Counter(r["reason"] for r in selection.exclusions).items())),
        splits=dict(sorted(Counter(r["split"] for r in rows).items())),
        densities=dict(sorted(Counter(r["density"] for r in rows).items())),
        deficit=sum(plan.column("deficit").to_pylist()),
        ledger=tuple(ledger),
    )


def _write_pictures(
    selection: Selection,
    luts: dict[str, tuple[np.ndarray, str]],
    label_digests: dict[str, str],
    picture: Callable[[str, str, int], np.ndarray],
    folder: Path,
    settings: DatasetSettings,
    progress: Progress,
) -> tuple[list[dict[str, Any]], list[LedgerRow]]:
    rows: list[dict[str, Any]] = []
    ledger: list[LedgerRow] = []
    chosen = choose(selection.included)
    shown = {image_id for ids in chosen.values() for image_id in ids}
    thumbnails: dict[str, np.ndarray] = {}
    captions: dict[str, str] = {}
    with (
        ShardWriter(folder, "shard", settings.shape) as shards,
        PyramidWriter(folder / FOLDER, settings.shape) as pyramid,
    ):
        for done, row in enumerate(selection.included, start=1):
            lut, version = luts[row["vendor_group"]]
            gray = apply_curve(lut, picture(row["delivery"], row["shard"], row["shard_row"]))
            shard, shard_row = shards.append(row["image_id"], gray)
            pyramid_row, levels = pyramid.append(row["image_id"], gray)
            digest = sha256_of_array(gray)
            placed = {"picture_sha256": digest, "shard": shard, "shard_row": shard_row, "pyramid_row": pyramid_row}
            rows.append({name: value for name, value in {**row, **placed}.items() if name in _DATASET_COLUMNS})
            inputs = (
                (row["image_id"], row["picture_sha256"]),
                (f"label:{row['image_id']}", label_digests[row["image_id"]]),
                (f"vendor_curve:{row['vendor_group']}", version),
            )
            ledger.append(LedgerRow(row["image_id"], shard, digest, inputs, "harmonize"))
            if row["image_id"] in shown:
                thumbnails[row["image_id"]] = next((g for g in levels if g.shape[0] <= THUMBNAIL_ROWS), gray)
                captions[row["image_id"]] = f"{row['laterality'] or '?'} {row['view']} {row['split']}"
            progress(done, len(selection.included))
    write_sheet(folder / "contact_sheet.png", chosen, thumbnails, captions, Counter(r["density"] for r in rows))
    return rows, ledger


def _luts(curves: pa.Table) -> dict[str, tuple[np.ndarray, str]]:
    """Each vendor group's curve (uint16, 4,096 entries) and version; air, gray 0, stays 0 whatever the curve."""
    luts = {}
    for row in curves.to_pylist():
        lut = np.asarray(row["lut"], np.uint16)
        if lut.shape != (GRAYS,):
            raise ValueError("a vendor curve must have 4096 entries")
        lut[0] = 0
        luts[row["vendor_group"]] = (lut, row["version"])
    return luts


_DATASET_COLUMNS = frozenset(column.name for column in DATASET.columns)

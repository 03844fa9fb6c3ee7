"""The augmented set: the level A set and the kept synthetic pictures together, with weights and a curriculum."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.storage.curriculum import (
    FINE_TUNING,
    INDEX,
    Cells,
    Curriculum,
    Stage,
    chosen,
    even_weights,
    write_curriculum,
)
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import AUGMENTED, read_table, write_table

REAL_PUBLICATION = "level_a/dataset"
SYNTHETIC_PUBLICATION = "synthetic/images"


class AugmentedError(ValueError):
    """The set would let synthetic pictures out of training, or real ones in as synthetic."""


@dataclass(frozen=True)
class AugmentedSummary:
    """Counts of an augmented set; ``training_by_density``: density to (real, synthetic) training pictures.

    ``models``: SHA-256 of the generators that the synthetic pictures are from.
    """

    real: int
    synthetic: int
    training_by_density: Mapping[str, tuple[int, int]]
    models: tuple[str, ...]
    ledger: tuple[LedgerRow, ...]


def write_augmented(dataset: pa.Table, synthetic: pa.Table, *, folder: Path) -> AugmentedSummary:
    """Join the tables DATASET and SYNTHETIC (its kept rows) into ``augmented.parquet`` (AUGMENTED).

    Synthetic pictures are in train alone and belong to no patient. Weights in train give each density the same total,
    split evenly over its views, and average 1; in validation and test every picture weighs 1. ``curriculum.json``:
    first the synthetic pictures, then the real ones (see ``pipelines.storage.curriculum``). Raises AugmentedError where
    a synthetic picture or id is also a real one, or the written table is not as it should be.
    """
    real = dataset.to_pylist()
    kept = [row for row in synthetic.to_pylist() if row["verdict"] == "kept"]
    _tell_apart(real, kept)
    rows = [_real(row) for row in real] + [_synthetic(row) for row in kept]
    weights = even_weights((row["density"], row["view"]) for row in rows if row["split"] == "train")
    for row in rows:
        row["weight"] = weights[row["density"], row["view"]] if row["split"] == "train" else 1.0
    path = folder / INDEX
    write_table(path, AUGMENTED, AUGMENTED.build(rows))
    written = read_table(path, AUGMENTED)
    _verify(written, dataset, len(kept))
    write_curriculum(folder, curriculum_of(written))
    train = Counter((row["density"], row["is_synthetic"]) for row in rows if row["split"] == "train")
    made_from = [(row["image_id"], row["picture_sha256"]) for row in real]
    made_from += [(row["synthetic_id"], row["picture_sha256"]) for row in kept]
    digest = sha256_of_file(path)
    return AugmentedSummary(
        real=len(real),
        synthetic=len(kept),
        training_by_density={d: (train[d, False], train[d, True]) for d in sorted({d for d, _ in train})},
        models=tuple(sorted({row["model_sha256"] for row in kept})),
        ledger=(LedgerRow(f"augmented-{digest[:16]}", path.name, digest, tuple(sorted(made_from)), "augment"),),
    )


def curriculum_of(augmented: pa.Table) -> Curriculum:
    """Pre-training on synthetic pictures, whose labels are weak, then fine-tuning on real ones; without the first where
    there is none."""
    stages = []
    for name, is_synthetic, labels, share, rate in (
        ("pre-train", True, "weak", 1 - FINE_TUNING, 1.0),
        ("fine-tune", False, "read", FINE_TUNING, FINE_TUNING),
    ):
        records = {"split": "train", "is_synthetic": is_synthetic}
        rows = chosen(augmented, records)
        cells = list(zip(rows["density"].to_pylist(), rows["view"].to_pylist(), strict=True))
        if cells:
            images, weights = _cells(Counter(cells)), _cells(even_weights(cells))
            stages.append(Stage(name, records, labels, share, rate, images, weights))
    if len(stages) == 1:
        (alone,) = stages
        stages = [Stage(alone.name, alone.records, alone.labels, 1.0, 1.0, alone.images, alone.weights)]
    select, report = ({"split": split, "is_synthetic": False} for split in ("validation", "test"))
    return Curriculum(tuple(stages), select, report)


def _cells(values: Mapping[tuple[str, str], float]) -> Cells:
    found: dict[str, dict[str, float]] = {}
    for (density, view), value in sorted(values.items()):
        found.setdefault(density, {})[view] = value
    return found


def _tell_apart(real: list[dict[str, Any]], kept: list[dict[str, Any]]) -> None:
    """Raise AugmentedError where a synthetic picture is a real one by its id or by its bytes."""
    for name, own in (("image_id", "synthetic_id"), ("picture_sha256", "picture_sha256")):
        both = {row[name] for row in real} & {row[own] for row in kept}
        if both:
            raise AugmentedError(f"{len(both)} synthetic pictures have the {name} of a real one")


def _verify(written: pa.Table, dataset: pa.Table, kept: int) -> None:
    """Raise AugmentedError where a synthetic picture is outside of training, or a real one not where it was."""
    synthetic = chosen(written, {"is_synthetic": True})
    if synthetic.num_rows != kept or set(synthetic["split"].to_pylist()) - {"train"}:
        raise AugmentedError("synthetic pictures are missing, or outside of the training split")
    if set(synthetic["patient"].to_pylist()) - {None}:
        raise AugmentedError("a synthetic picture belongs to a patient")
    held = chosen(written, {"is_synthetic": False})
    places = ({*zip(*(table[c].to_pylist() for c in ("image_id", "split")), strict=True)} for table in (held, dataset))
    if len({frozenset(place) for place in places}) != 1:
        raise AugmentedError("a real picture is missing, or in another split than it was")


def _real(row: Mapping[str, Any]) -> dict[str, Any]:
    same = ("image_id", "patient", "density", "view", "split", "picture_sha256", "shard", "shard_row")
    return {name: row[name] for name in same} | {"is_synthetic": False, "publication": REAL_PUBLICATION}


def _synthetic(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("density", "view", "picture_sha256", "shard", "shard_row")} | {
        "image_id": row["synthetic_id"],
        "is_synthetic": True,
        "patient": None,
        "split": "train",
        "publication": SYNTHETIC_PUBLICATION,
    }

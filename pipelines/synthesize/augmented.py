"""The augmented set: the level A set and the kept synthetic pictures together, with sampling weights."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.storage.digests import sha256_of_file
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import AUGMENTED, write_table

REAL_PUBLICATION = "level_a/dataset"
SYNTHETIC_PUBLICATION = "synthetic/images"


@dataclass(frozen=True)
class AugmentedSummary:
    """Counts of an augmented set; ``training_by_density``: density to (real, synthetic) training pictures."""

    real: int
    synthetic: int
    training_by_density: Mapping[str, tuple[int, int]]
    ledger: tuple[LedgerRow, ...]


def write_augmented(dataset: pa.Table, synthetic: pa.Table, *, folder: Path) -> AugmentedSummary:
    """Join the tables DATASET and SYNTHETIC (its kept rows) into ``augmented.parquet`` (AUGMENTED).

    Synthetic pictures are in train alone and belong to no patient. Weights in train give each density the same total,
    split evenly over its views, and average 1; in validation and test every picture weighs 1.
    """
    real = dataset.to_pylist()
    kept = [row for row in synthetic.to_pylist() if row["verdict"] == "kept"]
    rows = [_real(row) for row in real] + [_synthetic(row) for row in kept]
    weights = _weights([row for row in rows if row["split"] == "train"])
    for row in rows:
        row["weight"] = weights[row["density"], row["view"]] if row["split"] == "train" else 1.0
    path = folder / "augmented.parquet"
    write_table(path, AUGMENTED, AUGMENTED.build(rows))
    train = Counter((row["density"], row["is_synthetic"]) for row in rows if row["split"] == "train")
    made_from = [(row["image_id"], row["picture_sha256"]) for row in real]
    made_from += [(row["synthetic_id"], row["picture_sha256"]) for row in kept]
    digest = sha256_of_file(path)
    return AugmentedSummary(
        real=len(real),
        synthetic=len(kept),
        training_by_density={d: (train[d, False], train[d, True]) for d in sorted({d for d, _ in train})},
        ledger=(LedgerRow(f"augmented-{digest[:16]}", path.name, digest, tuple(sorted(made_from)), "augment"),),
    )


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


def _weights(train: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Weight per (density, view): all densities total the same, so do a density's views, and the mean is 1."""
    counts = Counter((row["density"], row["view"]) for row in train)
    views = Counter(density for density, _ in counts)
    return {
        (density, view): len(train) / (len(views) * views[density] * count) for (density, view), count in counts.items()
    }

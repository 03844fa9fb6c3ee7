"""Toy level A folders: bright half-discs whose inner disc grows with the density; muscle corner in MLO."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.storage.digests import sha256_of_array
from pipelines.storage.pyramid import FOLDER, level_name
from pipelines.storage.shards import ShardWriter
from pipelines.storage.tables import DATASET, DENSITIES, write_table

DatasetMaker = Callable[..., Path]


def draw(density: str, view: str, rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A toy breast, uint16 (rows, columns)."""
    y, x = np.mgrid[0 : 1 : complex(rows), 0 : columns / rows : complex(columns)]
    center, radius = rng.uniform(0.45, 0.55), rng.uniform(0.36, 0.44)
    distance = np.hypot(y - center, x) / radius
    dense = 0.2 + 0.2 * DENSITIES.index(density)
    picture = np.select([distance < dense, distance < 0.9, distance < 1], [3100, 900, 1300], 0)
    if view == "MLO":
        picture = np.where(x + y < 0.25, 2600, picture)
    return picture.astype(np.uint16)


def make_dataset(
    folder: Path,
    *,
    train: dict[str, int],
    validation: int = 4,
    levels: int = 3,
    views: tuple[str, ...] = ("CC", "MLO"),
) -> Path:
    """Write a level A folder with a pyramid of ``levels`` levels (level 9 is not written)."""
    rng = np.random.default_rng(5)
    wanted = [(density, "train") for density, count in train.items() for _ in range(count)]
    wanted += [(list(train)[i % len(train)], "validation") for i in range(validation)]
    top = (5 << (levels - 1), 4 << (levels - 1))
    rows, pictures = [], []
    for index, (density, split) in enumerate(wanted):
        view = views[index % len(views)]
        picture = draw(density, view, rng, *top)
        pictures.append(picture)
        rows.append(
            {
                "image_id": f"I-{index:04d}",
                "delivery": "D-1",
                "patient": f"P-{index:04d}",
                "cluster": f"P-{index:04d}",
                "view": view,
                "density": density,
                "confidence": 1.0,
                "vendor_group": "V",
                "split": split,
                "picture_sha256": sha256_of_array(picture),
                "shard": "shard-00000.arrow",
                "shard_row": index,
                "pyramid_row": index,
            }
        )
    for level in range(levels, 0, -1):
        height, width = 5 << (level - 1), 4 << (level - 1)
        with ShardWriter(folder / FOLDER, level_name((height, width)), (height, width), mapped_rows=16) as writer:
            for row, picture in zip(rows, pictures, strict=True):
                writer.append(row["image_id"], np.rint(picture).astype(np.uint16))
        if level > 1:
            pictures = [p.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for p in pictures]
    write_table(folder / "dataset.parquet", DATASET, DATASET.build(rows))
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training images (A 4, B 10, C 8, D 2), 4 validation images, levels up to 20×16."""
    return make_dataset(tmp_path_factory.mktemp("dataset"), train={"A": 4, "B": 10, "C": 8, "D": 2})


@pytest.fixture
def dataset_maker(tmp_path: Path) -> DatasetMaker:
    """Makes a toy level A folder of the counts asked for."""

    def make(**options: object) -> Path:
        return make_dataset(tmp_path / "dataset", **options)  # type: ignore[arg-type]

    return make

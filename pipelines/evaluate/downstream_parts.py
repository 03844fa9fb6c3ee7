"""The pictures that the worth of training sets is measured with, brought to one size."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from pipelines.evaluate.classifier import Cohort
from pipelines.evaluate.downstream import Part
from pipelines.storage.pyramid import Pyramid
from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import DENSITIES, SPLITS


def real_parts(dataset: pa.Table, folder: Path, shape: tuple[int, int]) -> dict[str, Part]:
    """The splits of a level A set (DATASET) at a size that its pyramid holds. Raises ShardError."""
    pyramid = Pyramid(folder)
    parts = {}
    for split in SPLITS:
        rows = dataset.filter(pa.compute.equal(dataset["split"], split))
        pictures = pyramid.take(rows, shape)
        parts[split] = Part(
            rows["image_id"].to_pylist(),
            rows["picture_sha256"].to_pylist(),
            Cohort(pictures, _classes(rows)),
            np.array(rows["cluster"].to_pylist(), object),
        )
    return parts


def synthetic_part(
    augmented: pa.Table, publication: Callable[[str], Path], wanted: tuple[int, int]
) -> tuple[tuple[int, int], Part]:
    """The synthetic pictures of an augmented set (AUGMENTED) at the wanted size, or at their own where that is smaller;
    the size comes first. ``publication`` tells where one lies. Raises ShardError."""
    rows = augmented.filter(augmented["is_synthetic"])
    places: dict[str, list[tuple[str, int]]] = {}
    for name, shard, row in zip(*(rows[c].to_pylist() for c in ("publication", "shard", "shard_row")), strict=True):
        places.setdefault(name, []).append((shard, row))
    readers = {name: ShardReader(publication(name)) for name in places}
    shape = wanted
    for name, first in places.items():
        own = readers[name].shard(first[0][0]).shape
        shape = min(shape, (own[0], own[1]))
    pictures = np.empty((rows.num_rows, *shape), np.uint16)
    for row, picture in zip(rows.to_pylist(), pictures, strict=True):
        large = readers[row["publication"]].read(row["shard"], row["shard_row"])
        picture[:] = cv2.resize(large, shape[::-1], interpolation=cv2.INTER_AREA)
    ids = rows["image_id"].to_pylist()
    cohort = Cohort(pictures, _classes(rows))
    return shape, Part(ids, rows["picture_sha256"].to_pylist(), cohort, np.array(ids, object))


def _classes(rows: pa.Table) -> np.ndarray:
    return np.array([DENSITIES.index(density) for density in rows["density"].to_pylist()], np.int64)

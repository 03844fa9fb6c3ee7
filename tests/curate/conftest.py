"""A small level B: pictures of 80×64 in memory, their tables, labels and curves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from pipelines.storage.digests import sha256_of_array
from pipelines.storage.tables import IMAGES, LABELS, VENDOR_CURVES

SHAPE = (80, 64)
GROUPS = ("Hologic|Dimensions|FOR PRESENTATION|lossless", "GE|Pristina|FOR PRESENTATION|lossy")


@dataclass
class LevelB:
    images: pa.Table
    labels: pa.Table
    curves: pa.Table
    pictures: dict
    picture: Callable[[str, str, int], np.ndarray]


def a_picture(number):
    values = np.random.default_rng(number).integers(0, 4096, SHAPE).astype(np.uint16)
    values[:, 40:] = 0  # air
    return values


def build(rows):
    """A level B of rows, each {patient, delivery, density, view …}; a row's ``number`` is what its picture shows."""
    images, labels, pictures, seen = [], [], {}, {}
    for n, row in enumerate(rows):
        row = {"patient": "P-1", "delivery": "D-1", "density": "B", "view": "CC", "number": n, **row}
        picture = a_picture(row["number"])
        place = seen.get(row["delivery"], 0)
        seen[row["delivery"]] = place + 1
        pictures[row["delivery"], "shard-00000.arrow", place] = picture
        image_id = row.get("image_id", f"2.25.{100 + n}")
        images.append(
            {
                "image_id": image_id,
                "delivery": row["delivery"],
                "file_id": f"F-{n:03d}",
                "object_sha256": "0",
                "status": row.get("status", "kept"),
                "reason": row.get("reason"),
                "patient": row["patient"],
                "laterality": row.get("laterality", "L"),
                "view": row["view"],
                "vendor_group": row.get("vendor_group", GROUPS[n % 2]),
                "patient_age": row.get("age", 55.0),
                "shard": "shard-00000.arrow",
                "shard_row": place,
                "picture_sha256": sha256_of_array(picture),
                "pixel_digest": row.get("pixels", sha256_of_array(picture)),
            }
        )
        labels.append(
            {
                "image_id": image_id,
                "patient": row["patient"] or "",
                "density": row["density"],
                "confidence": 1.0 if row["density"] else None,
                "sources": "[]",
                "evidence": "[]",
                "conflict": False,
            }
        )
    curves = [
        {
            "vendor_group": group,
            "images": 1,
            "training_images": 1,
            "labeled_images": 1,
            "fitted_on": "group",
            "lut": [min(4095, 7 + value // (n + 1)) for value in range(4096)],
            "version": "v" * 64,
        }
        for n, group in enumerate(GROUPS)
    ]
    unique = {label["image_id"]: label for label in reversed(labels)}
    return LevelB(
        IMAGES.build(images),
        LABELS.build(unique.values()),
        VENDOR_CURVES.build(curves),
        pictures,
        lambda delivery, shard, row: pictures[delivery, shard, row],
    )


@pytest.fixture(name="build")
def the_builder():
    """Builds a level B from rows."""
    return build


@pytest.fixture
def level_b():
    """25 patients with four pictures each, of densities in turn."""
    return build(
        {
            "patient": f"P-{p:02d}",
            "density": "ABBCCCD"[p % 7],
            "view": view,
            "laterality": side,
            "delivery": f"D-{p % 2}",
            "age": 35.0 + p,
        }
        for p in range(25)
        for side in "LR"
        for view in ("CC", "MLO")
    )

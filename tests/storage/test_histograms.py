"""Breast histograms are read in batches, row by row what the table holds."""

import numpy as np
import pyarrow as pa

from pipelines.storage.histograms import LEVELS, breast_histograms
from pipelines.storage.tables import IMAGES


def table(histograms: list[list[int] | None]) -> pa.Table:
    rows = [
        {
            "file_id": f"F{n:04d}",
            "image_id": f"I{n:04d}",
            "delivery": "D",
            "object_sha256": "0",
            "status": "kept",
            "breast_histogram": histogram,
        }
        for n, histogram in enumerate(histograms)
    ]
    return IMAGES.build(rows)


def test_wanted_rows_come_in_order_and_whole() -> None:
    made = [np.random.default_rng(n).integers(0, 50, LEVELS) for n in range(600)]
    images = pa.concat_tables([table([h.tolist() for h in made[:290]]), table([h.tolist() for h in made[290:]])])
    wanted = np.arange(600) % 3 != 1
    found = list(breast_histograms(images, wanted))
    assert max(len(rows) for rows, _ in found) <= 256
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in found]), np.flatnonzero(wanted))
    np.testing.assert_array_equal(np.concatenate([h for _, h in found]), np.array(made)[wanted])


def test_what_holds_no_tissue_is_left_out() -> None:
    good = [0, 3, *[0] * (LEVELS - 2)]
    images = table([None, good, [0] * LEVELS, [9, *[0] * (LEVELS - 1)], good[:-1], good])
    [(rows, histograms)] = breast_histograms(images, np.ones(6, bool))
    assert rows.tolist() == [1, 5]
    assert histograms.tolist() == [good, good]
    assert list(breast_histograms(table([]), np.ones(0, bool))) == []
    assert list(breast_histograms(images, np.zeros(6, bool))) == []

"""Reads the breast histograms of level_b.images in batches, so that memory does not grow with the set."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LEVELS = 4096
"""Gray values, and bins of a histogram."""

_BATCH = 256


def breast_histograms(
    images: pa.Table, wanted: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """The histograms of the ``wanted`` rows (bool, one for each row of the table), in the table's order.

    Yields row numbers (n,) and histograms (n, 4096), n ≤ 256. Rows without a histogram of 4,096 bins, or with nothing
    in it but air (gray 0), are left out.
    """
    first = 0
    for batch in images.select(["breast_histogram"]).to_batches(max_chunksize=_BATCH):
        column = batch.column(0)
        is_whole = pc.fill_null(pc.equal(pc.list_value_length(column), LEVELS), False).to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(is_whole & wanted[first : first + len(batch)])
        histograms = column.take(pa.array(rows)).flatten().to_numpy().reshape(-1, LEVELS).astype(np.float64)
        is_tissue = histograms[:, 1:].sum(axis=1) > 0
        if is_tissue.any():
            yield first + rows[is_tissue], histograms[is_tissue]
        first += len(batch)

"""Cramér's V between label and vendor: a set in which the vendor tells the density teaches the vendor.

Corrected for bias after Bergsma 2013 (J. Korean Stat. Soc. 42:323), without which a small or fine table looks
associated where nothing is. One woman's images are no independent witnesses: a patient cluster counts as one, whose
images share it. The interval is a bootstrap over clusters. Since what is drawn twice looks associated, the draws are
moved by how far their mean lies from the figure.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from pipelines.storage.tables import ASSOCIATION, SPLITS

RESAMPLES = 1000


def cramers_v(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bias-corrected V of contingency tables (…, rows, columns), of counts or of sums of shares.

    NaN where fewer than two rows or columns occur.
    """
    n = counts.sum(axis=(-2, -1))
    rows, columns = counts.sum(-1, keepdims=True), counts.sum(-2, keepdims=True)
    r, k = ((margin > 0).sum(axis=(-2, -1)) for margin in (rows, columns))
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = rows * columns / n[..., None, None]
        phi = np.where(expected > 0, (counts - expected) ** 2 / expected, 0.0).sum(axis=(-2, -1)) / n
        phi = np.maximum(0.0, phi - (k - 1) * (r - 1) / (n - 1))
        rows_left, columns_left = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
        v = np.sqrt(phi / (np.minimum(rows_left, columns_left) - 1))
    return np.where((r > 1) & (k > 1) & (n > 1), np.minimum(v, 1.0), np.nan)


def measure_association(dataset: pa.Table, resamples: int = RESAMPLES) -> pa.Table:
    """The table of ASSOCIATION, from DATASET: density against manufacturer, in each split and in all."""
    frame = dataset.select(["cluster", "split", "density", "vendor_group"]).to_pandas()
    frame["manufacturer"] = [group.split("|")[0] for group in frame["vendor_group"]]
    return ASSOCIATION.build(
        _row(frame if split == "*" else frame[frame["split"] == split], split, resamples) for split in (*SPLITS, "*")
    )


def _row(frame: pd.DataFrame, split: str, resamples: int) -> dict[str, object]:
    cluster, _ = pd.factorize(frame["cluster"], sort=True)
    density, densities = pd.factorize(frame["density"], sort=True)
    maker, makers = pd.factorize(frame["manufacturer"], sort=True)
    clusters = int(cluster.max(initial=-1)) + 1
    found: dict[str, object] = {"split": split, "images": len(frame), "clusters": clusters}
    shape = (len(densities), len(makers))
    cell = density * max(1, shape[1]) + maker
    share = 1 / np.bincount(cluster, minlength=clusters)[cluster]
    whole = np.bincount(cell, share, shape[0] * shape[1]).astype(np.float64).reshape(shape)
    v = float(cramers_v(whole)) if len(frame) else float("nan")
    if np.isnan(v):
        return found | {"v": None, "v_low": None, "v_high": None}
    shares = coo_array((share, (cluster, cell)), shape=(clusters, whole.size)).tocsr()
    drawn = cramers_v(_resampled(shares, resamples).reshape(-1, *shape))
    low, high = np.clip(np.nanquantile(drawn, (0.025, 0.975)) + v - np.nanmean(drawn), 0, 1)
    return found | {"v": v, "v_low": min(v, float(low)), "v_high": max(v, float(high))}


def _resampled(shares: csr_array, resamples: int) -> NDArray[np.float64]:
    """Sums over the cells (resamples, cells) of clusters drawn with replacement, always by the same draws.

    ``shares`` (clusters, cells): the share of each cluster that lies in a cell.
    """
    clusters, cells = shares.shape
    rng = np.random.default_rng(0)
    drawn = np.empty((resamples, cells))
    for number in range(resamples):
        times = np.bincount(rng.integers(0, clusters, clusters), minlength=clusters)
        drawn[number] = shares.T @ times
    return drawn

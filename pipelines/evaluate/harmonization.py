"""What the vendor curves did: can the vendor still be told from grays, can density still be seen. A table, a picture.

Measured on patients that no curve was fitted on, as far as there are enough, and on everyone. The vendor is told from
quantiles of the breast's gray by a plain classifier, with every vendor's pictures weighted to one mix of densities: a
vendor that sees denser breasts may well be told by them, and that is no fault of the curves. Beside it stands how well
the vendor is told by mean and spread of gray alone: one curve for all pictures of a vendor can bring these together,
but not how the pictures differ among themselves, as films do by their exposure. Density is seen in the
breast's mean gray, which a curve can spoil: quantiles keep their order under any curve.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.evaluate.harmonization_picture import Look, draw_harmonization
from pipelines.evaluate.vendor_statistics import (
    Change,
    common_mix,
    density_correlation,
    is_enough,
    maker_group,
    vendor_accuracy,
)
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.histograms import LEVELS, breast_histograms
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import DENSITIES, HARMONIZATION, write_table

MOST_IMAGES = 400
"""Of a vendor's pictures no more are measured: a fixed choice by their ids, which are keyed hashes."""

QUANTILES = np.linspace(0.05, 0.95, 19)

OPERATION = "measure_harmonization"
"""The operation in the ledger."""

Reals = NDArray[np.float64]


def measure_harmonization(
    images: pa.Table, curves: pa.Table, curve_images: pa.Table, *, folder: Path
) -> tuple[LedgerRow, ...]:
    """Measure what ``curves`` (VENDOR_CURVES) do to ``images`` (IMAGES), by ``curve_images`` (CURVE_IMAGES).

    Figures that cannot be measured (one vendor, too few pictures, no densities) have no row. Writes
    ``harmonization.parquet`` and ``harmonization.png`` into ``folder``; gives the ledger's row.
    """
    luts = {row["vendor_group"]: np.asarray(row["lut"], np.float64) for row in curves.to_pylist()}
    measured, looks = _measure(images, curve_images, luts)
    version = next(iter(curves["version"].to_pylist()), "")
    rows = [
        {"measured_on": whose, "version": version, **row}
        for whose, part in (("held_out", measured.only(measured.frame["training"].eq(False))), ("everyone", measured))
        for row in _figures(part)
    ]
    table = HARMONIZATION.build(rows)
    write_table(folder / "harmonization.parquet", HARMONIZATION, table)
    draw_harmonization(folder / "harmonization.png", looks, table)
    pictures = sorted(zip(measured.frame["image_id"], measured.frame["picture_sha256"], strict=True))
    inputs = (("vendor_curves", version), *pictures)
    return (LedgerRow("harmonization", "harmonization.parquet", sha256_of_json(table.to_pylist()), inputs, OPERATION),)


@dataclass(frozen=True)
class _Measured:
    """Pictures: ``frame`` (CURVE_IMAGES and picture_sha256, a row a picture), and per row the gray's
    ``quantiles`` (n, 19) and ``brightness`` (n, 2: mean, spread), before and after the curves, as shares of the range.
    """

    frame: pd.DataFrame
    quantiles: tuple[Reals, Reals]
    brightness: tuple[Reals, Reals]

    def only(self, mask: Any) -> "_Measured":
        """The pictures of a mask (bool, one for each row)."""
        mask = np.asarray(mask, bool)
        (q, q_after), (b, b_after) = self.quantiles, self.brightness
        return _Measured(self.frame[mask], (q[mask], q_after[mask]), (b[mask], b_after[mask]))


def _measure(images: pa.Table, curve_images: pa.Table, luts: dict[str, Reals]) -> tuple[_Measured, list[Look]]:
    """Features of every picture of a known patient whose group has a curve, and the mean histogram of each group."""
    known = curve_images.to_pandas().astype(object).set_index("file_id")
    known = known[known["patient"].notna() & known["vendor_group"].isin(luts)]
    frame = images.select(["file_id", "picture_sha256"]).to_pandas().astype(object).join(known, on="file_id")
    wanted = frame["image_id"].notna().to_numpy()
    levels = np.arange(LEVELS, dtype=np.float64)
    sums = {name: np.zeros(LEVELS) for name in luts}
    counts = dict.fromkeys(luts, 0)
    numbers: list[int] = []
    parts: list[tuple[Reals, Reals, Reals, Reals]] = []
    for rows, histograms in breast_histograms(images, wanted):
        totals = histograms.sum(axis=1)
        cumulative = histograms.cumsum(axis=1) / totals[:, None]
        for n, name in enumerate(frame["vendor_group"].iloc[rows]):
            lut, at = luts[name], np.searchsorted(cumulative[n], QUANTILES)
            parts.append((levels[at], lut[at], _brightness(histograms[n], levels), _brightness(histograms[n], lut)))
            sums[name] += histograms[n] / totals[n]
            counts[name] += 1
        numbers.extend(rows.tolist())
    columns = [np.array(part, np.float64) / (LEVELS - 1) for part in zip(*parts, strict=True)] or [np.empty((0, 2))] * 4
    looks = [Look(name, luts[name], sums[name] / counts[name], counts[name]) for name in sorted(luts) if counts[name]]
    return _Measured(frame.iloc[numbers], (columns[0], columns[1]), (columns[2], columns[3])), looks


def _brightness(histogram: Reals, lut: Reals) -> Reals:
    """Mean and spread (standard deviation) of gray after a curve; sums of whole numbers, so that ties stay ties."""
    total = histogram.sum()
    mean = histogram @ lut / total
    return np.array([mean, np.sqrt(histogram @ (lut - mean) ** 2 / total)])


def _figures(measured: _Measured) -> Iterator[dict[str, Any]]:
    """The rows of every figure that can be measured."""
    measured = _by_vendor(measured)
    yield from _vendor_rows(measured)
    labeled = measured.only(measured.frame["density"].notna())
    several = labeled.frame.groupby("vendor")["density"].nunique() > 1
    labeled = labeled.only(is_enough(labeled.frame, "vendor") & labeled.frame["vendor"].map(several).eq(True))
    if len(labeled.frame):
        ranks = np.array([DENSITIES.index(d) for d in labeled.frame["density"]], np.float64)
        vendors, patients = (labeled.frame[name].to_numpy(object) for name in ("vendor", "patient"))
        grays = labeled.brightness[0][:, 0], labeled.brightness[1][:, 0]
        found = density_correlation(grays, ranks, vendors, patients)
        yield from (_row("density_within", name, labeled.frame, change) for name, change in found.items())
        found = density_correlation(grays, ranks, np.full(len(ranks), "*", object), patients)
        yield _row("density_across", "*", labeled.frame, found["*"])


def _vendor_rows(measured: _Measured) -> Iterator[dict[str, Any]]:
    """The rows of how the vendor is told, at a common mix of densities where enough pictures are left then."""
    count = measured.frame["vendor"].nunique()
    if count < 2:
        return
    density = measured.frame["density"].astype(object)
    weights = common_mix(measured.frame["vendor"].to_numpy(object), density.where(density.notna(), None).to_numpy())
    mixed = measured.only(weights > 0)
    is_mixed = mixed.frame["vendor"].nunique() == count and bool(is_enough(mixed.frame, "vendor").all())
    part, weights = (mixed, weights[weights > 0]) if is_mixed else (measured, np.ones(len(weights)))
    vendors, patients = (part.frame[name].to_numpy(object) for name in ("vendor", "patient"))
    facts = {"at_common_mix": is_mixed, "chance": 1 / count}
    for figure, features in (("vendor_accuracy", part.quantiles), ("vendor_by_brightness", part.brightness)):
        for name, change in vendor_accuracy(features, vendors, patients, weights).items():
            yield _row(figure, name, part.frame, change) | facts


def _by_vendor(measured: _Measured) -> _Measured:
    """The pictures of the vendors with enough of them, named in the column ``vendor``.

    A vendor is a vendor group, or, where fewer than two groups are large enough, all of a maker's with one intent.
    """
    groups = measured.frame["vendor_group"]
    for vendor in (groups, groups.map(maker_group)):
        frame = measured.frame.assign(vendor=vendor)
        enough = is_enough(frame, "vendor")
        if frame.loc[enough, "vendor"].nunique() >= 2:
            break
    named = _Measured(frame, measured.quantiles, measured.brightness).only(enough)
    order = named.frame.groupby("vendor")["image_id"].rank()
    return named.only(order <= MOST_IMAGES)


def _row(figure: str, name: str, frame: pd.DataFrame, change: Change) -> dict[str, Any]:
    own = frame if name == "*" else frame[frame["vendor"] == name]
    row: dict[str, Any] = {
        "figure": figure,
        "vendor_group": name,
        "images": len(own),
        "patients": own["patient"].nunique(),
    }
    for when in ("before", "after", "change"):
        estimate = getattr(change, when)
        row |= {when: estimate.value, f"{when}_low": estimate.low, f"{when}_high": estimate.high}
    return row

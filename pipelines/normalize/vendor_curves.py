"""One gray curve per vendor group: vendors' looks are taken out of the pictures, density is left in.

Each group's breast histograms are pooled over training patients and compared with the other groups' at one mix of the
densities A–D (so that a vendor that sees denser breasts is not made to look paler); see ``curve_fitting``. A curve is
the same for all pictures of its group; no picture is scaled to itself.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.normalize.curve_fitting import Pool, empty_pool, fit
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.histograms import LEVELS, breast_histograms
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import CURVE_IMAGES, DENSITIES, VENDOR_CURVES, write_table

LEAST_IMAGES = 50
"""A group with fewer training images has no curve of its own: it takes its parent's."""

LEAST_OF_PARENT = 12
"""A parent with fewer training images has no curve: its groups keep their grays.

Lower than LEAST_IMAGES, since it decides between a rough curve and none. On pretend pictures of five vendors, told
apart at 0.77 without curves where chance is 0.20: 0.32 with curves from 8 pictures of each (2 women), 0.27 from 16,
0.24 from 48, 0.20 from 160 (benchmarks/harmonize.py).
"""

OPERATION = "fit_vendor_curves"
"""The operation in the ledger."""


@dataclass(frozen=True)
class CurvesSummary:
    """How each group's curve came about (``group``, ``parent`` or ``identity``), the version, the ledger's rows."""

    groups: dict[str, str]
    version: str
    ledger: tuple[LedgerRow, ...]


def fit_vendor_curves(
    images: pa.Table,
    density_of: Mapping[str, str],
    is_training: Callable[[str], bool],
    *,
    folder: Path,
) -> CurvesSummary:
    """Fit a curve for every vendor group among the kept images (level_b.images).

    ``density_of`` gives the density A…D by image_id, as far as known; ``is_training`` tells by patient pseudonym
    whether a picture may be learned from. A group with fewer than ``LEAST_IMAGES`` training images takes the curve of
    its parent (its manufacturer's groups of the same intent together, else all groups of the same intent), and keeps
    its grays where these have fewer than ``LEAST_OF_PARENT``. So does a large group that cannot be compared with any
    other (``curve_fitting.compare``).
    Writes ``vendor_curves.parquet``, ``curve_images.parquet`` (what was learned from) and ``curves.png`` into
    ``folder``.
    """
    cohort = _cohort(images, density_of, is_training)
    groups = _gather(images, cohort)
    rows = list(_curve_rows(groups, cohort["vendor_group"].value_counts().to_dict()))
    version = sha256_of_json([[row["vendor_group"], row["lut"]] for row in rows])
    for row in rows:
        row["version"] = version
    write_table(folder / "vendor_curves.parquet", VENDOR_CURVES, VENDOR_CURVES.build(rows))
    known = cohort.drop(columns="picture_sha256").astype(object)
    learned = known.where(known.notna(), None).to_dict("records")
    write_table(folder / "curve_images.parquet", CURVE_IMAGES, CURVE_IMAGES.build(learned))
    _draw(folder / "curves.png", rows)
    fitted = cohort[cohort["fitted"]]
    inputs = tuple(sorted(zip(fitted["image_id"], fitted["picture_sha256"], strict=True)))
    return CurvesSummary(
        {row["vendor_group"]: row["fitted_on"] for row in rows}, version, tuple(_ledger(rows, version, inputs))
    )


def _curve_rows(groups: dict[str, Pool], sizes: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Rows of VENDOR_CURVES without their version; ``sizes`` counts each group's images, training or not."""
    source_of, pools, curves = _fit(groups)
    for name, source in source_of.items():
        pool = pools[source] if source else empty_pool()
        curve = curves[source] if source else np.arange(LEVELS, dtype=np.float64)
        yield {
            "vendor_group": name,
            "images": sizes[name],
            "training_images": pool.images,
            "labeled_images": int(pool.counts[:-1].sum()),
            "fitted_on": "identity" if source is None else "group" if source == name else "parent",
            "lut": np.rint(curve).clip(0, LEVELS - 1).astype(np.uint16).tolist(),
        }


def _ledger(rows: list[dict[str, Any]], version: str, inputs: tuple[tuple[str, str], ...]) -> Iterator[LedgerRow]:
    """The fit as a whole, made from pictures, and each curve, made by the fit."""
    fitted = LedgerRow("vendor_curves", "vendor_curves.parquet", version, inputs, OPERATION)
    yield fitted
    for row in rows:
        yield LedgerRow(
            f"vendor_curve:{row['vendor_group']}", fitted.path, version, ((fitted.output, version),), OPERATION
        )


def _cohort(images: pa.Table, density_of: Mapping[str, str], is_training: Callable[[str], bool]) -> pd.DataFrame:
    """The kept images of a known vendor group, each once though it be delivered twice; indexed by the table's rows."""
    columns = ["file_id", "image_id", "status", "patient", "vendor_group", "picture_sha256"]
    frame = images.select(columns).to_pandas()
    frame = frame[(frame["status"] == "kept") & frame["vendor_group"].notna()].drop(columns="status")
    frame = frame.sort_values(["image_id", "file_id"]).drop_duplicates("image_id")
    training = {patient for patient in frame["patient"].dropna().unique() if is_training(patient)}
    density = frame["image_id"].map(lambda image_id: density_of.get(image_id))
    frame["density"] = density.where(density.isin(DENSITIES), None)
    frame["training"] = frame["patient"].isin(training)
    frame["fitted"] = False
    return frame.sort_index()


def _gather(images: pa.Table, cohort: pd.DataFrame) -> dict[str, Pool]:
    """Pool the training images' histograms by vendor group, in the order of names, and note which are ``fitted``.

    Histograms count as shares, so that large breasts do not outvote small ones. Black pixels of the breast count: a
    window that clips the skin line shifts every quantile above it.
    """
    groups = {name: empty_pool() for name in sorted(cohort["vendor_group"].unique())}
    wanted = np.zeros(images.num_rows, bool)
    wanted[cohort.index[cohort["training"]]] = True
    for numbers, histograms in breast_histograms(images, wanted):
        shares = histograms / histograms.sum(axis=1, keepdims=True)
        cohort.loc[numbers, "fitted"] = True
        batch = cohort.loc[numbers].reset_index()
        for (name, density), rows in batch.groupby(["vendor_group", batch["density"].fillna("")]).groups.items():
            at = DENSITIES.index(density) if density else len(DENSITIES)
            groups[name].sums[at] += shares[rows].sum(axis=0)
            groups[name].counts[at] += len(rows)
    return groups


def _parents_of(name: str) -> tuple[str, ...]:
    """The parents of a vendor group, the nearest first: same manufacturer and intent, then same intent."""
    parts = name.split("|")
    maker, intent = parts[0], parts[-2] if len(parts) == 4 else "unknown"
    return (f"{maker}|*|{intent}|*",) * (maker != "unknown") + (f"*|*|{intent}|*",)


def _fit(groups: dict[str, Pool]) -> tuple[dict[str, str | None], dict[str, Pool], dict[str, np.ndarray]]:
    """The pool that gives each group its curve (None: no curve), the pools by name, and their curves.

    The common look is that of the groups large enough; where there is none, that of the manufacturers, or else of the
    intents.
    """
    parents: dict[str, Pool] = {}
    for name, pool in groups.items():
        for parent in _parents_of(name):
            parents[parent] = parents.get(parent, empty_pool()) + pool
    pools = {name: pool for name, pool in groups.items() if pool.images >= LEAST_IMAGES}
    pools |= {name: pool for name, pool in sorted(parents.items()) if pool.images >= LEAST_OF_PARENT}
    names = list(pools)
    tiers = [name in groups for name in names], [not name.startswith("*|*|") for name in names], [True for _ in names]
    references = next((np.flatnonzero(tier).tolist() for tier in tiers if any(tier)), [])
    fitted = zip(names, fit(list(pools.values()), references), strict=True)
    curves = {name: curve for name, curve in fitted if curve is not None}
    sought = {name: (name,) if name in pools else _parents_of(name) for name in groups}
    return {name: next((s for s in sources if s in curves), None) for name, sources in sought.items()}, pools, curves


def _draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """A picture of the curves; the same curves give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 6), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, LEVELS - 1], [0, LEVELS - 1], color="0.8", linewidth=1)
    for number, row in enumerate(rows):
        label = f"{row['vendor_group']} ({row['training_images']}, {row['fitted_on']})"
        axes.plot(row["lut"], label=label.replace("$", ""), linewidth=1.3, color=f"C{number % 10}")
    axes.set(xlabel="gray before", ylabel="gray after", xlim=(0, LEVELS - 1), ylim=(0, LEVELS - 1))
    axes.set_title("Vendor curves")
    if rows:
        axes.legend(fontsize=6, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})

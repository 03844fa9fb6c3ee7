"""One gray curve per vendor group: vendors' looks are taken out of the pictures, density is left in.

Each group's breast histograms are pooled over training patients, re-weighted to an equal mix of the densities A–D (so
that a vendor that sees denser breasts is not made to look paler), and mapped by quantiles onto the reference: the
groups' equally weighted mean. A curve is the same for all pictures of its group; no picture is scaled to itself.
Source: histogram matching after Nyúl & Udupa 1999, with groups in the place of pictures.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.storage.digests import sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import DENSITIES, VENDOR_CURVES, write_table

LEVELS = 4096
"""Gray values."""

LEAST_IMAGES = 12
"""A group with fewer training images has no curve of its own."""

LEAST_PER_DENSITY = 3
"""A density with fewer training images in a group is as good as missing there."""

OPERATION = "fit_vendor_curves"
"""The operation in the ledger."""

_KNOTS = np.concatenate([[0.0005, 0.001, 0.0025, 0.005], np.linspace(0.01, 0.99, 99), [0.995, 0.9975, 0.999, 0.9995]])


@dataclass(frozen=True)
class CurvesSummary:
    """How each group's curve came about (``group``, ``parent`` or ``identity``), the version, the ledger's rows."""

    groups: dict[str, str]
    version: str
    ledger: tuple[LedgerRow, ...]


@dataclass
class _Group:
    """A vendor group under way: histograms summed per density (None: not known), and the images behind them."""

    images: int = 0
    inputs: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str | None, int] = field(default_factory=dict)
    sums: dict[str | None, np.ndarray] = field(default_factory=dict)

    def add(self, density: str | None, histogram: np.ndarray) -> None:
        """Add a picture's histogram, as shares, so that large breasts do not outvote small ones."""
        self.counts[density] = self.counts.get(density, 0) + 1
        self.sums[density] = self.sums.get(density, np.zeros(LEVELS)) + histogram / histogram.sum()

    def joined(self, other: "_Group") -> None:
        """Take over another group's histograms."""
        for density, total in other.sums.items():
            self.counts[density] = self.counts.get(density, 0) + other.counts[density]
            self.sums[density] = self.sums.get(density, np.zeros(LEVELS)) + total

    def mean(self, densities: Iterable[str]) -> np.ndarray | None:
        """Mean histogram at an equal mix of the densities given; None where one is missing or none is given."""
        densities = list(densities)
        if not densities or not set(densities) <= set(self.densities()):
            return None
        return np.mean([self.sums[density] / self.counts[density] for density in densities], axis=0)

    @property
    def training(self) -> int:
        """Images that it was learned from."""
        return sum(self.counts.values())

    def densities(self) -> list[str]:
        """The densities with enough images to speak of, in order."""
        return [density for density in DENSITIES if self.counts.get(density, 0) >= LEAST_PER_DENSITY]

    def plain_mean(self) -> np.ndarray:
        """Mean histogram of all pictures as they are."""
        total: np.ndarray = np.sum(list(self.sums.values()), axis=0)
        return total / self.training


def fit_vendor_curves(
    images: pa.Table,
    density_of: Mapping[str, str],
    is_training: Callable[[str], bool],
    *,
    folder: Path,
    least_images: int = LEAST_IMAGES,
) -> CurvesSummary:
    """Fit a curve for every vendor group among the kept images (level_b.images).

    ``density_of`` gives the density A…D by image_id, as far as known; ``is_training`` tells by patient pseudonym
    whether a picture may be learned from. A group with fewer than ``least_images`` training images takes the curve
    of its parent (its manufacturer's groups of the same intent together, else all groups of the same intent), or none
    where these are too small as well.
    Writes ``vendor_curves.parquet`` and ``curves.png`` into ``folder``.
    """
    groups = _gather(images, density_of, is_training)
    parents = _parents(groups)
    large = {name: group for name, group in {**parents, **groups}.items() if group.training >= least_images}
    basis = {name: next((s for s in (name, *_parents_of(name)) if s in large), None) for name in groups}
    sources = sorted({source for source in basis.values() if source})
    luts = _fit({source: large[source] for source in sources}, [name for name in groups if name in large])
    rows: list[dict[str, Any]] = []
    for name, source in basis.items():
        rows.append(
            {
                "vendor_group": name,
                "images": groups[name].images,
                "training_images": large[source].training if source else 0,
                "fitted_on": "identity" if source is None else "group" if source == name else "parent",
                "lut": (luts[source] if source else np.arange(LEVELS)).tolist(),
            }
        )
    version = sha256_of_json([[row["vendor_group"], row["lut"]] for row in rows])
    for row in rows:
        row["version"] = version
    write_table(folder / "vendor_curves.parquet", VENDOR_CURVES, VENDOR_CURVES.build(rows))
    _draw(folder / "curves.png", rows)
    inputs = sorted(pair for group in groups.values() for pair in group.inputs)
    fit = LedgerRow("vendor_curves", "vendor_curves.parquet", version, tuple(inputs), OPERATION)
    curves = [
        LedgerRow(f"vendor_curve:{row['vendor_group']}", fit.path, version, ((fit.output, version),), OPERATION)
        for row in rows
    ]
    return CurvesSummary({row["vendor_group"]: row["fitted_on"] for row in rows}, version, (fit, *curves))


def apply_curve(picture: np.ndarray, lut: np.ndarray) -> np.ndarray:
    """A picture (uint16, 0…4095) with a curve (4,096 entries) applied; uint16, same shape."""
    return np.asarray(lut, np.uint16)[picture]


def _gather(images: pa.Table, density_of: Mapping[str, str], is_training: Callable[[str], bool]) -> dict[str, _Group]:
    """Sum the kept images' histograms by vendor group, groups and images in sorted order."""
    columns = ["image_id", "status", "patient", "vendor_group", "picture_sha256", "breast_histogram"]
    kept = images.select(columns).filter(pc.equal(images["status"], "kept")).sort_by("image_id")
    groups: dict[str, _Group] = {}
    for batch in kept.to_batches(max_chunksize=256):
        for i, name in enumerate(batch["vendor_group"].to_pylist()):
            group = groups.setdefault(name, _Group())
            group.images += 1
            patient, image_id = batch["patient"][i].as_py(), batch["image_id"][i].as_py()
            histogram = batch["breast_histogram"][i].values
            if patient is None or histogram is None or not is_training(patient):
                continue
            counts = np.asarray(histogram, np.float64)
            if counts.sum() > 0:
                density = density_of.get(image_id)
                group.add(density if density in DENSITIES else None, counts)
                group.inputs.append((image_id, batch["picture_sha256"][i].as_py()))
    return dict(sorted(groups.items()))


def _parents_of(name: str) -> tuple[str, ...]:
    """The parents of a vendor group, the nearest first: same manufacturer and intent, then same intent."""
    parts = name.split("|")
    maker, intent = parts[0], parts[-2] if len(parts) == 4 else "unknown"
    return (f"{maker}|*|{intent}|*",) * (maker != "unknown") + (f"*|*|{intent}|*",)


def _parents(groups: dict[str, _Group]) -> dict[str, _Group]:
    """The groups pooled by parent."""
    parents: dict[str, _Group] = {}
    for name, group in groups.items():
        for parent in _parents_of(name):
            parents.setdefault(parent, _Group()).joined(group)
    return parents


def _fit(sources: dict[str, _Group], names: list[str]) -> dict[str, np.ndarray]:
    """A curve for each source onto the reference: the mean of the named ones (all where none is named)."""
    reference = [sources[name] for name in names] or list(sources.values())
    return {name: _curve(*_at_common_mix(source, reference)) for name, source in sources.items()}


def _at_common_mix(group: _Group, reference: list[_Group]) -> tuple[np.ndarray, np.ndarray]:
    """A group's mean histogram and the reference's, both at an equal mix of the densities that the group has.

    Classes that the group lacks are left out of the reference too: a group without class D must not be stretched to
    look as if it had one. Where no other group shares the classes, or nothing is known, both are taken as they are.
    """
    densities = group.densities()
    own = group.mean(densities)
    sharing = [other for other in reference if other.mean(densities) is not None]
    if own is None or all(other is group for other in sharing):
        return group.plain_mean(), np.mean([other.plain_mean() for other in reference], axis=0)
    others = [mean for mean in (other.mean(densities) for other in sharing) if mean is not None]
    return own, np.mean(others, axis=0)


def _curve(own: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The quantile map from one histogram to another: 4,096 entries, rising, 0 → 0, 4095 → 4095.

    Quantiles are matched at knots and joined by straight lines, so that noise in the histograms does not step.
    """
    source, target = _quantiles(own), _quantiles(reference)
    keep = np.concatenate([[True], np.diff(source) > 1e-6])
    x = np.concatenate([[0.0], source[keep], [LEVELS - 1.0]])
    y = np.concatenate([[0.0], target[keep], [LEVELS - 1.0]])
    inside = np.concatenate([[True], (x[1:-1] > 0.5) & (x[1:-1] < LEVELS - 1.5), [True]])
    lut = np.interp(np.arange(LEVELS), x[inside], np.maximum.accumulate(y[inside]))
    return np.rint(lut).clip(0, LEVELS - 1).astype(np.uint16)


def _quantiles(histogram: np.ndarray) -> np.ndarray:
    """Gray values at the knots: the inverse of the cumulative histogram, interpolated. Air (0) is not counted."""
    tissue = histogram.copy()
    tissue[0] = 0
    cumulative = np.cumsum(tissue)
    if cumulative[-1] <= 0:
        return _KNOTS * (LEVELS - 1)
    shares = np.concatenate([[0.0], cumulative / cumulative[-1]])
    return np.interp(_KNOTS, shares, np.arange(LEVELS + 1) - 0.5)


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

"""Vendor transfer assessed: may pictures of one vendor be brought to look like another's, and at what cost?

Each way (the vendor curves; the generator, where pictures are projected through it) is given the same pictures, of
patients that no curve was fitted on as far as there are enough. Asked is whether the vendor can still be told from
quantiles of the breast's gray, whether density can still be seen, and whether the picture's structure was kept:
structural similarity (Wang et al. 2004) with the original, grays matched first, so that a mere change of gray, which
is what harmonization is for, costs nothing. A plain verdict says whether to use the way.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.evaluate.transfer_sheet import Pair, draw_pairs
from pipelines.evaluate.vendor_statistics import (
    Change,
    Estimate,
    common_mix,
    density_correlation,
    is_enough,
    maker_group,
    patients_drawn,
    vendor_accuracy,
)
from pipelines.storage.atomic import write_json
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import DENSITIES, TRANSFER, write_table

ABOVE_CHANCE = 0.1
"""The vendor is hidden where it is told no better than a guess and this."""

MOST_DENSITY_LOSS = 0.03
LEAST_STRUCTURE = 0.9

QUANTILES = np.linspace(0.05, 0.95, 19)
GRAY = 4095
SHOWN, SHOWN_VENDORS = 4, 6
"""Pictures of a vendor that are shown, a row, and vendors: those with the most pictures."""

OPERATION = "assess_vendor_transfer"
"""The operation in the ledger."""

Pictures = NDArray[np.uint16]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Cases:
    """Pictures uint16 (n, rows, columns) as they came, air 0, and ``facts``: a row each with image_id, vendor_group,
    patient, density (None where unknown) and picture_sha256."""

    pictures: Pictures
    facts: pd.DataFrame


@dataclass(frozen=True)
class Way:
    """A way to transfer: its name, the cases' rows that it was tried on, and what became of their pictures."""

    name: str
    rows: Sequence[int]
    pictures: Pictures


def assess_transfer(cases: Cases, ways: Sequence[Way], *, folder: Path) -> tuple[LedgerRow, ...]:
    """Assess each way.

    Writes ``transfer.parquet`` (TRANSFER), ``transfer.json`` (a verdict a way) and ``transfer.png`` (pictures before
    and after) into ``folder``; gives the ledger's row. What cannot be measured has no row, and the verdict says so.
    """
    rows: list[dict[str, Any]] = []
    verdicts = {}
    for way in ways:
        own = list(_figures(cases, way))
        verdicts[way.name] = verdict_of(way.name, own)
        rows += own
    table = TRANSFER.build(rows)
    write_table(folder / "transfer.parquet", TRANSFER, table)
    write_json(folder / "transfer.json", {"verdicts": verdicts})
    draw_pairs(folder / "transfer.png", [pair for way in ways for pair in _pairs(cases, way)])
    inputs = tuple(sorted(zip(cases.facts["image_id"], cases.facts["picture_sha256"], strict=True)))
    return (LedgerRow("vendor_transfer", "transfer.parquet", sha256_of_json(table.to_pylist()), inputs, OPERATION),)


@dataclass(frozen=True)
class _Part:
    """The pictures of vendors with enough of them, before and after, and a row of facts each."""

    frame: pd.DataFrame
    before: Pictures
    after: Pictures

    @property
    def vendors(self) -> NDArray[np.object_]:
        return self.frame["vendor_group"].to_numpy(object)

    @property
    def patients(self) -> NDArray[np.object_]:
        return self.frame["patient"].to_numpy(object)

    def only(self, mask: NDArray[np.bool_]) -> "_Part":
        return _Part(self.frame[mask], self.before[mask], self.after[mask])

    def where(self, vendor_is: pd.Series) -> "_Part":
        """The pictures of the vendors for which a series by vendor is true."""
        return self.only(self.frame["vendor_group"].map(vendor_is).eq(True).to_numpy())


def _figures(cases: Cases, way: Way) -> Iterator[dict[str, Any]]:
    rows = list(way.rows)
    part = _large(_Part(cases.facts.iloc[rows].reset_index(drop=True), cases.pictures[rows], way.pictures))
    vendors = set(part.vendors)
    if not vendors:
        return
    if len(vendors) > 1:
        for name, change in _vendor_told(part).items():
            yield _row(way, "vendor_accuracy", part, name, change) | {"chance": 1 / len(vendors)}
    labeled = part.only(part.frame["density"].notna().to_numpy())
    labeled = labeled.where(labeled.frame.groupby("vendor_group")["density"].nunique() > 1)
    if len(labeled.frame):
        ranks = np.array([DENSITIES.index(d) for d in labeled.frame["density"]], np.float64)
        grays = _means(labeled.before), _means(labeled.after)
        for name, change in density_correlation(grays, ranks, labeled.vendors, labeled.patients).items():
            yield _row(way, "density_within", labeled, name, change)
    for name, change in _structure(part).items():
        yield _row(way, "structure", part, name, change)


def _large(part: _Part) -> _Part:
    """The vendors with pictures and patients enough: groups, or makers where fewer than two groups have."""
    groups = part.frame["vendor_group"]
    for vendor in (groups, groups.map(maker_group)):
        named = _Part(part.frame.assign(vendor_group=vendor), part.before, part.after)
        large = named.only(is_enough(named.frame, "vendor_group").to_numpy())
        if len(set(large.vendors)) > 1:
            break
    return large


def _row(way: Way, figure: str, part: _Part, name: str, change: Change) -> dict[str, Any]:
    own = part.frame if name == "*" else part.frame[part.frame["vendor_group"] == name]
    told: dict[str, Any] = {"way": way.name, "figure": figure, "vendor_group": name}
    told |= {"images": len(own), "patients": own["patient"].nunique()}
    for when in ("before", "after", "change"):
        estimate: Estimate = getattr(change, when)
        told |= {when: estimate.value, f"{when}_low": estimate.low, f"{when}_high": estimate.high}
    return told


def _vendor_told(part: _Part) -> dict[str, Change]:
    """How well the vendor is told, at one mix of densities where every vendor has pictures left then."""
    density = part.frame["density"].astype(object)
    weights = common_mix(part.vendors, density.where(density.notna(), None).to_numpy())
    mixed = part.only(weights > 0)
    if set(mixed.vendors) != set(part.vendors):
        mixed, weights = part, np.ones(len(part.frame))
    features = _quantiles(mixed.before), _quantiles(mixed.after)
    return vendor_accuracy(features, mixed.vendors, mixed.patients, weights[weights > 0])


def _quantiles(pictures: Pictures) -> Reals:
    """Quantiles (n, 19) of the breast's gray, as shares of the range."""
    return np.stack([np.quantile(p[p > 0], QUANTILES) if (p > 0).any() else 0 * QUANTILES for p in pictures]) / GRAY


def _means(pictures: Pictures) -> Reals:
    return np.array([float(p[p > 0].mean()) if (p > 0).any() else 0.0 for p in pictures])


def _structure(part: _Part) -> dict[str, Change]:
    """Mean structural similarity of the pictures with their originals, by vendor and over all (``*``); 1 before."""
    kept = np.array([similarity(one, other) for one, other in zip(part.before, part.after, strict=True)])
    rng = np.random.default_rng(0)
    found = {}
    for name in [*sorted(set(part.vendors)), "*"]:
        own = np.ones(len(kept), bool) if name == "*" else part.vendors == name
        patient, drawn = patients_drawn(part.patients[own], rng)
        total, count = np.bincount(patient, kept[own]), np.bincount(patient)
        draws = (drawn @ total) / (drawn @ count)
        found[name] = Change.of(np.array([1.0, kept[own].mean()]), np.stack([np.ones(len(draws)), draws]))
    return found


def similarity(before: Pictures, after: Pictures) -> float:
    """Structural similarity −1…1 of two pictures (rows, columns), over the breast, the second's grays matched to the
    first's: the same for any change of gray that keeps its order."""
    from skimage.exposure import match_histograms
    from skimage.metrics import structural_similarity

    inside = before > 0
    if not inside.any():
        return 1.0
    matched = match_histograms(after.astype(np.float64), before.astype(np.float64))
    _, every = structural_similarity(
        before.astype(np.float64), matched, data_range=GRAY, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    return float(every[inside].mean())


def verdict_of(way: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Whether to use a way, in a sentence, from its rows of TRANSFER."""
    over_all = {row["figure"]: row for row in rows if row["vendor_group"] == "*"}
    if "vendor_accuracy" not in over_all:
        return f"{way}: not assessed, fewer than two vendors have enough pictures."
    vendor, structure = over_all["vendor_accuracy"], over_all["structure"]
    told = f"the vendor is told in {vendor['after']:.2f} of the pictures (before {vendor['before']:.2f}, a guess "
    told += f"{vendor['chance']:.2f}), structural similarity is {structure['after']:.2f}"
    faults = []
    if vendor["change_high"] >= 0:
        faults.append("it hides the vendor no better than nothing does")
    density = over_all.get("density_within")
    if density is None:
        told += ", density was not measured"
    else:
        told += f", the rank correlation of gray with density changes by {round(density['change'], 2) + 0.0:+.2f}"
        if density["change"] < -MOST_DENSITY_LOSS:
            faults.append("it costs density")
    if structure["after"] < LEAST_STRUCTURE:
        faults.append("it changes what the breast looks like")
    if faults:
        return f"{way}: do not use it, {' and '.join(faults)}: {told}."
    hidden = vendor["after"] <= vendor["chance"] + ABOVE_CHANCE
    return f"{way}: use it{'' if hidden else ', though the vendor can still be told'}: {told}."


def _pairs(cases: Cases, way: Way) -> Iterator[Pair]:
    """Some pictures of each vendor of those with the most, before and after."""
    vendors = cases.facts["vendor_group"].iloc[list(way.rows)].to_numpy(object)
    most = sorted(Counter(vendors).items(), key=lambda item: (-item[1], item[0]))[:SHOWN_VENDORS]
    for name in sorted(name for name, _ in most):
        for at in np.flatnonzero(vendors == name)[:SHOWN]:
            yield Pair(f"{way.name}\n{' '.join(name.split('|')[:2])}", cases.pictures[way.rows[at]], way.pictures[at])

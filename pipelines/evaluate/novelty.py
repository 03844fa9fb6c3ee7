"""Which real pictures are out of the ordinary: ranked by a detector that was chosen on made-up oddities.

Detectors are given as functions. Each is tried on held-back real pictures, on whose patients no network was trained,
and on the same pictures made odd: the one that tells them best on average over the kinds (area under the ROC curve) on
one half of the patients ranks the real pictures; what it is worth is measured on the other half.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.novelty_sheet import Shown, draw_sheet
from pipelines.evaluate.oddities import KINDS, inject
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import NOVELTY, ODDITIES, write_table

Detector = Callable[[NDArray[np.uint16], Sequence[str | None], Sequence[str | None]], NDArray[np.float64]]
"""Pictures (n, rows, columns), densities and views, None where unknown → oddness (n,), higher is odder."""

LEAST_PICTURES = 8
"""Held-back pictures in each half, below which detectors cannot be compared."""

NOVEL = 0.02
"""Share of new ordinary pictures that may be called novel."""

SHOWN = 24

OPERATION = "measure_novelty"
"""The operation in the ledger."""


@dataclass(frozen=True)
class Ordinary:
    """Held-back real pictures uint16 (n, rows, columns) with densities, views and patients (duplicate clusters)."""

    pictures: NDArray[np.uint16]
    densities: Sequence[str]
    views: Sequence[str]
    patients: Sequence[str]

    def half(self, of_two: int) -> "Ordinary":
        """The pictures of half of the patients, by a hash of the patient."""
        rows = [i for i, p in enumerate(self.patients) if hashlib.sha256(p.encode()).digest()[0] % 2 == of_two]
        columns = (self.densities, self.views, self.patients)
        return Ordinary(self.pictures[rows], *([column[i] for i in rows] for column in columns))

    def __len__(self) -> int:
        return len(self.patients)


@dataclass(frozen=True)
class Subject:
    """A real picture to rank: ``facts`` are the columns of NOVELTY that are known of it."""

    picture: NDArray[np.uint16]
    facts: Mapping[str, Any]
    digest: str


def auroc(ordinary: NDArray[np.float64], odd: NDArray[np.float64]) -> float:
    """The chance that an odd picture has a higher value than an ordinary one; ties count half."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(odd, ordinary).statistic) / (len(odd) * len(ordinary))


def measure_detectors(ordinary: Ordinary, detectors: Mapping[str, Detector], seed: int = 0) -> list[dict[str, Any]]:
    """Rows of ODDITIES; none with fewer than 8 pictures in either half of the patients, or without a detector."""
    halves = {"choosing": ordinary.half(0), "measuring": ordinary.half(1)}
    if not detectors or min(map(len, halves.values())) < LEAST_PICTURES:
        return []
    rows: list[dict[str, Any]] = []
    for name, part in halves.items():
        usual = {detector: judge(part.pictures, part.densities, part.views) for detector, judge in detectors.items()}
        told: dict[str, dict[str, float]] = {detector: {} for detector in detectors}
        for kind in KINDS:
            odd = inject(part.pictures, kind, seed)
            for detector, judge in detectors.items():
                told[detector][kind] = auroc(usual[detector], judge(odd, part.densities, part.views))
        for detector, found in told.items():
            facts = {"detector": detector, "measured_on": name, "images": len(part)}
            figures = {**found, "*": float(np.mean(list(found.values())))}
            rows += [facts | {"kind": kind, "auroc": value} for kind, value in figures.items()]
    means = {r["detector"]: r["auroc"] for r in rows if r["kind"] == "*" and r["measured_on"] == "choosing"}
    best = max(sorted(means), key=means.__getitem__)
    return [row | {"chosen": row["detector"] == best} for row in rows]


def threshold_of(oddness: NDArray[np.float64], share: float = NOVEL) -> float:
    """The value that at most ``share`` of new ordinary pictures exceed, from n held-back ones; the greatest of few.

    The k-th greatest of n is exceeded with probability k / (n + 1) (split conformal prediction, Vovk et al. 2005).
    """
    beyond = max(0, int(share * (len(oddness) + 1) + 1e-9) - 1)
    return float(np.sort(oddness)[::-1][beyond])


def measure_novelty(
    subjects: Iterable[Subject], ordinary: Ordinary, detectors: Mapping[str, Detector], *, folder: Path
) -> tuple[LedgerRow, ...]:
    """Choose a detector and rank the subjects by it.

    Writes ``novelty.parquet`` (NOVELTY), ``oddities.parquet`` (ODDITIES) and ``novelty.png``, the oddest, into
    ``folder``; gives the ledger's row. Both tables are empty where detectors could not be compared.
    """
    told = measure_detectors(ordinary, detectors)
    rows: list[dict[str, Any]] = []
    sources: list[tuple[str, str]] = []
    if told:
        detector = next(row["detector"] for row in told if row["chosen"])
        judge = detectors[detector]
        threshold = threshold_of(judge(ordinary.pictures, ordinary.densities, ordinary.views))
        shown: list[Shown] = []
        for subject in subjects:
            facts = subject.facts
            oddness = float(judge(subject.picture[None], [facts["density"]], [facts["view"]])[0])
            rows.append({**facts, "detector": detector, "oddness": oddness, "threshold": threshold})
            sources.append((facts["image_id"], subject.digest))
            shown.append(Shown(subject.picture, oddness, facts["image_id"], oddness > threshold))
            shown = sorted(shown, key=lambda one: (-one.oddness, one.image_id))[:SHOWN]
        draw_sheet(folder / "novelty.png", shown)
    rows.sort(key=lambda row: (-row["oddness"], row["delivery"], row["image_id"]))
    ranked = [row | {"rank": n, "is_novel": row["oddness"] > row["threshold"]} for n, row in enumerate(rows, start=1)]
    table = NOVELTY.build(ranked)
    write_table(folder / "novelty.parquet", NOVELTY, table)
    write_table(folder / "oddities.parquet", ODDITIES, ODDITIES.build(told))
    digest = sha256_of_json([table.to_pylist(), told])
    return (LedgerRow("novelty", "novelty.parquet", digest, tuple(sorted(set(sources))), OPERATION),)

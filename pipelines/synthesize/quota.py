"""Fills the deficit plan: samples candidates in a stream, screens them, and writes those kept."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.storage.atomic import write_bytes, write_json
from pipelines.storage.digests import sha256_of_array, sha256_of_bytes, sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.shards import ShardWriter
from pipelines.storage.tables import DENSITIES, SCREENING, SYNTHETIC, VIEWS, write_table
from pipelines.storage.workers import Progress, silent
from pipelines.synthesize.dicom import FULL_SPACING, Origin, encode
from pipelines.synthesize.findings import Findings
from pipelines.synthesize.judges import Judges, Score
from pipelines.synthesize.odd_sheet import OddSheet
from pipelines.synthesize.patients import PatientsSummary, Women, write_patients
from pipelines.synthesize.pictures import PictureSet
from pipelines.synthesize.screening import Screen, Verdict
from pipelines.synthesize.settings import SynthesisSettings
from pipelines.synthesize.sheet import Sheet

Sample = Callable[[int, Sequence[int], Sequence[str], Sequence[str]], NDArray[np.uint16]]
"""The generator, with the settings' truncation: seed, numbers, densities, views → uint16 (n, rows, columns), 0…4095."""


@dataclass(frozen=True)
class Shortfall:
    """A cell of the plan that was not filled, and why: ``condition_unseen`` or ``tries_exhausted``."""

    density: str
    view: str
    wanted: int
    kept: int
    reason: str


@dataclass(frozen=True)
class SyntheticSummary:
    """Counts of a synthesis. ``reasons``: rejected candidates by reason; ``kept_by_cell``: (density, view) to count."""

    wanted: int
    looked_at: int
    kept: int
    reasons: Mapping[str, int]
    kept_by_cell: Mapping[tuple[str, str], int]
    shortfalls: tuple[Shortfall, ...]
    critic_low: float | None
    nearest_low: float | None
    patients: PatientsSummary | None
    ledger: tuple[LedgerRow, ...]


def fill_quota(
    plan: pa.Table,
    *,
    sample: Sample,
    score: Score | Judges,
    training: PictureSet,
    held_back: PictureSet,
    model_sha256: str,
    settings: SynthesisSettings = SynthesisSettings(),  # noqa: B008 - frozen
    folder: Path,
    conditions: Collection[tuple[str, str]] | None = None,
    women: Women | None = None,
    spacing: float = FULL_SPACING,
    progress: Progress = silent,
) -> SyntheticSummary:
    """Make each cell's deficit of the plan (PLAN), or say by how much and why it fell short.

    ``score`` is the critic, or all who judge. Writes ``synthetic.parquet`` (SYNTHETIC: a row for every candidate that
    was looked at), ``screening.parquet`` (SCREENING: its grounds), and where there is something to write,
    ``screen.json`` (thresholds), ``synthetic-*.arrow``, ``dicom/<id>.dcm``, ``sheet.png`` and ``odd.png`` (rejected).
    Memory does not grow with the quota but for the table's rows. ``conditions``: the (density, view) pairs that the
    model has seen; others are not asked for, nor are those for which ``sample`` raises a subclass of ValueError.
    ``women``: of a model of both views; pretend patients of every density that it has seen are then made as well (see
    ``patients``). ``spacing`` as in ``dicom.encode``.
    """
    deficits = {(r["density"], r["view"]): r["deficit"] for r in plan.to_pylist() if r["deficit"]}
    writer = _Writer(folder, model_sha256, settings, spacing)
    screen = patients = None
    shortfalls: list[Shortfall] = []
    if deficits or women is not None:
        screen = Screen.calibrated(training, held_back, score, settings)
        write_json(folder / "screen.json", screen.to_json())
        with ShardWriter(folder, "synthetic", training.pictures.shape[1:]) as shards:
            shortfalls = _fill(deficits, conditions, sample, screen, writer, shards, progress)
    if women is not None and screen is not None:
        known = deficits if conditions is None else conditions
        patients = write_patients(
            women,
            [density for density in DENSITIES if all((density, view) in known for view in VIEWS)],
            screen=screen,
            model_sha256=model_sha256,
            settings=settings,
            folder=folder,
            spacing=spacing,
        )
    return writer.close(sum(deficits.values()), tuple(shortfalls), screen, patients)


def _fill(
    deficits: Mapping[tuple[str, str], int],
    conditions: Collection[tuple[str, str]] | None,
    sample: Sample,
    screen: Screen,
    writer: "_Writer",
    shards: ShardWriter,
    progress: Progress,
) -> list[Shortfall]:
    """Fill each cell in turn; the cells that were not filled."""
    missing, reasons, total = Counter(deficits), {}, sum(deficits.values())
    for density, view in sorted(deficits):
        unseen = conditions is not None and (density, view) not in conditions
        try:
            for number, found in () if unseen else _candidates(density, view, missing, sample, screen):
                verdict = _if_wanted(found, view, missing)
                writer.write(number, density, view, verdict, screen, shards)
                missing[verdict.density, view] -= verdict.reason is None
                progress(total - missing.total(), total)
        except _UnseenError:
            unseen = True
        reasons[density, view] = "condition_unseen" if unseen else "tries_exhausted"
    progress(total, total)
    return [
        Shortfall(*cell, wanted, wanted - missing[cell], reasons[cell])
        for cell, wanted in sorted(deficits.items())
        if missing[cell]
    ]


class _UnseenError(Exception):
    """The model does not know the condition."""


def _if_wanted(verdict: Verdict, view: str, missing: Mapping[tuple[str, str], int]) -> Verdict:
    """A re-labeled picture is kept only where its new density is still missing."""
    if verdict.reason is None and missing[verdict.density, view] <= 0:
        return replace(verdict, reason="class")
    return verdict


def _candidates(
    density: str, view: str, missing: Mapping[tuple[str, str], int], sample: Sample, screen: Screen
) -> Iterator[tuple[int, Verdict]]:
    """Candidates of a cell with their numbers and verdicts, until none is missing in it or all tries are used."""
    settings, cell = screen.settings, (density, view)
    number, last = 0, settings.tries * missing[cell]
    while missing[cell] and number < last:
        numbers = range(number, min(number + settings.batch, number + 2 * missing[cell], last))
        densities, views = [density] * len(numbers), [view] * len(numbers)
        try:
            pictures = sample(settings.seed, numbers, densities, views)
        except ValueError as error:
            if type(error) is ValueError:
                raise
            raise _UnseenError from error
        for number, verdict in zip(numbers, screen.judge(pictures, densities, views), strict=True):
            yield number, verdict
            if not missing[cell]:
                return
        number = numbers[-1] + 1


class _Writer:
    """Writes kept pictures as they come and remembers the rows."""

    def __init__(self, folder: Path, model_sha256: str, settings: SynthesisSettings, spacing: float) -> None:
        self.folder, self.model_sha256, self.seed = folder, model_sha256, settings.seed
        self.truncation, self.spacing = settings.truncation, spacing
        self.rows: list[dict[str, Any]] = []
        self.ledger: list[LedgerRow] = []
        self.sheet, self.odd, self.findings = Sheet(), OddSheet(), Findings()

    def write(
        self, number: int, density: str, view: str, verdict: Verdict, screen: Screen, shards: ShardWriter
    ) -> None:
        """Take in one candidate: its row, and its files where it is kept."""
        digest = sha256_of_json([self.model_sha256, self.seed, number, density, view, self.truncation])
        origin = Origin(
            f"S-{digest[:16]}", self.model_sha256, self.seed, number, verdict.density, view, self.truncation
        )
        row = {
            "synthetic_id": origin.synthetic_id,
            "number": number,
            "seed": self.seed,
            "density": verdict.density,
            "requested_density": density,
            "judged_density": verdict.judged_density,
            "view": view,
            "truncation": self.truncation,
            "verdict": "kept" if verdict.reason is None else "rejected",
            "reason": verdict.reason,
            "critic_score": verdict.critic_score,
            "critic_low": screen.critic_low,
            "nearest_distance": verdict.nearest_distance,
            "nearest_low": screen.nearest_low,
            "nearest_image_id": verdict.nearest_image_id,
            "dense_fraction": verdict.dense_fraction,
            "expected_density": verdict.expected_density,
            "percent_density": verdict.percent_density,
            "model_sha256": self.model_sha256,
        }
        if verdict.reason is None:
            row |= self._keep(origin, verdict.picture, shards)
        else:
            beside = screen.training.pictures[verdict.nearest_row] if verdict.reason == "copy" else None
            self.odd.add(verdict.reason, verdict.picture, f"{density} {view} {number}", beside)
        self.findings.add(origin.synthetic_id, verdict)
        self.rows.append(row)

    def _keep(self, origin: Origin, picture: NDArray[np.uint16], shards: ShardWriter) -> dict[str, Any]:
        shard, shard_row = shards.append(origin.synthetic_id, picture)
        dicom = f"dicom/{origin.synthetic_id}.dcm"
        instance, data = encode(picture, origin, self.spacing)
        write_bytes(self.folder / dicom, data)
        self.sheet.add(picture, origin.density, origin.view)
        digest = sha256_of_array(picture)
        made_from = (("model", self.model_sha256),)
        self.ledger.append(LedgerRow(origin.synthetic_id, shard, digest, made_from, "synthesize"))
        made_from = ((origin.synthetic_id, digest),)
        self.ledger.append(LedgerRow(instance, dicom, sha256_of_bytes(data), made_from, "encode_dicom"))
        return {"picture_sha256": digest, "shard": shard, "shard_row": shard_row, "dicom": dicom}

    def close(
        self,
        wanted: int,
        shortfalls: tuple[Shortfall, ...],
        screen: Screen | None,
        patients: PatientsSummary | None,
    ) -> SyntheticSummary:
        """Write the table and the sheet, and count."""
        write_table(self.folder / "synthetic.parquet", SYNTHETIC, SYNTHETIC.build(self.rows))
        write_table(self.folder / "screening.parquet", SCREENING, self.findings.table())
        self.sheet.draw(self.folder / "sheet.png")
        self.odd.draw(self.folder / "odd.png")
        kept = [row for row in self.rows if row["verdict"] == "kept"]
        return SyntheticSummary(
            wanted=wanted,
            looked_at=len(self.rows),
            kept=len(kept),
            reasons=dict(sorted(Counter(r["reason"] for r in self.rows if r["reason"]).items())),
            kept_by_cell=dict(sorted(Counter((r["density"], r["view"]) for r in kept).items())),
            shortfalls=shortfalls,
            critic_low=screen.critic_low if screen else None,
            nearest_low=screen.nearest_low if screen else None,
            patients=patients,
            ledger=(*self.ledger, *(patients.ledger if patients else ())),
        )

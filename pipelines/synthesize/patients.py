"""Whole pretend patients: CC and MLO of both breasts, screened picture by picture, each patient one DICOM study.

A patient is kept where all four of her pictures are. She is no part of the quota, nor of the augmented set: she is for
whoever needs whole examinations of nobody (viewers, hanging protocols, teaching).

How alike her breasts are was set by real ones: over what two women of one density differ by, a woman's left and right
differ by 0.42 in area, 0.49 in dense share and 0.54 pixel by pixel on 81 pairs of MIAS films. Generated ones, by the
cosine of their latents: 0.49, 0.51, 0.54 at 0.7, and 0.39, 0.43, 0.45 at 0.8.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.storage.atomic import write_bytes
from pipelines.storage.digests import sha256_of_array, sha256_of_bytes, sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import LATERALITIES, SYNTHETIC_PATIENTS, VIEWS, write_table
from pipelines.synthesize.dicom import FULL_SPACING, Origin, encode, study_uid
from pipelines.synthesize.screening import Screen, Verdict
from pipelines.synthesize.settings import SynthesisSettings
from pipelines.synthesize.sheet import draw_patients

Women = Callable[[int, Sequence[int], Sequence[str]], NDArray[np.uint16]]
"""The generator of both views: seed, numbers, densities → uint16 (n, 2 sides, 2 views, rows, columns), left and CC
first, every chest wall on the left."""

TABLE, SHEET = "patients.parquet", "patients.png"
_SHOWN = 4
_BATCH = 4


@dataclass(frozen=True)
class PatientsSummary:
    """How many pretend patients were wanted, looked at and kept, and the ledger's rows of those kept."""

    wanted: int
    looked_at: int
    kept: int
    ledger: tuple[LedgerRow, ...]


def write_patients(
    women: Women,
    densities: Sequence[str],
    *,
    screen: Screen,
    model_sha256: str,
    settings: SynthesisSettings,
    folder: Path,
    spacing: float = FULL_SPACING,
) -> PatientsSummary:
    """Make ``settings.patients`` patients of each density, or as many as come of all tries.

    Writes ``patients.parquet`` (SYNTHETIC_PATIENTS: four rows for every patient that was looked at), and of those kept
    ``patients/<patient>/<side>_<view>.dcm``, some of them in ``patients.png``. ``spacing`` as in ``dicom.encode``.
    """
    rows: list[dict[str, Any]] = []
    ledger: list[LedgerRow] = []
    shown: list[tuple[str, NDArray[np.uint16]]] = []
    kept = 0
    for density in densities:
        own = 0
        for number, verdicts in _looked_at(women, density, screen, settings):
            whole = all(_passes(verdict, density) for verdict in verdicts)
            origins = _origins(model_sha256, settings, number, density)
            for origin, verdict in zip(origins, verdicts, strict=True):
                row = _row(origin, verdict, settings, whole)
                if whole:
                    row |= _write(origin, verdict.picture, folder, spacing, ledger)
                rows.append(row)
            if whole and own < _SHOWN:
                shown.append((density, np.stack([verdict.picture for verdict in verdicts])))
            own += whole
        kept += own
    write_table(folder / TABLE, SYNTHETIC_PATIENTS, SYNTHETIC_PATIENTS.build(rows))
    if shown:
        draw_patients(folder / SHEET, shown)
    looked_at = len(rows) // len(_PLACES)
    return PatientsSummary(settings.patients * len(densities), looked_at, kept, tuple(ledger))


_PLACES = tuple((side, view) for side in LATERALITIES for view in VIEWS)
"""The four pictures of a patient, in the order of their instances."""


def _looked_at(
    women: Women, density: str, screen: Screen, settings: SynthesisSettings
) -> Iterator[tuple[int, list[Verdict]]]:
    """Numbers of patients with the verdicts on their pictures, until enough are whole or all tries are used."""
    views = [view for _, view in _PLACES]
    kept, last = 0, settings.tries * settings.patients
    for first in range(0, last, _BATCH):
        numbers = range(first, min(first + _BATCH, last))
        drawn = women(settings.seed, numbers, [density] * len(numbers))
        for number, pictures in zip(numbers, drawn, strict=True):
            if kept == settings.patients:
                return
            four = pictures.reshape(len(_PLACES), *pictures.shape[2:])
            verdicts = screen.judge(four, [density] * len(_PLACES), views)
            yield number, verdicts
            kept += all(_passes(verdict, density) for verdict in verdicts)


def _passes(verdict: Verdict, density: str) -> bool:
    """Was it kept, and for the patient's own density: all her pictures have one."""
    return verdict.reason is None and verdict.density == density


def _other_reason(verdict: Verdict, density: str) -> str:
    return "another_picture" if _passes(verdict, density) else "class"


def _origins(model_sha256: str, settings: SynthesisSettings, number: int, density: str) -> list[Origin]:
    fixed = [model_sha256, settings.seed, number, density, settings.truncation, settings.likeness]
    digest = sha256_of_json(fixed)[:16]
    return [
        Origin(
            synthetic_id=f"S-{sha256_of_json([digest, side, view])[:16]}",
            model_sha256=model_sha256,
            seed=settings.seed,
            number=number,
            density=density,
            view=view,
            truncation=settings.truncation,
            patient=f"W-{digest}",
            laterality=side,
            instance=instance,
        )
        for instance, (side, view) in enumerate(_PLACES, 1)
    ]


def _row(origin: Origin, verdict: Verdict, settings: SynthesisSettings, whole: bool) -> dict[str, Any]:
    return {
        "synthetic_id": origin.synthetic_id,
        "synthetic_patient": origin.patient,
        "number": origin.number,
        "seed": origin.seed,
        "density": origin.density,
        "laterality": origin.laterality,
        "view": origin.view,
        "truncation": origin.truncation,
        "likeness": settings.likeness,
        "verdict": "kept" if whole else "rejected",
        "reason": None if whole else verdict.reason or _other_reason(verdict, origin.density),
        "critic_score": verdict.critic_score,
        "nearest_distance": verdict.nearest_distance,
        "dense_fraction": verdict.dense_fraction,
        "breast_fraction": float((verdict.picture > 0).mean()),
        "model_sha256": origin.model_sha256,
    }


def _write(
    origin: Origin, picture: NDArray[np.uint16], folder: Path, spacing: float, ledger: list[LedgerRow]
) -> dict[str, Any]:
    """Write one picture of a patient; the columns that say where it is."""
    path = f"patients/{origin.patient}/{origin.laterality}_{origin.view}.dcm"
    instance, data = encode(picture, origin, spacing)
    write_bytes(folder / path, data)
    digest = sha256_of_array(picture)
    ledger.append(LedgerRow(origin.synthetic_id, path, digest, (("model", origin.model_sha256),), "synthesize"))
    made_from = ((origin.synthetic_id, digest),)
    ledger.append(LedgerRow(instance, path, sha256_of_bytes(data), made_from, "encode_dicom"))
    return {
        "study_instance_uid": study_uid(origin),
        "sop_instance_uid": instance,
        "picture_sha256": digest,
        "dicom": path,
    }

"""Fuses what was said of a breast, and of an examination, to one density with a calibrated confidence.

The posterior over A to D comes from the readings, one vote a reader, under the error model of reader_model. The density
is the most probable one among those that the readings leave: where they can all be true, what they have in common;
where they contradict one another, what lies between them; of equal ones the denser. So one reader's word stands,
however much she errs, and the confidence, the posterior of the density, says how far to trust it.

A reviewer's word overrides the readers'. Models of the pixels are heard only where no reader spoke, or the readers left
neighboring densities open; they are never surer than PIXELS_CAP. A density that nobody settles stays empty.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.label.reader_model import ReaderModel, confusion, fit_reader_model, pattern_of
from pipelines.label.readings import CHANNELS, Breast, Reading, Row, breasts_of, distance, exam_readings, median
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import DENSITIES, LABELS, PIXELS_CAP

SOURCES = ("review", *CHANNELS, "pixels")
"""In the order of trust."""

CONFLICTS = frozenset({"reading", "readers", "reviewers"})
"""Reasons to review that are contradictions between people's statements."""

_PIXELS_SPREAD = 0.5
"""Software agrees with readers with a kappa of 0.54 (Damases et al., Acad Radiol 23 (2016) 70-77), so does this."""


@dataclass(frozen=True)
class Verdict:
    """The chance of each category A-D, the density that is chosen (None: left open), and its chance."""

    chance: tuple[float, ...] | None
    density: str | None

    @property
    def confidence(self) -> float | None:
        """The chance of the density."""
        return self.chance[DENSITIES.index(self.density)] if self.chance and self.density else None


def fuse(votes: pa.Table, images: pa.Table) -> pa.Table:
    """The table of LABELS: a row for each kept image of VOTES' images whose patient is known.

    ``images`` may hold several deliveries; an image delivered twice gets one row. Density is null where nothing spoke.
    """
    return label(breasts_of(votes, images))


def label(breasts: Sequence[Breast]) -> pa.Table:
    """The table of LABELS of all images of the breasts."""
    settle = settler(breasts)
    exams: dict[str, list[Breast]] = defaultdict(list)
    for breast in breasts:
        exams[breast.exam_id].append(breast)
    rows = []
    for members in exams.values():
        verdicts = [settle(breast.readings, breast.pixels) for breast in members]
        of_exam = _of_exam(members, verdicts, settle)
        sides = _sides_differ(members, verdicts)
        for breast, verdict in zip(members, verdicts, strict=True):
            reasons = _reasons(breast, verdict) + (["sides"] if sides and not breast.reviewed else [])
            rows += _rows(breast, verdict, of_exam, reasons)
    return LABELS.build(rows)


Settle = Callable[[Sequence[Reading], Sequence[Row]], Verdict]


def settler(breasts: Iterable[Breast]) -> Settle:
    """Fits the error model to the breasts' readings; the function that settles readings and pixels' votes under it.

    Both breasts of one statement are one case, not two.
    """
    cases = {tuple(v for v in b.votes if b.votes[v]["source"] != "pixels"): b.readings for b in breasts}
    model = fit_reader_model(Counter(pattern_of(readings) for readings in cases.values()))

    @cache
    def of_readings(readings: tuple[Reading, ...]) -> Verdict:
        return _of_readings(readings, model)

    def settle(readings: Sequence[Reading], pixels: Sequence[Row]) -> Verdict:
        if not readings:
            return of_pixels(pixels)
        verdict = of_readings(tuple(readings))
        return verdict if verdict.density or not pixels else _narrowed(verdict, _left(readings), pixels)

    return settle


def _of_readings(readings: Sequence[Reading], model: ReaderModel) -> Verdict:
    chance = model.posterior(pattern_of(readings))
    allowed = _left(readings)
    open_ = len(allowed) > 1 and not contradict(readings)
    return _verdict(chance, None if open_ else _mode(chance, allowed))


def contradict(readings: Sequence[Reading]) -> bool:
    """Can the readings not all be true."""
    low, high = _bounds(readings)
    return low > high


def _bounds(readings: Sequence[Reading]) -> tuple[int, int]:
    return (
        max(DENSITIES.index(r.believed[0]) for r in readings),
        min(DENSITIES.index(r.believed[-1]) for r in readings),
    )


def _left(readings: Sequence[Reading]) -> range:
    """The ranks of the densities that readings have in common, or that lie between them where they contradict."""
    low, high = sorted(_bounds(readings))
    return range(low, high + 1)


def _mode(chance: np.ndarray, allowed: Iterable[int]) -> str:
    return DENSITIES[max(allowed, key=lambda rank: (round(float(chance[rank]), 12), rank))]


def _verdict(chance: np.ndarray, density: str | None) -> Verdict:
    return Verdict(tuple(np.round(chance, 9).tolist()), density)


def of_pixels(pixels: Sequence[Row]) -> Verdict:
    """The verdict of models of the pixels alone: the mean of their votes; none gives its word more than PIXELS_CAP."""
    if not pixels:
        return Verdict(None, None)
    chance = np.mean([_pixel_chance(vote) for vote in pixels], axis=0)
    return _verdict(chance, _mode(chance, range(4)))


def _pixel_chance(vote: Row) -> np.ndarray:
    """A model's vote as chances: those of its kind of error, evened out until its word has its own confidence.

    That is PIXELS_CAP at most, whatever it claims, and never less than its word would have by chance.
    """
    said = np.array([density in vote["densities"] for density in DENSITIES])
    near = confusion(0.0, _PIXELS_SPREAD)[:, said].sum(axis=1)
    near /= near.sum()
    sure = PIXELS_CAP if vote["confidence"] is None else min(PIXELS_CAP, vote["confidence"])
    even = np.full(4, 0.25)
    share = np.clip((sure - even[said].sum()) / (near[said].sum() - even[said].sum()), 0, 1)
    chance: np.ndarray = share * near + (1 - share) * even
    return chance


def _narrowed(verdict: Verdict, left: range, pixels: Sequence[Row]) -> Verdict:
    """What readers left open, settled by the pixels: only the readers' share of the chance is dealt out anew."""
    assert verdict.chance is not None
    chance, ranks = np.array(verdict.chance), list(left)
    share = chance[ranks] * np.mean([_pixel_chance(vote) for vote in pixels], axis=0)[ranks]
    share /= share.sum()
    best = int(np.argmax(share))
    if share[best] > PIXELS_CAP:
        others = share.sum() - share[best]
        share *= (1 - PIXELS_CAP) / others if others > 0 else 0.0
        share[best] = PIXELS_CAP
    chance[ranks] = chance[ranks].sum() * share
    return _verdict(chance, _mode(chance, left))


def _of_exam(members: Sequence[Breast], verdicts: Sequence[Verdict], settle: Settle) -> Verdict:
    readings = exam_readings(members)
    if readings:
        return settle(readings, [vote for breast in members for vote in breast.pixels])
    return max(verdicts, key=lambda v: (v.density or "", v.confidence or 0))


def _sides_differ(members: Sequence[Breast], verdicts: Sequence[Verdict]) -> bool:
    """Do readings put an examination's breasts two categories or more apart."""
    found = sorted(v.density for b, v in zip(members, verdicts, strict=True) if v.density and b.readings)
    return len(found) > 1 and distance(found[0], found[-1]) > 1


def _reasons(breast: Breast, verdict: Verdict) -> list[str]:
    """Why a human should look: short codes, sorted."""
    found = []
    if breast.readings and not verdict.density:
        found.append("open")
    if breast.reviewed:
        doubted = contradict(breast.readings) or any(r.doubts for r in breast.readings)
        return [*found, "reviewers"] if doubted else found
    if breast.readings and contradict(breast.readings):
        found.append("readers")
    if any(reading.doubts for reading in breast.readings):
        found.append("reading")
    if breast.readings and breast.pixels and verdict.density:
        seen = median(vote["densities"] for vote in breast.pixels)
        found += ["pixels"] if distance(seen, verdict.density) > 1 else []
    return sorted(found)


def _rows(breast: Breast, verdict: Verdict, exam: Verdict, reasons: list[str]) -> list[dict[str, Any]]:
    row = {
        "patient": breast.patient,
        "study_instance_uid": breast.study_instance_uid,
        "laterality": breast.laterality,
        "breast_id": breast.breast_id,
        "exam_id": breast.exam_id,
        "density": verdict.density,
        "confidence": verdict.confidence,
        **dict(zip(("p_a", "p_b", "p_c", "p_d"), verdict.chance or (None,) * 4, strict=True)),
        "exam_density": exam.density,
        "exam_confidence": exam.confidence,
        "readings": len(breast.readings),
        "sources": json.dumps(sorted({v["source"] for v in breast.votes.values()}, key=SOURCES.index)),
        "evidence": json.dumps(list(breast.votes)),
        "conflict": bool(CONFLICTS & set(reasons)),
        "review_reasons": json.dumps(reasons),
    }
    return [{"image_id": image_id, **row} for image_id in breast.image_ids]


def label_rows(votes: pa.Table, labels: pa.Table) -> list[LedgerRow]:
    """The ledger's rows: each label, ``label:<image_id>``, and the pieces of evidence that it rests on."""
    evidence = dict(zip(votes["vote_id"].to_pylist(), votes["evidence_id"].to_pylist(), strict=True))
    rows = []
    for row in labels.to_pylist():
        inputs = sorted({(evidence[vote], "") for vote in json.loads(row["evidence"])})
        rows.append(LedgerRow(label_id(row["image_id"]), "labels.parquet", sha256_of_json(row), tuple(inputs), "label"))
    return rows


def label_id(image_id: str) -> str:
    """The id by which the ledger knows an image's label."""
    return f"label:{image_id}"

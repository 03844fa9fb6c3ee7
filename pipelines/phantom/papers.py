"""Who says what about density: which of an exam's sources exist, and what each of them reads.

Of the patients whose density is known, about 5 % have no source at all; the others have at least one of a report that
mentions it, rows in the labels table, and a structured report. A source agrees with the truth but for 5 % of the
readings, which are one category off.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.phantom.patients import Exam, spoken
from pipelines.phantom.pictures import RealPatient

_SILENT = 0.05
_MISREAD = 0.05
_SHARES = {"report": 0.75, "labels": 0.55, "sr": 0.35}

Statement = tuple[str | None, str]
"""Laterality L, R, or None for both breasts together; density A…D."""


@dataclass(frozen=True)
class Papers:
    """What is written about one exam.

    ``has_report``: there is a report; ``report``: the density that it mentions, or None. ``labels``: rows of
    (laterality or "", density as written, reader). ``sr``: statements of the structured report, empty where there is
    none; ``cad``/``legacy``: which kind it is, and whether it is coded in SNOMED RT.
    """

    has_report: bool
    report: str | None
    labels: tuple[tuple[str, str, str], ...]
    sr: tuple[Statement, ...]
    cad: bool
    legacy: bool


def write_papers(exam: Exam, density: Mapping[str, str], real: RealPatient | None, rng: random.Random) -> Papers:
    """Decide on the papers of an exam whose true ``density`` is known by laterality; empty where it is not known.

    Real pictures of unknown A–D density hand their table's own word on to the labels, on whatever scale it is.
    """
    cad, legacy = rng.random() < 0.5, rng.random() < 0.3
    if not density:
        raw = {(p.laterality, p.density_raw, "") for p in real.pictures if p.density_raw} if real else set()
        return Papers(rng.random() < 0.8, None, tuple(sorted(raw)), (), cad, legacy)
    present = {source: rng.random() < share for source, share in _SHARES.items()}
    if not any(present.values()):
        present[rng.choice(list(_SHARES))] = True
    if rng.random() < _SILENT:
        present = dict.fromkeys(_SHARES, False)
    report, labels, sr = (_read(density, rng) for _ in range(3))
    return Papers(
        has_report=present["report"] or rng.random() < 0.5,
        report=max(report.values()) if present["report"] else None,
        labels=tuple(_label_rows(labels, exam, rng)) if present["labels"] else (),
        sr=tuple(_statements(sr, rng)) if present["sr"] else (),
        cad=cad,
        legacy=legacy,
    )


def _read(density: Mapping[str, str], rng: random.Random) -> dict[str, str]:
    """One reader's reading of both breasts, now and then one category off."""
    off = rng.choice((-1, 1)) if rng.random() < _MISREAD else 0
    return {side: "ABCD"[min(3, max(0, "ABCD".index(d) + off))] for side, d in sorted(density.items())}


def _statements(reading: Mapping[str, str], rng: random.Random) -> list[Statement]:
    together = rng.random() < 0.5
    if together and len(reading) == 2 and len(set(reading.values())) == 1:
        return [(None, next(iter(reading.values())))]
    return [(side, density) for side, density in reading.items()]


def _label_rows(reading: Mapping[str, str], exam: Exam, rng: random.Random) -> list[tuple[str, str, str]]:
    """Rows of the labels table; each reader has her own way of writing a category: B, b or 2."""
    manner = sum(map(ord, exam.reader)) % 3
    rows = []
    for side, density in _statements(reading, rng):
        written = (density, density.lower(), str("ABCD".index(density) + 1))[manner]
        rows.append((side or "", written, f"Dr. {spoken(exam.reader)}"))
    return rows

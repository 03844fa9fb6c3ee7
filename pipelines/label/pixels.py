"""Votes on density from pixels: a model learned from what readers said of training patients, of low confidence.

Pictures of one breast in one examination are judged together, by the mean of their measures, and each gets a vote.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.label.density_model import LEAST_PATIENTS, DensityModel, fit
from pipelines.label.percent_density import Measures, features, measure
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.workers import Progress, Workers, silent

Row = dict[str, Any]

RULE = "percent density by fuzzy clusters"

_COLUMNS = (
    "image_id", "delivery", "file_id", "status", "patient", "accession", "study_instance_uid", "laterality", "view",
    "vendor_group", "shard", "shard_row",
)  # fmt: skip


Picture = Callable[[str, str, int], NDArray[np.uint16]]
"""Gives level B's picture by delivery, shard and row."""


def measure_pictures(
    images: pa.Table, picture: Picture, workers: Workers | None = None, progress: Progress = silent
) -> dict[str, Measures]:
    """Measure each kept image of the table of IMAGES once; those with too little to measure are left out.

    With several processes ``picture`` travels to them. Raises RuntimeError where a picture cannot be measured at all.
    """
    rows = _kept(images)
    places = [(row["delivery"], row["shard"], row["shard_row"], row["view"]) for row in rows]
    found = {}
    for done, (row, result) in enumerate(
        zip(rows, (workers or Workers()).spread(partial(_measure, picture), places), strict=True), start=1
    ):
        if result.failure:
            raise RuntimeError(f"a picture cannot be measured: {result.failure}")
        if result.value is not None:
            found[row["image_id"]] = result.value
        progress(done, len(rows))
    return found


def _measure(picture: Picture, place: tuple[str, str, int, str | None]) -> Measures | None:
    delivery, shard, row, view = place
    return measure(picture(delivery, shard, row), view)


def can_learn(images: pa.Table, density_of: Mapping[str, str], is_training: Callable[[str], bool]) -> bool:
    """Whether enough training patients have a density by readers, before anything is measured; see ``learn``."""
    patients = {row["patient"] for row in _kept(images) if row["image_id"] in density_of and row["patient"]}
    return sum(map(is_training, patients)) >= LEAST_PATIENTS


def learn(
    images: pa.Table,
    measures: Mapping[str, Measures],
    density_of: Mapping[str, str],
    is_training: Callable[[str], bool],
) -> DensityModel | None:
    """Learn from the breasts of training patients whose density readers gave; None where these are too few.

    ``density_of``: by image_id, a density or neighboring ones (BC), by tables, structured reports and texts alone;
    ``is_training`` tells by patient pseudonym. Where a breast's pictures differ in density the first one's counts.
    """
    rows = [r for r in _kept(images) if r["image_id"] in density_of and r["patient"] and is_training(r["patient"])]
    breasts = list(_breasts(rows, measures))
    if not breasts:
        return None
    return fit(
        np.stack([x for _, x in breasts]),
        [density_of[rows[0]["image_id"]] for rows, _ in breasts],
        [rows[0]["vendor_group"] for rows, _ in breasts],
        [rows[0]["patient"] for rows, _ in breasts],
    )


def pixel_votes(images: pa.Table, measures: Mapping[str, Measures], model: DensityModel) -> list[Row]:
    """A row of VOTES for each kept image that was measured: the likeliest density of its breast.

    Images of vendor groups that too few training patients taught get none: it could be anything. Confidence is the
    calibrated probability of that density, never above the model's cap.
    """
    known = [row for row in _kept(images) if row["vendor_group"] in model.groups]
    breasts = list(_breasts(known, measures))
    if not breasts:
        return []
    groups = [rows[0]["vendor_group"] for rows, _ in breasts]
    likely = model.probabilities(np.stack([x for _, x in breasts]), groups)
    votes = []
    for (rows, _), chances in zip(breasts, likely, strict=True):
        best = int(chances.argmax())
        confidence = min(model.cap, round(float(chances[best]), 3))
        votes += [_vote(row, model.classes[best], confidence) for row in rows]
    return sorted(votes, key=lambda vote: vote["vote_id"])


def _kept(images: pa.Table) -> list[Row]:
    """The kept images, each once, in the order of their ids."""
    rows = images.select(list(_COLUMNS)).to_pylist()
    kept: dict[str, Row] = {}
    for row in sorted(rows, key=lambda r: (r["image_id"], r["delivery"], r["file_id"])):
        if row["status"] == "kept":
            kept.setdefault(row["image_id"], row)
    return list(kept.values())


def _breasts(rows: Iterable[Row], measures: Mapping[str, Measures]) -> Iterable[tuple[list[Row], NDArray[np.float64]]]:
    """The measured pictures of each breast, and the mean of their measures.

    A breast: one patient, study, side and vendor group. A picture that lacks any of the first three stands alone.
    """
    together: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        if row["image_id"] in measures:
            key = tuple(row[name] for name in ("patient", "study_instance_uid", "laterality"))
            together[(*key, row["vendor_group"]) if all(key) else (row["image_id"],)].append(row)
    for pictures in together.values():
        yield pictures, np.mean([features(measures[row["image_id"]]) for row in pictures], axis=0)


def _vote(row: Row, density: str, confidence: float) -> Row:
    statement = {
        "source": "pixels",
        "evidence_id": row["image_id"],
        "rule": RULE,
        "reader": None,
        "patient": row["patient"],
        "accession": row["accession"],
        "study_instance_uid": row["study_instance_uid"],
        "sop_instance_uid": row["image_id"],
        "laterality": row["laterality"],
        "densities": density,
        "confidence": confidence,
    }
    return {"vote_id": "V-" + sha256_of_json(statement)[:16], **statement}

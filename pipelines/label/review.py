"""What a human should decide: the queue of breasts, the file that a reviewer fills in, and its way back as votes.

The file holds pseudonyms alone. The reviewer writes a density A to D and her name or code into the last two columns;
her name becomes a pseudonym when the file is read.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.label.readings import Breast
from pipelines.storage.digests import sha256_of_bytes, sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import DENSITIES, REVIEW_QUEUE, REVIEWS, VOTES

COLUMNS = (
    "place", "breast_id", "patient", "study_instance_uid", "laterality", "image_ids", "reasons", "statements",
    "density_so_far", "p_a", "p_b", "p_c", "p_d", "density", "reviewer",
)  # fmt: skip
"""Columns of the reviewer's file; the last two are hers."""

_RAREST = 10.0
"""The most that a rare density counts more than at an even mix: of few labels the mix is not well known."""

_NEEDED = ("breast_id", "density", "reviewer")
_NOTHING_KNOWN = (0.25, 0.25, 0.25, 0.25)


def review_queue(breasts: Iterable[Breast], labels: pa.Table) -> pa.Table:
    """The table of REVIEW_QUEUE: the breasts whose labels name a reason, where a decision would matter most first.

    Priority is the posterior's entropy times its rarity: the expected ratio of an even mix to the mix of all labels.
    """
    chances = [f"p_{d.lower()}" for d in DENSITIES]
    label_of = {row["breast_id"]: row for row in labels.to_pylist()}
    spoken = [[row[c] for c in chances] for row in label_of.values() if row["p_a"] is not None]
    mix = np.mean(spoken, axis=0) if spoken else np.array(_NOTHING_KNOWN)
    weight = np.minimum(0.25 / np.maximum(mix, 1e-9), _RAREST)
    rows = []
    for breast in breasts:
        label = label_of[breast.breast_id]
        if not json.loads(label["review_reasons"]):
            continue
        chance = np.array([label[c] for c in chances])
        entropy = float(np.clip(-(chance * np.log2(np.maximum(chance, 1e-12))).sum(), 0, 2))
        rarity = float(chance @ weight)
        rows.append(
            {
                "breast_id": breast.breast_id,
                "patient": breast.patient,
                "study_instance_uid": breast.study_instance_uid,
                "laterality": breast.laterality,
                "image_ids": json.dumps(sorted(breast.image_ids)),
                "reasons": label["review_reasons"],
                "statements": _statements(breast),
                "density": label["density"],
                **dict(zip(chances, chance.tolist(), strict=True)),
                "entropy": entropy,
                "rarity": rarity,
                "priority": entropy * rarity,
            }
        )
    rows.sort(key=lambda row: (-round(row["priority"], 9), row["breast_id"]))
    return REVIEW_QUEUE.build({"place": place, **row} for place, row in enumerate(rows, start=1))


def _statements(breast: Breast) -> str:
    said = {(v["source"], v["reader"] or "", v["densities"]) for v in breast.votes.values()}
    return json.dumps([{"source": s, "reader": r or None, "densities": d} for s, r, d in sorted(said)])


def queue_file(queue: pa.Table) -> bytes:
    """The CSV for a reviewer (UTF-8 with a mark, as spreadsheets like it), with the columns to fill in empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for row in queue.to_pylist():
        row["density_so_far"] = row.pop("density")
        writer.writerow(
            {c: f"{row[c]:.3f}" if c.startswith("p_") else row[c] for c in COLUMNS if row.get(c) is not None}
        )
    return out.getvalue().encode("utf-8-sig")


@dataclass(frozen=True)
class Reviews:
    """What reviewers' files said: REVIEWS, the votes (VOTES) of the rows that were taken, and the ledger's rows."""

    table: pa.Table
    votes: pa.Table
    ledger: list[LedgerRow]


def read_reviews(files: Iterable[bytes], breasts: Iterable[Breast], pseudonym: Callable[[str], str]) -> Reviews:
    """Read reviewers' files, filled in or in part, with commas, semicolons or tabs between the columns.

    ``breasts`` are those that a row may speak of; ``pseudonym`` makes one of a reviewer's name. Two decisions of one
    reviewer on one breast that differ are both refused: nobody knows which is the later.
    """
    known = {breast.breast_id: breast for breast in breasts}
    rows = [row for content in sorted(set(files)) for row in _rows(content, known, pseudonym)]
    decisions: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row["status"] == "taken":
            decisions[row["breast_id"], row["reviewer"]].add(row["density"])
    for row in rows:
        if row["status"] == "taken" and len(decisions[row["breast_id"], row["reviewer"]]) > 1:
            row.update(status="refused", reason="contradictory")
    taken = {(r["breast_id"], r["reviewer"]): r for r in reversed(rows) if r["status"] == "taken"}
    return Reviews(
        REVIEWS.build(rows),
        VOTES.build(_vote(row, known[row["breast_id"]]) for row in taken.values()),
        [
            LedgerRow(
                r["review_id"], "reviews.parquet", sha256_of_json(r), ((r["file_sha256"], r["file_sha256"]),), "review"
            )
            for r in rows
        ],
    )


def _rows(content: bytes, known: Mapping[str, Breast], pseudonym: Callable[[str], str]) -> list[dict[str, Any]]:
    """Rows of REVIEWS from one file. Rows without a word of the reviewer, as the queue has them, are passed over."""
    digest = sha256_of_bytes(content)
    delivered = _read(content)
    if delivered is None:
        return [_row(digest, 0, "unreadable")]
    rows = []
    for number, cells in enumerate(delivered, start=1):
        breast_id, density, reviewer = ((cells.get(name) or "").strip() for name in _NEEDED)
        if not density and not reviewer:
            continue
        reason = _reason(breast_id in known, density.upper(), reviewer)
        row = _row(digest, number, reason)
        if breast_id in known:
            row["breast_id"] = breast_id
        if reason is None:
            row.update(density=density.upper(), reviewer=pseudonym(reviewer))
        rows.append(row)
    return rows


def _read(content: bytes) -> list[dict[str, Any]] | None:
    """The file's rows by column; None where it is no such file."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    head = text.split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=head.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        if not set(_NEEDED) <= set(reader.fieldnames or ()):
            return None
        return list(reader)
    except csv.Error:
        return None


def _reason(known: bool, density: str, reviewer: str) -> str | None:
    if not known:
        return "unknown_breast"
    if not density:
        return "no_density"
    if density not in DENSITIES:
        return "bad_density"
    return None if reviewer else "no_reviewer"


def _row(digest: str, number: int, reason: str | None) -> dict[str, Any]:
    return {
        "review_id": "Q-" + sha256_of_json([digest, number])[:16],
        "file_sha256": digest,
        "row": number,
        "status": "refused" if reason else "taken",
        "reason": reason,
        "breast_id": None,
        "density": None,
        "reviewer": None,
    }


def _vote(row: Mapping[str, Any], breast: Breast) -> dict[str, Any]:
    """The decision as a statement on the breast; on the image where nobody knows its side or examination."""
    alone = breast.laterality is None or not (breast.study_instance_uid or breast.accession)
    statement = {
        "source": "review",
        "evidence_id": row["review_id"],
        "rule": "review",
        "reader": row["reviewer"],
        "patient": breast.patient,
        "accession": breast.accession,
        "study_instance_uid": breast.study_instance_uid,
        "sop_instance_uid": breast.image_ids[0] if alone else None,
        "laterality": breast.laterality,
        "densities": row["density"],
    }
    return {"vote_id": "V-" + sha256_of_json(statement)[:16], **statement}


def with_reviews(votes: pa.Table, reviews: Reviews) -> pa.Table:
    """All votes together, in order."""
    return VOTES.check(pa.concat_tables([votes, reviews.votes]).sort_by("vote_id"))

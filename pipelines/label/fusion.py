"""Joins votes to images and makes one density of them.

A vote joins an image by the first identifier that both carry: SOP instance, study, accession, patient. Channels are
ranked (table, then structured report, then text): the best that spoke decides, and within it the closest scope: the
image, its breast in this examination, the examination, the breast at any time, the patient. All sources of one reader
are one vote, and votes without a named reader are one reader's. Among readers the median on the scale A to D counts,
of an even number the denser of the middle two: on an ordinal scale it minds how far apart readers are.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipelines.storage.digests import sha256_of_json
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import DENSITIES, LABELS

CHANNELS = ("table", "sr", "text")
"""Best first."""

_JOINS = ("sop_instance_uid", "study_instance_uid", "accession", "patient")
Row = dict[str, Any]


def fuse(votes: pa.Table, images: pa.Table) -> pa.Table:
    """The table of LABELS: a row for each kept image of VOTES' images whose patient is known.

    ``images`` may hold several deliveries; an image delivered twice gets one row. Density is null where nothing spoke.
    """
    columns = ["image_id", "delivery", "file_id", "status", "patient", "accession", "study_instance_uid", "laterality"]
    rows = sorted(images.select(columns).to_pylist(), key=lambda r: (r["delivery"], r["file_id"]))
    by_value: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for vote in votes.to_pylist():
        for name in _JOINS:
            if vote[name] is not None:
                by_value[name, vote[name]].append(vote)
    labels: dict[str, Row] = {}
    for image in rows:
        if image["status"] == "kept" and image["patient"] is not None and image["image_id"] not in labels:
            labels[image["image_id"]] = _label(image, by_value)
    return LABELS.build(labels.values())


def _label(image: Row, by_value: dict[tuple[str, str], list[Row]]) -> Row:
    spoke = list(_spoken_of(image, by_value))
    density, confidence = _decide(spoke)
    votes = [vote for vote, _ in spoke]
    return {
        "image_id": image["image_id"],
        "patient": image["patient"],
        "study_instance_uid": image["study_instance_uid"],
        "laterality": image["laterality"],
        "density": density,
        "confidence": confidence,
        "sources": json.dumps(sorted({v["source"] for v in votes}, key=CHANNELS.index)),
        "evidence": json.dumps(sorted(v["vote_id"] for v in votes)),
        "conflict": len({v["densities"] for v in votes}) > 1,
    }


def _spoken_of(image: Row, by_value: dict[tuple[str, str], list[Row]]) -> Iterator[tuple[Row, int]]:
    """Each vote about the image, once, with its scope (0 closest)."""
    keys = {"sop_instance_uid": image["image_id"], **{name: image[name] for name in _JOINS[1:]}}
    candidates = {v["vote_id"]: v for n, value in keys.items() if value for v in by_value.get((n, value), ())}
    for vote in candidates.values():
        join = next(n for n in _JOINS if vote[n] is not None and keys[n] is not None)
        if vote[join] != keys[join]:
            continue
        if join == "sop_instance_uid":
            yield vote, 0
        elif vote["laterality"] is None or vote["laterality"] == image["laterality"]:
            yield vote, (3 if join == "patient" else 1) + (vote["laterality"] is None)


def _decide(spoke: Sequence[tuple[Row, int]]) -> tuple[str | None, float | None]:
    """The density, and the share of the readers of the deciding channel and scope who said it."""
    if not spoke:
        return None, None
    best = min((CHANNELS.index(vote["source"]), scope) for vote, scope in spoke)
    readers: dict[str, list[str]] = defaultdict(list)
    for vote, scope in spoke:
        if (CHANNELS.index(vote["source"]), scope) == best:
            readers[vote["reader"] or ""].append(vote["densities"])
    ballots = [median(said) for said in readers.values()]
    density = median(ballots)
    return density, ballots.count(density) / len(ballots)


def median(densities: Iterable[str]) -> str:
    """The median of densities on the scale A to D; of an even number, the denser of the middle two."""
    ranks = sorted(DENSITIES.index(d) for d in densities)
    return DENSITIES[ranks[len(ranks) // 2]]


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

"""Gathers votes, one row per statement of density, from all channels. Nothing is merged here: fusion does that."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pydicom

from pipelines.label.report import read_report
from pipelines.label.sr import read_sr
from pipelines.label.table import read_table
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.tables import VOTES

SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
"""Root of the Structured Report storage SOP classes (PS3.4 Table B.5-1)."""


def collect_votes(
    *,
    delivered: pa.Table,
    reports: pa.Table,
    objects: pa.Table,
    read_object: Callable[[dict[str, Any]], pydicom.Dataset | None],
) -> pa.Table:
    """The table of VOTES from delivered labels, report texts and structured reports of any number of deliveries.

    ``read_object`` opens the object of a row of OBJECTS, or gives None where it cannot; it is called for structured
    reports alone. A statement that reaches us twice (the same evidence in two deliveries) is one vote.
    """
    statements = [*read_table(delivered), *_from_reports(reports), *_from_objects(objects, read_object)]
    votes = {}
    for statement in statements:
        vote_id = "V-" + sha256_of_json(statement)[:16]
        votes[vote_id] = {"vote_id": vote_id, **statement}
    return VOTES.build(votes.values())


def _from_reports(reports: pa.Table) -> Iterator[dict[str, Any]]:
    for row in reports.to_pylist():
        if row["status"] != "written" or not row["text"]:
            continue
        for statement in read_report(row["text"]):
            yield {
                "source": "text",
                "evidence_id": row["report_id"],
                "rule": statement.rule,
                "reader": None,
                "patient": row["patient"],
                "accession": row["accession"],
                "study_instance_uid": None,
                "sop_instance_uid": None,
                "laterality": statement.laterality,
                "densities": statement.density,
            }


def _from_objects(
    objects: pa.Table, read_object: Callable[[dict[str, Any]], pydicom.Dataset | None]
) -> Iterator[dict[str, Any]]:
    for row in objects.to_pylist():
        is_sr = row["modality"] == "SR" or (row["sop_class_uid"] or "").startswith(SR_CLASSES)
        if row["status"] != "written" or not is_sr:
            continue
        dataset = read_object(row)
        if dataset is None:
            continue
        for statement in read_sr(dataset):
            yield {
                "source": "sr",
                "evidence_id": row["sop_instance_uid"] or row["file_id"],
                "rule": statement.rule,
                "reader": None,
                "patient": row["patient"],
                "accession": row["accession"],
                "study_instance_uid": row["study_instance_uid"],
                "sop_instance_uid": None,
                "laterality": statement.laterality,
                "densities": statement.density,
            }

"""Rung C: de-identified objects and texts, the first thing that may leave the hospital."""

import json
from collections import Counter
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from assets.resources import Ladder
from assets.rung import check_gate, check_results, column_maps, counts_table, deliveries, progress_of, rung
from pipelines.archive.deliveries import find_delivery
from pipelines.deidentify.audit import AUDIT, audit_delivery
from pipelines.deidentify.crosswalk import Admission, admit_delivery
from pipelines.deidentify.delivery import deidentify_delivery, deidentify_texts
from pipelines.deidentify.profile import Profile, ProfileError, chosen_profile, load_profile
from pipelines.readiness.criteria import check
from pipelines.readiness.figures import objects_figures, texts_figures
from pipelines.storage.atomic import write_json
from pipelines.storage.column_maps import digest_of
from pipelines.storage.digests import sha256_of_json
from pipelines.storage.publication import Staging
from pipelines.storage.tables import DELIVERED_LABELS, INVENTORY, OBJECTS, REPORTS, read_table

OBJECTS_KEY = "level_c/objects"
TEXTS_KEY = "level_c/reports"
CROSSWALK = "crosswalk.json"
"""Counts alone: what the crosswalk in the vault found; no pseudonym, no original."""


class Delivered:
    """What both assets of the rung are made from: a delivery's inventory and files, the key and the profile.

    Each is read when it is first asked for, and once. Raises Failure where the profile cannot be used.
    """

    def __init__(self, ladder: Ladder, partition: str) -> None:
        self.ladder, self.partition = ladder, partition
        self.zones, self.key, self.workers = ladder.zones, ladder.key, ladder.workers
        self.folder = self.zones.publication("level_d/inventory", partition)
        self.profile = profile_of(self.zones.vault)
        self.maps = column_maps(self.zones.vault)

    @cached_property
    def sha256(self) -> str:
        """The inventory's content digest."""
        return self.ladder.publisher.digest("level_d/inventory", self.partition)

    @cached_property
    def inventory(self) -> pa.Table:
        """The inventory's rows."""
        return read_table(self.folder / "inventory.parquet", INVENTORY)

    @cached_property
    def source(self) -> "partial[Path]":
        """Opens an inventory's location."""
        delivery = find_delivery(self.zones.vault, self.zones.inbox, self.partition)
        return partial(self.zones.source_path, delivery=delivery.folder, inventory=self.folder)

    @cached_property
    def admission(self) -> Admission:
        """The delivery as taken into the vault's crosswalk."""
        return admit_delivery(
            self.zones.vault,
            self.partition,
            self.inventory,
            inventory_sha256=self.sha256,
            source=self.source,
            key=self.key,
            profile=self.profile,
            workers=self.workers,
        )


def profile_of(vault: Path) -> Profile:
    """The profile in force. Raises Failure where it cannot be used."""
    try:
        return load_profile(chosen_profile(vault))
    except ProfileError as error:
        raise dg.Failure(f"the de-identification profile cannot be used: {error}", allow_retries=False) from None


@rung(OBJECTS_KEY, deps=["level_d/inventory"], kinds={"dicom", "parquet"}, partitions_def=deliveries)
def objects(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """De-identified DICOM objects: headers by PS3.15 E.1-1, keyed pseudonyms, shifted dates, burned-in text blanked."""
    delivered = Delivered(ladder, context.partition_key)

    def build(staging: Staging) -> None:
        shared: dict[str, Any] = {
            "source": delivered.source,
            "key": delivered.key,
            "profile": delivered.profile,
            "folder": staging.folder,
            "workers": delivered.workers,
        }
        admission = delivered.admission
        summary = deidentify_delivery(
            delivered.inventory,
            **shared,
            refuse=admission.refuse,
            patients=admission.patients,
            progress=progress_of(context),
        )
        made = read_table(staging.folder / "objects.parquet", OBJECTS)
        audit_delivery(delivered.inventory, made, **shared)
        write_json(staging.folder / CROSSWALK, _crosswalk_counts(admission, made))
        staging.rows.extend(summary.ledger)
        check_gate(check(OBJECTS_KEY, _objects_figures(staging.folder, delivered.inventory)))

    made = ladder.make(
        OBJECTS_KEY,
        delivered.partition,
        inputs=lambda: {
            "level_d/inventory": delivered.sha256,
            "crosswalk": sha256_of_json([delivered.admission.refuse, delivered.admission.patients]),
        },
        parameters={"profile": delivered.profile.sha256},
        build=build,
    )
    results = check_results(check(OBJECTS_KEY, _objects_figures(made.folder, delivered.inventory)))
    return made.result(_objects_metadata(made.folder, delivered.profile), results)


def _crosswalk_counts(admission: Admission, objects: pa.Table) -> dict[str, int]:
    return {
        "unknown": admission.unknown(objects),
        "studies_of_two_patients": admission.studies_within,
        "studies_of_another_patient_before": admission.studies_before,
        "accession_numbers_of_two_patients": admission.accessions,
    }


def objects_figures_in(folder: Path, inventory_folder: Path) -> dict[str, float | None]:
    """What the criteria of the objects measure; the audit before publishing read every written byte anew."""
    return _objects_figures(folder, read_table(inventory_folder / "inventory.parquet", INVENTORY))


def _objects_figures(folder: Path, inventory: pa.Table) -> dict[str, float | None]:
    audit = json.loads((folder / AUDIT).read_text())
    crosswalk = folder / CROSSWALK
    return objects_figures(
        inventory,
        read_table(folder / "objects.parquet", OBJECTS),
        survivors=audit["survivors"] + audit["unreadable"],
        unmarked=audit["unmarked"],
        unsearched=audit["unsearched"],
        uids_retained=audit["uids_retained"],
        unknown=json.loads(crosswalk.read_text())["unknown"] if crosswalk.exists() else None,
    )


def _objects_metadata(folder: Path, profile: Profile) -> dict[str, Any]:
    table = OBJECTS.frame(read_table(folder / "objects.parquet", OBJECTS))
    written = table[table["status"] == "written"]
    actions: Counter[str] = Counter()
    for cell in written["actions"].dropna():
        actions.update(json.loads(cell))

    def counts(title: str, column: str) -> dg.MetadataValue:
        return counts_table(title, table[column].dropna().value_counts().to_dict())

    return {
        "dagster/row_count": len(table),
        "status": counts("status", "status"),
        "refused because": counts("reason", "reason"),
        "conflicts": counts_table("conflict", json.loads((folder / CROSSWALK).read_text())),
        "origin": counts("origin", "origin"),
        "modality": counts("modality", "modality"),
        "actions": counts_table("action", actions),
        "burned-in text boxes blanked": _total(written["text_boxes"]),
        "places to look at": _total(written["review_boxes"]),
        "patients": int(written["patient"].nunique()),
        "options": ", ".join(sorted(profile.options)),
        **_made_under(table, "profile", "profile_sha256"),
        **_made_under(table, "PS3.15 edition", "edition"),
    }


def _made_under(table: pd.DataFrame, name: str, column: str) -> dict[str, str]:
    """What every object of a publication was made under; "" where none was written."""
    return {name: ", ".join(sorted(set(table[column].dropna())))}


def _total(counts: pd.Series) -> int:
    return int(counts.fillna(0).sum())


@rung(TEXTS_KEY, deps=["level_d/inventory"], kinds={"text", "parquet"}, partitions_def=deliveries)
def reports(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
    """De-identified report texts, and the rows of the delivery's labels tables under pseudonyms."""
    delivered = Delivered(ladder, context.partition_key)

    def build(staging: Staging) -> None:
        summary = deidentify_texts(
            delivered.inventory,
            source=delivered.source,
            key=delivered.key,
            profile=delivered.profile,
            folder=staging.folder,
            patients=delivered.admission.patients,
            maps=delivered.maps,
            progress=progress_of(context),
        )
        staging.rows.extend(summary.ledger)
        check_gate(check(TEXTS_KEY, figures(staging.folder)))

    def figures(folder: Path) -> dict[str, float | None]:
        return texts_figures(
            delivered.inventory,
            read_table(folder / "reports.parquet", REPORTS),
            read_table(folder / "labels.parquet", DELIVERED_LABELS),
        )

    made = ladder.make(
        TEXTS_KEY,
        delivered.partition,
        inputs=lambda: {
            "level_d/inventory": delivered.sha256,
            "crosswalk": sha256_of_json(delivered.admission.patients),
        },
        parameters={"profile": delivered.profile.sha256, "column_maps": digest_of(delivered.maps)},
        build=build,
    )
    texts = REPORTS.frame(read_table(made.folder / "reports.parquet", REPORTS))
    labels = DELIVERED_LABELS.frame(read_table(made.folder / "labels.parquet", DELIVERED_LABELS))
    metadata = {
        "dagster/row_count": len(texts) + len(labels),
        "reports": counts_table("report rows", texts["status"].value_counts().to_dict()),
        "labels": counts_table("label rows", labels["status"].value_counts().to_dict()),
        "labels read by": counts_table("column map", Counter(labels["column_map"].dropna())),
        "refused because": counts_table("reason", Counter([*texts["reason"].dropna(), *labels["reason"].dropna()])),
        "pieces of text replaced": _total(texts["replacements"]),
        "profile": delivered.profile.sha256,
        "PS3.15 edition": delivered.profile.edition,
    }
    return made.result(metadata, check_results(check(TEXTS_KEY, figures(made.folder))))

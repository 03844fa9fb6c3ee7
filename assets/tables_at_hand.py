"""What stands published, read for the assets that draw on all deliveries."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pydicom

from assets.resources import Ladder
from pipelines.label.votes import collect_votes
from pipelines.storage.digests import sha256_of_bytes
from pipelines.storage.shards import PictureSource
from pipelines.storage.tables import (
    COPIES,
    DELIVERED_LABELS,
    IMAGES,
    INVENTORY,
    LABELS,
    OBJECTS,
    PATIENT_SPLITS,
    REPORTS,
    VENDOR_CURVES,
    Table,
    read_table,
)


def standing_table(ladder: Ladder, asset: str, file: str, contract: Table) -> pa.Table:
    """The rows of a partitioned asset's table over all deliveries that stand published."""
    folders = [ladder.zones.publication(asset, p) for p in ladder.partitions(asset)]
    tables = [read_table(folder / file, contract) for folder in folders]
    return pa.concat_tables(tables) if tables else contract.build([])


def inventory_of(ladder: Ladder) -> pa.Table:
    """All deliveries' inventories. Restricted: only counts of it may leave."""
    return standing_table(ladder, "level_d/inventory", "inventory.parquet", INVENTORY)


def objects_of(ladder: Ladder) -> pa.Table:
    """All deliveries' level C objects."""
    return standing_table(ladder, "level_c/objects", "objects.parquet", OBJECTS)


def object_rows(ladder: Ladder, partition: str) -> pa.Table:
    """One delivery's level C objects."""
    return read_table(ladder.zones.publication("level_c/objects", partition) / "objects.parquet", OBJECTS)


def images_of(ladder: Ladder) -> pa.Table:
    """All deliveries' level B images; an object that came in two deliveries has two rows."""
    return standing_table(ladder, "level_b/images", "images.parquet", IMAGES)


def standing_votes(ladder: Ladder) -> pa.Table:
    """All statements of density in the deliveries' labels tables, structured reports and report texts."""
    objects = objects_of(ladder)
    folder_of = {}
    for partition in ladder.partitions("level_c/objects"):
        for file_id in object_rows(ladder, partition).column("file_id").to_pylist():
            folder_of[file_id] = ladder.zones.publication("level_c/objects", partition)

    def read_object(row: Mapping[str, Any]) -> pydicom.Dataset | None:
        if not row["path"]:
            return None
        return pydicom.dcmread(folder_of[row["file_id"]] / row["path"], stop_before_pixels=True)

    return collect_votes(
        delivered=standing_table(ladder, "level_c/reports", "labels.parquet", DELIVERED_LABELS),
        reports=standing_table(ladder, "level_c/reports", "reports.parquet", REPORTS),
        objects=objects,
        read_object=read_object,
    )


def review_files(ladder: Ladder) -> list[bytes]:
    """What reviewers have filled in: the CSV files of ``research/review``, by name."""
    return [path.read_bytes() for path in sorted((ladder.zones.research / "review").glob("*.csv"))]


def label_inputs(ladder: Ladder, reviews: list[bytes]) -> dict[str, str]:
    """The content digests that the labels are made from: what stands published, and the reviewers' files."""
    digests = ladder.digests("level_b/images", "level_b/splits", "level_c/objects", "level_c/reports")
    return digests | {f"review/{digest}": digest for digest in map(sha256_of_bytes, reviews)}


def density_by_image(labels: pa.Table) -> dict[str, str]:
    """The density of each image that has one."""
    frame = LABELS.frame(labels).dropna(subset=["density"])
    return dict(zip(frame["image_id"], frame["density"], strict=True))


def densities_at_hand(ladder: Ladder) -> dict[str, str]:
    """The density of each image that has one, by the labels that stand published."""
    return density_by_image(read_table(ladder.zones.publication("level_a/labels") / "labels.parquet", LABELS))


def curves_at_hand(ladder: Ladder) -> dict[str, np.ndarray]:
    """The gray curve (4096,), uint16, of each vendor group."""
    table = read_table(ladder.zones.publication("level_b/vendor_curves") / "vendor_curves.parquet", VENDOR_CURVES)
    return {row["vendor_group"]: np.asarray(row["lut"], np.uint16) for row in table.to_pylist()}


def pictures_at_hand(ladder: Ladder) -> PictureSource:
    """Level B's pictures by delivery, shard and row."""
    return PictureSource(
        {p: ladder.zones.publication("level_b/images", p) for p in ladder.partitions("level_b/images")}
    )


def split_at_hand(ladder: Ladder) -> dict[str, str]:
    """Every patient's split, as it stands published."""
    table = read_table(ladder.zones.publication("level_b/splits") / "splits.parquet", PATIENT_SPLITS)
    return dict(zip(table["patient"].to_pylist(), table["split"].to_pylist(), strict=True))


def is_training_patient(ladder: Ladder) -> Callable[[str], bool]:
    """Tells by pseudonym whether a patient may be learned from."""
    split_of = split_at_hand(ladder)
    return lambda patient: split_of.get(patient) == "train"


def standing_split(ladder: Ladder, parameters_sha256: str) -> dict[str, str]:
    """The splits that were given before under the same proportions; none where they are other ones, or damaged."""
    batch = ladder.publisher.standing("level_b/splits")
    if batch is None or batch.parameters_sha256 != parameters_sha256 or ladder.publisher.damaged(batch):
        return {}
    return split_at_hand(ladder)


def copies_at_hand(ladder: Ladder) -> pa.Table:
    """The pairs of copies that were found among all deliveries' images."""
    return read_table(ladder.zones.publication("level_b/splits") / "copies.parquet", COPIES)

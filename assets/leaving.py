"""What an export of the level A set says beside its tables: the hospital's statement, how the set was de-identified."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow.compute as pc

from assets.level_c import profile_of
from assets.resources import Ladder
from assets.tables_at_hand import objects_of
from pipelines.curate.export.facts import Deidentification
from pipelines.curate.export.statement import Statement, StatementError, read_statement
from pipelines.readiness.export import export_figures
from pipelines.readiness.figures import Figures, identifiers
from pipelines.storage.croissant import croissant_errors
from pipelines.storage.ledger import FILE
from pipelines.storage.manifest import MANIFEST, read_manifest, unlike_manifest
from pipelines.storage.tables import INVENTORY, VENDOR_CURVES, read_table


def statement_of(ladder: Ladder) -> Statement:
    """The hospital's statement: the file that MIDAR_DATASET names, else ``dataset.toml`` in the data root, else none.

    Raises Failure where it cannot be used, or MIDAR_DATASET names no file.
    """
    named = os.environ.get("MIDAR_DATASET")
    if named and not Path(named).is_file():
        raise dg.Failure("MIDAR_DATASET names no file", allow_retries=False)
    try:
        return read_statement(Path(named) if named else ladder.zones.root / "dataset.toml")
    except StatementError as error:
        raise dg.Failure(f"the statement about the data set cannot be used: {error}", allow_retries=False) from None


def deidentification_of(ladder: Ladder) -> Deidentification:
    """How the written objects were de-identified; the options by name where the profile at hand is the one in force."""
    objects = objects_of(ladder)
    written = objects.filter(pc.equal(objects["status"], "written"))
    editions, profiles = (
        tuple(sorted(pc.unique(written[name]).drop_null().to_pylist())) for name in ("edition", "profile_sha256")
    )
    profile = profile_of(ladder.zones.vault)
    options = tuple(profile.codes) if profiles == (profile.sha256,) else ()
    return Deidentification(editions, profiles, options, ladder.key.fingerprint)


def curves_version(ladder: Ladder) -> str:
    """The version of the vendor curves that stand; empty where there is none."""
    path = ladder.zones.publication("level_b/vendor_curves") / "vendor_curves.parquet"
    versions = pc.unique(read_table(path, VENDOR_CURVES)["version"]).to_pylist()
    return versions[0] if versions else ""


def stated_files(ladder: Ladder, asset: str) -> dict[str, str]:
    """The SHA-256 of each file of a publication, as the ledger states them."""
    batch = ladder.publisher.standing(asset)
    if batch is None:
        return {}
    rows = ladder.publisher.ledger_of(asset).rows(batch)
    files = rows.filter(pc.equal(rows["operation"], FILE))
    return dict(zip(files["path"].to_pylist(), files["sha256"].to_pylist(), strict=True))


def staged_figures(ladder: Ladder, folder: Path) -> Figures:
    """The figures of an export that is not published yet: every file is hashed."""
    return _figures(ladder, folder, len(unlike_manifest(folder)))


def published_figures(ladder: Ladder, folder: Path, asset: str) -> Figures:
    """The figures of the export that stands: its manifest held against the ledger, which was written from the files."""
    stated = stated_files(ladder, asset)
    stated.pop(MANIFEST, None)
    return _figures(ladder, folder, len(stated.items() ^ read_manifest(folder).items()))


def _figures(ladder: Ladder, folder: Path, unlike: int) -> Figures:
    return export_figures(
        folder,
        unlike_manifest=unlike,
        croissant_errors=len(croissant_errors(folder)),
        identifiers=_identifiers(ladder),
    )


def _identifiers(ladder: Ladder) -> Iterator[set[str]]:
    uids = not profile_of(ladder.zones.vault).is_on("retain_uids")
    for partition in ladder.partitions("level_d/inventory"):
        inventory = read_table(
            ladder.zones.publication("level_d/inventory", partition) / "inventory.parquet", INVENTORY
        )
        yield identifiers(INVENTORY.frame(inventory), uids=uids)

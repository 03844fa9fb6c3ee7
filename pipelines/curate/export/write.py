"""Writes an export: a folder that holds all that a user of the level A set needs, and nothing that tells a patient.

Pictures and the index are the published files under a second name, not second copies. Same inputs give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipelines import storage
from pipelines.curate.export import card, croissant
from pipelines.curate.export.dictionary import write_dictionary
from pipelines.curate.export.facts import Deidentification, Facts, count
from pipelines.curate.export.picture import write_counts_picture
from pipelines.curate.export.statement import Statement
from pipelines.curate.export.tables import TABLES, batches, place, write_labels, write_splits
from pipelines.storage.atomic import write_bytes
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.manifest import MANIFEST, files_below, write_manifest
from pipelines.storage.tables import DATASET

READER = "torch_dataset.py"
DICTIONARY = "data_dictionary.csv"
LEAVES = (
    "dataset.parquet",
    "exclusions.parquet",
    "plan.parquet",
    "contact_sheet.png",
    "shard-*.arrow",
    "pyramid/*.arrow",
)
"""The files of a level A publication that leave with an export; the first four must be there."""


class ExportError(ValueError):
    """A level A publication lacks a file that an export must have."""


@dataclass(frozen=True)
class ExportSummary:
    """What was exported: its figures, the digest of its manifest, and the ledger's row, which names every image."""

    facts: Facts
    manifest_sha256: str
    ledger: tuple[LedgerRow, ...]


def write_export(
    dataset_folder: Path,
    labels_folder: Path,
    *,
    folder: Path,
    stated: Mapping[str, str],
    statement: Statement,
    deidentification: Deidentification,
    versions: Mapping[str, str],
    curves: str,
) -> ExportSummary:
    """Write the export of a level A publication, with the labels' publication, into ``folder``.

    ``stated`` holds the SHA-256 of every file of ``dataset_folder`` as the ledger has it: what leaves is what was
    published, so the manifest quotes it, and whoever verifies the manifest finds what was changed since. ``versions``
    names code and libraries, ``curves`` the version of the vendor curves. Raises ExportError where a file that an
    export must have was not published.
    """
    digests = _place_published(dataset_folder, folder, stated)
    write_bytes(folder / READER, Path(storage.__file__).with_name(READER).read_bytes())
    write_labels(labels_folder, folder)
    write_splits(folder)
    write_dictionary(folder / DICTIONARY, TABLES)
    facts = count(folder)
    write_counts_picture(folder, facts)
    card.write_card(
        folder,
        facts=facts,
        statement=statement,
        deidentification=deidentification,
        versions=versions,
        curves=curves,
    )
    digests |= {path: sha256_of_file(folder / path) for path in files_below(folder) if path not in digests}
    croissant.write_croissant(
        folder, digests, facts=facts, statement=statement, deidentification=deidentification, curves=curves
    )
    manifest = write_manifest(folder, digests)
    ledger = LedgerRow(f"E-{manifest[:16]}", MANIFEST, manifest, tuple(_images(folder)), "export")
    return ExportSummary(facts, manifest, (ledger,))


def _place_published(source: Path, folder: Path, stated: Mapping[str, str]) -> dict[str, str]:
    """Put the published files that leave into the export; their digests as stated."""
    paths = sorted(path for path in stated if any(fnmatchcase(path, pattern) for pattern in LEAVES))
    missing = sorted(set(LEAVES[:4]) - set(paths))
    if missing:
        raise ExportError(f"the published set has no {', '.join(missing)}")
    for path in paths:
        place(source / path, folder / path)
    return {path: stated[path] for path in paths}


def _images(folder: Path) -> list[tuple[str, str]]:
    """Every image of the export with its picture's digest."""
    found: list[tuple[str, str]] = []
    for piece in batches(folder / "dataset.parquet", DATASET, ["image_id", "picture_sha256"]):
        found += zip(piece["image_id"].to_pylist(), piece["picture_sha256"].to_pylist(), strict=True)
    return found

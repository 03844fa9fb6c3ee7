"""Croissant metadata of an export, with the RAI vocabulary for responsible use.

Source: Croissant RAI 1.0 (docs.mlcommons.org/croissant/docs/croissant-rai-spec.html).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.curate.export import words
from pipelines.curate.export.facts import Deidentification, Facts
from pipelines.curate.export.statement import NOT_STATED, Statement
from pipelines.curate.export.tables import TABLES
from pipelines.storage import croissant


def write_croissant(
    folder: Path,
    digests: Mapping[str, str],
    *,
    facts: Facts,
    statement: Statement,
    deidentification: Deidentification,
    curves: str,
) -> None:
    """Write ``folder/croissant.json`` over the files whose SHA-256 ``digests`` gives by path."""
    croissant.write_description(
        folder,
        name=statement.title,
        description=words.summary(facts),
        keywords=["mammography", "breast density", "BI-RADS", "medical imaging data readiness"],
        properties={**stated_properties(statement), **_rai(facts, statement, deidentification, curves)},
        distribution=_distribution(folder, digests),
        record_sets=[croissant.splits(), croissant.densities(), *_record_sets()],
    )


def stated_properties(statement: Statement) -> dict[str, Any]:
    """What the hospital said; the properties that Croissant demands say that nothing was said."""
    creators = statement.creators or (statement.publisher,)
    stated: dict[str, Any] = {
        "license": statement.license,
        "citeAs": statement.citation,
        "creator": [{"@type": "sc:Organization", "name": name} for name in creators],
        "publisher": {"@type": "sc:Organization", "name": statement.publisher},
        "version": statement.version,
    }
    if statement.url:
        stated["url"] = statement.url
    if statement.date_published:
        stated["datePublished"] = statement.date_published
    return stated


def _rai(facts: Facts, statement: Statement, deidentification: Deidentification, curves: str) -> dict[str, Any]:
    """The properties of the RAI vocabulary; those that only the hospital knows are left out where it did not say."""
    found: dict[str, Any] = {
        "rai:dataCollection": words.collection(facts, statement),
        "rai:dataCollectionType": "Secondary Data Analysis",
        "rai:dataCollectionMissingData": words.missing(facts),
        "rai:dataPreprocessingProtocol": words.preparation(facts, deidentification, curves),
        "rai:dataAnnotationProtocol": words.annotation(facts),
        "rai:dataAnnotationAnalysis": words.analysis(facts),
        "rai:annotationsPerItem": words.per_item(facts),
        "rai:dataBiases": words.biases(facts),
        "rai:dataLimitations": words.limits(facts),
        "rai:dataUseCases": [*words.USES, *(f"Not for: {use}" for use in words.NOT_FOR)],
        "rai:personalSensitiveInformation": words.sensitive(deidentification),
    }
    for name, value in (
        ("rai:annotatorDemographics", statement.annotators),
        ("rai:dataReleaseMaintenancePlan", statement.maintenance),
    ):
        if value != NOT_STATED:
            found[name] = value
    return found


def _distribution(folder: Path, digests: Mapping[str, str]) -> list[dict[str, Any]]:
    files = [croissant.file_object(folder / path, digest, url=path) for path, digest in sorted(digests.items())]
    files += [
        croissant.file_set(
            "shards", "shard-*.arrow", "Full pictures: Arrow IPC files of image_id and pixels, one a record batch."
        ),
        croissant.file_set(
            "pyramid", "pyramid/*.arrow", "The pictures at half the size, a quarter … <rows>x<columns>-<number>."
        ),
    ]
    return files


def _record_sets() -> list[dict[str, Any]]:
    """A record set for each table; that of ``dataset.parquet``, the index, is called ``images``."""
    leading = {"split": "splits/name", "density": "densities/name"}
    found = []
    for file, table in TABLES.items():
        if file.endswith(".parquet"):
            is_index = file == "dataset.parquet"
            name = "images" if is_index else Path(file).stem
            found.append(croissant.record_set(name, file, table, leading if is_index else None))
    return found

"""Croissant metadata of an export, with the RAI vocabulary for responsible use.

Sources: Croissant 1.0 (docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html), Croissant RAI 1.0
(docs.mlcommons.org/croissant/docs/croissant-rai-spec.html).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.curate.export import words
from pipelines.curate.export.dictionary import meaning_of
from pipelines.curate.export.facts import Deidentification, Facts
from pipelines.curate.export.statement import NOT_STATED, Statement
from pipelines.curate.export.tables import TABLES, simple_columns
from pipelines.storage.atomic import write_json
from pipelines.storage.contracts import Column, Table
from pipelines.storage.tables import DENSITIES, SPLITS

NAME = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]

ARROW_FILE = "application/vnd.apache.arrow.file"
FORMATS = {
    ".parquet": "application/x-parquet",
    ".arrow": ARROW_FILE,
    ".csv": "text/csv",
    ".png": "image/png",
    ".md": "text/markdown",
    ".py": "text/x-python",
}

_SPLIT_TYPES = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}
_DENSITY_WORDS = {
    "A": ("almost entirely fatty", "129716005"),
    "B": ("scattered areas of fibroglandular density", "129717001"),
    "C": ("heterogeneously dense", "129718006"),
    "D": ("extremely dense", "129719003"),
}
"""BI-RADS 5th edition wording, and the SNOMED CT code that structured reports give it."""

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of the specification, section "JSON-LD context"."""


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
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": statement.title,
        "description": words.summary(facts),
        "conformsTo": CONFORMS_TO,
        "inLanguage": "en",
        "keywords": ["mammography", "breast density", "BI-RADS", "medical imaging data readiness"],
        **_stated(statement),
        **_rai(facts, statement, deidentification, curves),
        "distribution": _distribution(folder, digests),
        "recordSet": [_splits(), _densities(), *_record_sets()],
    }
    write_json(folder / NAME, content)


def croissant_errors(folder: Path) -> list[str]:
    """What mlcroissant finds wrong with ``folder/croissant.json``; empty where it is valid."""
    import mlcroissant
    from absl import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # it warns of every recommended property that the hospital left unstated
    try:
        return sorted(mlcroissant.Dataset(str(folder / NAME)).metadata.ctx.issues.errors)
    except (mlcroissant.ValidationError, ValueError) as error:
        return [str(error)]
    finally:
        logging.set_verbosity(verbosity)


def _stated(statement: Statement) -> dict[str, Any]:
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
    files: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "contentSize": f"{(folder / path).stat().st_size} B",
            "encodingFormat": FORMATS[Path(path).suffix],
            "sha256": digest,
        }
        for path, digest in sorted(digests.items())
    ]
    files += [
        _file_set(
            "shards", "shard-*.arrow", "Full pictures: Arrow IPC files of image_id and pixels, one a record batch."
        ),
        _file_set(
            "pyramid", "pyramid/*.arrow", "The pictures at half the size, a quarter … <rows>x<columns>-<number>."
        ),
    ]
    return files


def _file_set(name: str, includes: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": ARROW_FILE,
        "includes": includes,
    }


def _splits() -> dict[str, Any]:
    rows = [{"splits/name": name, "splits/url": _SPLIT_TYPES[name]} for name in SPLITS]
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits; no patient is in two of them.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [_inline("splits", "name", "sc:Text"), _inline("splits", "url", "sc:URL")],
        "data": rows,
    }


def _densities() -> dict[str, Any]:
    rows = [
        {
            "densities/name": name,
            "densities/description": _DENSITY_WORDS[name][0],
            "densities/url": f"http://snomed.info/id/{_DENSITY_WORDS[name][1]}",
        }
        for name in DENSITIES
    ]
    fields = [("name", "sc:Text"), ("description", "sc:Text"), ("url", "sc:URL")]
    return {
        "@type": "cr:RecordSet",
        "@id": "densities",
        "name": "densities",
        "description": "Breast composition, BI-RADS 5th edition.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "densities/name"},
        "field": [_inline("densities", name, kind) for name, kind in fields],
        "data": rows,
    }


def _inline(record_set: str, name: str, kind: str) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name, "dataType": kind}


def _record_sets() -> list[dict[str, Any]]:
    """A record set for each table; that of ``dataset.parquet``, the index, is called ``images``."""
    return [_record_set("images" if file == "dataset.parquet" else Path(file).stem, file, t) for file, t in _PARQUET]


_PARQUET = [(file, table) for file, table in TABLES.items() if file.endswith(".parquet")]


def _record_set(name: str, file: str, table: Table) -> dict[str, Any]:
    references = {"split": "splits/name", "density": "densities/name"} if name == "images" else {}
    fields = []
    for column in simple_columns(table):
        field = _field(name, file, column)
        if column.name in references:
            field["references"] = {"field": {"@id": references[column.name]}}
        fields.append(field)
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": table.meaning,
        "key": [{"@id": f"{name}/{column}"} for column in table.key],
        "field": fields,
    }


def _field(record_set: str, file: str, column: Column) -> dict[str, Any]:
    unit = f" ({column.unit})" if column.unit else ""
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column.name}",
        "name": column.name,
        "description": meaning_of(column) + unit,
        "dataType": _data_type(column.type),
        "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
    }


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"

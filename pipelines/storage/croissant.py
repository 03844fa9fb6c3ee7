"""Croissant metadata: what every set of this project says in the same way, as parts to build a description from.

Source: Croissant 1.0 (docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.storage.atomic import write_json
from pipelines.storage.contracts import Column, Table
from pipelines.storage.meanings import meaning_of, simple_columns
from pipelines.storage.tables import DENSITIES, SPLITS

NAME = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]

ARROW_FILE = "application/vnd.apache.arrow.file"
FORMATS = {
    ".parquet": "application/x-parquet",
    ".arrow": ARROW_FILE,
    ".csv": "text/csv",
    ".json": "application/json",
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


def write_description(
    folder: Path,
    *,
    name: str,
    description: str,
    keywords: Sequence[str],
    properties: Mapping[str, Any],
    distribution: Sequence[Mapping[str, Any]],
    record_sets: Sequence[Mapping[str, Any]],
) -> None:
    """Write ``folder/croissant.json``: a set with its files and record sets, and ``properties`` of its own."""
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": CONFORMS_TO,
        "inLanguage": "en",
        "keywords": list(keywords),
        **properties,
        "distribution": list(distribution),
        "recordSet": list(record_sets),
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


def file_object(path: Path, digest: str, *, url: str, name: str = "") -> dict[str, Any]:
    """A file by its place (``url``, below the description's folder or relative to it) and SHA-256; its id is ``name``,
    else the url."""
    return {
        "@type": "cr:FileObject",
        "@id": name or url,
        "name": name or url,
        "contentUrl": url,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": FORMATS[path.suffix],
        "sha256": digest,
    }


def file_set(name: str, includes: str, description: str) -> dict[str, Any]:
    """Files by a pattern below the description's folder."""
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": ARROW_FILE,
        "includes": includes,
    }


def splits() -> dict[str, Any]:
    """The record set of the splits, ``splits/name``."""
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


def densities() -> dict[str, Any]:
    """The record set of the densities, ``densities/name``."""
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


def record_set(name: str, file: str, table: Table, references: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The record set of a table in a file object; ``references`` leads columns to fields of other record sets."""
    fields = []
    for column in simple_columns(table):
        field = _field(name, file, column)
        if references and column.name in references:
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

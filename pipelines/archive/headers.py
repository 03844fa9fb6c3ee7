"""Recognize a DICOM file by its content and read the identifiers that the inventory keeps of it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom import config
from pydicom.datadict import keyword_for_tag
from pydicom.multival import MultiValue

from pipelines.archive.structure import StructureError, read_skeleton

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

_COLUMNS = {
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
    0x00080050: "accession_number",
    0x00100020: "patient_id",
    0x00080060: "modality",
}


@dataclass(frozen=True)
class Header:
    """What a DICOM file is: kind dicom or dicomdir, a reason code where it is not whole, and its inventory columns."""

    kind: str
    reason: str | None
    columns: dict[str, str | None]


def read_header(path: Path, size: int) -> Header | None:
    """Read a file's DICOM header, or None where the file is not DICOM by its content.

    Pixel data and other large values are not read. A file that is DICOM but cut off, malformed or empty has a reason;
    the columns then hold what could be read. Raises OSError where the file cannot be read.
    """
    reason, skeleton = None, None
    try:
        with path.open("rb") as file:
            skeleton = read_skeleton(file, size)
        if skeleton is None:
            return None
        if skeleton.elements == 0:
            reason = "no_data_set"
    except StructureError as error:
        reason = error.reason
    columns, readable = _read_columns(path) if reason != "deflate_too_large" else ({}, True)
    if skeleton:
        columns["transfer_syntax_uid"] = skeleton.transfer_syntax
    directory = columns.get("sop_class_uid") == MEDIA_STORAGE_DIRECTORY or bool(skeleton and skeleton.directory)
    kind = "dicomdir" if directory else "dicom"
    return Header(kind, reason or (None if readable else "unparsable"), columns)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep pydicom quiet: its warnings and log lines repeat values, which identify patients."""
    logger, mode = logging.getLogger("pydicom"), config.settings.reading_validation_mode
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        config.settings.reading_validation_mode = mode


def _read_columns(path: Path) -> tuple[dict[str, str | None], bool]:
    """The identifiers of a file, and whether it could be parsed at all."""
    columns: dict[str, str | None] = {}
    with _hushed():
        try:
            tags: list[Any] = list(_COLUMNS)
            data_set = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=tags)
            stated = data_set.file_meta.get("MediaStorageSOPClassUID") if hasattr(data_set, "file_meta") else None
        except OSError as error:
            if error.errno is not None:
                raise
            return columns, False  # pydicom's own, for data that end early
        except Exception:  # noqa: BLE001 - whatever a damaged header does to the parser, it is that file's row
            return columns, False
        readable = True
        for tag, column in _COLUMNS.items():
            try:
                columns[column] = _text(data_set.get(keyword_for_tag(tag)))
            except Exception:  # noqa: BLE001 - as above, for one value
                readable = False
        columns["sop_class_uid"] = columns.get("sop_class_uid") or _text(stated)
    return columns, readable


def _text(value: Any) -> str | None:
    """A value as text that any encoding can hold; None where it is empty."""
    if value is None:
        return None
    text = "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)
    text = text.strip("\0 ").encode("utf-8", "replace").decode()
    return text or None

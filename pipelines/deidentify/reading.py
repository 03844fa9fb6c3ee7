"""Reading a DICOM file, quietly: pydicom's warnings and log lines repeat values, which identify patients."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

_PLAIN = {
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, no log lines, and no opinion on values that break a VR's rules, in reading or writing."""
    logger = logging.getLogger("pydicom")
    level, modes = logger.level, (config.settings.reading_validation_mode, config.settings.writing_validation_mode)
    logger.setLevel(logging.CRITICAL + 1)
    config.settings.reading_validation_mode = config.settings.writing_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        config.settings.reading_validation_mode, config.settings.writing_validation_mode = modes


def read_raw(path: Path) -> Dataset:
    """Read a file with or without preamble and meta information; values are decoded when they are asked for."""
    return pydicom.dcmread(path, force=True)


def tags_of(dataset: Dataset) -> list[int]:
    """A data set's tags in order, without decoding any value."""
    return sorted(map(int, dataset.keys()))


def transfer_syntax_of(dataset: Dataset) -> str | None:
    """The transfer syntax that a data set was read in; None where it cannot be told or is a vendor's own.

    Where the file does not say, or says what cannot be, it is the plain one that the data set was found to be in.
    """
    stated = str(dataset.file_meta.get("TransferSyntaxUID", "") or "")
    plain = _PLAIN.get(dataset.original_encoding)  # type: ignore[arg-type]
    known = pydicom.uid.UID(stated)
    if stated and (known.is_private or known.type != "Transfer Syntax"):
        return None
    encapsulated = bool(stated) and known.is_encapsulated
    if encapsulated or (stated == DeflatedExplicitVRLittleEndian and plain == ExplicitVRLittleEndian):
        return stated if plain == ExplicitVRLittleEndian else None
    pixels = dataset.get_item(0x7FE00010) if 0x7FE00010 in dataset else None
    if plain is None or (pixels is not None and getattr(pixels, "length", 0) == 0xFFFFFFFF):
        return None
    return str(plain)

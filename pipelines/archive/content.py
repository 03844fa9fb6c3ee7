"""What a file is, by its content: the part of the inventory that is spread over the workers."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.archive.headers import read_header
from pipelines.archive.structure import DEFLATED, StructureError, inflate, read_skeleton
from pipelines.archive.tables import recognize_table
from pipelines.archive.unpack import archive_form
from pipelines.archive.walk import UNREADABLE
from pipelines.storage.column_maps import ColumnMap
from pipelines.storage.digests import sha256_of_file


@dataclass(frozen=True)
class Source:
    """A file to look at: where it is, and its own name without folders (it tells reports and labels tables).

    ``maps``: the labels tables that are known beside those with our own columns.
    """

    path: Path
    name: str
    maps: tuple[ColumnMap, ...] = ()


@dataclass(frozen=True)
class Content:
    """What a file was found to be. ``form`` is an archive's form; ``columns`` are inventory columns of its header."""

    size: int
    sha256: str
    kind: str
    reason: str | None = None
    form: str | None = None
    columns: dict[str, str | None] = field(default_factory=dict)


def examine(source: Source) -> Content:
    """Hash a file in a stream and recognize it: DICOM, DICOMDIR, archive, reports or labels table, or neither."""
    try:
        size = source.path.stat().st_size
        sha256 = sha256_of_file(source.path)
        if size == 0:
            return Content(0, sha256, "other", "empty")
        return _recognize(source, size, sha256)
    except OSError:
        return Content(0, "", "other", UNREADABLE)


def _recognize(source: Source, size: int, sha256: str) -> Content:
    header = read_header(source.path, size)
    if header is not None:
        return Content(size, sha256, header.kind, header.reason, columns=header.columns)
    with source.path.open("rb") as file:
        form = archive_form(file.read(512))
    table = recognize_table(source.path, source.name, source.maps)
    if table is not None:
        return Content(size, sha256, table[0], table[1])
    if form is not None:
        return Content(size, sha256, "archive", form=form)
    return Content(size, sha256, "other", "not_dicom")


def data_set_digest(path: Path) -> str:
    """SHA-256 of a DICOM file's data set, without preamble and file meta group; inflated where it is deflated.

    Two files of one object that differ in what only says how it was stored have the same digest. Raises OSError or
    StructureError where the file has changed since it was examined.
    """
    with path.open("rb") as file:
        skeleton = read_skeleton(file, os.fstat(file.fileno()).st_size)
        if skeleton is None:
            raise StructureError("malformed")
        if skeleton.transfer_syntax == DEFLATED:
            return hashlib.sha256(inflate(file, skeleton.data_set).getbuffer()).hexdigest()
        file.seek(skeleton.data_set)
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()

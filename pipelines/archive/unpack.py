"""Open zip and tar archives and compressed single files; write their members under ids, never under their own names.

Members are streamed, so memory stays flat; a member that cannot be read is reported, not skipped.
"""

import bz2
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from pipelines.archive.limits import ArchiveError, Budget
from pipelines.archive.walk import SPECIAL_FILE, SYMLINK, UNREADABLE

UNSUPPORTED = "unsupported"

_BLOCK = 1 << 20
_MOST_HEADER_BYTES = 1 << 26
_MOST_XZ_MEMORY = 1 << 28
_MOST_DIRECTORY_BYTES = 1 << 28
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    struct.error,
    OSError,
)
_MAGIC = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b\x08": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": UNSUPPORTED,
    b"Rar!\x1a\x07": UNSUPPORTED,
    b"\x28\xb5\x2f\xfd": UNSUPPORTED,
    b"\x1f\x9d": UNSUPPORTED,
}


@dataclass(frozen=True)
class Member:
    """A file in an archive: its running number and name there, where it was written, or why it was not."""

    number: int
    name: str
    path: Path | None
    problem: str | None = None


Target = Callable[[int, str], Path]
"""Where to write a member, by its running number and name."""


def archive_form(head: bytes) -> str | None:
    """An archive's form by its first 512 bytes: zip, tar, gz, bz2, xz, unsupported (7z, rar, zstd, Z), or None."""
    for magic, form in _MAGIC.items():
        if head.startswith(magic):
            return form
    return "tar" if _is_tar_header(head) else None


def unpack(path: Path, form: str, target: Target, budget: Budget) -> Iterator[Member]:
    """Write an archive's files and yield each. Folders in it are no members; links and devices are reported.

    Raises ArchiveError where it cannot be opened or ends early (members yielded before stand), and where a limit of
    the budget is broken.
    """
    if form == UNSUPPORTED:
        raise ArchiveError("archive_unsupported")
    if form == "zip":
        yield from _unpack_zip(path, target, budget)
        return
    try:
        file = path.open("rb")
    except OSError:
        raise ArchiveError(UNREADABLE) from None
    with file:
        if form == "tar":
            yield from _unpack_tar(file, target, budget)
            return
        stream = _Inflating(file, form)
        head = stream.peek(512)
        if _is_tar_header(head):
            yield from _unpack_tar(stream, target, budget)
        else:
            yield _single(stream, path, target, budget)


def _is_tar_header(head: bytes) -> bool:
    """Whether 512 bytes are a tar header: the sum of its bytes, the sum itself read as spaces, is stated within."""
    try:
        stated = int(head[148:156].strip(b"\0 ") or b"-", 8)
    except ValueError:
        return False
    return len(head) == 512 and sum(head[:148]) + 8 * 32 + sum(head[156:]) == stated


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _DamagedError(Exception):
    """A member's data cannot be read."""


def _copy(source: _Source, path: Path, budget: Budget) -> int:
    """Write a stream to a file; bytes written. Raises _DamagedError where the source fails, not where the disk does."""
    written = 0
    with path.open("wb") as file:
        while True:
            try:
                block = source.read(_BLOCK)
            except ArchiveError:
                raise
            except _DAMAGE:
                raise _DamagedError from None
            if not block:
                return written
            budget.spend(len(block))
            written += file.write(block)


def _unpack_zip(path: Path, target: Target, budget: Budget) -> Iterator[Member]:
    _check_directory_size(path)
    try:
        archive = zipfile.ZipFile(path)
    except (*_DAMAGE, NotImplementedError):
        raise ArchiveError("archive_broken") from None
    opened, files = 0, [info for info in archive.infolist() if not info.is_dir()]
    with archive:
        for number, info in enumerate(files):
            budget.count_member()
            member = _zip_member(archive, number, info, target, budget)
            opened += member.problem != "encrypted"
            yield member
    if files and not opened:
        raise ArchiveError("encrypted")


def _zip_member(archive: zipfile.ZipFile, number: int, info: zipfile.ZipInfo, target: Target, budget: Budget) -> Member:
    problem = None
    if info.flag_bits & 0x41:
        problem = "encrypted"
    elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        problem = "compression_unsupported"  # LZMA among them: a member could claim 4 GB of memory
    elif stat.S_ISLNK(info.external_attr >> 16):
        problem = SYMLINK
    if problem:
        return Member(number, info.filename, None, problem)
    path = target(number, info.filename)
    try:
        with archive.open(info) as source:
            _copy(source, path, budget)
    except ArchiveError:
        raise
    except (_DamagedError, NotImplementedError, RuntimeError, *_DAMAGE):
        path.unlink(missing_ok=True)
        return Member(number, info.filename, None, "member_unreadable")
    return Member(number, info.filename, path)


def _check_directory_size(path: Path) -> None:
    """Refuse a zip whose directory would not fit in memory (APPNOTE 4.3.14-16: end of central directory, zip64)."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 65_557))
            tail = file.read()
            end = tail.rfind(b"PK\x05\x06")
            directory = struct.unpack_from("<I", tail, end + 12)[0] if end >= 0 else 0
            if directory == 0xFFFFFFFF and tail[max(0, end - 20) : end][:4] == b"PK\x06\x07":
                file.seek(struct.unpack_from("<Q", tail, end - 12)[0])
                directory = struct.unpack_from("<Q", file.read(56), 40)[0]
    except OSError:
        raise ArchiveError(UNREADABLE) from None
    except (struct.error, ValueError, OverflowError):
        raise ArchiveError("archive_broken") from None
    if directory > _MOST_DIRECTORY_BYTES:
        raise ArchiveError("archive_too_many_members", hostile=True)


class _StrictHeader(tarfile.TarInfo):
    """A tar header that does not let a damaged one in the middle pass for the archive's end, as tarfile does."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_StrictHeader":
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError, tarfile.SubsequentHeaderError):  # type: ignore[attr-defined]
            raise tarfile.ReadError from None


class _Guarded:
    """A stream of which only so much may be read for headers: a pax header can claim gigabytes of memory."""

    def __init__(self, source: _Source) -> None:
        self.source, self.allowance = source, _MOST_HEADER_BYTES

    def read(self, size: int) -> bytes:
        block = self.source.read(size)
        self.allowance -= len(block)
        if self.allowance < 0:
            raise ArchiveError("archive_broken", hostile=True)
        return block


def _unpack_tar(source: _Source, target: Target, budget: Budget) -> Iterator[Member]:
    guarded, number = _Guarded(source), 0
    written: dict[str, Path] = {}
    try:
        archive = tarfile.open(fileobj=guarded, mode="r|", tarinfo=_StrictHeader)  # type: ignore[call-overload]  # noqa: SIM115
    except _DAMAGE:
        raise ArchiveError("archive_broken") from None
    while True:
        guarded.allowance = _MOST_HEADER_BYTES
        try:
            info = archive.next()
        except ArchiveError:
            raise
        except _DAMAGE:
            raise ArchiveError("archive_broken") from None
        if info is None:
            return
        archive.members.clear()  # it would keep every header of a long archive
        if info.isdir():
            continue
        budget.count_member()
        guarded.allowance = info.size + 2 * _MOST_HEADER_BYTES
        member = _tar_member(archive, info, number, written, target, budget)
        if member.path:
            written[info.name] = member.path
        yield member
        number += 1


def _tar_member(
    archive: tarfile.TarFile,
    info: tarfile.TarInfo,
    number: int,
    written: dict[str, Path],
    target: Target,
    budget: Budget,
) -> Member:
    if info.issym():
        return Member(number, info.name, None, SYMLINK)
    if not (info.isreg() or info.islnk()):
        return Member(number, info.name, None, SPECIAL_FILE)
    path = target(number, info.name)
    if info.islnk():
        if info.linkname not in written:
            return Member(number, info.name, None, "member_unreadable")
        budget.spend(written[info.linkname].stat().st_size)
        shutil.copyfile(written[info.linkname], path)
        return Member(number, info.name, path)
    try:
        source: IO[bytes] | None = archive.extractfile(info)
        if source is None or _copy(source, path, budget) != info.size:
            raise _DamagedError
    except ArchiveError:
        raise
    except (_DamagedError, tarfile.TarError):
        path.unlink(missing_ok=True)
        return Member(number, info.name, None, "member_unreadable")
    return Member(number, info.name, path)


def _single(stream: "_Inflating", path: Path, target: Target, budget: Budget) -> Member:
    """The one file of a compressed file that is no tar."""
    name = path.stem
    budget.count_member()
    written = target(0, name)
    try:
        _copy(stream, written, budget)
    except _DamagedError:
        written.unlink(missing_ok=True)
        raise ArchiveError("archive_broken") from None
    return Member(0, name, written)


class _Inflating:
    """The inflated bytes of a gz, bz2 or xz file; several streams in a row are joined. Memory is bounded."""

    def __init__(self, file: IO[bytes], form: str) -> None:
        self.file, self.form = file, form
        self.decompressor, self.pending, self.fresh = self._start(), b"", True
        self.ahead = b""

    def _start(self) -> Any:
        if self.form == "gz":
            return zlib.decompressobj(zlib.MAX_WBITS | 16)
        return bz2.BZ2Decompressor() if self.form == "bz2" else lzma.LZMADecompressor(memlimit=_MOST_XZ_MEMORY)

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay to be read; fewer where the stream ends or is damaged."""
        try:
            while len(self.ahead) < size and (block := self._inflate(size)):
                self.ahead += block
        except _DAMAGE:
            raise ArchiveError("archive_broken") from None
        return self.ahead[:size]

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end. Raises EOFError where the file is cut off."""
        parts, wanted = [self.ahead[:size]], size - len(self.ahead[:size])
        self.ahead = self.ahead[size:]
        while wanted > 0 and (block := self._inflate(wanted)):
            parts.append(block)
            wanted -= len(block)
        return b"".join(parts)

    def _inflate(self, most: int) -> bytes:
        while True:
            if self.decompressor.eof:
                rest = self.decompressor.unused_data or self.file.read(_BLOCK)
                if not rest.strip(b"\0"):
                    return b""
                self.decompressor, self.pending, self.fresh = self._start(), rest, True
            block = self._feed(most)
            if block:
                return block

    def _feed(self, most: int) -> bytes:
        waiting = self.form != "gz" and not self.decompressor.needs_input
        data = b"" if waiting else self.pending or self.file.read(_BLOCK)
        if not data and not waiting:
            raise EOFError
        block = self.decompressor.decompress(data, most)
        self.pending = self.decompressor.unconsumed_tail if self.form == "gz" else b""
        return block

"""Atomic writes: a file or folder appears whole or not at all, and survives a power cut once it has appeared."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path``; on a clean exit it is flushed to disk and renamed to ``path``.

    On an exception the temporary file is removed and ``path`` is as it was. ``mode`` sets the permission bits before
    the file appears.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        yield temporary
        if mode is not None:
            temporary.chmod(mode)
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Force what was written to a file, or a folder's entries, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write bytes atomically; with ``mode`` the file never exists with wider permissions than that."""
    with replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


def write_json(path: Path, value: Any, mode: int | None = None) -> None:
    """Write a value as readable JSON with sorted keys, atomically; the same value gives the same bytes."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode(), mode)


def publish_folder(staging: Path, final: Path) -> None:
    """Put a finished staging folder in the place of ``final``, both in the same parent folder.

    Every file is flushed first. An earlier ``final`` is set aside and removed after the new one stands; a crash
    between the two renames is mended by ``recover_folder``.
    """
    for folder, _, files in os.walk(staging):
        for name in files:
            flush(Path(folder) / name)
        flush(Path(folder))
    aside = _aside(final)
    if final.exists():
        shutil.rmtree(aside, ignore_errors=True)
        final.rename(aside)
    staging.rename(final)
    flush(final.parent)
    shutil.rmtree(aside, ignore_errors=True)


def recover_folder(final: Path) -> None:
    """Undo a publication that a crash cut between setting the old folder aside and putting the new one in place."""
    aside = _aside(final)
    if not aside.exists():
        return
    if final.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(final)


def _aside(final: Path) -> Path:
    return final.parent / f".{final.name}.superseded"

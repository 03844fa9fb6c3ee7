"""SHA-256 manifests of a folder, in the form that ``sha256sum --check`` reads."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipelines.storage.atomic import write_bytes
from pipelines.storage.digests import sha256_of_file

MANIFEST = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def files_below(folder: Path) -> list[str]:
    """The files below a folder but the manifest, sorted, as paths with ``/``."""
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(path for path in found if path != MANIFEST)


def write_manifest(folder: Path, known: Mapping[str, str]) -> str:
    """Write ``folder/SHA256SUMS`` over every file below; the manifest's own digest.

    ``known`` gives digests of files that were hashed already, by path. Raises ValueError for a line break in a path,
    which sha256sum would escape.
    """
    lines = []
    for path in files_below(folder):
        if "\n" in path or "\\" in path:
            raise ValueError("a path that a manifest cannot hold")
        lines.append(f"{known.get(path) or sha256_of_file(folder / path)}  {path}\n")
    write_bytes(folder / MANIFEST, "".join(lines).encode())
    return sha256_of_file(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, str]:
    """The digests by path that ``folder/SHA256SUMS`` states. Raises ValueError for a line that is none of its kind."""
    return dict(_entries((folder / MANIFEST).read_text(encoding="utf-8").splitlines()))


def unlike_manifest(folder: Path) -> list[str]:
    """The files below a folder that are missing, changed, or not in its manifest, sorted."""
    stated = read_manifest(folder)
    found = set(files_below(folder))
    changed = {path for path in found & set(stated) if sha256_of_file(folder / path) != stated[path]}
    return sorted(changed | (found ^ set(stated)))


def _entries(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError("a line that is no digest and path")
        yield match[2], match[1]

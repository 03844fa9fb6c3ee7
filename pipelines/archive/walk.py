"""Walk a delivery: every name in it, at any depth, without following symbolic links.

Paths are bytes: file names from old archives are not always valid UTF-8.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SYMLINK = "symlink"
SPECIAL_FILE = "special_file"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Entry:
    """A file (or what cannot be entered) in a delivery.

    ``relative`` is its path below the delivery, in bytes; ``changed`` the file system's change time in seconds since
    the epoch; ``problem`` a reason code where it must not or cannot be opened.
    """

    relative: bytes
    size: int = 0
    modified_ns: int = 0
    changed: float = 0.0
    problem: str | None = None


def walk(folder: Path, recurse: bool = True) -> Iterator[Entry]:
    """Yield what is in a folder, in the order of the paths' bytes, folder by folder; memory is bounded by one branch.

    ``folder`` itself may be a symbolic link. Links below it are reported, not followed. A folder that cannot be read
    (its permissions; a path longer than the system can open) is one entry. Without ``recurse`` folders, and links to
    folders, are passed over: they are deliveries of their own.
    """
    stack: list[Iterator[os.DirEntry[bytes] | Entry]] = [iter(_listing(os.fsencode(folder), b""))]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, Entry):
            yield found
        elif is_folder(found, follow=not recurse):
            if recurse:
                below = found.path[len(os.fsencode(folder)) + 1 :]
                stack.append(iter(_listing(os.fsencode(folder), below)))
        else:
            yield _entry(found, found.path[len(os.fsencode(folder)) + 1 :])


def is_folder(entry: "os.DirEntry[bytes] | os.DirEntry[str]", follow: bool) -> bool:
    """Whether an entry is a folder, or (with ``follow``) a link to one; a link in a circle is none."""
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:
        return False


def _listing(folder: bytes, below: bytes) -> "list[os.DirEntry[bytes]] | list[Entry]":
    try:
        with os.scandir(os.path.join(folder, below) if below else folder) as entries:  # noqa: PTH118 - bytes paths
            return sorted(entries, key=lambda e: e.name)
    except OSError:
        return [Entry(below, problem=UNREADABLE)]


def _entry(found: "os.DirEntry[bytes]", relative: bytes) -> Entry:
    try:
        status = found.stat(follow_symlinks=False)
    except OSError:
        return Entry(relative, problem=UNREADABLE)
    problem = None
    if stat.S_ISLNK(status.st_mode):
        problem = SYMLINK
    elif not stat.S_ISREG(status.st_mode):
        problem = SPECIAL_FILE
    return Entry(relative, status.st_size, status.st_mtime_ns, status.st_ctime, problem)

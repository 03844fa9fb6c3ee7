"""Results on their way between processes of one machine, their large arrays beside them in a file.

A pipe moves a few kilobytes at a time and wakes both sides for each; a file that is mapped and forgotten at once stays
in the system's cache and is copied once. The file holds arrays' bytes alone: what is unpickled comes by the pipe.
"""

import mmap
import os
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Parcel:
    """An object pickled without its large arrays' bytes, and the file that has them one after the other."""

    pickled: bytes
    file: Path | None
    lengths: tuple[int, ...]

    def unpack(self) -> Any:
        """The object, its arrays being private views of the file; the file itself is gone. Raises OSError."""
        whole = memoryview(bytearray())
        if self.file is not None:
            with self.file.open("rb") as file:
                whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
            self.file.unlink()
        buffers, start = [], 0
        for length in self.lengths:
            buffers.append(whole[start : start + length])
            start += length
        return pickle.loads(self.pickled, buffers=buffers)


def pack(value: object, folder: Path) -> Parcel:
    """The object as a parcel, its contiguous arrays in a new file of a folder. Raises OSError, as on a full disk."""
    arrays: list[memoryview] = []
    pickled = pickle.dumps(value, protocol=5, buffer_callback=lambda buffer: arrays.append(buffer.raw()))
    lengths = tuple(map(len, arrays))
    if not any(lengths):
        return Parcel(pickled, None, lengths)
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            for array in arrays:
                file.write(array)
    except OSError:
        Path(name).unlink()
        raise
    return Parcel(pickled, Path(name), lengths)

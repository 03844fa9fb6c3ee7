"""SHA-256 digests of files, arrays and settings: the identities that the ledger records."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits, read in a stream. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_bytes(data: bytes | memoryview) -> str:
    """SHA-256 of bytes, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_array(array: np.ndarray) -> str:
    """SHA-256 over an array's little-endian type, shape and values in C order; equal arrays give equal digests."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{little.dtype.str}{little.shape}".encode())
    digest.update(little.data if little.size else b"")
    return digest.hexdigest()


def sha256_of_json(value: Any) -> str:
    """SHA-256 of a value in canonical JSON (sorted keys, no spaces). Raises TypeError for what JSON cannot hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256_of_bytes(text.encode())

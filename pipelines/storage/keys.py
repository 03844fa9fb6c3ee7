"""The pseudonym key: made on first use in the restricted vault, the root of every id that leaves the hospital.

An id is ``HMAC-SHA256(key, scope NUL value)``; without the key it cannot be computed from a guessed value.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

KEY_BYTES = 32


class VaultKeyError(ValueError):
    """The key file is missing, damaged, readable by others, or not the key that the data were made with."""


@dataclass(frozen=True)
class Key:
    """A pseudonym key. It never appears in its own representation."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise VaultKeyError(f"a pseudonym key has {KEY_BYTES} bytes")

    @classmethod
    def load_or_create(cls, vault: Path) -> "Key":
        """Read ``vault/key`` (64 hex digits, mode 0600), or make it from the system's random source.

        Two processes that start together agree on one key. Raises VaultKeyError where the file is damaged, or
        readable by others than its owner.
        """
        path = vault / "key"
        if not path.exists():
            vault.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = vault / f".key.{secrets.token_hex(4)}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_bytes(KEY_BYTES).hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                pass  # another process was first: its key stands
            finally:
                temporary.unlink()
        return cls._load(path)

    @classmethod
    def _load(cls, path: Path) -> "Key":
        if path.stat().st_mode & 0o077:
            raise VaultKeyError("the key file in the vault is open to others than its owner: chmod 600")
        try:
            return cls(bytes.fromhex(path.read_text().strip()))
        except ValueError:
            raise VaultKeyError("the key file in the vault is damaged: 64 hex digits expected") from None

    @property
    def fingerprint(self) -> str:
        """12 hex digits that tell keys apart and reveal nothing of them."""
        return hashlib.sha256(b"midar key fingerprint\0" + self.secret).hexdigest()[:12]

    def identify(self, scope: str, value: str | bytes, length: int = 16) -> str:
        """The id of a value within a scope: the first ``length`` (at most 64) hex digits of its HMAC."""
        return self._digest(scope, value).hex()[:length]

    def integer(self, scope: str, value: str | bytes) -> int:
        """The value's HMAC within a scope as an integer in 0…2**256-1."""
        return int.from_bytes(self._digest(scope, value), "big")

    def _digest(self, scope: str, value: str | bytes) -> bytes:
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        return hmac.digest(self.secret, scope.encode() + b"\0" + data, "sha256")

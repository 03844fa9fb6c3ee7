"""How much an archive may unfold to before it is taken for a bomb rather than a delivery."""

from dataclasses import dataclass


class ArchiveError(ValueError):
    """An archive cannot be opened, or not to its end. ``reason`` is a short code.

    With ``hostile`` it breaks a limit, and nothing that came out of it is to be used.
    """

    def __init__(self, reason: str, hostile: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.hostile = reason, hostile


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits on one archive of a delivery together with all archives nested in it.

    ``ratio`` bounds unpacked bytes over the archive's own, once more than ``ratio_from`` bytes are out: pictures that
    are mostly black shrink a hundredfold. ``depth`` counts archives within archives; 1 opens no nested ones.
    """

    unpacked_bytes: int = 1 << 38
    ratio: float = 300.0
    ratio_from: int = 1 << 28
    members: int = 500_000
    depth: int = 3


class Budget:
    """What an archive and the archives nested in it have left of their limits."""

    def __init__(self, limits: ArchiveLimits, archive_bytes: int) -> None:
        self.limits, self.archive_bytes = limits, archive_bytes
        self.unpacked, self.members = 0, 0

    def spend(self, unpacked: int) -> None:
        """Take unpacked bytes off the budget; raises ArchiveError where a limit is broken."""
        self.unpacked += unpacked
        if self.unpacked > self.limits.unpacked_bytes:
            raise ArchiveError("archive_too_large", hostile=True)
        if self.unpacked > max(self.limits.ratio_from, self.limits.ratio * self.archive_bytes):
            raise ArchiveError("archive_ratio", hostile=True)

    def count_member(self) -> None:
        """Take one member off the budget; raises ArchiveError where there are too many."""
        self.members += 1
        if self.members > self.limits.members:
            raise ArchiveError("archive_too_many_members", hostile=True)

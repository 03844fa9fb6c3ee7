"""The two zones: ``restricted`` (level D and the vault) and ``research`` (everything that may leave the hospital).

Data of an asset lie in a publication folder, ``<zone>/<group>/<asset>[/<partition>]``.
"""

import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

RESTRICTED_GROUPS = frozenset({"level_d"})


@dataclass(frozen=True)
class Zones:
    """Where the zones lie: ``root`` holds both by default; ``inbox`` is where deliveries arrive."""

    root: Path
    inbox: Path

    @classmethod
    def at(cls, root: Path, inbox: Path | None = None) -> "Zones":
        """Zones under a root; the inbox is ``restricted/inbox`` unless it is named."""
        root = root.absolute()
        return cls(root, inbox.absolute() if inbox else root / "restricted" / "inbox")

    def create(self) -> None:
        """Make the zones' folders; the restricted one is closed to all but its owner (mode 0700)."""
        self.restricted.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.restricted.chmod(0o700)
        self.vault.mkdir(mode=0o700, exist_ok=True)
        self.research.mkdir(parents=True, exist_ok=True)
        if self.inbox.is_relative_to(self.restricted):
            self.inbox.mkdir(parents=True, exist_ok=True)

    @property
    def restricted(self) -> Path:
        """Level D: inventories, quarantine, the vault."""
        return self.root / "restricted"

    @property
    def research(self) -> Path:
        """Level C and up."""
        return self.root / "research"

    @property
    def vault(self) -> Path:
        """Key, register of deliveries, crosswalk."""
        return self.restricted / "vault"

    def zone_of(self, asset: str) -> Path:
        """The zone in which an asset (``level_c/objects``) is published."""
        return self.restricted if asset.split("/")[0] in RESTRICTED_GROUPS else self.research

    def publication(self, asset: str, partition: str | None = None) -> Path:
        """The folder in which an asset, or one partition of it, is published."""
        folder = self.zone_of(asset) / asset
        return folder / partition if partition else folder

    def workspace(self, asset: str) -> Path:
        """A folder for an asset's unfinished work (checkpoints), outside of what is published."""
        return self.zone_of(asset) / ".work" / asset

    def source_path(self, location: str, delivery: Path, inventory: Path) -> Path:
        """The file that an inventory's ``location`` names: in the delivery's folder, or unpacked beside the inventory.

        Raises ValueError for a location that leads out of those two folders.
        """
        scheme, _, rest = location.partition(":")
        if scheme == "inbox":
            relative = Path(os.fsdecode(urllib.parse.unquote_to_bytes(rest)))
            base = delivery
        elif scheme == "unpacked":
            relative, base = Path(rest), inventory / "unpacked"
        else:
            raise ValueError("unknown kind of location")
        if relative.is_absolute() or ".." in relative.parts:
            raise ValueError("a location that leads out of its delivery")
        return base / relative

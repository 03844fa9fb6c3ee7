"""What a source says of density, before anyone asks whose breast it is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """A density (``A`` to ``D``) said of one breast (``L``, ``R``), or of both (None)."""

    laterality: str | None
    density: str

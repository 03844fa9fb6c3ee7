"""What a source says of density, before anyone asks whose breast it is."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Statement:
    """A density (``A`` to ``D``) said of one breast (``L``, ``R``), or of both (None), and the rule that read it.

    The same said twice is one statement, whichever rules read it.
    """

    laterality: str | None
    density: str
    rule: str = field(compare=False)

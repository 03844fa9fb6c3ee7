"""How burned-in text is looked for and what of it stays: section ``[pixels]`` of the profile."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

MODES = ("auto", "full", "off", "blank_background")
MARKERS = ("view_only", "all", "none")


@dataclass(frozen=True)
class TextSettings:
    """How burned-in text is looked for.

    ``mode``: ``auto`` reads what the search for strokes finds, ``full`` reads whole pictures besides, ``off`` looks for
    no text (bits that are no part of the picture go all the same), and ``blank_background`` blanks whatever lies
    outside the breast of a mammogram, view markers aside, and reads the whole picture besides.

    ``keep_markers``: ``view_only`` keeps lines, and the part of a line, that say side and view (R, CC, L MLO) and
    nothing else; ``all`` keeps the two or three letters or digits that stand beside them too, which are mostly a
    technologist's initials; ``none`` keeps nothing.

    ``unread`` blanks strokes outside the breast that resemble a text of three letters or more though they cannot be
    read.
    """

    mode: str = "auto"
    keep_markers: str = "view_only"
    unread: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"pixels.mode is one of {', '.join(MODES)}")
        if self.keep_markers not in MARKERS:
            raise ValueError(f"pixels.keep_markers is one of {', '.join(MARKERS)}")
        if not isinstance(self.unread, bool):
            raise ValueError("pixels.unread is true or false")

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "TextSettings":
        """The settings of a table of the profile's file. Raises ValueError, saying which setting is wrong."""
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(table) - set(known))
        if unknown:
            raise ValueError(f"unknown in [pixels]: {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**table)

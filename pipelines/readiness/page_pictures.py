"""Pictures of other publications, made small enough to stand inside the page itself."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_WIDTH = 1200
"""Pixels; a wider picture is made smaller."""

MOST_BYTES = 400_000
"""A picture that is larger as PNG is made smaller until it is not."""

_SMALLER = 0.8


@dataclass(frozen=True)
class Inlined:
    """A picture as a data URI, with its size in pixels."""

    uri: str
    width: int
    height: int


def inline_picture(path: Path) -> Inlined:
    """A PNG as a data URI, gray or in colors as it was. The same file gives the same text.

    Raises OSError where the file is missing or no picture.
    """
    from PIL import Image

    with Image.open(path) as opened:
        is_gray = opened.mode in ("1", "L", "I", "I;16")
        picture = opened.convert("L" if is_gray else "RGB")
    if picture.width > MOST_WIDTH:
        picture = _resized(picture, MOST_WIDTH / picture.width)
    while len(data := _png(picture)) > MOST_BYTES:
        picture = _resized(picture, _SMALLER)
    return Inlined(f"data:image/png;base64,{base64.b64encode(data).decode()}", picture.width, picture.height)


def _resized(picture: Any, share: float) -> Any:
    from PIL import Image

    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

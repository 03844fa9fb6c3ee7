"""The sheet of the oddest real pictures, for the eye: the oddest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.storage.atomic import replacing

COLUMNS = 8
_HEIGHT, _GAP, _MARGIN, _CAPTION = 200, 8, 12, 34
_BACKGROUND, _INK, _FAINT = 24, 235, 150


@dataclass(frozen=True)
class Shown:
    """A picture uint16 (rows, columns), 0…4095, its oddness, its pseudonymous id, and is it beyond the threshold."""

    picture: NDArray[np.uint16]
    oddness: float
    image_id: str
    is_novel: bool


def draw_sheet(path: Path, shown: Sequence[Shown]) -> None:
    """Write the sheet as PNG, eight a line, in the order given; nothing without pictures."""
    if not shown:
        return
    shape = shown[0].picture.shape
    width = round(_HEIGHT * shape[1] / shape[0])
    lines, columns = -(-len(shown) // COLUMNS), min(COLUMNS, len(shown))
    step = (width + _GAP, _HEIGHT + _CAPTION + _GAP)
    sheet = Image.new("L", (2 * _MARGIN + columns * step[0], 2 * _MARGIN + lines * step[1]), _BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, one in enumerate(shown):
        left, top = _MARGIN + number % COLUMNS * step[0], _MARGIN + number // COLUMNS * step[1]
        gray = Image.fromarray(np.asarray(one.picture / 4095 * 255).astype(np.uint8))
        sheet.paste(gray.resize((width, _HEIGHT), Image.Resampling.BICUBIC), (left, top))
        word = "novel" if one.is_novel else "within"
        pen.text((left, top + _HEIGHT + 2), f"{number + 1}: {one.oddness:.3g}, {word}", _INK, font)
        pen.text((left, top + _HEIGHT + 17), one.image_id[-18:], _FAINT, font)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=False)

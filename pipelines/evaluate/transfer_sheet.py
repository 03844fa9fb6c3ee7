"""Pictures before and after a vendor transfer, side by side, for the eye."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.storage.atomic import replacing

_COLUMNS = 4
_HEIGHT, _GAP, _MARGIN, _CAPTION = 200, 12, 12, 34
_BACKGROUND, _INK = 24, 235


@dataclass(frozen=True)
class Pair:
    """A caption of two lines, and a picture uint16 (rows, columns), 0…4095, before and after."""

    caption: str
    before: NDArray[np.uint16]
    after: NDArray[np.uint16]


def draw_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write the pairs as PNG, four a line; nothing without one."""
    if not pairs:
        return
    rows, columns = pairs[0].before.shape
    width = round(_HEIGHT * columns / rows)
    lines, across = -(-len(pairs) // _COLUMNS), min(_COLUMNS, len(pairs))
    step = (2 * width + 2 * _GAP, _HEIGHT + _CAPTION + _GAP)
    sheet = Image.new("L", (2 * _MARGIN + across * step[0], 2 * _MARGIN + lines * step[1]), _BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, pair in enumerate(pairs):
        left, top = _MARGIN + number % _COLUMNS * step[0], _MARGIN + number // _COLUMNS * step[1]
        for place, picture in enumerate((pair.before, pair.after)):
            gray = Image.fromarray(np.asarray(picture / 4095 * 255).astype(np.uint8))
            sheet.paste(gray.resize((width, _HEIGHT), Image.Resampling.BILINEAR), (left + place * width, top))
        pen.multiline_text((left, top + _HEIGHT + 4), pair.caption, _INK, font)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")

"""The sheet of what the screen rejected: a row for each reason, its first pictures, copies beside the original."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.storage.atomic import replacing
from pipelines.synthesize.pictures import reduced

COLUMNS = 8
_HEIGHT = 160
_GAP, _MARGIN, _CAPTION = 8, 12, 18
_BACKGROUND, _INK, _FAINT = 24, 235, 150


class OddSheet:
    """Gathers the first pictures of each reason, small, with a caption, and draws them."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[NDArray[np.float32], str]]] = defaultdict(list)
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, reason: str, picture: NDArray[np.uint16], caption: str, beside: NDArray | None = None) -> None:
        """Offer a picture (rows, columns), 0…4095; ``beside`` is shown to its right. Beyond a row's worth it is let
        go, but counted."""
        self._counts[reason] += 1
        row = self._rows[reason]
        if len(row) < COLUMNS:
            row.append((reduced(picture, 2 * _HEIGHT), caption))
            if beside is not None:
                row.append((reduced(np.asarray(beside), 2 * _HEIGHT), "training image"))

    def draw(self, path: Path) -> bool:
        """Write the sheet as PNG, most frequent reason first. Writes nothing where nothing was rejected."""
        if not self._rows:
            return False
        shape = next(iter(self._rows.values()))[0][0].shape
        width = round(_HEIGHT * shape[1] / shape[0])
        line = _HEIGHT + 2 * _CAPTION + _GAP
        size = (2 * _MARGIN + COLUMNS * (width + _GAP) - _GAP, 2 * _MARGIN + len(self._rows) * line - _GAP)
        sheet = Image.new("L", size, _BACKGROUND)
        pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
        order = sorted(self._rows, key=lambda reason: (-self._counts[reason], reason))
        for number, reason in enumerate(order):
            top = _MARGIN + number * line
            pen.text((_MARGIN, top), f"{reason}: {self._counts[reason]}", _INK, font)
            for column, (picture, caption) in enumerate(self._rows[reason][:COLUMNS]):
                left = _MARGIN + column * (width + _GAP)
                small = Image.fromarray(picture).resize((width, _HEIGHT), Image.Resampling.BICUBIC)
                gray = np.clip(np.round(np.asarray(small) * (255 / 4095)), 0, 255).astype(np.uint8)
                sheet.paste(Image.fromarray(gray), (left, top + _CAPTION))
                pen.text((left, top + _CAPTION + _HEIGHT + 1), caption, _FAINT, font)
        with replacing(path) as temporary:
            sheet.save(temporary, format="PNG", optimize=False)
        return True

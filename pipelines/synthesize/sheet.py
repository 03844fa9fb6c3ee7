"""The contact sheet of a synthesis: a row for each density, some kept pictures in it."""

from collections import defaultdict
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipelines.storage.atomic import replacing
from pipelines.storage.tables import DENSITIES, VIEWS
from pipelines.synthesize.pictures import reduced

COLUMNS = 8
_HEIGHT = 200
_GAP, _MARGIN, _CAPTION, _LABEL = 8, 16, 20, 104
_BACKGROUND, _INK, _FAINT = 24, 235, 150


class Sheet:
    """Gathers the first kept pictures of each density and view, small, and draws them."""

    def __init__(self) -> None:
        self._pictures: dict[tuple[str, str], list[NDArray[np.float32]]] = defaultdict(list)

    def add(self, picture: NDArray[np.uint16], density: str, view: str) -> None:
        """Offer a kept picture (rows, columns), 0…4095; beyond a row's worth it is let go."""
        cell = self._pictures[density, view]
        if len(cell) < COLUMNS:
            cell.append(reduced(picture, 2 * _HEIGHT))

    def draw(self, path: Path) -> bool:
        """Write the sheet as PNG: up to eight pictures a row, views in turn. Writes nothing where none was kept."""
        rows = [(density, self._row(density)) for density in DENSITIES]
        rows = [(density, row) for density, row in rows if row]
        if not rows:
            return False
        height, width = _cell(rows[0][1][0][1])
        columns = max(len(row) for _, row in rows)
        size = (
            2 * _MARGIN + _LABEL + columns * (width + _GAP) - _GAP,
            2 * _MARGIN + len(rows) * (height + _CAPTION + _GAP) - _GAP,
        )
        sheet = Image.new("L", size, _BACKGROUND)
        pen = ImageDraw.Draw(sheet)
        large, small = ImageFont.load_default(40), ImageFont.load_default(13)
        for i, (density, row) in enumerate(rows):
            top = _MARGIN + i * (height + _CAPTION + _GAP)
            pen.text((_MARGIN, top + height // 2 - 34), density, _INK, large)
            pen.text((_MARGIN, top + height // 2 + 14), "density", _FAINT, small)
            for j, (view, picture) in enumerate(row):
                left = _MARGIN + _LABEL + j * (width + _GAP)
                sheet.paste(_gray(picture, (width, height)), (left, top))
                pen.text((left, top + height + 2), view, _FAINT, small)
        with replacing(path) as temporary:
            sheet.save(temporary, format="PNG", optimize=False)
        return True

    def _row(self, density: str) -> list[tuple[str, NDArray[np.float32]]]:
        """Up to eight pictures of a density, the views in turn and then sorted by view."""
        cells = [[(view, p) for p in self._pictures.get((density, view), [])] for view in VIEWS]
        turns = [p for p in chain.from_iterable(zip_longest(*cells)) if p is not None]
        return sorted(turns[:COLUMNS], key=lambda entry: VIEWS.index(entry[0]))


def _cell(picture: NDArray) -> tuple[int, int]:
    return _HEIGHT, round(_HEIGHT * picture.shape[1] / picture.shape[0])


def _gray(picture: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """A picture of 0…4095 as an 8-bit image of the given (width, height), interpolated bicubically."""
    resized = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    return Image.fromarray(np.clip(np.round(np.asarray(resized) * (255 / 4095)), 0, 255).astype(np.uint8))

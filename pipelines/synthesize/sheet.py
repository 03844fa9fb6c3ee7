"""The contact sheets of a synthesis: a row for each density with some kept pictures; a row for each pretend patient."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
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
        rows = [Row(density, "density", self._row(density)) for density in DENSITIES]
        rows = [row for row in rows if row.pictures]
        if rows:
            draw_rows(path, rows)
        return bool(rows)

    def _row(self, density: str) -> list[tuple[str, NDArray[np.float32]]]:
        """Up to eight pictures of a density, the views in turn and then sorted by view."""
        cells = [[(view, p) for p in self._pictures.get((density, view), [])] for view in VIEWS]
        turns = [p for p in chain.from_iterable(zip_longest(*cells)) if p is not None]
        return sorted(turns[:COLUMNS], key=lambda entry: VIEWS.index(entry[0]))


@dataclass(frozen=True)
class Row:
    """A row of a sheet: its name, a word on it, and pictures (rows, columns) of 0…4095 with their captions."""

    name: str
    word: str
    pictures: Sequence[tuple[str, NDArray]]


def draw_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of small pictures as PNG, each row's name before it. The same pictures give the same bytes."""
    height, width = _cell(rows[0].pictures[0][1])
    columns = max(len(row.pictures) for row in rows)
    size = (
        2 * _MARGIN + _LABEL + columns * (width + _GAP) - _GAP,
        2 * _MARGIN + len(rows) * (height + _CAPTION + _GAP) - _GAP,
    )
    sheet = Image.new("L", size, _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(40), ImageFont.load_default(13)
    for i, row in enumerate(rows):
        top = _MARGIN + i * (height + _CAPTION + _GAP)
        pen.text((_MARGIN, top + height // 2 - 34), row.name, _INK, large)
        pen.text((_MARGIN, top + height // 2 + 14), row.word, _FAINT, small)
        for j, (caption, picture) in enumerate(row.pictures):
            left = _MARGIN + _LABEL + j * (width + _GAP)
            sheet.paste(gray_image(picture, (width, height)), (left, top))
            pen.text((left, top + height + 2), caption, _FAINT, small)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=False)


def draw_patients(path: Path, patients: Sequence[tuple[str, NDArray[np.uint16]]]) -> None:
    """Write whole patients as PNG, a row each, hung as films are: right before left, chest walls together, CC first.

    ``patients``: density and pictures (4, rows, columns) of L CC, L MLO, R CC, R MLO, every chest wall on the left.
    """
    rows = []
    for density, pictures in patients:
        left_cc, left_mlo, right_cc, right_mlo = (reduced(picture, 2 * _HEIGHT) for picture in pictures)
        hung = [("R CC", right_cc[:, ::-1]), ("L CC", left_cc), ("R MLO", right_mlo[:, ::-1]), ("L MLO", left_mlo)]
        rows.append(Row(density, "density", hung))
    draw_rows(path, rows)


def _cell(picture: NDArray) -> tuple[int, int]:
    return _HEIGHT, round(_HEIGHT * picture.shape[1] / picture.shape[0])


def gray_image(picture: NDArray, size: tuple[int, int]) -> Image.Image:
    """A picture of 0…4095 as an 8-bit image of the given (width, height), interpolated bicubically."""
    resized = Image.fromarray(np.ascontiguousarray(picture, np.float32)).resize(size, Image.Resampling.BICUBIC)
    return Image.fromarray(np.clip(np.round(np.asarray(resized) * (255 / 4095)), 0, 255).astype(np.uint8))

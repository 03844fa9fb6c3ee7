"""The contact sheet of a level A set: a few pictures of each density, for the eye of whoever signs it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.storage.atomic import replacing
from pipelines.storage.tables import DENSITIES

PER_DENSITY = 8
_MARGIN, _HEADING, _BOX = 6, 22, (160, 128)


def choose(rows: Iterable[Mapping[str, Any]], per_density: int = PER_DENSITY) -> dict[str, list[str]]:
    """The image ids to show of each density: those with the smallest hash, so the choice is fixed but not favored."""
    by_density: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        by_density[row["density"]].append(row["image_id"])
    return {
        d: sorted(by_density[d], key=lambda i: hashlib.sha256(i.encode()).digest())[:per_density] for d in DENSITIES
    }


def write_sheet(
    path: Path,
    chosen: Mapping[str, list[str]],
    thumbnails: Mapping[str, np.ndarray],
    captions: Mapping[str, str],
    totals: Mapping[str, int],
) -> None:
    """Write the sheet as PNG: a row for each density with its total, each picture (uint16 0…4095) with its caption."""
    from PIL import Image, ImageDraw

    rows, columns = _BOX
    width = PER_DENSITY * (columns + _MARGIN) + _MARGIN
    height = len(DENSITIES) * (rows + 2 * _HEADING + _MARGIN)
    sheet = Image.new("L", (width, height), 24)
    draw = ImageDraw.Draw(sheet)
    for line, density in enumerate(DENSITIES):
        top = line * (rows + 2 * _HEADING + _MARGIN)
        draw.text((_MARGIN, top + 5), f"density {density}: {totals.get(density, 0)} images", fill=255)
        for number, image_id in enumerate(chosen[density]):
            left = _MARGIN + number * (columns + _MARGIN)
            picture = Image.fromarray((thumbnails[image_id] >> 4).astype(np.uint8))
            picture.thumbnail((columns, rows))
            sheet.paste(picture, (left, top + _HEADING))
            draw.text((left, top + _HEADING + rows + 3), captions[image_id], fill=190)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")

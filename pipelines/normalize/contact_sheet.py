"""A contact sheet of a delivery's pictures: a sample of those kept, with view and flags, for eyes and the UI."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw

from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import IMAGES

COLUMNS = 8
ROWS = 4
TILE = (200, 160)
"""Rows and columns of a tile, in pixels."""


def write_contact_sheet(images: pa.Table, folder: Path) -> None:
    """Write ``contact_sheet.png`` of up to 32 kept pictures: the flagged ones first, then by image id.

    ``images`` is the folder's table of IMAGES, whose shards lie in the folder. Nothing is written where none is kept.
    """
    frame = IMAGES.frame(images)
    kept = frame[frame["status"] == "kept"].assign(flagged=lambda f: f["flags"].fillna("[]").map(json.loads).map(len))
    if kept.empty:
        return
    chosen = kept.sort_values(["flagged", "image_id"], ascending=[False, True]).head(COLUMNS * ROWS)
    reader = ShardReader(folder)
    rows = -(-len(chosen) // COLUMNS)
    sheet = Image.new("L", (COLUMNS * TILE[1], rows * TILE[0]))
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(chosen.itertuples()):
        top, left = divmod(number, COLUMNS)
        sheet.paste(tile(reader.read(row.shard, row.shard_row)), (left * TILE[1], top * TILE[0]))
        label = f"{_or(row.laterality)} {_or(row.view)}" + ("!" * row.flagged)
        draw.text((left * TILE[1] + TILE[1] - 50, top * TILE[0] + 4), label, fill=255)
    sheet.save(folder / "contact_sheet.png", optimize=False)


def tile(picture: np.ndarray) -> Image.Image:
    """A picture (uint16 0…4095) as an 8-bit tile of TILE's size."""
    gray = Image.fromarray((picture >> 4).astype(np.uint8))
    return gray.resize((TILE[1], TILE[0]), Image.Resampling.BOX)


def _or(value: object) -> str:
    return value if isinstance(value, str) else "?"

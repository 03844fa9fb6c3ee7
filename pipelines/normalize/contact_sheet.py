"""A contact sheet of a delivery's pictures, for eyes and the UI: the worst first, then a random sample of all."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image, ImageDraw

from pipelines.storage.atomic import replacing
from pipelines.storage.shards import ShardReader

COLUMNS = 8
LINES = 2
"""Lines of pictures in each of the two parts."""
TILE = (200, 160)
"""Rows and columns of a tile, in pixels."""
CAPTION = 40

NOTES = frozenset(
    {"enlarged", "mammography_inferred", "spacing_unknown", "vendor_unknown", "view_unknown", "voi_missing"}
)
"""Flags that say what a header lacks, not what is wrong with a picture."""


def write_contact_sheet(images: pa.Table, folder: Path) -> None:
    """Write ``contact_sheet.png``: up to 16 flagged pictures, the worst first, and 16 of all kept ones at random.

    ``images`` is the folder's table of IMAGES, whose shards lie in the folder. Which are the worst: most flags, then
    least sharpness. The random ones are those with the smallest hash of their id, so the choice is fixed but not
    favored. Nothing is written where none is kept.
    """
    kept = _kept(images)
    if kept.empty:
        return
    flagged = kept[kept["serious"].map(len) > 0]
    worst = flagged.sort_values(["count", "sharpness", "image_id"], ascending=[False, True, True])
    sample = kept.sort_values("image_id", key=lambda ids: ids.map(lambda i: hashlib.sha256(i.encode()).hexdigest()))
    parts = [
        (f"{len(flagged)} of {len(kept)} pictures flagged; the worst", worst.head(COLUMNS * LINES)),
        ("a random sample", sample.head(COLUMNS * LINES)),
    ]
    reader = ShardReader(folder)
    bands = [_band(title, chosen, reader) for title, chosen in parts if not chosen.empty]
    sheet = Image.new("L", (COLUMNS * TILE[1], sum(band.height for band in bands)))
    top = 0
    for band in bands:
        sheet.paste(band, (0, top))
        top += band.height
    with replacing(folder / "contact_sheet.png") as temporary:
        sheet.save(temporary, format="PNG")


def serious_flags(flags: object) -> list[str]:
    """The flags of a row (JSON list, or null) that say that something is wrong with the picture, in order."""
    return sorted(set(json.loads(flags)) - NOTES) if isinstance(flags, str) else []


def _kept(images: pa.Table) -> pd.DataFrame:
    columns = ["image_id", "status", "laterality", "view", "flags", "quality", "shard", "shard_row"]
    frame = images.select(columns).to_pandas()
    frame = frame[frame["status"] == "kept"]
    return frame.assign(
        serious=frame["flags"].map(serious_flags),
        count=frame["flags"].map(lambda flags: len(serious_flags(flags))),
        sharpness=frame["quality"].map(lambda q: json.loads(q).get("sharpness", 0.0) if isinstance(q, str) else 0.0),
    )


def _band(title: str, chosen: pd.DataFrame, reader: ShardReader) -> Image.Image:
    """A heading and lines of tiles, each with view and flags beneath."""
    heading, height = 24, TILE[0] + CAPTION
    band = Image.new("L", (COLUMNS * TILE[1], heading + -(-len(chosen) // COLUMNS) * height))
    draw = ImageDraw.Draw(band)
    draw.text((6, 6), title, fill=255)
    for number, row in enumerate(chosen.itertuples()):
        left, top = number % COLUMNS * TILE[1], heading + number // COLUMNS * height
        band.paste(tile(reader.read(row.shard, int(row.shard_row))), (left, top))
        lines = [f"{_or(row.laterality)} {_or(row.view)}", *(f.replace("_", " ") for f in row.serious)]
        draw.multiline_text((left + 4, top + TILE[0] + 1), "\n".join(lines[:3]), fill=200, spacing=1)
    return band


def tile(picture: np.ndarray) -> Image.Image:
    """A picture (uint16 0…4095) as an 8-bit tile of TILE's size."""
    gray = Image.fromarray((picture >> 4).astype(np.uint8))
    return gray.resize((TILE[1], TILE[0]), Image.Resampling.BOX)


def _or(value: object) -> str:
    return value if isinstance(value, str) else "?"

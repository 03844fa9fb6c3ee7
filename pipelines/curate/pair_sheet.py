"""A sheet of the pairs of copies that were found, side by side, for the eye of whoever signs the set."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.curate.near_copies import turn
from pipelines.storage.atomic import replacing

MOST_PAIRS = 24
PER_LINE = 4
_ROWS, _COLUMNS, _MARGIN, _CAPTION = 160, 128, 6, 34


def choose_pairs(copies: pa.Table, most: int = MOST_PAIRS) -> list[dict[str, Any]]:
    """The pairs to show from a table of COPIES: those that most need an eye, near ones of least detail, then exact."""
    rows = copies.to_pylist()
    near = sorted((r for r in rows if r["kind"] == "near"), key=lambda r: (r["detail"], r["copy_of"], r["image_id"]))
    return (near + [r for r in rows if r["kind"] == "exact"])[:most]


def write_pairs(
    path: Path,
    copies: pa.Table,
    place_of: Mapping[str, tuple[str, str, int]],
    picture: Callable[[str, str, int], np.ndarray],
) -> None:
    """Write the sheet as PNG: each pair with kind, bits apart, correlation and detail; the copy turned to its original.

    ``place_of`` gives delivery, shard and row of an image id, ``picture`` the picture (uint16 0…4095) there.
    """
    from PIL import Image, ImageDraw

    rows = copies.to_pylist()
    chosen = choose_pairs(copies)
    wide, high = 2 * _COLUMNS + _MARGIN, _ROWS + _CAPTION
    lines = max(1, -(-len(chosen) // PER_LINE))
    sheet = Image.new("L", (PER_LINE * (wide + 2 * _MARGIN), 24 + lines * (high + _MARGIN)), 24)
    draw = ImageDraw.Draw(sheet)
    near = sum(row["kind"] == "near" for row in rows)
    draw.text((_MARGIN, 6), f"{near} near copies, {len(rows) - near} exact ones; the least alike of the near", fill=255)
    for number, row in enumerate(chosen):
        left = number % PER_LINE * (wide + 2 * _MARGIN) + _MARGIN
        top = 24 + number // PER_LINE * (high + _MARGIN)
        pair = (
            picture(*place_of[row["copy_of"]]),
            turn(picture(*place_of[row["image_id"]]), row["orientation"] or "same"),
        )
        for side, gray in enumerate(pair):
            tile = Image.fromarray((gray >> 4).astype(np.uint8))
            tile.thumbnail((_COLUMNS, _ROWS))
            sheet.paste(tile, (left + side * (_COLUMNS + _MARGIN), top))
        draw.multiline_text((left, top + _ROWS + 2), _caption(row), fill=200, spacing=1)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _caption(row: Mapping[str, Any]) -> str:
    whose = {True: "one patient", False: "two patients", None: "patient unknown"}[row["same_patient"]]
    if row["kind"] == "exact":
        return f"exact, {whose}"
    lie = row["orientation"].replace("_", " ")
    return f"near, {whose}, {lie}\n{row['bits']} bits, r {row['correlation']:.3f}, detail {row['detail']:.3f}"

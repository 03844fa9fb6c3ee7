"""The contact sheet: which pictures are on it, and where."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from pipelines.normalize.contact_sheet import CAPTION, COLUMNS, LINES, TILE, serious_flags, write_contact_sheet
from pipelines.storage.shards import ShardWriter
from pipelines.storage.tables import IMAGES

HEADING = 24


def delivery(folder: Path, flags: list[list[str]], sharpness: list[float] | None = None) -> pa.Table:
    """Kept pictures of one gray each (100, 200, …) with the given flags, and one that was excluded."""
    rows: list[dict[str, Any]] = []
    with ShardWriter(folder, "shard", (1280, 1024)) as shards:
        for number, own in enumerate(flags):
            picture = np.full((1280, 1024), 100 * (number + 1), np.uint16)
            shard, row = shards.append(f"2.25.{number}", picture)
            figures = {"sharpness": sharpness[number] if sharpness else 0.1}
            rows.append(
                {
                    "image_id": f"2.25.{number}",
                    "delivery": "D-1",
                    "file_id": f"F-{number}",
                    "object_sha256": "0",
                    "status": "kept",
                    "flags": json.dumps(own),
                    "quality": json.dumps(figures),
                    "shard": shard,
                    "shard_row": row,
                }
            )
    rows.append({"image_id": "x", "delivery": "D-1", "file_id": "F-x", "object_sha256": "0", "status": "excluded"})
    return IMAGES.build(rows)


def grays(folder: Path, top: int, count: int) -> list[int]:
    """The gray in the middle of each of a line's tiles."""
    with Image.open(folder / "contact_sheet.png") as sheet:
        pixels = np.asarray(sheet)
    return [int(pixels[top + TILE[0] // 2, TILE[1] * k + TILE[1] // 2]) for k in range(count)]


def test_the_worst_come_first_and_then_a_sample(tmp_path: Path) -> None:
    flags = [[], ["blurred"], ["voi_missing"], ["noisy", "saturated"], ["blurred"]]
    write_contact_sheet(delivery(tmp_path, flags, [0.1, 0.02, 0.1, 0.1, 0.01]), tmp_path)
    assert grays(tmp_path, HEADING, 3) == [400 >> 4, 500 >> 4, 200 >> 4]  # two flags; then the less sharp of one flag
    below = 2 * HEADING + TILE[0] + CAPTION
    assert sorted(grays(tmp_path, below, 5)) == [100 * k >> 4 for k in range(1, 6)]


def test_a_delivery_in_order_has_a_sample_alone_and_the_same_bytes_twice(tmp_path: Path) -> None:
    table = delivery(tmp_path, [[]] * (COLUMNS * LINES + 3))
    write_contact_sheet(table, tmp_path)
    first = (tmp_path / "contact_sheet.png").read_bytes()
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        assert sheet.size == (COLUMNS * TILE[1], HEADING + LINES * (TILE[0] + CAPTION))
    write_contact_sheet(table, tmp_path)
    assert (tmp_path / "contact_sheet.png").read_bytes() == first


def test_nothing_kept_no_sheet(tmp_path: Path) -> None:
    write_contact_sheet(delivery(tmp_path, []), tmp_path)
    assert not (tmp_path / "contact_sheet.png").exists()


def test_what_a_header_lacks_is_no_fault_of_the_picture() -> None:
    assert serious_flags('["noisy", "voi_missing", "blurred", "view_unknown"]') == ["blurred", "noisy"]
    assert serious_flags(None) == []

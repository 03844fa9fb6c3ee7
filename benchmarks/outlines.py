"""Contact sheets of the outlines that normalization finds on real mammograms, for eyes to judge."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pydicom
from PIL import Image

from pipelines.normalize.breast import Breast, find_breast
from pipelines.normalize.decode import DecodeError, decode, describe, read_object
from pipelines.normalize.identity import identify
from pipelines.normalize.thumbnail import read_thumbnail
from tests.normalize.drawing import wrap

COLUMNS, ROWS, TILE = 6, 4, 256
PICTURES = ("mini-mias-512", "mini-mias-1024", "cdd-cesm-512", "nyu-8bit", "nyu-16bit")


def write(data: Path, folder: Path) -> Iterator[tuple[str, int]]:
    """Write sheets of 24 pictures into a folder; yields each sheet's name and the number of pictures on it."""
    for group, objects in (
        ("dicom", _dicom(data)),
        *((name, _wrapped(data / "mammograms" / name)) for name in PICTURES),
    ):
        tiles = [tile for name, dataset in objects if (tile := _tile(name, dataset)) is not None]
        for number, first in enumerate(range(0, len(tiles), COLUMNS * ROWS)):
            part = tiles[first : first + COLUMNS * ROWS]
            path = folder / f"{group}-{number}.png"
            cv2.imwrite(str(path), _sheet(part))
            yield path.name, len(part)


def _dicom(data: Path) -> Iterator[tuple[str, pydicom.Dataset]]:
    for path in sorted([*(data / "dicom-mg").iterdir(), *(data / "dicom-other").iterdir()]):
        try:
            dataset = read_object(path)
        except DecodeError:
            continue
        if identify(dataset).exclusion is None:
            yield path.stem, dataset


def _wrapped(folder: Path) -> Iterator[tuple[str, pydicom.Dataset]]:
    """Films and detectors that came as PNG or JPEG, as DICOM; contrast-subtracted ones are left out."""
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".png", ".jpg") and "_CM_" not in p.name):
        with Image.open(path) as image:
            pixels = np.asarray(image if image.mode.startswith("I") else image.convert("L"))
        wide = pixels.dtype != np.uint8
        yield path.stem, wrap(pixels.astype(np.uint16) if wide else pixels, bits=16 if wide else 8)


def _tile(name: str, dataset: pydicom.Dataset) -> np.ndarray | None:
    """A picture with its outline in red and a green bar at the chest wall; crossed out where no breast was found."""
    try:
        values = decode(dataset)
    except DecodeError:
        return None
    raw = identify(dataset).presentation_intent == "FOR PROCESSING"
    thumbnail = read_thumbnail(dataset, values, describe(dataset), raw=raw)
    signal = thumbnail.signal - np.percentile(thumbnail.signal, 1)
    gray = np.clip(signal / max(float(np.percentile(signal, 99.5)), 1e-6), 0, 1) ** 0.6
    rgb = cv2.cvtColor((255 * gray).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    _draw(rgb, find_breast(thumbnail.signal, thumbnail.padded))
    scale = TILE / max(rgb.shape)
    rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile = np.zeros((TILE, TILE, 3), np.uint8)
    tile[: rgb.shape[0], : rgb.shape[1]] = rgb
    return cv2.putText(tile, name[:24], (4, TILE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 255, 255), 1)


def _draw(rgb: np.ndarray, breast: Breast | None) -> None:
    rows, columns = rgb.shape[:2]
    if breast is None:
        cv2.line(rgb, (0, 0), (columns, rows), (0, 0, 255), 2)
        return
    outline, _ = cv2.findContours(breast.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(rgb, outline, -1, (0, 0, 255), 1)
    left = 2 if breast.chest_wall == "left" else columns - 7
    cv2.rectangle(rgb, (left, rows // 3), (left + 4, rows // 2), (0, 255, 0), -1)


def _sheet(tiles: list[np.ndarray]) -> np.ndarray:
    blank = np.zeros_like(tiles[0])
    tiles = tiles + [blank] * (-len(tiles) % COLUMNS)
    return np.vstack([np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)])

"""Real mammograms given as PNG or JPEG files with a table of labels, to take the place of the drawn breasts."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.phantom.texture import Field

_HEIGHTS_MM = {"mini-MIAS": 204.8, "CDD-CESM": 230.0}
"""Height that a picture stands for, where its data set has a fixed format; other pictures count as 233 mm high."""


@dataclass(frozen=True)
class RealPicture:
    """One real mammogram: where it lies and what its row of the labels table says.

    ``density`` is A…D, or None; ``density_raw`` is the table's own word for it, on whatever scale, or empty.
    """

    path: Path
    dataset: str
    laterality: str
    view: str
    density: str | None
    density_raw: str

    def load(self) -> Field:
        """Brightness 0…1, float32 (rows, columns); the range is that of the file's bit depth, not of its values."""
        from PIL import Image

        with Image.open(self.path) as image:
            pixels = np.asarray(image if image.mode.startswith("I") else image.convert("L"))
        bits = 8 if pixels.dtype == np.uint8 else max(12, int(pixels.max()).bit_length())
        return pixels.astype(np.float32) / np.float32(2**bits - 1)

    def spacing(self, rows: int) -> float:
        """Pixel spacing in millimeters of the picture with this many rows."""
        return _HEIGHTS_MM.get(self.dataset, 233.0) / rows

    @property
    def is_film(self) -> bool:
        """Was it a film, digitized later."""
        return self.dataset == "mini-MIAS"


@dataclass(frozen=True)
class RealPatient:
    """A patient of the labels table with all of her pictures; ``age`` in years where one row tells it."""

    patient: str
    age: int | None
    pictures: tuple[RealPicture, ...]

    def densities(self) -> dict[str, str]:
        """Density A…D by laterality, where told; the denser one where a breast's pictures disagree."""
        found: dict[str, str] = {}
        for picture in self.pictures:
            if picture.density:
                found[picture.laterality] = max(found.get(picture.laterality, "A"), picture.density)
        return found


def list_patients(folder: Path, labels: Path) -> list[RealPatient]:
    """The patients of the ``labels`` table with normal mammograms below ``folder``, by name.

    Rows of contrast-enhanced subtracted images are left out; a density is taken from ACR A-D scales alone. Raises
    FileNotFoundError where not one of the table's pictures lies below the folder.
    """
    pictures: dict[str, list[RealPicture]] = {}
    ages: dict[str, int] = {}
    for row in _rows(labels):
        path = _below(folder, labels, row["path"])
        if path is None or row["image_type"].startswith("contrast-enhanced subtracted"):
            continue
        raw, acr = row["density_raw"], row["density_scale"].startswith("ACR")
        density = raw if acr and raw in ("A", "B", "C", "D") else None
        picture = RealPicture(path, row["dataset"], row["laterality"], row["view"], density, raw)
        pictures.setdefault(row["patient"], []).append(picture)
        if row["age"].isdigit():
            ages[row["patient"]] = int(row["age"])
    if not pictures:
        raise FileNotFoundError("no picture of the labels table lies below the folder")
    return [RealPatient(name, ages.get(name), tuple(found)) for name, found in sorted(pictures.items())]


def _rows(labels: Path) -> Iterator[dict[str, str]]:
    with labels.open(newline="", encoding="utf-8-sig") as file:
        yield from csv.DictReader(file)


def _below(folder: Path, labels: Path, path: str) -> Path | None:
    """The file of a row, sought beside the table and in the folder; None where it is not below the folder."""
    root = folder.resolve()
    for base in (labels.parent, folder):
        candidate = (base / path).resolve()
        if candidate.is_relative_to(root) and candidate.is_file():
            return candidate
    return None


def content(picture: Field) -> NDArray[np.bool_]:
    """Where a real picture shows something: brighter than its darkest corner, specks left aside."""
    from scipy.ndimage import uniform_filter

    corners = [picture[:8, :8], picture[:8, -8:], picture[-8:, :8], picture[-8:, -8:]]
    air = min(float(np.median(corner)) for corner in corners)
    return uniform_filter(picture, 5) > air + 0.05


def nipple_points_left(shown: NDArray[np.bool_]) -> bool:
    """Does the breast hang to the left: is there more of it in the right half of the columns that show something."""
    columns = np.flatnonzero(shown.sum(axis=0) > 0.05 * shown.shape[0])
    if not len(columns):
        return False
    middle = (columns[0] + columns[-1]) // 2
    return bool(shown[:, middle:].sum() > shown[:, :middle].sum())

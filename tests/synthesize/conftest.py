"""Real and drawn mammograms in the standard picture's form, at 80×64, split by woman into three sets."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from pipelines.phantom.breast import draw_breast, grow
from pipelines.storage.tables import DENSITIES, VIEWS
from tests.synthesize.cohort import Cohort, Woman

ROWS, COLUMNS = 80, 64


def standard(picture: np.ndarray) -> np.ndarray:
    """An 8-bit film with black air as a standard picture: the breast alone, at the left edge, scaled to fit."""
    tissue, _ = ndimage.label(ndimage.gaussian_filter(picture.astype(float), 2) > 12)
    areas = np.bincount(tissue.ravel())
    areas[0] = 0
    breast = tissue == areas.argmax()
    rows, columns = np.flatnonzero(breast.any(1)), np.flatnonzero(breast.any(0))
    crop = np.where(ndimage.binary_dilation(breast, iterations=2), picture, 0)
    crop = crop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if breast[:, columns[0] : columns[0] + 20].sum() < breast[:, columns[-1] - 19 : columns[-1] + 1].sum():
        crop = crop[:, ::-1]
    height = max(crop.shape[0], -(-crop.shape[1] * 5 // 4))
    canvas = np.zeros((height, height * 4 // 5 + 1), np.float32)
    top = (height - crop.shape[0]) // 2
    canvas[top : top + crop.shape[0], : crop.shape[1]] = crop
    small = Image.fromarray(canvas).resize((COLUMNS, ROWS), Image.Resampling.BOX)
    return np.clip(np.round(np.asarray(small) * (4095 / 255)), 0, 4095).astype(np.uint16)


def draw(seed: int, density: str, view: str, laterality: str = "L", rows: int = ROWS) -> np.ndarray:
    """A drawn breast as a standard picture."""
    woman = grow(density, seed)
    height, width = woman.needs
    spacing = max(height / rows, width / (rows * 4 // 5))
    drawing = draw_breast(woman, laterality, view, shape=(rows, rows * 4 // 5), spacing=spacing)
    picture = np.round(drawing.picture * 4095).astype(np.uint16)
    return np.ascontiguousarray(picture[:, ::-1]) if laterality == "R" else picture


@pytest.fixture(scope="session")
def breast() -> Callable[..., np.ndarray]:
    return draw


@pytest.fixture(scope="session")
def drawn() -> Cohort:
    """48 drawn women, of all densities, with both breasts in both views."""
    return Cohort.of(
        Woman(
            str(seed), [draw(seed, density, view, side) for side in "LR" for view in VIEWS], [density] * 4, [*VIEWS] * 2
        )
        for seed, density in ((seed, DENSITIES[seed % 4]) for seed in range(48))
    )


@pytest.fixture(scope="session")
def films(shared: Path) -> Cohort:
    """CDD-CESM low-energy mammograms; a picture whose density was not noted counts as B."""
    folder = shared / "data" / "mammograms"
    women: dict[str, Woman] = {}
    with (folder / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            if row["dataset"] != "CDD-CESM" or "_DM_" not in row["path"]:
                continue
            woman = women.setdefault(row["patient"], Woman(row["patient"], [], [], []))
            with Image.open(folder / row["path"]) as image:
                woman.pictures.append(standard(np.asarray(image.convert("L"))))
            woman.densities.append(row["density_raw"] or "B")
            woman.views.append(row["view"])
    return Cohort.of(women[name] for name in sorted(women))

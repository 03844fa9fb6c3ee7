"""The contact sheet."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.synthesize.sheet import Sheet


def drawn_sheet(breast: Callable[..., np.ndarray], path: Path, densities: str = "ABCD") -> None:
    sheet = Sheet()
    for density in densities:
        for seed in range(6):
            for view in ("MLO", "CC"):
                sheet.add(breast(seed, density, view), density, view)
    assert sheet.draw(path)


def test_a_row_for_each_density_large_enough_to_see(breast: Callable[..., np.ndarray], tmp_path: Path) -> None:
    drawn_sheet(breast, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        picture = np.asarray(image).astype(float)
    assert picture.shape[0] >= 4 * 160
    lit = (picture[:, 200:] > 60).mean(1) > 0.1
    assert (np.diff(lit.astype(int)) == 1).sum() == 4
    assert (picture[:, :60] > 200).any(), "the labels are drawn"
    shown = picture[16 : 16 + 200, 120 : 120 + 160]
    reference = np.asarray(Image.fromarray(breast(0, "A", "CC")).resize((160, 200), Image.Resampling.BICUBIC))
    assert np.corrcoef(shown.ravel(), reference.ravel())[0, 1] > 0.99


def test_the_same_pictures_give_the_same_bytes(breast: Callable[..., np.ndarray], tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        drawn_sheet(breast, tmp_path / name, "AD")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_no_pictures_no_sheet(tmp_path: Path) -> None:
    assert not Sheet().draw(tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())

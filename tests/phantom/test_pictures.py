import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.phantom.pictures import content, list_patients, nipple_points_left

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "mammograms"
COLUMNS = ["path", "dataset", "patient", "laterality", "view", "image_type", "density_raw", "density_scale", "age"]


def write_labels(folder: Path, rows: list[tuple[str, ...]]) -> Path:
    path = folder / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return path


def half_disc(chest_left: bool) -> np.ndarray:
    y, x = np.mgrid[:120, :100]
    inside = (x / 70.0) ** 2 + ((y - 60) / 50.0) ** 2 < 1
    return np.where(inside if chest_left else inside[:, ::-1], 150, 2).astype(np.uint8)


@pytest.fixture
def collection(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a", "b", "c", "film"):
        Image.fromarray(half_disc(chest_left=True)).save(folder / f"{name}.png")
    Image.fromarray(half_disc(True).astype(np.uint16) * 20).save(folder / "deep.png")
    rows = [
        ("pictures/a.png", "X", "p1", "L", "CC", "low-energy digital mammogram", "B", "ACR A-D", "51"),
        ("pictures/b.png", "X", "p1", "L", "MLO", "low-energy digital mammogram", "C", "ACR A-D", ""),
        ("pictures/c.png", "X", "p1", "L", "CC", "contrast-enhanced subtracted (not normal)", "", "", ""),
        ("film.png", "mini-MIAS", "p2", "L", "MLO", "digitised film", "D", "MIAS F/G/D", ""),
        ("deep.png", "Y", "p3", "R", "CC", "digital mammogram", "", "", ""),
        ("elsewhere.png", "Y", "p4", "R", "CC", "digital mammogram", "A", "ACR A-D", ""),
    ]
    return folder, write_labels(tmp_path, rows)


def test_rows_become_patients(collection: tuple[Path, Path]) -> None:
    patients = {p.patient: p for p in list_patients(*collection)}
    assert sorted(patients) == ["p1", "p2", "p3"]
    assert len(patients["p1"].pictures) == 2
    assert patients["p1"].age == 51
    assert patients["p1"].densities() == {"L": "C"}
    assert patients["p2"].densities() == {}
    assert patients["p2"].pictures[0].density_raw == "D"
    assert patients["p2"].pictures[0].is_film


def test_pictures_load_over_the_range_of_their_bit_depth(collection: tuple[Path, Path]) -> None:
    patients = {p.patient: p.pictures[0] for p in list_patients(*collection)}
    assert patients["p1"].load().max() == pytest.approx(150 / 255)
    assert patients["p3"].load().max() == pytest.approx(3000 / 4095)
    assert patients["p2"].spacing(1024) == pytest.approx(0.2)


def test_nothing_below_the_folder_is_an_error(collection: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        list_patients(tmp_path / "empty", collection[1])


@pytest.mark.parametrize("chest_left", [True, False])
def test_hanging_is_seen(chest_left: bool) -> None:
    assert nipple_points_left(content(half_disc(chest_left) / np.float32(255))) is not chest_left


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real mammograms here")
def test_real_pictures_hang_as_their_laterality_says() -> None:
    """MIAS and CDD-CESM hang as the standard says: the left breast points right, the right breast left."""
    patients = list_patients(SHARED / "cdd-cesm-512", SHARED / "labels.csv")
    patients += list_patients(SHARED / "mini-mias-512", SHARED / "labels.csv")
    pictures = [p for patient in patients for p in patient.pictures][::9]
    right = [nipple_points_left(content(p.load())) == (p.laterality == "R") for p in pictures]
    assert np.mean(right) > 0.95

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipelines.phantom.breast import DENSE_FRACTION, Drawing, draw_breast, grow

SHAPE, SPACING = (260, 210), 0.95
VIEWS = [("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")]


def draw(density: str, seed: int, laterality: str = "L", view: str = "CC") -> Drawing:
    return draw_breast(grow(density, seed), laterality, view, shape=SHAPE, spacing=SPACING)


def test_percent_density_rises_with_the_category_and_hardly_overlaps() -> None:
    drawn = {d: [draw(d, seed, "L", v).dense_fraction for seed in range(6) for v in ("CC", "MLO")] for d in "ABCD"}
    for below, above in zip("ABC", "BCD", strict=True):
        assert np.quantile(drawn[below], 0.9) < np.quantile(drawn[above], 0.1)
    for density, fractions in drawn.items():
        low, high = DENSE_FRACTION[density]
        assert low * 0.8 <= min(fractions)
        assert max(fractions) <= high * 1.2


def test_brightness_alone_tells_the_density() -> None:
    """What a reader sees, not the mask: the mean brightness of the CC breast rises with the category."""
    women = [(n, draw(d, seed)) for n, d in enumerate("ABCD") for seed in range(5)]
    brightness = [drawing.picture[drawing.breast].mean() for _, drawing in women]
    assert spearmanr([n for n, _ in women], brightness).statistic > 0.85


def test_views_of_one_woman_agree() -> None:
    for density in "BC":
        fractions = [draw(density, 11, side, view).dense_fraction for side, view in VIEWS]
        assert max(fractions) / min(fractions) < 1.4
    areas = [draw("B", 11, side, "CC").breast.sum() for side in "LR"]
    assert max(areas) / min(areas) < 1.15


@pytest.mark.parametrize(("side", "view"), VIEWS)
def test_air_is_black_and_the_chest_wall_is_where_the_standard_hangs_it(side: str, view: str) -> None:
    drawing = draw("C", 2, side, view)
    assert drawing.picture.dtype == np.float32
    assert drawing.picture.shape == SHAPE
    assert drawing.picture.min() == 0
    assert drawing.picture.max() <= 1
    inside = np.pad(drawing.breast, 1)
    near = inside[:-2, 1:-1] | inside[2:, 1:-1] | inside[1:-1, :-2] | inside[1:-1, 2:]
    assert not drawing.picture[~(drawing.breast | near)].any()
    wall = drawing.breast[:, 0] if side == "L" else drawing.breast[:, -1]
    other = drawing.breast[:, -1] if side == "L" else drawing.breast[:, 0]
    assert wall.sum() > 0.3 * SHAPE[0]
    assert not other.any()


def test_pectoral_muscle_fills_the_upper_corner_of_the_mlo_alone() -> None:
    assert not draw("B", 4, "R", "CC").pectoral.any()
    for side in "LR":
        drawing = draw("B", 4, side, "MLO")
        rows, columns = np.nonzero(drawing.pectoral)
        assert drawing.pectoral[0, 0 if side == "L" else -1]
        assert rows.mean() < SHAPE[0] / 2
        assert (columns.mean() < SHAPE[1] / 2) == (side == "L")
        fat = drawing.breast & ~drawing.gland & ~drawing.pectoral
        assert drawing.picture[drawing.pectoral].mean() > 1.3 * drawing.picture[fat].mean()


def test_masks_are_nested_and_gland_is_brighter_than_fat() -> None:
    drawing = draw("C", 9, "L", "MLO")
    assert not (drawing.gland & ~drawing.breast).any()
    assert not (drawing.gland & drawing.pectoral).any()
    fat = drawing.breast & ~drawing.gland & ~drawing.pectoral
    assert drawing.picture[drawing.gland].mean() > 1.5 * drawing.picture[fat].mean()


def test_attenuation_falls_off_at_the_margin_where_the_skin_line_is_bright() -> None:
    drawing = draw_breast(grow("A", 5), "L", "CC", shape=(700, 560), spacing=0.33)
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(drawing.breast, ((0, 0), (1, 0)), mode="edge"))[:, 1:] * 0.33
    skin, below, deep = (depth > 0.4) & (depth < 1.2), (depth > 3) & (depth < 5), (depth > 20) & (depth < 25)
    assert drawing.picture[skin].mean() > 1.2 * drawing.picture[below].mean()
    assert drawing.attenuation[below].mean() < 0.8 * drawing.attenuation[deep].mean()


def test_physical_size_does_not_depend_on_the_spacing() -> None:
    woman = grow("B", 8)
    coarse = draw_breast(woman, "L", "MLO", shape=(250, 200), spacing=1.0)
    fine = draw_breast(woman, "L", "MLO", shape=(500, 400), spacing=0.5)
    assert fine.breast.sum() * 0.25 == pytest.approx(coarse.breast.sum(), rel=0.02)


def test_the_seed_decides() -> None:
    one, again, other = draw("B", 6), draw("B", 6), draw("B", 7)
    np.testing.assert_array_equal(one.picture, again.picture)
    assert not np.array_equal(one.picture, other.picture)

"""Strokes that may be text are found, and told from vessels, specks and lines; the breast is found under them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.deidentify.background import _rectangles, background
from pipelines.deidentify.burned_in import find_text
from pipelines.deidentify.text_candidates import find_breast, find_candidates, in_display_order
from pipelines.deidentify.text_chains import Strokes, best_log_odds, chains
from pipelines.deidentify.text_reading import DetectorError
from tests.deidentify.burning import breast, draw


def test_candidates_say_where_they_lie():
    picture = breast()
    draw(picture, "DOE JANE", 60, 800, 30, 4095)
    draw(picture, "DOE JANE", 700, 200, 30, 4095)
    candidates = find_candidates(picture, find_breast(picture))
    assert {c.place for c in candidates} == {"outside", "inside"}
    assert all(c.box[1] >= 660 for c in candidates if c.place == "outside")


def test_specks_and_lines_are_no_text():
    picture = breast()
    picture[50:56, 900:906] = 4095
    picture[1380, :] = 4095
    picture[:, 1090] = 3000
    picture[700:704, 300:304] = 4095
    assert find_text(picture) == []


def strokes(boxes: list[tuple[int, int, int, int]]) -> Strokes:
    array = np.array(boxes)
    return Strokes(array, array[:, 2] * array[:, 3] * 0.5, np.full(len(array), 2.0), np.ones(len(array), bool))


def test_a_row_of_letters_is_a_chain_and_likelier_text_than_scattered_specks():
    letters = [(100 + 9 * k, 50 + k % 2, 7, 10) for k in range(10)]
    rng = np.random.default_rng(0)
    specks = [(int(x), int(y), int(w), int(h)) for x, y, w, h in zip(
        rng.integers(0, 400, 10), rng.integers(100, 400, 10), rng.integers(2, 20, 10), rng.integers(4, 20, 10),
        strict=True,
    )]  # fmt: skip
    both = strokes(letters + specks)
    numbers = chains(both)
    assert len(set(numbers[:10])) == 1
    assert not set(numbers[:10]) & set(numbers[10:])
    odds = best_log_odds(both)
    assert odds[:10].min() > 2 > odds[10:].max()
    assert np.array_equal(best_log_odds(both.turned()), odds)


def test_the_breast_is_found_though_much_of_it_is_dark():
    picture = breast()
    truth = breast() > 300
    fatty = np.where(truth, 160 + picture // 40, picture // 4).astype(np.uint16)
    fatty[650:750, 200:300] = 4000
    scene = find_breast(fatty)
    mask = np.kron(scene.mask, np.ones((scene.step, scene.step), np.uint8))[: truth.shape[0], : truth.shape[1]]
    inside = truth[: mask.shape[0], : mask.shape[1]]
    assert mask[inside].mean() > 0.99
    assert mask[~inside].mean() < 0.2


@pytest.mark.parametrize("kind", ["int16", "int32", "uint32", "float32", "float64"])
def test_any_type_comes_in_display_order(kind):
    values = np.array([[-3, 0, 5], [100, 7, -20]] * 8).astype(kind) if kind[0] != "u" else np.arange(16, dtype=kind)
    values = values.reshape(-1, 2)
    for turned, sign in ((False, 1), (True, -1)):
        shown = in_display_order(values, turned)
        assert shown.dtype == np.uint16
        assert np.array_equal(
            np.argsort(shown.ravel(), kind="stable"), np.argsort(sign * values.ravel().astype(float), kind="stable")
        )


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=9))
def test_rectangles_cover_the_cells_that_are_set_once_each(rows):
    cells = np.array(rows)
    count = np.zeros(cells.shape, int)
    for top, left, bottom, right in _rectangles(cells):
        count[top:bottom, left:right] += 1
    assert np.array_equal(count, cells.astype(int))


def test_a_picture_without_a_breast_has_no_background():
    with pytest.raises(DetectorError, match=r"^breast_not_found$"):
        background(find_breast(np.full((800, 800), 7, np.uint16)), [])

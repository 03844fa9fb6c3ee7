"""What a training is shown: training rows alone, classes in turn, each image once a round."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pipelines.pgan.conditions import CODE_SIZE, ConditionError, codes
from pipelines.pgan.feed import (
    Feed,
    NotEnoughImages,
    NotTrainingRows,
    read_dataset,
    rows_of,
    to_gray,
    to_unit,
)
from pipelines.storage.shards import ShardError


@pytest.fixture
def feed(dataset) -> Feed:
    return Feed(dataset, rows_of(read_dataset(dataset), "train"), seed=3)


def test_rows_of_another_split_are_refused(dataset):
    with pytest.raises(NotTrainingRows):
        Feed(dataset, read_dataset(dataset), seed=3)
    with pytest.raises(NotTrainingRows):
        Feed(dataset, rows_of(read_dataset(dataset), "validation"), seed=3)


def test_too_few_images_are_refused_with_their_count(dataset_maker):
    folder = dataset_maker(train={"B": 9, "C": 6})
    with pytest.raises(NotEnoughImages, match="15 training images, at least 16"):
        Feed(folder, rows_of(read_dataset(folder), "train"), seed=3)


def test_classes_come_in_turn_whatever_their_counts(feed):
    density = np.array(feed.table["density"].to_pylist())
    shown = density[feed.rows(0, 400)]
    assert Counter(shown) == dict.fromkeys("ABCD", 100)
    assert all(len(set(shown[i : i + 4])) == 4 for i in range(0, 400, 4))


def test_each_image_of_a_class_comes_once_a_round(feed):
    density = np.array(feed.table["density"].to_pylist())
    rows = feed.rows(0, 4 * 30)
    b = rows[density[rows] == "B"]
    for start in range(0, 30, 10):
        assert sorted(b[start : start + 10]) == sorted(np.flatnonzero(density == "B"))
    assert list(b[:10]) != list(b[10:20])


def test_a_draw_depends_on_its_number_alone(feed, dataset):
    whole = feed.rows(0, 100)
    again = Feed(dataset, feed.table, seed=3)
    pieces = [again.rows(60, 40), again.rows(0, 25), again.rows(25, 35)]
    np.testing.assert_array_equal(np.concatenate([pieces[1], pieces[2], pieces[0]]), whole)
    assert list(Feed(dataset, feed.table, seed=4).rows(0, 100)) != list(whole)


def test_a_class_without_images_is_left_out(dataset_maker):
    folder = dataset_maker(train={"B": 12, "C": 8}, views=("CC",))
    feed = Feed(folder, rows_of(read_dataset(folder), "train"), seed=0)
    assert feed.conditions == (("B", "CC"), ("C", "CC"))
    assert Counter(np.array(feed.table["density"].to_pylist())[feed.rows(0, 40)]) == {"B": 20, "C": 20}


def test_a_batch_holds_the_pyramids_pictures_and_their_codes(feed):
    batch = feed.batch(8, 6, level=2)
    table = feed.table.take(pa.array(feed.rows(8, 6)))
    assert batch.pictures.shape == (6, 1, 10, 8)
    assert batch.pictures.dtype == np.float32
    np.testing.assert_array_equal(to_gray(batch.pictures), feed.pyramid.take(table, (10, 8)))
    np.testing.assert_array_equal(batch.pictures, feed.pictures(table, 2))
    np.testing.assert_array_equal(batch.codes, codes(table["density"].to_pylist(), table["view"].to_pylist()))


def test_levels_are_the_averages_of_one_another(feed):
    fine, coarse = (feed.pyramid.take(feed.table, shape).astype(float) for shape in ((20, 16), (10, 8)))
    averaged = fine.reshape(-1, 10, 2, 8, 2).mean((2, 4))
    assert np.abs(averaged - coarse).max() <= 0.5


def test_a_missing_level_is_named(feed):
    with pytest.raises(ShardError, match="0040x0032"):
        feed.batch(0, 4, level=4)


def test_gray_values_go_to_units_and_back_unchanged():
    gray = np.arange(4096, dtype=np.uint16).reshape(1, 64, 64)
    unit = to_unit(gray)
    assert (unit.min(), unit.max()) == (-1.0, 1.0)
    np.testing.assert_array_equal(to_gray(unit), gray)
    assert to_gray(np.full((1, 1, 2, 2), 3.0)).max() == 4095
    assert to_gray(np.full((1, 1, 2, 2), -3.0)).min() == 0


def test_density_codes_are_cumulative():
    table = codes(["A", "B", "C", "D"], ["CC", "MLO", "CC", "MLO"])
    assert table.shape == (4, CODE_SIZE)
    assert table.tolist() == [[0, 0, 0, 0, 1], [1, 0, 0, 1, 1], [1, 1, 0, 0, 1], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize(("density", "view"), [("E", "CC"), ("A", "LM")])
def test_unknown_conditions_are_refused(density, view):
    with pytest.raises(ConditionError):
        codes([density], [view])

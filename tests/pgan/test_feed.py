"""What a training is shown: training rows alone, classes in turn, each image once a round."""

import threading
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.curate.counts import AGE_BANDS
from pipelines.pgan.conditions import AGE_BORDERS, CODE_SIZE, ConditionError, codes, neighbors, widened
from pipelines.pgan.feed import (
    Draws,
    Feed,
    NotEnoughImages,
    NotTrainingRows,
    read_dataset,
    rows_of,
    to_gray,
    to_unit,
)
from pipelines.storage.shards import ShardError
from pipelines.storage.tables import DENSITIES


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


def test_natural_draws_take_each_image_once_a_round(dataset):
    table = rows_of(read_dataset(dataset), "train")
    feed = Feed(dataset, table, 3, Draws(natural=True))
    for start in (0, 24):
        assert sorted(feed.rows(start, 24)) == list(range(24))
    assert list(feed.rows(0, 24)) != list(feed.rows(24, 24))


def test_shares_together_are_the_whole_batch(dataset, feed):
    whole = feed.batch(16, 8, 3)
    shares = [
        Feed(dataset, feed.table, 3, share=lambda number=number: (number, 2)).batch(16, 8, 3) for number in (0, 1)
    ]
    for name in ("pictures", "codes"):
        for number, share in enumerate(shares):
            np.testing.assert_array_equal(getattr(share, name), getattr(whole, name)[number::2])


def test_the_next_batch_is_read_ahead_in_another_thread(feed, monkeypatch):
    read, threads = feed._read, []

    def spy(*asked):
        threads.append((asked[0], threading.current_thread() is threading.main_thread()))
        return read(*asked)

    monkeypatch.setattr(feed, "_read", spy)
    first, second = feed.batch(0, 8, 3), feed.batch(8, 8, 3)
    feed._ahead[1].result()
    assert threads == [(0, True), (8, False), (16, False)]
    other = feed.batch(16, 8, 2)  # another level than was read ahead
    feed._ahead[1].result()
    assert threads[3:] == [(16, True), (24, False)]
    assert other.pictures.shape == (8, 1, 10, 8)
    for start, batch in ((0, first), (8, second)):
        np.testing.assert_array_equal(batch.pictures, read(start, 8, 3, 0, 1).pictures)


def test_a_level_read_ahead_in_vain_raises_only_when_asked_for(feed):
    feed.batch(0, 8, 3)
    with pytest.raises(ShardError, match="0040x0032"):
        feed.batch(8, 8, 4)
    feed.batch(8, 8, 3)


def test_with_ages_the_codes_hold_them(dataset):
    table = rows_of(read_dataset(dataset), "train")
    ages = pa.array([None if row % 3 == 0 else 30.0 + row for row in range(table.num_rows)], pa.float64())
    place = table.schema.get_field_index("patient_age")
    table = table.set_column(place, table.schema.field(place), [ages])
    feed = Feed(dataset, table, 3, Draws(ages=True))
    for row, code in zip(feed.rows(0, 24), feed.batch(0, 24, 1).codes, strict=True):
        known = row % 3 != 0
        assert code[5:].tolist() == [float(known), *(float(known and 30 + row >= at) for at in (40, 50, 60, 70))]


def test_density_codes_are_cumulative():
    table = codes(["A", "B", "C", "D"], ["CC", "MLO", "CC", "MLO"])
    assert table.shape == (4, CODE_SIZE)
    assert table.tolist() == [[0, 0, 0, 0, 1], [1, 0, 0, 1, 1], [1, 1, 0, 0, 1], [1, 1, 1, 1, 1]]


@given(st.floats(0, 3), st.sampled_from(["CC", "MLO"]))
def test_a_density_between_two_classes_has_the_code_between_theirs(rank, view):
    low, share = min(int(rank), 2), rank - min(int(rank), 2)
    a, b = codes([DENSITIES[low], DENSITIES[low + 1]], [view] * 2).astype(float)
    np.testing.assert_allclose(codes([rank], [view])[0], a + share * (b - a), atol=1e-6)


def test_whole_ranks_are_the_classes():
    views = ["CC", "MLO", "CC", "MLO"]
    np.testing.assert_array_equal(codes([0, 1.0, 2, 3], views), codes(list("ABCD"), views))
    assert [neighbors(d) for d in ("B", 1, 1.25, 3.0)] == [("B",), ("B",), ("B", "C"), ("D",)]


def test_ages_are_coded_by_band_and_left_open_where_unknown():
    table = codes(["A"] * 5, ["CC"] * 5, [39.9, 40, 69, 91, None])
    assert table[:, 5:].tolist() == [
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0],
    ]  # fmt: skip
    np.testing.assert_array_equal(widened(table[:, :5], 10), codes(["A"] * 5, ["CC"] * 5, [float("nan")] * 5))
    assert tuple(low for low, _, _ in AGE_BANDS[1:]) == AGE_BORDERS  # the bands that level A's balance counts


@pytest.mark.parametrize(
    ("density", "view"), [("E", "CC"), ("A", "LM"), (3.5, "CC"), (-0.1, "CC"), (float("nan"), "CC")]
)
def test_unknown_conditions_are_refused(density, view):
    with pytest.raises(ConditionError):
        codes([density], [view])

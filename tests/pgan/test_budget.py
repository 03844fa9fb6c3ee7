"""Budgets of a night, and schedules scaled to data and total."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.pgan.budget import MOST_SHOWS, Budget, Night, Underway, note_underway, read_underway, scaled_schedule
from pipelines.pgan.growth import total_images
from pipelines.pgan.settings import PGANSettings, SettingsError


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("", Budget()),
        ("8h", Budget(seconds=28800)),
        ("1.5h", Budget(seconds=5400)),
        ("90min", Budget(seconds=5400)),
        ("2 min", Budget(seconds=120)),
        ("30s", Budget(seconds=30)),
        ("500000", Budget(images=500_000)),
    ],
)
def test_a_budget_is_a_time_or_a_number_of_images(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["0", "0h", "-3h", "8 hours", "1.5", "h", "8h30", "nan"])
def test_other_budgets_are_refused(text):
    with pytest.raises(SettingsError, match="a budget is a time"):
        Budget.parse(text)


def test_a_night_ends_by_the_clock():
    now = [1000.0]
    night = Night(Budget(seconds=60), clock=lambda: now[0])
    night.tell(8, 100)
    now[0] += 59
    assert not night.is_over()
    now[0] += 1
    assert night.is_over()


def test_a_night_ends_by_the_images_of_this_night_alone():
    night = Night(Budget(images=32))
    for images in (1008, 1016, 1024, 1032):
        night.tell(images, 5000)
        assert not night.is_over()
    night.tell(1040, 5000)
    assert night.is_over()


def test_without_a_budget_a_night_never_ends():
    night = Night(Budget(), clock=iter(range(0, 10**9, 10**6)).__next__)
    night.tell(10**9, 10**9)
    assert not night.is_over()


@given(st.integers(20_000, 20_000_000))
def test_a_total_is_kept_to_within_a_batch_a_span(total):
    full = PGANSettings()
    scaled = scaled_schedule(full, 10, total)
    assert abs(total_images(scaled) - total) <= 17 * max(full.batch_sizes)
    assert scaled.batch_sizes == full.batch_sizes
    assert all(span % size == 0 for span, size in zip(scaled.stable_images, scaled.batch_sizes, strict=True))


@pytest.mark.parametrize("images", [100, 2_000, 10**6])
def test_a_schedule_scaled_to_the_data_shows_each_image_so_often(images):
    full = PGANSettings()
    shown = total_images(scaled_schedule(full, images))
    assert shown == pytest.approx(min(total_images(full), MOST_SHOWS * images), rel=0.01)


def test_levels_that_are_not_faded_in_stay_so_and_none_is_lost():
    settings = replace(PGANSettings.tiny(), fade_images=(0, 0, 32))
    scaled = scaled_schedule(settings, 1, 3)
    assert (scaled.stable_images, scaled.fade_images) == ((8, 8, 8), (0, 0, 8))
    with pytest.raises(SettingsError):
        scaled_schedule(settings, 1, 0)


def test_how_far_a_training_came_is_kept_until_it_is_done(tmp_path):
    assert read_underway(tmp_path) is None
    note_underway(tmp_path, None)
    note_underway(tmp_path, Underway(40, 112))
    assert str(read_underway(tmp_path)) == "in training, 40 of 112 images"
    note_underway(tmp_path, None)
    assert read_underway(tmp_path) is None

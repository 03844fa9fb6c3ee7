"""The growth schedule as a function of images shown."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.pgan.growth import level_ends, stage_at, total_images
from pipelines.pgan.settings import PGANSettings, SettingsError, resolution_of

SCHEDULES = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.integers(1, 50), min_size=n, max_size=n),
        st.lists(st.integers(0, 50), min_size=n, max_size=n),
    )
)


def schedule(drawn: tuple[int, list[int], list[int]]) -> PGANSettings:
    levels, stable, fade = drawn
    return replace(
        PGANSettings.tiny(),
        levels=levels,
        stable_images=tuple(stable),
        fade_images=tuple(fade),
        batch_sizes=(4,) * levels,
    )


@given(SCHEDULES)
def test_the_schedule_only_grows_and_ends_at_the_top(drawn):
    settings = schedule(drawn)
    stages = [stage_at(settings, images) for images in range(total_images(settings))]
    for before, after in pairwise(stages):
        assert after.level - before.level in (0, 1)
        if after.level == before.level:
            assert after.alpha >= before.alpha
            assert not (after.fading and not before.fading)
    assert stages[0].level == 1
    assert stages[-1].level == settings.levels
    assert not stages[-1].fading


@given(SCHEDULES)
def test_each_level_lasts_its_fade_and_its_stable_images(drawn):
    settings = schedule(drawn)
    stages = [stage_at(settings, images) for images in range(total_images(settings))]
    for level in range(1, settings.levels + 1):
        fading = [s.alpha for s in stages if s.level == level and s.fading]
        stable = [s.alpha for s in stages if s.level == level and not s.fading]
        wanted = settings.fade_images[level - 1] if level > 1 else 0
        assert len(stable) == settings.stable_images[level - 1]
        assert fading == [pytest.approx((i + 1) / wanted) for i in range(wanted)]
        assert set(stable) == {1.0}
        assert sum(s.level <= level for s in stages) == level_ends(settings)[level - 1]


def test_past_the_end_the_top_level_stays():
    settings = PGANSettings.tiny()
    stage = stage_at(settings, total_images(settings) + 10_000)
    assert (stage.level, stage.alpha, stage.fading) == (3, 1.0, False)


def test_resolutions_are_korkinofs():
    assert [resolution_of(level) for level in range(1, 10)] == [
        (5, 4), (10, 8), (20, 16), (40, 32), (80, 64), (160, 128), (320, 256), (640, 512), (1280, 1024),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"levels": 10},
        {"levels": 0},
        {"stable_images": (1, 2)},
        {"batch_sizes": (8, 8, 2)},
        {"parts": 3},
        {"precision": "float16"},
        {"critic_rate": 0.0},
        {"r1_interval": 0},
        {"recipe": "wgan"},
        {"sampling": "random"},
        {"recipe": "korkinof2018", "two_views": True},
        {"recipe": "korkinof2018", "condition_age": True},
        {"recipe": "korkinof2018", "augment": True},
        {"augment_images": 0},
        {"recompute_from": 0},
    ],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(SettingsError):
        replace(PGANSettings.tiny(), **change)


@pytest.mark.parametrize(
    "settings", [PGANSettings(), PGANSettings.demo(3), PGANSettings.tiny(), PGANSettings.korkinof2018()]
)
def test_settings_survive_json(settings):
    assert PGANSettings.from_json(settings.to_json()) == settings


def test_settings_with_an_unknown_name_are_refused():
    with pytest.raises(SettingsError, match="widths"):
        PGANSettings.from_json({**PGANSettings.tiny().to_json(), "widths": 3})


def test_feature_maps_follow_karras_table():
    assert [PGANSettings().maps(stage) for stage in range(1, 10)] == [512, 512, 512, 512, 256, 128, 64, 32, 16]

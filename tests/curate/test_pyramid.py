import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.curate.pyramid import PyramidWriter, halvings, level_shapes
from pipelines.storage.pyramid import level_name
from pipelines.storage.shards import Shard


def means(picture, level):
    """Area means in float64, the plain way."""
    step = picture.shape[0] // level.shape[0]
    return picture.reshape(level.shape[0], step, level.shape[1], step).astype(np.float64).mean(axis=(1, 3))


def drift(picture, level):
    return abs(level.mean(dtype=np.float64) - picture.mean(dtype=np.float64))


def test_levels_of_the_standard_picture():
    shapes = level_shapes((1280, 1024))
    assert shapes == [(640, 512), (320, 256), (160, 128), (80, 64), (40, 32), (20, 16), (10, 8), (5, 4)]
    assert level_name((5, 4)) == "0005x0004"


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(5, 12),
    columns=st.integers(1, 12),
    doublings=st.integers(1, 4),
    low=st.integers(0, 4095),
    spread=st.integers(1, 4096),
    seed=st.integers(0, 99),
)
def test_each_pixel_is_its_mean_rounded_up_or_down_and_the_mean_stays(rows, columns, doublings, low, spread, seed):
    shape = (rows << doublings, columns << doublings)
    values = np.random.default_rng(seed).integers(low, low + spread, shape)
    picture = np.minimum(values, 4095).astype(np.uint16)
    levels = list(halvings(picture))
    assert [level.shape for level in levels] == level_shapes(shape)
    assert levels[doublings - 1].shape == (rows, columns)
    for level in levels:
        exact = means(picture, level)
        assert level.dtype == np.uint16
        assert (level >= np.floor(exact)).all()
        assert (level <= np.ceil(exact)).all()
        assert drift(picture, level) <= 0.5 / level.size + 1e-9


def test_the_brightest_picture_does_not_overflow_and_air_stays_air():
    assert {int(level.min()) for level in halvings(np.full((1280, 1024), 4095, np.uint16))} == {4095}
    half = np.full((1280, 1024), 3, np.uint16)
    half[:, 512:] = 0
    assert not any(level[:, level.shape[1] // 2 :].any() for level in halvings(half))


def test_rounding_makes_no_side_of_the_picture_brighter():
    picture = np.tile(np.array([[7, 8], [7, 8]], np.uint16), (320, 256))
    level = next(halvings(picture))
    quarters = [q.mean() for half in np.split(level, 2) for q in np.split(half, 2, axis=1)]
    np.testing.assert_allclose(quarters, 7.5, atol=0.01)


def test_mean_gray_does_not_drift():
    for seed in range(5):
        picture = (np.random.default_rng(seed).random((1280, 1024)) ** 3 * 4095).astype(np.uint16)
        picture[:, 500:] = 0
        assert max(drift(picture, level) for level in halvings(picture)) < 0.05


def test_levels_are_written_row_by_row(tmp_path):
    pictures = [np.random.default_rng(n).integers(0, 4096, (640, 512)).astype(np.uint16) for n in range(3)]
    with PyramidWriter(tmp_path, (640, 512)) as pyramid:
        assert [pyramid.append(f"i{n}", p)[0] for n, p in enumerate(pictures)] == [0, 1, 2]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0] == "0005x0004-00000.arrow"
    assert names[-1] == "0320x0256-00000.arrow"
    for name in names:
        shard = Shard(tmp_path / name)
        assert shard.ids == ["i0", "i1", "i2"]
        assert np.abs(shard[1] - means(pictures[1], shard[1])).max() < 1


def test_small_levels_are_mapped_and_the_large_one_compressed(tmp_path):
    with PyramidWriter(tmp_path, (1280, 1024)) as pyramid:
        for n in range(257):
            pyramid.append(f"i{n}", np.zeros((1280, 1024), np.uint16))
    for rows in (5, 320):
        shard = Shard(tmp_path / f"{rows:04d}x{rows * 4 // 5:04d}-00000.arrow")
        assert shard.mapped
        assert [len(batch) for batch in shard.batches()] == [256, 1]
    assert not Shard(tmp_path / "0640x0512-00000.arrow").mapped
    assert (tmp_path / "0640x0512-00000.arrow").stat().st_size < 257 * 640 * 512 * 2 / 10


def test_an_odd_size_ends_the_pyramid():
    assert level_shapes((30, 21)) == []
    with pytest.raises(StopIteration):
        next(halvings(np.zeros((30, 21), np.uint16)))


def test_a_failed_set_leaves_no_level_behind(tmp_path):
    def fail():
        with PyramidWriter(tmp_path, (40, 32)) as pyramid:
            pyramid.append("i0", np.zeros((40, 32), np.uint16))
            pyramid.append("i1", np.zeros((80, 64), np.uint16))

    with pytest.raises(ValueError):
        fail()
    assert list(tmp_path.iterdir()) == []

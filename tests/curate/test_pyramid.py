import numpy as np
import pytest

from pipelines.curate.pyramid import PyramidWriter, halvings, level_name, level_shapes
from pipelines.storage.shards import Shard


def test_levels_of_the_standard_picture():
    shapes = level_shapes((1280, 1024))
    assert shapes == [(640, 512), (320, 256), (160, 128), (80, 64), (40, 32), (20, 16), (10, 8), (5, 4)]
    assert level_name((5, 4)) == "0005x0004"


def test_each_level_is_the_mean_of_the_full_picture_rounded_once():
    picture = np.random.default_rng(1).integers(0, 4096, (160, 128)).astype(np.uint16)
    for level in halvings(picture):
        step = 160 // level.shape[0]
        means = picture.reshape(level.shape[0], step, level.shape[1], step).astype(np.float64).mean(axis=(1, 3))
        np.testing.assert_array_equal(level, np.floor(means + 0.5))
        assert level.dtype == np.uint16


def test_the_brightest_picture_does_not_overflow():
    assert {int(level.min()) for level in halvings(np.full((1280, 1024), 4095, np.uint16))} == {4095}


def test_mean_gray_does_not_drift():
    picture = (np.random.default_rng(2).random((1280, 1024)) ** 3 * 4095).astype(np.uint16)
    assert all(abs(level.mean() - picture.mean()) < 0.3 for level in halvings(picture) if level.size >= 80)


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
        step = 640 // shard.shape[0]
        exact = pictures[1].reshape(shard.shape[0], step, shard.shape[1], step).mean(axis=(1, 3))
        np.testing.assert_array_equal(shard[1], np.floor(exact + 0.5))


def test_small_levels_are_mapped_and_the_large_one_compressed(tmp_path):
    with PyramidWriter(tmp_path, (1280, 1024)) as pyramid:
        pyramid.append("i0", np.zeros((1280, 1024), np.uint16))
    (mapped,) = Shard(tmp_path / "0320x0256-00000.arrow").batches()
    assert not mapped.flags.owndata
    assert (tmp_path / "0640x0512-00000.arrow").stat().st_size < 640 * 512 * 2 / 10
    assert (tmp_path / "0320x0256-00000.arrow").stat().st_size > 320 * 256 * 2


def test_an_odd_size_ends_the_pyramid():
    assert level_shapes((30, 21)) == []
    with pytest.raises(StopIteration):
        next(halvings(np.zeros((30, 21), np.uint16)))

"""The pyramid's reader: a random batch at any size by the rows of the table, whichever shards the pictures lie in."""

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.curate.pyramid import PyramidWriter
from pipelines.storage.pyramid import FOLDER, Level, Pyramid, level_name
from pipelines.storage.shards import Shard, ShardError, ShardWriter

SHAPE = (640, 512)
COUNT = 5


def means(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Area means in float64, the plain way."""
    step = picture.shape[0] // shape[0]
    return picture.reshape(shape[0], step, shape[1], step).astype(np.float64).mean(axis=(1, 3))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, pa.Table]:
    """A folder of five pictures of 640×512 in two shards, with its pyramid; the pictures; their rows."""
    folder = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 4096, (COUNT, *SHAPE), dtype=np.uint16)
    pictures[:, :, 300:] = 0
    places = []
    with (
        ShardWriter(folder, "shard", SHAPE, max_bytes=3 * pictures[0].nbytes) as shards,
        PyramidWriter(folder / FOLDER, SHAPE) as pyramid,
    ):
        for n, picture in enumerate(pictures):
            places.append((*shards.append(str(n), picture), pyramid.append(str(n), picture)[0]))
    assert len(list(folder.glob("*.arrow"))) == 2
    columns = dict(zip(("shard", "shard_row", "pyramid_row"), map(list, zip(*places, strict=True)), strict=True))
    return folder, pictures, pa.table(columns)


def test_a_batch_of_each_size_is_that_of_the_tables_rows(dataset) -> None:
    folder, pictures, table = dataset
    pyramid = Pyramid(folder)
    rows = [4, 0, 3, 3]
    wanted = table.take(pa.array(rows))
    np.testing.assert_array_equal(pyramid.take(wanted, SHAPE), pictures[rows])
    for step in (2, 4, 8, 16, 32, 64, 128):
        shape = (SHAPE[0] // step, SHAPE[1] // step)
        taken = pyramid.take(wanted, shape)
        out = np.empty((4, *shape), np.uint16)
        assert pyramid.take(wanted, shape, out) is out
        np.testing.assert_array_equal(out, taken)
        for row, picture in zip(rows, taken, strict=True):
            assert np.abs(picture - means(pictures[row], shape)).max() < 1


def test_no_rows_make_an_empty_batch_of_the_size(dataset) -> None:
    folder, _, table = dataset
    for shape in (SHAPE, (5, 4)):
        assert Pyramid(folder).take(table.slice(0, 0), shape).shape == (0, *shape)


def test_a_small_levels_picture_is_a_view_of_its_map(dataset) -> None:
    folder, _, _ = dataset
    level = Pyramid(folder).level((320, 256))
    (batch,) = Shard(folder / FOLDER / "0320x0256-00000.arrow").batches()
    assert not level[2].flags.writeable
    assert not level[2].flags.owndata
    np.testing.assert_array_equal(level[2], batch[2])
    assert level[2].__array_interface__["data"][0] - level[0].__array_interface__["data"][0] == 2 * 320 * 256 * 2
    with pytest.raises(IndexError):
        level[COUNT]


def test_missing_levels_and_rows_are_named(dataset, tmp_path: Path) -> None:
    folder, _, table = dataset
    with pytest.raises(ShardError, match="no level 1280x1024"):
        Pyramid(folder).take(table, (1280, 1024))
    with pytest.raises(ShardError, match="no level 0005x0004"):
        Pyramid(tmp_path).take(table, (5, 4))
    for row in (COUNT, -1):
        with pytest.raises(ShardError, match="fewer rows"):
            Pyramid(folder).level((5, 4)).take([0, row])
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "0010x0008-00000.arrow").write_bytes((folder / FOLDER / "0005x0004-00000.arrow").read_bytes())
    with pytest.raises(ShardError, match="does not hold pictures of that size"):
        Pyramid(tmp_path).level((10, 8))


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    count=st.integers(1, 20),
    batch=st.integers(0, 4),
    shard=st.integers(1, 9),
    data=st.data(),
)
def test_a_level_is_one_sequence_over_its_shards(tmp_path_factory, shape, count, batch, shard, data) -> None:
    folder = tmp_path_factory.mktemp("level")
    pictures = np.random.default_rng(count).integers(0, 4096, (count, *shape), dtype=np.uint16)
    with ShardWriter(
        folder, level_name(shape), shape, mapped_rows=batch, max_bytes=shard * pictures[0].nbytes
    ) as writer:
        for n, picture in enumerate(pictures):
            writer.append(str(n), picture)
    level = pickle.loads(pickle.dumps(Level(folder, shape)))
    rows = data.draw(st.lists(st.integers(0, count - 1), max_size=8))
    assert len(level) == count
    np.testing.assert_array_equal(level.take(rows), pictures[rows])
    np.testing.assert_array_equal(level[count - 1], pictures[-1])


def send(pyramid: Pyramid, table: pa.Table, end) -> None:
    end.send([pyramid.take(table, shape).tolist() for shape in ((5, 4), (320, 256), SHAPE)])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_with_a_pyramid_that_was_already_open(dataset, start: str) -> None:
    folder, _, table = dataset
    pyramid = Pyramid(folder)
    wanted = table.take(pa.array([3, 1]))
    expected = [pyramid.take(wanted, shape) for shape in ((5, 4), (320, 256), SHAPE)]
    context = multiprocessing.get_context(start)
    mine, yours = context.Pipe()
    process = context.Process(target=send, args=(pyramid, wanted, yours))
    process.start()
    assert mine.poll(60)
    for taken, batch in zip(mine.recv(), expected, strict=True):
        np.testing.assert_array_equal(taken, batch)
    process.join()
    assert process.exitcode == 0


def test_a_set_without_pictures_gives_none_of_any_size(tmp_path: Path) -> None:
    empty = pa.table({name: [] for name in ("shard", "shard_row", "pyramid_row")})
    assert Pyramid(tmp_path).take(empty, (80, 64)).shape == (0, 80, 64)
    with pytest.raises(ShardError):
        Pyramid(tmp_path).take(empty, (80, 64), np.empty((1, 80, 64), np.uint16))

"""Shards give back what was put in, bit for bit, and say so when they are damaged."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from pipelines.storage.shards import Shard, ShardError, ShardReader, ShardWriter


def pictures(count: int, shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 4096, (count, *shape), dtype=np.uint16)


@pytest.mark.parametrize(("compression", "rows"), [("lz4", 1), (None, 256), (None, 3)])
def test_round_trip(tmp_path: Path, compression: str | None, rows: int) -> None:
    made = pictures(7, (20, 16))
    with ShardWriter(tmp_path, "s", (20, 16), compression=compression, rows_per_batch=rows) as writer:
        places = [writer.append(f"i{n}", picture) for n, picture in enumerate(made)]
    shard = Shard(tmp_path / "s-00000.arrow")
    assert (len(shard), shard.shape, shard.ids) == (7, (20, 16), [f"i{n}" for n in range(7)])
    reader = pickle.loads(pickle.dumps(ShardReader(tmp_path)))
    for place, picture in zip(places, made, strict=True):
        np.testing.assert_array_equal(reader.read(*place), picture)
    np.testing.assert_array_equal(np.concatenate(shard.batches()), made)
    np.testing.assert_array_equal(shard.take([6, 0, 3]), made[[6, 0, 3]])


def test_uncompressed_batches_are_views_of_the_map(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "s", (8, 8), compression=None, rows_per_batch=4) as writer:
        for n, picture in enumerate(pictures(4, (8, 8))):
            writer.append(str(n), picture)
    batch = Shard(tmp_path / "s-00000.arrow").batches()[0]
    assert not batch.flags.owndata
    assert not batch.flags.writeable


def test_full_shard_gives_way_to_the_next(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "s", (8, 8), max_bytes=3 * 128) as writer:
        places = [writer.append(str(n), picture) for n, picture in enumerate(pictures(7, (8, 8)))]
    assert places == [(f"s-{n // 3:05d}.arrow", n % 3) for n in range(7)]


def test_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with ShardWriter(tmp_path / name, "s", (8, 8)) as writer:
            for n, picture in enumerate(pictures(5, (8, 8))):
                writer.append(str(n), picture)
    assert (tmp_path / "a/s-00000.arrow").read_bytes() == (tmp_path / "b/s-00000.arrow").read_bytes()


def test_wrong_shapes_types_rows_and_cut_files_are_errors(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "s", (8, 8)) as writer:
        writer.append("a", pictures(1, (8, 8))[0])
        with pytest.raises(ShardError):
            writer.append("b", pictures(1, (8, 9))[0])
        with pytest.raises(ShardError):
            writer.append("b", pictures(1, (8, 8))[0].astype(np.uint8))
    path = tmp_path / "s-00000.arrow"
    with pytest.raises(IndexError):
        Shard(path)[1]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ShardError):
        Shard(path)

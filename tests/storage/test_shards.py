"""Shards give back what was put in, bit for bit, and say so when they are damaged."""

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.storage.shards import Shard, ShardError, ShardReader, ShardWriter, apply_curve

LUT = np.random.default_rng(9).integers(0, 4096, 4096).astype(np.uint16)


def pictures(count: int, shape: tuple[int, int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, (count, *shape), dtype=np.uint16)


def write(folder: Path, made: np.ndarray, **options) -> list[tuple[str, int]]:
    with ShardWriter(folder, "s", made.shape[1:], **options) as writer:
        return [writer.append(f"i{n}", picture) for n, picture in enumerate(made)]


@pytest.mark.parametrize("rows", [0, 256, 3])
def test_round_trip(tmp_path: Path, rows: int) -> None:
    made = pictures(7, (20, 16))
    places = write(tmp_path, made, mapped_rows=rows)
    shard = Shard(tmp_path / "s-00000.arrow")
    assert (len(shard), shard.shape, shard.ids) == (7, (20, 16), [f"i{n}" for n in range(7)])
    reader = pickle.loads(pickle.dumps(ShardReader(tmp_path)))
    for place, picture in zip(places, made, strict=True):
        np.testing.assert_array_equal(reader.read(*place), picture)
    np.testing.assert_array_equal(np.concatenate(list(shard.batches())), made)
    np.testing.assert_array_equal(shard.take([6, 0, 3]), made[[6, 0, 3]])
    assert shard.take([]).shape == (0, 20, 16)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 33), st.integers(1, 33)),
    count=st.integers(1, 12),
    rows=st.integers(0, 5),
    shard_rows=st.integers(1, 6),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_any_pictures_come_back_in_any_order(tmp_path_factory, shape, count, rows, shard_rows, seed, data) -> None:
    folder = tmp_path_factory.mktemp("shards")
    made = pictures(count, shape, seed)
    places = write(folder, made, mapped_rows=rows, max_bytes=shard_rows * made[0].nbytes)
    wanted = data.draw(st.lists(st.integers(0, count - 1), max_size=9))
    reader = ShardReader(folder)
    np.testing.assert_array_equal(reader.take([places[n] for n in wanted]), made[wanted])
    out = np.empty((len(wanted), *shape), np.uint16)
    assert reader.take([places[n] for n in wanted], out=out) is out
    np.testing.assert_array_equal(out, made[wanted])
    names = sorted({name for name, _ in places})
    assert [f"i{n}" for n in range(count)] == [image_id for name in names for image_id in Shard(folder / name).ids]


@pytest.mark.parametrize("rows", [0, 3])
def test_other_programs_read_the_same_pictures(tmp_path: Path, rows: int) -> None:
    """Arrow's own reader is the oracle: the file is what the format says, not only what this module reads."""
    made = pictures(7, (20, 16))
    write(tmp_path, made, mapped_rows=rows)
    table = pa.ipc.open_file(tmp_path / "s-00000.arrow").read_all()
    np.testing.assert_array_equal(table["pixels"].combine_chunks().to_numpy_ndarray(), made)
    assert table["image_id"].to_pylist() == Shard(tmp_path / "s-00000.arrow").ids


def mapping_of(array: np.ndarray) -> str:
    """The file that an array's first byte is a map of, as the system tells it; empty for plain memory."""
    address = array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(part, 16) for part in line.split()[0].split("-"))
        if first <= address < last:
            return line.split(maxsplit=5)[5] if len(line.split()) > 5 else ""
    raise AssertionError("an array outside this process' memory")


def test_mapped_pictures_are_views_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, pictures(6, (64, 32)), mapped_rows=4)
    path = tmp_path / "s-00000.arrow"
    shard = Shard(path)
    first, second = shard.batches()
    assert (len(first), len(second)) == (4, 2)
    for view in (first, second, shard[5]):
        assert mapping_of(view) == str(path)
        assert not view.flags.writeable
    assert np.shares_memory(second, shard[5])
    assert mapping_of(shard.take([5])) != str(path)


def test_pictures_go_straight_into_the_given_array(tmp_path: Path) -> None:
    made = pictures(5, (8, 8))
    for rows in (0, 2):
        write(tmp_path / str(rows), made, mapped_rows=rows)
        shard = Shard(tmp_path / str(rows) / "s-00000.arrow")
        larger = np.zeros((4, 8, 8), np.uint16)
        shard.take([4, 1], larger[1:3])
        np.testing.assert_array_equal(larger[1:3], made[[4, 1]])
        assert not larger[[0, 3]].any()
        read_only = np.zeros((2, 8, 8), np.uint16)
        read_only.flags.writeable = False
        for wrong in (larger, larger[:2].astype(np.int32), larger[:2, :, ::-1], larger[::2], read_only):
            with pytest.raises(ShardError, match="no room"):
                shard.take([4, 1, 1] if wrong is larger else [4, 1], wrong)
            with pytest.raises(ShardError, match="no room"):
                shard.read(1, wrong[0, :, :4])


def test_full_shard_gives_way_to_the_next(tmp_path: Path) -> None:
    places = write(tmp_path, pictures(7, (8, 8)), max_bytes=3 * 128)
    assert places == [(f"s-{n // 3:05d}.arrow", n % 3) for n in range(7)]


def test_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, pictures(5, (8, 8)))
    assert (tmp_path / "a/s-00000.arrow").read_bytes() == (tmp_path / "b/s-00000.arrow").read_bytes()


def test_an_empty_set_has_no_shard(tmp_path: Path) -> None:
    write(tmp_path / "set", pictures(0, (8, 8)))
    assert list((tmp_path / "set").iterdir()) == []
    assert ShardReader(tmp_path / "set").take([]).shape == (0, 0, 0)


def test_curves_are_applied_on_the_way(tmp_path: Path) -> None:
    made = pictures(5, (70, 8))
    other = np.arange(4096, dtype=np.uint16)[::-1].copy()
    places = write(tmp_path, made)
    seen = ShardReader(tmp_path).take([places[3], places[0]], luts=[LUT, other])
    np.testing.assert_array_equal(seen, np.stack([LUT[made[3]], 4095 - made[0]]))
    with pytest.raises(ValueError, match="zip"):
        ShardReader(tmp_path).take(places, luts=[LUT])


def test_a_curve_meets_only_what_it_is_made_for() -> None:
    picture = pictures(1, (5, 4))[0]
    for lut in (LUT[:-1], LUT.astype(np.float32), LUT[None]):
        with pytest.raises(ShardError, match="gray curve"):
            apply_curve(lut, picture)
    picture[4, 3] = 4096
    with pytest.raises(ShardError, match="above 4095"):
        apply_curve(LUT, picture)


def test_wrong_shapes_types_and_rows_are_errors(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "s", (8, 8)) as writer:
        writer.append("a", pictures(1, (8, 8))[0])
        with pytest.raises(ShardError):
            writer.append("b", pictures(1, (8, 9))[0])
        with pytest.raises(ShardError):
            writer.append("b", pictures(1, (8, 8))[0].astype(np.uint8))
    with ShardWriter(tmp_path, "other", (4, 4)) as writer:
        writer.append("a", pictures(1, (4, 4))[0])
    for row in (1, -1):
        with pytest.raises(IndexError):
            Shard(tmp_path / "s-00000.arrow")[row]
        with pytest.raises(IndexError):
            Shard(tmp_path / "s-00000.arrow").take([0, row])
    reader = ShardReader(tmp_path)
    with pytest.raises(ShardError, match="does not hold pictures of"):
        reader.take([("s-00000.arrow", 0), ("other-00000.arrow", 0)])
    with pytest.raises(FileNotFoundError):
        reader.read("s-00001.arrow", 0)


def read_all(path: Path) -> tuple[list[str], np.ndarray]:
    shard = Shard(path)
    return shard.ids, shard.take(range(len(shard)))


@pytest.mark.parametrize("rows", [0, 2])
def test_a_file_cut_anywhere_is_no_shard(tmp_path: Path, rows: int) -> None:
    write(tmp_path, pictures(3, (5, 4)), mapped_rows=rows)
    whole = (tmp_path / "s-00000.arrow").read_bytes()
    cut = tmp_path / "cut.arrow"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(ShardError):
            Shard(cut)


@pytest.mark.parametrize("rows", [0, 2])
def test_flipped_bytes_are_errors_or_harmless_never_a_crash(tmp_path: Path, rows: int) -> None:
    """In the footer and in what precedes a batch's pixels, the pictures come out as they went in, or not at all."""
    made = pictures(3, (5, 4))
    write(tmp_path, made, mapped_rows=rows)
    whole = (tmp_path / "s-00000.arrow").read_bytes()
    footer = len(whole) - 10 - int.from_bytes(whole[-10:-6], "little")
    flipped = tmp_path / "flipped.arrow"
    refused = 0
    for position in range(len(whole)):
        for bits in (0xFF, 0x01):
            flipped.write_bytes(
                whole[:position] + bytes([whole[position] ^ bits]) + whole[position + 1 :],
            )
            try:
                ids, read = read_all(flipped)
            except ShardError:
                refused += 1
                continue
            assert len(ids) == 3
            if position >= footer:
                np.testing.assert_array_equal(read, made)
    assert refused > len(whole) // 2


def test_other_arrow_files_are_no_shards(tmp_path: Path) -> None:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(pictures(2, (5, 4)).astype(np.int32))
    for name, columns in {
        "other columns": {"pixels": tensors},
        "other pixels": {"image_id": ["a", "b"], "pixels": tensors},
        "numbers": {"image_id": ["a", "b"], "pixels": [1, 2]},
        "flat": {
            "image_id": ["a", "b"],
            "pixels": pa.FixedShapeTensorArray.from_numpy_ndarray(pictures(2, (5, 4)).reshape(2, 20)),
        },
    }.items():
        table = pa.table(columns)
        with pa.ipc.new_file(tmp_path / f"{name}.arrow", table.schema) as writer:
            writer.write_table(table)
        with pytest.raises(ShardError):
            Shard(tmp_path / f"{name}.arrow")


def test_another_compression_is_refused(tmp_path: Path) -> None:
    write(tmp_path, pictures(2, (5, 4)))
    table = pa.ipc.open_file(tmp_path / "s-00000.arrow").read_all()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(tmp_path / "zstd.arrow", table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=1)
    with pytest.raises(ShardError):
        Shard(tmp_path / "zstd.arrow")


def test_a_failed_writer_leaves_nothing_of_its_last_shard(tmp_path: Path) -> None:
    def fail() -> None:
        with ShardWriter(tmp_path, "s", (8, 8), max_bytes=2 * 128) as writer:
            for n, picture in enumerate([*pictures(3, (8, 8)), pictures(1, (9, 9))[0]]):
                writer.append(str(n), picture)

    with pytest.raises(ShardError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["s-00000.arrow"]
    assert len(Shard(tmp_path / "s-00000.arrow")) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from pipelines.storage.shards import ShardWriter
with ShardWriter(Path(sys.argv[1]), "s", (64, 64), max_bytes=3 * 64 * 64 * 2) as writer:
    for n in range(5):
        writer.append(str(n), np.full((64, 64), n, np.uint16))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_whole_shards_alone_to_be_seen(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert run.returncode == -9
    assert [path.name for path in tmp_path.glob("*.arrow")] == ["s-00000.arrow"]
    np.testing.assert_array_equal(Shard(tmp_path / "s-00000.arrow").take([0, 1, 2])[:, 0, 0], [0, 1, 2])
    assert len(list(tmp_path.iterdir())) == 2


FLAT = """
import sys
from pathlib import Path
import numpy as np
from pipelines.curate.pyramid import PyramidWriter
from pipelines.storage.shards import ShardReader, ShardWriter

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])

folder, rng = Path(sys.argv[1]), np.random.default_rng(0)
noise = rng.integers(0, 4096, (8, 320, 256)).astype(np.uint16)
peaks, places = [], []
with ShardWriter(folder, "s", (320, 256), max_bytes=2**26) as shards, PyramidWriter(folder / "p", (320, 256)) as levels:
    for n in range(1600):
        places.append(shards.append(str(n), noise[n % 8]))
        levels.append(str(n), noise[n % 8])
        if n == 599:
            peaks.append(peak())
peaks.append(peak())
reader, out = ShardReader(folder), np.empty((16, 320, 256), np.uint16)
for n in range(0, 1600, 16):
    reader.take(places[n : n + 16], out=out)
    if n == 0:
        peaks.append(peak())
peaks.append(peak())
print(*peaks)
"""


def test_memory_grows_neither_with_what_is_written_nor_with_what_is_read(tmp_path: Path) -> None:
    """Peak memory of the process alone (VmHWM: ru_maxrss would begin with that of the process that started it)."""
    run = subprocess.run([sys.executable, "-c", FLAT, tmp_path], check=True, stdout=subprocess.PIPE)
    early, written, started, read = (int(figure) / 1024 for figure in run.stdout.split())
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.arrow")) > 300e6
    assert written < 400
    assert written - early < 16
    assert read - started < 8


def send(reader: ShardReader, places: list[tuple[str, int]], luts: list[np.ndarray], end) -> None:
    end.send(reader.take(places, luts=luts).tolist())


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("rows", [0, 3])
def test_workers_read_with_a_reader_that_was_already_open(tmp_path: Path, start: str, rows: int) -> None:
    made = pictures(9, (6, 5))
    places = write(tmp_path, made, mapped_rows=rows, max_bytes=4 * made[0].nbytes)
    reader = ShardReader(tmp_path)
    np.testing.assert_array_equal(reader.take(places), made)
    context = multiprocessing.get_context(start)
    wanted = [[8, 0, 4], [3, 3, 7]]
    workers = []
    for each in wanted:
        mine, yours = context.Pipe()
        process = context.Process(target=send, args=(reader, [places[n] for n in each], [LUT] * 3, yours))
        process.start()
        workers.append((process, mine))
    for (process, mine), each in zip(workers, wanted, strict=True):
        assert mine.poll(60)
        np.testing.assert_array_equal(mine.recv(), LUT[made[each]])
        process.join()
    np.testing.assert_array_equal(reader.take(places), made)

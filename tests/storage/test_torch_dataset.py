"""The PyTorch Dataset that goes with an export, against pictures read by Arrow's own means and by the package's."""

import pickle
import shutil
import subprocess
import sys
import sysconfig
import tracemalloc
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

from pipelines.storage import torch_dataset
from pipelines.storage.shards import Shard, ShardWriter
from pipelines.storage.tables import DATASET, write_table
from pipelines.storage.torch_dataset import DENSITIES, SPLITS, LevelA

SHAPE, SMALL = (24, 20), (12, 10)


def write_set(folder, densities, splits, per_shard=4):
    """A level A folder of drawn pictures: full ones in shards of ``per_shard``, small ones in batches of three."""
    grays = np.random.default_rng(5).integers(0, 4096, (len(densities), *SHAPE)).astype(np.uint16)
    rows = []
    with (
        ShardWriter(folder, "shard", SHAPE, max_bytes=per_shard * grays[0].nbytes) as full,
        ShardWriter(folder / "pyramid", "0012x0010", SMALL, mapped_rows=3, max_bytes=6 * 240) as small,
    ):
        for n, (density, split) in enumerate(zip(densities, splits, strict=True)):
            name = f"I-{(n * 7) % 101:03d}"  # the index is sorted by id, not as the pictures lie
            shard, place = full.append(name, grays[n])
            small.append(name, grays[n][::2, ::2].copy())
            rows.append(
                {
                    "image_id": name, "delivery": "D", "patient": f"P-{n}", "cluster": f"P-{n}", "view": "CC",
                    "density": density, "confidence": 1.0, "vendor_group": "GE|x|y|z", "split": split,
                    "picture_sha256": "0", "shard": shard, "shard_row": place, "pyramid_row": n,
                }
            )  # fmt: skip
    write_table(folder / "dataset.parquet", DATASET, DATASET.build(rows))
    return {row["image_id"]: gray for row, gray in zip(rows, grays, strict=True)}


@pytest.fixture
def folder(tmp_path):
    """23 images: 14 for training, 6 for validation, 3 for test; none of density D in training."""
    densities = ["A", "B", "B", "C", "C", "C", "C"] * 2 + list("ABCDAB") + list("BCD")
    write_set(tmp_path, densities, ["train"] * 14 + ["validation"] * 6 + ["test"] * 3)
    return tmp_path


@pytest.mark.parametrize("split", [*SPLITS, None])
@pytest.mark.parametrize("size", [None, SMALL])
def test_items_are_the_pictures_of_the_index(tmp_path, split, size):
    densities = list("ABCDABCDABCDABCDABCDABC")
    grays = write_set(tmp_path, densities, [SPLITS[n % 3] for n in range(23)])
    rows = [r for r in pq.read_table(tmp_path / "dataset.parquet").to_pylist() if split in (None, r["split"])]
    data = LevelA(tmp_path, split, size)
    assert len(data) == len(rows)
    assert len(list(tmp_path.glob("shard-*.arrow"))) == 6
    for item, row in enumerate(rows):
        expected = grays[row["image_id"]] if size is None else grays[row["image_id"]][::2, ::2]
        picture, density = data[item]
        assert (picture.dtype, picture.shape) == (torch.float32, (1, *expected.shape))
        np.testing.assert_allclose(picture[0].numpy(), expected / 4095, rtol=1e-6)
        np.testing.assert_array_equal(data.gray(item), expected)
        assert DENSITIES[density] == row["density"]
    assert data.index.to_pylist() == rows
    np.testing.assert_array_equal(data.gray(-1), data.gray(len(data) - 1))
    with pytest.raises(IndexError):
        data[len(data)]


def test_class_weights_even_out_the_classes(folder):
    data = LevelA(folder)
    counts = Counter(r["density"] for r in data.index.to_pylist())
    assert data.class_counts.tolist() == [counts[d] for d in DENSITIES] == [2, 4, 8, 0]
    expected = [14 / (3 * 2), 14 / (3 * 4), 14 / (3 * 8), 0]
    np.testing.assert_allclose(data.class_weights.numpy(), expected, rtol=1e-6)
    assert data.sample_weights.mean().item() == pytest.approx(1)
    by_class = torch.bincount(data.targets, weights=data.sample_weights, minlength=4)
    np.testing.assert_allclose(by_class.numpy(), [14 / 3] * 3 + [0], rtol=1e-6)


def test_an_empty_split_is_an_empty_dataset(tmp_path):
    write_set(tmp_path, list("ABCD"), ["train"] * 4)
    for size in (None, SMALL):
        data = LevelA(tmp_path, "test", size)
        assert len(data) == 0
        assert data.class_counts.tolist() == data.class_weights.tolist() == [0, 0, 0, 0]
        assert data.sample_weights.shape == (0,)
        assert list(DataLoader(data)) == []


def test_a_set_without_images_is_an_empty_dataset(tmp_path):
    write_table(tmp_path / "dataset.parquet", DATASET, DATASET.build([]))
    assert [len(LevelA(tmp_path, split, size)) for split in (*SPLITS, None) for size in (None, SMALL)] == [0] * 8


def test_transform_is_applied_to_the_picture(folder):
    plain, turned = LevelA(folder), LevelA(folder, transform=halve)
    assert torch.equal(turned[3][0], plain[3][0] / 2)
    assert turned[3][1] == plain[3][1]


def halve(picture):
    return picture / 2


def test_is_pickled_as_its_arguments(folder):
    data = LevelA(folder, "validation", SMALL, halve)
    data[0]
    pickled = pickle.dumps(data)
    assert len(pickled) < 1000
    again = pickle.loads(pickled)
    assert torch.equal(again[2][0], data[2][0])
    assert (again.split, again.size, len(again)) == ("validation", SMALL, 6)


def test_what_is_asked_for_wrongly_is_told(folder, tmp_path):
    with pytest.raises(ValueError, match="train, validation, test"):
        LevelA(folder, "training")
    with pytest.raises(ValueError, match="pyramid has 0012x0010"):
        LevelA(folder, size=(10, 10))
    with pytest.raises(FileNotFoundError):
        LevelA(tmp_path / "elsewhere")


def alone(folder, script, tmp_path):
    """What a script prints that runs elsewhere, without this package: no site, hence no editable install."""
    (tmp_path / "user.py").write_text(script)
    run = subprocess.run(
        [sys.executable, "-S", tmp_path / "user.py", folder],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{folder}:{sysconfig.get_path('purelib')}", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


WORKERS = """\
import importlib.util, sys
from torch.utils.data import DataLoader
from torch_dataset import LevelA
if __name__ == "__main__":
    data = LevelA(sys.argv[1], split="train", size=(12, 10))
    loader = DataLoader(data, batch_size=5, num_workers=2, multiprocessing_context="spawn")
    for pictures, densities in loader:
        print(*pictures.shape, *densities.tolist(), int((pictures.double() * 4095).round().sum()))
    print("package" if importlib.util.find_spec("pipelines") else "alone")
"""


def test_works_in_spawned_workers_without_the_package(folder, tmp_path_factory):
    shutil.copy(torch_dataset.__file__, folder)
    printed = alone(folder, WORKERS, tmp_path_factory.mktemp("user"))
    rows = [r for r in pq.read_table(folder / "dataset.parquet").to_pylist() if r["split"] == "train"]
    shards = {name: Shard(folder / name) for name in {r["shard"] for r in rows}}
    expected = []
    for first in range(0, 14, 5):
        some = rows[first : first + 5]
        total = sum(int(shards[r["shard"]][r["shard_row"]][::2, ::2].sum(dtype=np.int64)) for r in some)
        expected += [len(some), 1, *SMALL, *(DENSITIES.index(r["density"]) for r in some), total]
    assert printed == [*map(str, expected), "alone"]


def test_memory_is_a_few_bytes_an_image(tmp_path):
    """Some 17 bytes each stay, whatever else the index says of them."""
    count = 60_000
    write_table(tmp_path / "dataset.parquet", DATASET, DATASET.build(row_of(n) for n in range(count)))
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    data = LevelA(tmp_path, None)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data) == count
    assert held < 20 * count
    assert most < 60 * count
    assert pa.total_allocated_bytes() - before < 10 * count
    assert len(pickle.dumps(data)) < 1000


def row_of(n):
    return {
        "image_id": f"2.25.{n:039d}", "delivery": "D", "patient": f"P-{n // 4}", "cluster": f"P-{n // 4}", "view": "CC",
        "density": "ABCD"[n % 4], "confidence": 1.0, "vendor_group": "GE|x|y|z", "split": SPLITS[n % 3],
        "picture_sha256": "0" * 64, "shard": f"shard-{n // 800:05d}.arrow", "shard_row": n % 800, "pyramid_row": n,
    }  # fmt: skip

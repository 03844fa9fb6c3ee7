"""Ten lines of a user's own, elsewhere, without this package, load a batch of an export."""

import os
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.storage.shards import ShardReader
from tests.curate.exported import export, publish, twelve_patients

WITH_ARROW = """\
import sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq, torch
folder = sys.argv[1]
rows = pq.read_table(f"{folder}/dataset.parquet", filters=[("split", "==", "train")]).slice(0, 8).to_pylist()
def picture(row):
    file = pa.ipc.open_file(pa.memory_map(f"{folder}/{row['shard']}"))
    return file.get_batch(row["shard_row"]).column("pixels").to_numpy_ndarray()[0]
pictures = torch.from_numpy(np.stack([picture(row) for row in rows]).astype(np.float32) / 4095)[:, None]
densities = torch.tensor(["ABCD".index(row["density"]) for row in rows])
print(*pictures.shape, *densities.tolist(), int((pictures.double() * 4095).round().sum()))
"""

WITH_CROISSANT = """\
import sys, itertools, numpy as np, pyarrow as pa, mlcroissant
folder = sys.argv[1]
records = mlcroissant.Dataset(f"{folder}/croissant.json").records("images")
rows = list(itertools.islice((r for r in records if r["images/split"] == b"train"), 8))
files = {r["images/shard"]: pa.ipc.open_file(f"{folder}/{r['images/shard'].decode()}") for r in rows}
batches = [files[r["images/shard"]].get_batch(r["images/shard_row"]) for r in rows]
pictures = np.concatenate([batch.column("pixels").to_numpy_ndarray() for batch in batches])[:, None]
densities = ["ABCD".index(r["images/density"].decode()) for r in rows]
print(*pictures.shape, *densities, pictures.sum(dtype=np.int64))
"""

WITH_THE_READER = """\
import sys
from torch.utils.data import DataLoader
from torch_dataset import LevelA
pictures, densities = next(iter(DataLoader(LevelA(sys.argv[1], "train"), batch_size=8)))
print(*pictures.shape, *densities.tolist(), int((pictures.double() * 4095).round().sum()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An export that was copied to where nothing else is."""
    root = tmp_path_factory.mktemp("made")
    export(*publish(twelve_patients(), root), root / "export")
    folder = shutil.copytree(root / "export", tmp_path_factory.mktemp("copied") / "export")
    shutil.rmtree(root)
    return folder


@pytest.mark.parametrize("script", [WITH_ARROW, WITH_CROISSANT, WITH_THE_READER], ids=["arrow", "croissant", "reader"])
def test_a_users_script_loads_a_batch(folder, tmp_path, script):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "user.py").write_text(
        "import importlib.util; assert importlib.util.find_spec('pipelines') is None\n" + script
    )
    run = subprocess.run(
        [sys.executable, "-S", "user.py", folder],  # -S: no site, hence no editable install of this package
        cwd=elsewhere,
        env={"PYTHONPATH": f"{folder}:{sysconfig.get_path('purelib')}", "PATH": os.defpath, "HOME": str(elsewhere)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = [r for r in pq.read_table(folder / "dataset.parquet").to_pylist() if r["split"] == "train"][:8]
    pictures = ShardReader(folder).take([(r["shard"], r["shard_row"]) for r in rows])
    assert run.stdout.split() == [
        str(n) for n in (8, 1, 80, 64, *("ABCD".index(r["density"]) for r in rows), pictures.sum(dtype=np.int64))
    ]

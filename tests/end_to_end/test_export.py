"""The export of a run: whole, valid, and readable by itself."""

import subprocess
from collections import Counter

import numpy as np
import pytest

from pipelines.storage.croissant import croissant_errors
from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import DATASET, SPLITS, read_table
from pipelines.storage.torch_dataset import DENSITIES, LevelA
from tests.end_to_end.runs import Ran

pytestmark = pytest.mark.xdist_group("small")


def test_export_is_whole_valid_and_the_level_a_set(small: Ran) -> None:
    folder, dataset = small.research / "level_a/export", small.research / "level_a/dataset"
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    assert croissant_errors(folder) == []
    rows = read_table(dataset / "dataset.parquet", DATASET).to_pylist()
    counts = Counter(row["split"] for row in rows)
    assert {split: len(LevelA(folder, split)) for split in SPLITS} == {split: counts[split] for split in SPLITS}
    everything, reader = LevelA(folder, None), ShardReader(dataset)
    for item in range(0, len(rows), 7):
        picture, density = everything[item]
        expected = reader.read(rows[item]["shard"], rows[item]["shard_row"])
        np.testing.assert_array_equal((picture[0].numpy() * 4095).round(), expected)
        assert DENSITIES[density] == rows[item]["density"]
    small_pictures = LevelA(folder, "train", size=(80, 64))
    assert small_pictures[0][0].shape == (1, 80, 64)


def test_card_says_how_it_was_made(small: Ran) -> None:
    card = (small.research / "level_a/export/README.md").read_text()
    assert "edition 2026c: Basic Application Confidentiality Profile (113100), Clean Pixel Data Option" in card
    assert str(small.data) not in card
    for heading in ("License and citation", "Counts", "Known limits", "Where the labels come from", "Versions"):
        assert f"## {heading}" in card

import hashlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from pipelines.curate.dataset import DatasetSettings, write_dataset
from pipelines.storage.digests import sha256_of_array, sha256_of_json
from pipelines.storage.shards import Shard, ShardError, ShardReader
from pipelines.storage.tables import DATASET, EXCLUSIONS, PLAN, read_table

SHAPE = (80, 64)
SETTINGS = DatasetSettings(shape=SHAPE)


def write(level_b, folder, settings=SETTINGS, **options):
    folder.mkdir(exist_ok=True)
    return write_dataset(
        level_b.images,
        level_b.labels,
        level_b.curves,
        picture=level_b.picture,
        folder=folder,
        settings=settings,
        **options,
    )


def test_kept_images_are_set_plus_exclusions(tmp_path, build):
    level_b = build(
        [{"patient": f"P-{n}"} for n in range(12)]
        + [{"density": None}, {"number": 3}, {"status": "failed", "reason": "x"}]
    )
    summary = write(level_b, tmp_path)
    dataset = read_table(tmp_path / "dataset.parquet", DATASET)
    exclusions = read_table(tmp_path / "exclusions.parquet", EXCLUSIONS)
    assert (dataset.num_rows, exclusions.num_rows) == (12, 2)
    assert summary.reasons == {"duplicate": 1, "no_density": 1}
    assert (summary.images, summary.excluded) == (12, 2)
    assert sum(summary.splits.values()) == sum(summary.densities.values()) == 12


def test_pictures_have_the_curve_of_their_group_applied_and_air_stays_air(level_b, tmp_path):
    write(level_b, tmp_path)
    reader = ShardReader(tmp_path)
    luts = {r["vendor_group"]: np.array(r["lut"]) for r in level_b.curves.to_pylist()}
    source = {r["image_id"]: r for r in level_b.images.to_pylist()}
    rows = read_table(tmp_path / "dataset.parquet", DATASET).to_pylist()
    assert len({r["vendor_group"] for r in rows}) == 2
    for row in rows:
        origin = source[row["image_id"]]
        raw = level_b.pictures[origin["delivery"], origin["shard"], origin["shard_row"]]
        expected = np.where(raw == 0, 0, luts[row["vendor_group"]][raw])
        np.testing.assert_array_equal(reader.read(row["shard"], row["shard_row"]), expected)
        assert row["picture_sha256"] == sha256_of_array(expected.astype(np.uint16))


def test_pyramid_rows_lead_to_the_same_image_in_every_level(level_b, tmp_path):
    write(level_b, tmp_path)
    rows = read_table(tmp_path / "dataset.parquet", DATASET).to_pylist()
    levels = sorted((tmp_path / "pyramid").iterdir())
    assert [p.name for p in levels] == [
        f"{r:04d}x{c:04d}-00000.arrow" for r, c in ((5, 4), (10, 8), (20, 16), (40, 32))
    ]
    reader = ShardReader(tmp_path)
    for path in levels:
        level = Shard(path)
        ids = level.ids
        for row in rows[::17]:
            assert ids[row["pyramid_row"]] == row["image_id"]
            gray = reader.read(row["shard"], row["shard_row"])
            step = 80 // level.shape[0]
            exact = gray.reshape(level.shape[0], step, level.shape[1], step).mean(axis=(1, 3))
            assert np.abs(level[row["pyramid_row"]] - exact).max() < 1


def test_plan_counts_the_training_images_of_the_set(level_b, tmp_path):
    summary = write(level_b, tmp_path)
    rows = read_table(tmp_path / "dataset.parquet", DATASET).to_pylist()
    real = Counter((r["density"], r["view"]) for r in rows if r["split"] == "train")
    plan = read_table(tmp_path / "plan.parquet", PLAN).to_pylist()
    assert {(r["density"], r["view"]): r["real"] for r in plan} == {
        (d, v): real[d, v] for d in "ABCD" for v in ("CC", "MLO")
    }
    assert summary.deficit == sum(r["deficit"] for r in plan) > 0


def test_ledger_has_a_row_for_each_picture(level_b, tmp_path):
    summary = write(level_b, tmp_path)
    rows = {r["image_id"]: r for r in read_table(tmp_path / "dataset.parquet", DATASET).to_pylist()}
    source = {r["image_id"]: r for r in level_b.images.to_pylist()}
    assert len(summary.ledger) == len(rows)
    digests = {r["image_id"]: sha256_of_json(r) for r in level_b.labels.to_pylist()}
    for entry in summary.ledger:
        row = rows[entry.output]
        assert (entry.path, entry.sha256, entry.operation) == (row["shard"], row["picture_sha256"], "harmonize")
        assert entry.inputs[0] == (entry.output, source[entry.output]["picture_sha256"])
        assert entry.inputs[1] == (f"label:{entry.output}", digests[entry.output])
        assert entry.inputs[2] == (f"vendor_curve:{row['vendor_group']}", "v" * 64)


def digests(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_inputs_same_bytes(level_b, tmp_path):
    write(level_b, tmp_path / "one")
    write(level_b, tmp_path / "two")
    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "two")
    assert {"dataset.parquet", "exclusions.parquet", "plan.parquet", "contact_sheet.png"} <= set(one)


def test_contact_sheet_is_a_picture_with_something_on_it(level_b, tmp_path):
    write(level_b, tmp_path)
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        assert np.asarray(sheet).std() > 10


def test_an_empty_set_is_written(tmp_path, build):
    summary = write(build([{"density": None}]), tmp_path)
    assert (summary.images, summary.excluded, summary.deficit) == (0, 1, 0)
    assert read_table(tmp_path / "dataset.parquet", DATASET).num_rows == 0
    assert (tmp_path / "contact_sheet.png").exists()


def test_progress_is_told(level_b, tmp_path):
    told = []
    write(level_b, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (100, 100)
    assert len(told) == 100


def test_a_picture_of_another_size_is_refused(level_b, tmp_path):
    with pytest.raises(ShardError):
        write(level_b, tmp_path, DatasetSettings(shape=(160, 128)))


def test_a_gray_value_above_the_curves_is_refused(level_b, tmp_path):
    next(iter(level_b.pictures.values()))[3, 4] = 4096
    with pytest.raises(ShardError, match="above 4095"):
        write(level_b, tmp_path)


def test_memory_holds_one_picture_at_a_time(level_b, tmp_path):
    """Pictures are asked for in the order in which they lie in their shards, each once."""
    asked = []
    original = level_b.picture

    def picture(*place):
        asked.append(place)
        return original(*place)

    level_b.picture = picture
    write(level_b, tmp_path)
    assert asked == sorted(set(asked))

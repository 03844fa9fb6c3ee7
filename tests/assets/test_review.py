"""A reviewer's file, from the queue to the label, through the assets and the command line."""

import csv
import io
import json
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.cli import app
from assets.definitions import build_definitions
from assets.evaluation import made_from
from assets.resources import Ladder
from assets.run import QUIET
from assets.tables_at_hand import label_inputs, review_files
from pipelines.archive.deliveries import list_deliveries, register
from pipelines.phantom.archive import write_archive
from pipelines.storage.tables import AGREEMENT, LABELS, REVIEWS, read_table

STEPS = (
    "level_d/inventory",
    "level_c/objects",
    "level_c/reports",
    "level_b/images",
    "level_b/splits",
    "level_a/labels",
)


def materialize(ladder: Ladder, instance: dg.DagsterInstance, partition: str, *assets: str) -> None:
    job = build_definitions(ladder).resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(name.split("/")) for name in assets]
    each = partition if assets != STEPS[-1:] else None
    assert job.execute_in_process(asset_selection=keys, instance=instance, partition_key=each, run_config=QUIET).success


@pytest.fixture
def labeled(tmp_path: Path):
    ladder = Ladder(data=str(tmp_path / "data"), inbox=str(tmp_path / "inbox"), processes=1)
    write_archive(tmp_path / "inbox", patients=3, seed=11, scale=0.05, deliveries=1)
    (delivery,) = list_deliveries(ladder.zones.inbox)
    partition = register(ladder.zones.vault, ladder.key, delivery)
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("delivery", [partition])
    folder = delivery.folder
    rows = list(csv.reader(io.StringIO((folder / "labels.csv").read_text())))
    (folder / "second").mkdir()
    with (folder / "second" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *([a, side, "c", "Dr. Second"] for a, side, *_ in rows[1:])])
    materialize(ladder, instance, partition, *STEPS[:-1])
    materialize(ladder, instance, partition, STEPS[-1])
    return ladder, instance, partition


def test_from_the_queue_to_the_label(labeled, tmp_path: Path) -> None:
    ladder, instance, partition = labeled
    folder = ladder.zones.publication("level_a/labels")
    before = read_table(folder / "labels.parquet", LABELS).to_pylist()
    assert read_table(folder / "agreement.parquet", AGREEMENT).num_rows
    out = tmp_path / "queue.csv"
    told = CliRunner().invoke(app, ["review", "--out", str(out), "--data", ladder.data])
    assert told.exit_code == 0, told.output
    rows = list(csv.DictReader(io.StringIO(out.read_bytes().decode("utf-8-sig"))))
    assert {row["breast_id"] for row in rows} == {r["breast_id"] for r in before if json.loads(r["review_reasons"])}
    decided = {row["breast_id"]: "B" for row in rows}
    assert decided
    review = ladder.zones.research / "review"
    review.mkdir()
    with (review / "filled.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "density": "B", "reviewer": "Dr. Karla Reviewer"} for row in rows)
    assert not made_from(ladder, "level_a/labels", label_inputs(ladder, review_files(ladder)))
    materialize(ladder, instance, partition, STEPS[-1])
    assert made_from(ladder, "level_a/labels", label_inputs(ladder, review_files(ladder)))
    after = read_table(folder / "labels.parquet", LABELS).to_pylist()
    for old, new in zip(before, after, strict=True):
        assert new["density"] == decided.get(new["breast_id"], old["density"])
        assert ("review" in json.loads(new["sources"])) == (new["breast_id"] in decided)
    reviews = read_table(folder / "reviews.parquet", REVIEWS).to_pylist()
    assert {row["status"] for row in reviews} == {"taken"}
    assert not [p for p in folder.iterdir() if b"Karla" in p.read_bytes()]


def test_without_labels_there_is_nothing_to_review(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["review", "--out", str(tmp_path / "q.csv"), "--data", str(tmp_path)])
    assert told.exit_code == 2
    assert "no labels" in told.output

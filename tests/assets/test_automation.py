"""The sensor and the schedules, ticked; and a whole night driven by them."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.automation import new_deliveries, nightly_climb, settled_deliveries
from assets.definitions import build_definitions
from assets.home import open_instance
from assets.resources import Ladder, Training
from assets.run import QUIET
from pipelines.phantom.archive import write_archive
from pipelines.storage.tables import DATASET, IMAGES, INVENTORY, read_table


@pytest.fixture
def ladder(tmp_path: Path) -> Ladder:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    return Ladder(data=str(tmp_path / "data"), inbox=str(inbox), processes=1, quiet_seconds=0.0)


@pytest.fixture
def instance(ladder: Ladder):
    with open_instance(ladder.zones.root) as instance:
        yield instance


def tick(instance: dg.DagsterInstance, ladder: Ladder) -> dg.SensorResult | dg.SkipReason:
    with dg.build_sensor_context(instance=instance, definitions=build_definitions(ladder)) as context:
        return new_deliveries(context, ladder=ladder)


def add(result: dg.SensorResult, instance: dg.DagsterInstance) -> None:
    for request in result.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions("delivery", list(request.partition_keys))


def test_empty_inbox_is_skipped(instance: dg.DagsterInstance, ladder: Ladder) -> None:
    assert isinstance(tick(instance, ladder), dg.SkipReason)


def test_new_delivery_becomes_a_partition_once_and_a_changed_one_runs_again(
    instance: dg.DagsterInstance, ladder: Ladder
) -> None:
    delivery = ladder.zones.inbox / "DOE_JANE_export"
    delivery.mkdir()
    (delivery / "a.dcm").write_bytes(b"x")
    first = tick(instance, ladder)
    [request] = first.run_requests
    assert request.partition_key.startswith("D-")
    assert "DOE" not in str(first)
    assert list(first.dynamic_partitions_requests[0].partition_keys) == [request.partition_key]
    add(first, instance)
    second = tick(instance, ladder)
    assert [r.run_key for r in second.run_requests] == [request.run_key]  # Dagster runs a run key once
    assert not second.dynamic_partitions_requests
    (delivery / "b.dcm").write_bytes(b"y")
    [changed] = tick(instance, ladder).run_requests
    assert changed.partition_key == request.partition_key
    assert changed.run_key != request.run_key


def test_delivery_still_arriving_waits(ladder: Ladder) -> None:
    (ladder.zones.inbox / "d").mkdir()
    (ladder.zones.inbox / "d" / "a.dcm").write_bytes(b"x")
    patient = Ladder(data=ladder.data, inbox=ladder.inbox, quiet_seconds=60.0)
    assert list(settled_deliveries(patient, time.time())) == []
    assert len(list(settled_deliveries(patient, time.time() + 61))) == 1


def test_nightly_schedule_climbs_each_delivery_once_a_night(instance: dg.DagsterInstance, ladder: Ladder) -> None:
    for name in ("one", "two"):
        (ladder.zones.inbox / name).mkdir()
        (ladder.zones.inbox / name / "a.dcm").write_bytes(b"x")
    night = datetime(2026, 11, 23, 1, tzinfo=UTC)
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=night) as context:
        requests = nightly_climb(context, ladder=ladder)
    assert len({r.partition_key for r in requests}) == 2
    assert all(r.run_key == f"20261123:{r.partition_key}" for r in requests)
    assert set(instance.get_dynamic_partitions("delivery")) == {r.partition_key for r in requests}


def test_night_with_a_broken_file_reaches_level_b_and_refreshes_level_a(
    instance: dg.DagsterInstance, ladder: Ladder
) -> None:
    write_archive(ladder.zones.inbox, patients=4, seed=5, scale=0.1, deliveries=2)
    broken = sorted(p for p in ladder.zones.inbox.iterdir() if p.is_dir())[0] / "broken.dcm"
    broken.write_bytes(b"\0" * 128 + b"DICM" + os.urandom(400))
    definitions = build_definitions(ladder, Training(preset="tiny"))
    result = tick(instance, ladder)
    assert len(result.run_requests) >= 2
    add(result, instance)
    counts = []
    for request in result.run_requests:
        job = definitions.resolve_job_def("climb")
        ran = job.execute_in_process(instance=instance, partition_key=request.partition_key, run_config=QUIET)
        assert ran.success
        counts.append(read_table(ladder.zones.publication("level_a/dataset") / "dataset.parquet", DATASET).num_rows)
    assert 0 < counts[0] < counts[-1]
    assert set(ladder.partitions("level_b/images")) == {r.partition_key for r in result.run_requests}
    for partition in ladder.partitions("level_d/inventory"):
        inventory = read_table(
            ladder.zones.publication("level_d/inventory", partition) / "inventory.parquet", INVENTORY
        )
        images = read_table(ladder.zones.publication("level_b/images", partition) / "images.parquet", IMAGES)
        assert inventory.num_rows > 0
        assert "kept" in images.column("status").to_pylist()
    statuses = [
        row["reason"]
        for p in ladder.partitions("level_d/inventory")
        for row in read_table(
            ladder.zones.publication("level_d/inventory", p) / "inventory.parquet", INVENTORY
        ).to_pylist()
        if row["status"] == "quarantined"
    ]
    assert statuses

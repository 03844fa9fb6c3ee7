"""What the climb cost is read from the ledgers alone."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from pipelines.readiness.cost import climb_cost, together
from pipelines.storage.ledger import Batch, Ledger
from pipelines.storage.publication import Publisher
from pipelines.storage.zones import Zones

HEADING = {
    "content_sha256": "c",
    "inputs_sha256": "i",
    "parameters_sha256": "p",
    "code_version": "1",
    "libraries": {},
    "key_fingerprint": "k",
}


def batch(sequence, asset, partition, started, recorded):
    day = "2026-03-01T{}+00:00"
    return Batch(
        sequence=sequence,
        previous_sha256="",
        asset=asset,
        partition=partition,
        started_at=day.format(started) if started else "",
        recorded_at=day.format(recorded),
        **HEADING,
    )


BATCHES = [
    batch(1, "level_c/objects", "D-1", "10:00:00", "10:01:30"),
    batch(2, "level_c/objects", "D-2", "10:02:00.250", "10:02:01"),
    batch(3, "level_c/objects", "D-1", "11:00:00", "11:00:10"),
    batch(4, "level_a/labels", "", "", "11:30:00"),
]


def test_what_stands_and_what_was_ever_made_are_told_apart():
    objects, labels = climb_cost(reversed(BATCHES), ("pgan/model", "level_c/objects", "level_a/labels"))
    assert (objects.asset, objects.standing, objects.recorded, objects.unknown) == ("level_c/objects", 2, 3, 0)
    assert (objects.seconds, objects.seconds_of_all) == pytest.approx((10.75, 100.75))
    assert (labels.seconds, labels.seconds_of_all, labels.unknown) == (None, None, 1)


def test_a_batch_without_a_beginning_is_counted_as_unknown():
    found = climb_cost(
        [*BATCHES, replace(BATCHES[1], sequence=5, partition="D-3", started_at="")], ("level_c/objects",)
    )
    assert (found[0].standing, found[0].recorded, found[0].unknown) == (3, 4, 1)
    assert found[0].seconds == pytest.approx(10.75)


def test_costs_add_up():
    total = together(climb_cost(BATCHES, ("level_c/objects", "level_a/labels")), "all")
    assert (total.asset, total.standing, total.recorded, total.unknown) == ("all", 3, 4, 1)
    assert (total.seconds, total.seconds_of_all) == pytest.approx((10.75, 100.75))
    assert together([], "none").seconds is None


def test_a_publication_says_when_its_making_began(tmp_path):
    zones = Zones.at(tmp_path)
    zones.create()
    publisher = Publisher(zones, "k")
    with publisher.publishing("level_b/images", "D-1", {}, {}) as staging:
        (staging.folder / "file").write_text("content")
    (cost,) = climb_cost(publisher.ledger_of("level_b/images").headings(), ("level_b/images",))
    assert 0 <= cost.seconds < 60
    assert cost.unknown == 0


def test_a_ledger_from_before_can_still_be_read(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append([], asset="level_b/images", partition="", started_at="2026-03-01T10:00:00+00:00", **HEADING)
    (path,) = tmp_path.glob("*.parquet")
    table = pq.read_table(path)
    stated = json.loads(table.schema.metadata[b"batch"])
    del stated["started_at"]
    pq.write_table(table.replace_schema_metadata({"batch": json.dumps(stated)}), path)
    (heading,) = Ledger(tmp_path).headings()
    assert ledger.broken_links() == []
    assert heading.started_at == ""
    assert climb_cost([heading], ("level_b/images",))[0].unknown == 1

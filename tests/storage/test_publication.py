"""Publications appear whole with their ledger rows, or not at all; damage and edits show."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.storage.keys import VaultKeyError
from pipelines.storage.ledger import FILE, Ledger, LedgerRow
from pipelines.storage.lineage import Lineage
from pipelines.storage.publication import GateError, Publisher
from pipelines.storage.zones import Zones


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    zones = Zones.at(tmp_path / "data")
    zones.create()
    return Publisher(zones, "f" * 12)


def publish(publisher: Publisher, asset: str, partition: str, text: str, rows: list[LedgerRow], **inputs: str) -> None:
    with publisher.exclusive(asset, partition), publisher.publishing(asset, partition, inputs, {"a": 1}) as staging:
        (staging.folder / "nested").mkdir()
        (staging.folder / "nested" / "file.txt").write_text(text)
        staging.rows.extend(rows)


def test_publication_is_current_until_inputs_parameters_or_bytes_change(publisher: Publisher) -> None:
    publish(publisher, "level_c/objects", "D-1", "one", [], source="x")
    assert publisher.current("level_c/objects", "D-1", {"source": "x"}, {"a": 1}) is not None
    assert publisher.current("level_c/objects", "D-1", {"source": "y"}, {"a": 1}) is None
    assert publisher.current("level_c/objects", "D-1", {"source": "x"}, {"a": 2}) is None
    assert publisher.current("level_c/objects", "D-2", {"source": "x"}, {"a": 1}) is None
    file = publisher.zones.publication("level_c/objects", "D-1") / "nested" / "file.txt"
    file.write_text("onf")
    assert publisher.current("level_c/objects", "D-1", {"source": "x"}, {"a": 1}) is None
    batch = publisher.standing("level_c/objects", "D-1")
    assert batch is not None
    assert publisher.damaged(batch) == ["research/level_c/objects/D-1/nested/file.txt"]


def test_file_that_the_ledger_does_not_know_is_damage(publisher: Publisher) -> None:
    publish(publisher, "level_c/objects", "D-1", "one", [])
    (publisher.zones.publication("level_c/objects", "D-1") / "smuggled").write_text("x")
    batch = publisher.standing("level_c/objects", "D-1")
    assert batch is not None
    assert publisher.damaged(batch) == ["research/level_c/objects/D-1/smuggled"]


def test_failed_gate_publishes_nothing_and_keeps_what_stood(publisher: Publisher) -> None:
    publish(publisher, "level_c/objects", "D-1", "one", [])

    def fail() -> None:
        with publisher.publishing("level_c/objects", "D-1", {}, {}) as staging:
            (staging.folder / "bad.txt").write_text("bad")
            raise GateError("a rule")

    with pytest.raises(GateError):
        fail()
    folder = publisher.zones.publication("level_c/objects", "D-1")
    assert (folder / "nested" / "file.txt").read_text() == "one"
    assert not (folder / "bad.txt").exists()
    assert list(folder.parent.iterdir()) == [folder]
    assert len(publisher.ledger_of("level_c/objects").headings()) == 1


def test_crash_between_the_two_renames_is_mended(publisher: Publisher) -> None:
    publish(publisher, "level_c/objects", "D-1", "one", [], source="x")
    folder = publisher.zones.publication("level_c/objects", "D-1")
    folder.rename(folder.parent / f".{folder.name}.superseded")
    assert publisher.current("level_c/objects", "D-1", {"source": "x"}, {"a": 1}) is not None
    assert (folder / "nested" / "file.txt").read_text() == "one"


def test_same_content_has_same_digest_and_ledgers_of_the_zones_are_apart(publisher: Publisher) -> None:
    publish(publisher, "level_c/objects", "D-1", "one", [])
    publish(publisher, "level_c/objects", "D-2", "one", [])
    publish(publisher, "level_d/inventory", "D-1", "two", [])
    assert publisher.digest("level_c/objects", "D-1") == publisher.digest("level_c/objects", "D-2") != ""
    assert len(Ledger(publisher.zones.research / "ledger").headings()) == 2
    assert len(Ledger(publisher.zones.restricted / "ledger").headings()) == 1


def test_edited_removed_and_unreadable_batches_show(publisher: Publisher) -> None:
    for number in range(4):
        publish(publisher, "level_c/objects", f"D-{number}", "x", [LedgerRow("o", "nested/file.txt", "s", (), "made")])
    ledger = publisher.ledger_of("level_c/objects")
    assert ledger.broken_links() == []
    second = ledger.folder / "00000002.parquet"
    whole = second.read_bytes()
    table = pq.ParquetFile(second).read()
    edited = table.set_column(2, "sha256", [["0" * 64] * table.num_rows]).cast(table.schema)
    pq.write_table(edited, second)
    assert ledger.broken_links() == ["ledger batch 00000002.parquet was changed after 00000003.parquet was written"]
    second.unlink()
    assert ledger.broken_links() == ["ledger batches are missing before 00000003.parquet"]
    second.write_bytes(whole[: len(whole) // 2])
    assert "ledger batch 00000002.parquet cannot be read" in ledger.broken_links()
    second.write_bytes(whole)
    assert ledger.broken_links() == []


def test_every_published_file_has_a_row(publisher: Publisher) -> None:
    publish(publisher, "level_c/objects", "D-1", "one", [])
    ledger = publisher.ledger_of("level_c/objects")
    rows = ledger.rows(ledger.headings()[0]).to_pylist()
    assert [(r["path"], r["operation"]) for r in rows] == [("nested/file.txt", FILE)]


def test_lineage_walks_both_ways_across_the_zones(publisher: Publisher) -> None:
    raw, sealed = ("F-1", "a" * 64), ("F-1", "hmac:" + "b" * 64)
    publish(publisher, "level_d/inventory", "D-1", "d", [LedgerRow(*raw, "a" * 64, (), "found")])
    publish(publisher, "level_c/objects", "D-1", "c", [LedgerRow("2.25.1", "p", "c" * 64, (sealed,), "deidentify")])
    rows = [LedgerRow("2.25.1", "shard", "e" * 64, (("2.25.1", "c" * 64),), "normalize")]
    publish(publisher, "level_b/images", "D-1", "b", rows)
    lineage = Lineage(publisher.zones)
    picture = next(n for n in lineage.find("2.25.1") if n.operation == "normalize")
    [(_, _, dicom)] = lineage.sources(picture)
    assert dicom is not None
    assert dicom.operation == "deidentify"
    [(_, digest, source)] = lineage.sources(dicom)
    assert source is not None
    assert (digest, source.sha256, source.operation) == (sealed[1], "a" * 64, "found")
    assert [n.operation for n in lineage.products(source)] == ["deidentify"]
    assert [n.operation for n in lineage.products(dicom)] == ["normalize"]
    assert lineage.find("e" * 64) == [picture]


def test_another_key_is_a_clear_error(publisher: Publisher) -> None:
    publish(publisher, "level_c/objects", "D-1", "one", [])
    publisher.check_key()
    with pytest.raises(VaultKeyError, match="put that key back"):
        Publisher(publisher.zones, "e" * 12).check_key()

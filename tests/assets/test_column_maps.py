"""A hospital's own column maps in the vault decide what its labels tables say, at levels D and C."""

from pathlib import Path

import dagster as dg

from assets.level_c import reports
from assets.level_d import inventory
from assets.resources import Ladder
from pipelines.archive.deliveries import list_deliveries, register
from pipelines.storage.tables import DELIVERED_LABELS, read_table
from tests.deidentify.conftest import mammogram, save

OWN = """
[own]
signature = ["fall", "dichte"]
densities = { "ACR 3" = "C" }
read = { accession_number = "fall", density = "dichte" }
"""


def materialize(ladder: Ladder, partition: str) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("delivery", [partition])
        return dg.materialize(
            [inventory, reports],
            instance=instance,
            partition_key=partition,
            resources={"ladder": ladder},
            raise_on_error=False,
        )


def test_a_hospitals_own_maps_are_found_in_the_vault(tmp_path: Path) -> None:
    save(mammogram(), tmp_path / "inbox" / "d" / "im.dcm")
    (tmp_path / "inbox" / "d" / "befunde.csv").write_text("Fall;Dichte;Name\nACC77182931;acr 3;Kowalewska\n")
    ladder = Ladder(data=str(tmp_path / "data"), inbox=str(tmp_path / "inbox"), processes=1)
    maps = ladder.zones.vault / "column_maps.toml"
    [partition] = [register(ladder.zones.vault, ladder.key, d) for d in list_deliveries(ladder.zones.inbox)]

    def labels() -> list[tuple[str | None, ...]]:
        folder = ladder.zones.publication("level_c/reports", partition)
        rows = read_table(folder / "labels.parquet", DELIVERED_LABELS).to_pylist()
        return [(row["column_map"], row["density"], row["densities"]) for row in rows]

    assert materialize(ladder, partition).success
    assert labels() == []
    maps.write_text(OWN)
    assert materialize(ladder, partition).success
    assert labels() == [("own", "acr 3", "C")]
    maps.write_text(OWN.replace('"C"', '"E"'))
    failed = materialize(ladder, partition)
    assert not failed.success
    messages = [e.event_specific_data.error.message for e in failed.all_events if e.is_step_failure]
    assert any("own.densities" in message for message in messages)
    assert not any("Kowalewska" in message for message in messages)

"""The file in which a human decides densities that statements leave in doubt. Reads what stands published."""

from pathlib import Path

from pipelines.label.review import queue_file
from pipelines.storage.atomic import write_bytes
from pipelines.storage.tables import REVIEW_QUEUE, read_table
from pipelines.storage.zones import Zones


def write_queue(data: Path, out: Path) -> tuple[int, Path] | None:
    """Write the review queue as CSV; how many breasts it holds, and the folder where it goes when it is filled in.

    None where no labels stand published.
    """
    zones = Zones.at(data)
    table = zones.publication("level_a/labels") / "review_queue.parquet"
    if not table.exists():
        return None
    queue = read_table(table, REVIEW_QUEUE)
    write_bytes(out, queue_file(queue))
    return len(queue), zones.research / "review"

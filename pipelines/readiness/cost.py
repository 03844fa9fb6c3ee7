"""What the climb cost: the time that each asset's publications took, as the ledgers record it.

The ledgers are the source because an auditor can check them: their batches are chained, so that a time that was edited
shows. They hold wall time of one machine: made again, the same bytes take another time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines.storage.ledger import Batch


@dataclass(frozen=True)
class Cost:
    """The publications of an asset: how many stand, how long they took to make, and how long all that were ever made.

    Seconds of wall time; None where no batch says when it was begun. ``unknown`` counts such batches among all.
    """

    asset: str
    standing: int
    seconds: float | None
    recorded: int
    seconds_of_all: float | None
    unknown: int


def climb_cost(batches: Iterable[Batch], assets: Sequence[str]) -> list[Cost]:
    """The cost of each of the named assets that was ever published, in the order of the names."""
    of_asset: dict[str, list[Batch]] = {}
    for batch in batches:
        of_asset.setdefault(batch.asset, []).append(batch)
    return [_cost(asset, of_asset[asset]) for asset in assets if asset in of_asset]


def _cost(asset: str, batches: Sequence[Batch]) -> Cost:
    standing = list({b.partition: b for b in sorted(batches, key=lambda b: b.sequence)}.values())
    return Cost(
        asset=asset,
        standing=len(standing),
        seconds=_total(standing),
        recorded=len(batches),
        seconds_of_all=_total(batches),
        unknown=sum(_seconds(b) is None for b in batches),
    )


def together(costs: Sequence[Cost], name: str) -> Cost:
    """The sum of several assets' costs under a name."""
    return Cost(
        asset=name,
        standing=sum(c.standing for c in costs),
        seconds=_sum(c.seconds for c in costs),
        recorded=sum(c.recorded for c in costs),
        seconds_of_all=_sum(c.seconds_of_all for c in costs),
        unknown=sum(c.unknown for c in costs),
    )


def _total(batches: Sequence[Batch]) -> float | None:
    return _sum(map(_seconds, batches))


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _seconds(batch: Batch) -> float | None:
    if not batch.started_at:
        return None
    return (datetime.fromisoformat(batch.recorded_at) - datetime.fromisoformat(batch.started_at)).total_seconds()

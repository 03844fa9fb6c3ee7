"""The funnel: from files found to images to train on, with every loss and its reason."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Step:
    """How many are left after a step, and what was lost in it by reason."""

    name: str
    count: int
    lost: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"step": self.name, "count": self.count, "lost": self.lost}


def funnel(
    *,
    inventory: pa.Table,
    objects: pa.Table,
    images: pa.Table,
    dataset: pa.Table | None = None,
    exclusions: pa.Table | None = None,
) -> tuple[Step, ...]:
    """The steps over all deliveries; each step's count plus its losses is the count before it.

    ``images`` may hold an object that came in two deliveries twice. Reasons carry the status that they gave, e.g.
    ``quarantined: truncated``. What is no DICOM object (tables, archives) and what is no image leaves by name, not as
    a failure.
    """
    found = inventory.num_rows
    accepted = inventory.filter(pc.equal(inventory["status"], "accepted"))
    is_dicom = pc.equal(accepted["kind"], "dicom")
    dicom = accepted.filter(is_dicom).num_rows
    written = _count(objects, "written")
    kept = _count(images, "kept")
    steps = [
        Step("files found", found),
        Step("files accepted", accepted.num_rows, _losses(inventory, "accepted")),
        Step("DICOM objects", dicom, _named("no object", accepted.filter(pc.invert(is_dicom))["kind"])),
        Step("objects de-identified", written, _losses(objects, "written")),
        Step("mammograms normalized", kept, _rest(written - kept, _losses(images, "kept"), "no image")),
    ]
    if dataset is not None:
        lost = {} if exclusions is None else _named("excluded", exclusions["reason"])
        lost = _rest(kept - dataset.num_rows, lost, "delivered before")
        steps.append(Step("images of the level A set", dataset.num_rows, lost))
        train = dataset.filter(pc.equal(dataset["split"], "train")).num_rows
        steps.append(Step("training images", train, _named("held back", dataset["split"], but="train")))
    return tuple(steps)


def _count(table: pa.Table, status: str) -> int:
    return table.filter(pc.equal(table["status"], status)).num_rows


def _losses(table: pa.Table, good: str) -> dict[str, int]:
    pairs = zip(table["status"].to_pylist(), table["reason"].to_pylist(), strict=True)
    counts = Counter(status if reason is None else f"{status}: {reason}" for status, reason in pairs if status != good)
    return dict(sorted(counts.items()))


def _named(prefix: str, values: pa.ChunkedArray, but: str = "") -> dict[str, int]:
    counts = Counter(f"{prefix}: {value}" for value in values.to_pylist() if value != but)
    return dict(sorted(counts.items()))


def _rest(total: int, lost: dict[str, int], name: str) -> dict[str, int]:
    """The losses, and what is missing to their total under a name of its own."""
    rest = total - sum(lost.values())
    return lost | {name: rest} if rest else lost

"""The certificate as one page for auditors: readiness.html, which needs no other file, no network and no script.

All but the section ``cost`` is made from the certificate and the publications that it was measured on: the same data
give the same bytes. The times in ``cost`` are those of this very climb.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.readiness.cost import Cost, together
from pipelines.readiness.criteria import LEVELS, RUNGS, load_levels
from pipelines.readiness.page_drawings import LABELS, WIDTH, draw_bars, draw_flow, in_words
from pipelines.readiness.page_pictures import inline_picture
from pipelines.storage.atomic import write_bytes
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.tables import DENSITIES, SPLITS, VIEWS

PAGE = "readiness.html"

NAMES = {"pgan": "pGAN", "synthetic": "Synthetic"}
"""Rungs whose name is not what stands in the certificate."""

CHANNELS = {
    "table": "labels table",
    "sr": "structured report",
    "text": "report text",
    "review": "human review",
    "pixels": "pixels",
}
"""The channels of labels (VOTES) in words."""

_HEADINGS = {
    "v": "Cramér’s V",
    "v_low": "95 % from",
    "v_high": "95 % to",
    "needed": "patients needed",
    "detectable": "smallest difference detected",
}
_CELLS = {"*": "all", "sr": CHANNELS["sr"], "table": CHANNELS["table"], "text": CHANNELS["text"]}

MOST_TABLE_ROWS = 60
"""Rows shown of a table that was published elsewhere."""

_DEMANDS = {
    "==": "exactly {}",
    "<=": "at most {}",
    ">=": "at least {}",
    ">": "more than {}",
    "measured": "any, but known",
}


@dataclass(frozen=True)
class Exhibits:
    """What the page shows beside the certificate; what is missing is said to be missing.

    ``pictures`` may name pairs, curves, harmonization, transfer, sheet, synthetic, gallery, rejected, novelty and worth
    (PNG). ``tables`` may name agreement (of readers), association (of label and vendor), power, transfer (from vendor
    to vendor), quality (of the synthetic set) and oddities (told from real pictures), of whatever columns. ``transfer``
    holds a verdict on each way from vendor to vendor. ``worth`` holds ``verdicts`` on what synthetic pictures
    are worth to a classifier, and how well they are ``told_apart`` from real ones. ``digests`` are the content digests
    of publications that stand.
    """

    dataset: pa.Table | None = None
    labels: pa.Table | None = None
    plan: pa.Table | None = None
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    pictures: Mapping[str, Path] = field(default_factory=dict)
    transfer: Sequence[str] = ()
    worth: Mapping[str, Any] | None = None
    costs: Sequence[Cost] = ()
    digests: Mapping[str, str] = field(default_factory=dict)


def write_page(folder: Path, content: Mapping[str, Any], exhibits: Exhibits) -> Path:
    """Write ``folder/readiness.html`` from the content of ``folder/readiness.json`` and return its path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "duration": duration, "words": in_words, "share": share}
    rows = _rows(exhibits.dataset)
    page = environment.get_template("page.html").render(
        certificate=content,
        certificate_sha256=sha256_of_file(folder / "readiness.json"),
        levels=load_levels(),
        rungs=_rungs(content),
        hindrances=[c for c in content["criteria"] if c["id"] in content["next"]],
        flow=draw_flow(content["funnel"]),
        width=WIDTH,
        labels_at=LABELS,
        images=len(rows),
        patients=len({row["patient"] for row in rows}),
        example=min((row["image_id"] for row in rows), default=None),
        balance=_balance(rows),
        matrix=_matrix(rows),
        plan=exhibits.plan.to_pylist() if exhibits.plan is not None else [],
        spoken=_channels(exhibits.labels),
        tables={name: _any_table(table) for name, table in exhibits.tables.items() if table.num_rows},
        pictures={name: inline_picture(path) for name, path in exhibits.pictures.items()},
        transfer=exhibits.transfer,
        worth=exhibits.worth,
        climb=_climb(exhibits.costs),
        digests=exhibits.digests,
        densities=DENSITIES,
        splits=SPLITS,
    )
    write_bytes(folder / PAGE, page.encode())
    return folder / PAGE


def _rows(dataset: pa.Table | None) -> list[dict[str, Any]]:
    """The rows of the level A set, with the names of vendor groups as they read well."""
    rows = dataset.to_pylist() if dataset is not None else []
    return [row | {"vendor_group": row["vendor_group"].replace("|", " · ")} for row in rows]


def figure(value: Any) -> str:
    """A measured value for the eye: whole numbers in full, others with three digits; "not measured" for None."""
    if value is None:
        return "not measured"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    return f"{int(value):,}" if float(value).is_integer() else f"{value:.3g}"


def share(value: float | None) -> str:
    """A share as a percentage; "not measured" for None."""
    return "not measured" if value is None else f"{100 * value:.1f} %"


def duration(seconds: float | None) -> str:
    """Seconds as a reader says them: ``0.4 s``, ``3 min 05 s``, ``2 h 07 min``; "not recorded" for None."""
    if seconds is None:
        return "not recorded"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _rungs(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each rung with its words, its criteria, how many hold, and whether the data stand on it."""
    reached = -1 if content["rung"] is None else RUNGS.index(content["rung"])
    rungs = []
    for number, (name, words) in enumerate(load_levels().items()):
        criteria = [c | {"demand": _demand(c)} for c in content["criteria"] if c["level"] == name]
        rungs.append(
            {
                "name": NAMES.get(name, name),
                "heading": f"Level {name}" if name in LEVELS else NAMES[name],
                "words": words,
                "reached": number <= reached,
                "criteria": criteria,
                "holding": sum(c["holds"] is True for c in criteria),
                "failing": sum(c["holds"] is False for c in criteria),
                "unknown": sum(c["holds"] is None for c in criteria),
            }
        )
    return rungs


def _climb(costs: Sequence[Cost]) -> list[tuple[Cost, list[Cost]]]:
    """Each rung's cost with that of its assets, and the cost of all at the end; empty where there is none."""
    rungs: dict[str, list[Cost]] = {}
    for cost in costs:
        rungs.setdefault(cost.asset.split("/")[0], []).append(cost)
    lines = [(together(own, _rung_name(group)), own) for group, own in rungs.items()]
    return [*lines, (together(costs, "Together"), [])] if lines else []


def _rung_name(group: str) -> str:
    """``level_d`` is "Level D"; ``pgan`` is "pGAN"."""
    return NAMES.get(group, f"Level {group.removeprefix('level_').upper()}")


def _demand(criterion: Mapping[str, Any]) -> str:
    return _DEMANDS[criterion["operator"]].format(figure(criterion["threshold"]))


def _balance(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    orders = (("split", "Split", SPLITS), ("view", "View", VIEWS), ("vendor_group", "Vendor group", ()))
    return [{"title": title, "bars": draw_bars(rows, name, order)} for name, title, order in orders] if rows else []


def _matrix(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Images by vendor group and view (rows) and split and density (cells), vendor groups in order of their names."""
    counts = Counter((r["vendor_group"], r["view"], r["split"], r["density"]) for r in rows)
    groups = sorted({key[0] for key in counts})
    lines = []
    for group, view in ((g, v) for g in groups for v in VIEWS):
        cells = [counts[group, view, split, density] for split in SPLITS for density in DENSITIES]
        lines.append({"group": group, "view": view, "cells": cells, "total": sum(cells)})
    return lines


def _channels(labels: pa.Table | None) -> list[tuple[str, int]] | None:
    """How many labels rest on which channels together, most first; None where there is no table of labels."""
    if labels is None:
        return None
    pairs = zip(labels["sources"].to_pylist(), labels["density"].to_pylist(), strict=True)
    counts = Counter(
        " + ".join(CHANNELS.get(s, s) for s in json.loads(sources)) if density else "no density"
        for sources, density in pairs
    )
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _any_table(table: pa.Table) -> dict[str, Any]:
    """A table as headings and rows, whatever its columns; of a long one the first rows, and how many more there are."""
    rows = [[_CELLS.get(v, v) for v in row.values()] for row in table.slice(0, MOST_TABLE_ROWS).to_pylist()]
    head = [_HEADINGS.get(name, in_words(name)) for name in table.column_names]
    return {"head": head, "rows": rows, "more": table.num_rows - len(rows)}

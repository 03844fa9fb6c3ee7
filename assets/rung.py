"""The decorator that turns a thin function into an asset of a rung, its checks taken from the readiness criteria."""

import base64
import functools
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np

from pipelines.readiness.criteria import CriterionResult, criteria_of
from pipelines.storage.column_maps import ColumnMap, ColumnMapError, chosen_column_maps, load_column_maps
from pipelines.storage.publication import GateError
from pipelines.storage.workers import Progress

deliveries = dg.DynamicPartitionsDefinition(name="delivery")
"""One partition per delivery, named by its keyed id and date."""

listener: ContextVar[Callable[[str, int, int], None] | None] = ContextVar("listener", default=None)
"""Who else is told of progress (asset, done, total): the command line's bars, where it runs in this process."""

RETRY = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL)


def rung(key: str, *, deps: list[str], kinds: set[str], **options: Any) -> Callable[[Callable], dg.AssetsDefinition]:
    """Declare an asset ``group/name`` whose function returns a MaterializeResult, or None where it cannot be made.

    Where it may come to nothing this time (``output_required=False``) it returns its check results alone instead.
    The group is the rung; the asset's checks are the readiness criteria that name it. Exceptions leave discreetly.
    """
    group = key.split("/")[0]

    def declare(function: Callable) -> dg.AssetsDefinition:
        @functools.wraps(function)
        def make(context: dg.AssetExecutionContext, ladder: Any, **resources: Any) -> Iterator[Any]:
            with ladder.discreet(key):
                result = function(context, ladder, **resources)
            if isinstance(result, list):
                yield from result
            elif result is not None:
                yield result

        make.__annotations__ = {**function.__annotations__, "return": Iterator[Any]}
        specs = [
            dg.AssetCheckSpec(c.id, asset=key.split("/"), description=c.statement, blocking=c.gate)
            for c in criteria_of(key)
        ]
        return dg.asset(
            key=key.split("/"),
            deps=[d.split("/") for d in deps],
            group_name=group,
            kinds=kinds,
            check_specs=specs,
            retry_policy=RETRY,
            **options,
        )(make)

    return declare


def check_gate(results: list[CriterionResult]) -> None:
    """Raise GateError where a criterion that is a gate does not hold."""
    shut = [r for r in results if r.criterion.gate and r.holds is False]
    if shut:
        raise GateError("; ".join(f"{r.criterion.statement} (measured: {r.value})" for r in shut))


def check_results(results: list[CriterionResult]) -> list[dg.AssetCheckResult]:
    """The visible record of the criteria; what could not be measured passes with a word about it."""
    return [
        dg.AssetCheckResult(
            check_name=r.criterion.id,
            passed=r.holds is not False,
            severity=dg.AssetCheckSeverity.ERROR if r.criterion.gate else dg.AssetCheckSeverity.WARN,
            description=r.criterion.statement if r.holds is not None else f"not measured: {r.criterion.statement}",
            metadata={"value": "not measured" if r.value is None else r.value, "threshold": r.criterion.threshold},
        )
        for r in results
    ]


def thumbnail(picture: Path, width: int = 480) -> dg.MetadataValue:
    """A small inline picture for the UI (about 10 KB); an empty note where there is no picture."""
    from PIL import Image

    if not picture.exists():
        return dg.MetadataValue.md("*no picture*")
    with Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail((width, 4 * width))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=60)
    data = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![{picture.stem}](data:image/jpeg;base64,{data})")


def counts_table(title: str, counts: Mapping[str, int]) -> dg.MetadataValue:
    """A two-column table of counts for the UI, most first."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"| {title} | count |", "|---|---|", *(f"| {name} | {count} |" for name, count in rows)]
    return dg.MetadataValue.md("\n".join(lines))


def figures_table(rows: Iterable[str | None]) -> dg.MetadataValue:
    """Quantiles of the figures by name that rows hold as JSON objects."""
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in json.loads(row or "{}").items():
            found.setdefault(name, []).append(value)
    lines = ["| figure | 5 % | median | 95 % |", "|---|---|---|---|"]
    for name, values in sorted(found.items()):
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
        lines.append(f"| {name} | {low:.3g} | {middle:.3g} | {high:.3g} |")
    return dg.MetadataValue.md("\n".join(lines))


def column_maps(vault: Path) -> tuple[ColumnMap, ...]:
    """The hospital's column maps and the packaged ones. Raises Failure where they cannot be used."""
    try:
        return load_column_maps(chosen_column_maps(vault))
    except ColumnMapError as error:
        raise dg.Failure(f"the column maps cannot be used: {error}", allow_retries=False) from None


def progress_of(context: dg.AssetExecutionContext) -> Progress:
    """Progress into the run's log at every tenth of the way, and to the listener; counts alone."""
    asset = "/".join(context.asset_key.path)
    told = -1

    def tell(done: int, total: int) -> None:
        nonlocal told
        tenth = 10 * done // total if total else 10
        if tenth != told:
            told = tenth
            context.log.info(f"{done} of {total}")
        listening = listener.get()
        if listening is not None:
            listening(asset, done, total)

    return tell

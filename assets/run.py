"""Runs the ladder in this process, rung by rung, with progress bars and a closing table."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from assets.automation import NOVELTY, PER_DELIVERY, REPORT, TRANSFER, WORTH
from assets.closing import print_closing
from assets.definitions import build_definitions
from assets.home import COMMAND_TAG, alone
from assets.resources import Ladder, Training
from assets.rung import listener
from pipelines.archive.deliveries import list_deliveries, register
from pipelines.pgan.budget import read_underway

RUNGS: dict[str, tuple[str, ...]] = {
    "d": ("level_d/inventory",),
    "c": ("level_c/objects", "level_c/reports"),
    "b": ("level_b/images", "level_b/splits", "level_b/vendor_curves", "level_b/harmonization"),
    "a": ("level_a/labels", "level_a/dataset", "level_a/export"),
    "pgan": ("pgan/model",),
    "synthetic": ("synthetic/images", "synthetic/augmented_dataset"),
    "worth": (WORTH, NOVELTY, TRANSFER),
}
ON_THE_MODEL = ("synthetic", "worth")
"""Rungs that stand on the pGAN."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Failed:
    """A step that did not succeed, with its discreet message."""

    step: str
    partition: str
    message: str


def climb_ladder(ladder: Ladder, training: Training, until: str) -> int:
    """Climb up to a rung and print the closing table; 0 where every step succeeded, else 1.

    Raises VaultKeyError where the key is damaged or another one, AlreadyRunningError where another run is at work.
    Bad files are rows of the tables, not failures. A delivery that fails does not keep the others from climbing.
    """
    console = Console()
    zones = ladder.zones
    ladder.publisher.check_key()
    wanted = [asset for rung, assets in RUNGS.items() if _reached(rung, until) for asset in assets]
    deliveries = [register(zones.vault, ladder.key, d) for d in list_deliveries(zones.inbox)]
    failures: list[Failed] = []
    with alone(zones.root) as instance, _bars(console):
        if deliveries:
            instance.add_dynamic_partitions("delivery", deliveries)
        definitions = build_definitions(ladder, training)
        each = [a for a in wanted if a in PER_DELIVERY]
        for partition in deliveries:
            failures += _execute(definitions, "climb", each, instance, partition)
        over_all = [a for a in wanted if a not in PER_DELIVERY]
        after = [a for rung in ON_THE_MODEL for a in RUNGS[rung] if a in over_all]
        if after:  # what stands on the model is a run of its own: a night whose budget ends leaves no model
            hindered = _execute(definitions, "augment", [a for a in over_all if a not in after], instance, None)
            over_all = [] if read_underway(zones.workspace("pgan/model")) else after
            failures += hindered
        if not after or not hindered:
            failures += _execute(definitions, "augment", [*over_all, REPORT], instance, None)
    print_closing(console, zones)
    for failure in failures:
        console.print(f"[red]failed:[/red] {failure.step} {failure.partition} {failure.message}", highlight=False)
    return 1 if failures else 0


def _reached(rung: str, until: str) -> bool:
    order = list(RUNGS)
    return order.index(rung) <= order.index(until)


def _execute(
    definitions: dg.Definitions, job: str, assets: list[str], instance: dg.DagsterInstance, partition: str | None
) -> list[Failed]:
    """Run the named assets in this process; the failures, with messages that quote no value."""
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=[dg.AssetKey(a.split("/")) for a in assets],
        instance=instance,
        partition_key=partition,
        raise_on_error=False,
        run_config=QUIET,
        tags={COMMAND_TAG: "run", "midar/job": job},
    )
    failures = []
    for event in result.all_node_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            message = event.step_failure_data.user_failure_data
            text = message.description if message and message.description else error.cls_name if error else ""
            failures.append(Failed(event.step_key or "", partition or "", text or ""))
    return failures


@contextmanager
def _bars(console: Console) -> Iterator[None]:
    """Progress bars, one for each asset at work; a plain line each where the output is no terminal."""
    if not sys.stdout.isatty():
        token = listener.set(_plain_lines(console))
        try:
            yield
        finally:
            listener.reset(token)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks = {}

        def tell(asset: str, done: int, total: int) -> None:
            if asset not in tasks:
                tasks[asset] = progress.add_task(asset)
            progress.update(tasks[asset], completed=done, total=total)

        token = listener.set(tell)
        try:
            yield
        finally:
            listener.reset(token)


def _plain_lines(console: Console) -> Callable[[str, int, int], None]:
    told: dict[str, int] = {}

    def tell(asset: str, done: int, total: int) -> None:
        quarter = 4 * done // total if total else 4
        if told.get(asset) != quarter:
            told[asset] = quarter
            console.print(f"{asset}: {done} of {total}", highlight=False)

    return tell

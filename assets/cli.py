"""The ``midar`` command: drives the same definitions as the Dagster UI, without a browser.

Heavy imports are made inside the commands, so that ``midar --help`` answers at once.
"""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    help="Climb mammography data from MIDaR level D to A, train a progressive GAN on it, fill in the short classes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Until(StrEnum):
    """The rung up to which to climb."""

    D = "d"
    C = "c"
    B = "b"
    A = "a"
    PGAN = "pgan"
    SYNTHETIC = "synthetic"
    WORTH = "worth"


class Views(StrEnum):
    """The views that a model draws."""

    CC = "CC"
    MLO = "MLO"


Data = Annotated[Path, typer.Option(help="Root that holds restricted/ and research/.", envvar="MIDAR_DATA")]
Inbox = Annotated[
    Path | None,
    typer.Option(help="Folder whose folders are the deliveries; default restricted/inbox.", envvar="MIDAR_INBOX"),
]
DEFAULT_DATA = Path("data")


@app.command()
def run(
    inbox: Inbox = None,
    data: Data = DEFAULT_DATA,
    until: Annotated[Until, typer.Option(help="Climb up to this rung.")] = Until.WORTH,
    processes: Annotated[int, typer.Option(min=0, help="Local processes; 0 takes all cores.")] = 0,
    preset: Annotated[
        str, typer.Option(help="pGAN preset: demo, tiny, full or korkinof2018.", envvar="MIDAR_PRESET")
    ] = "demo",
    device: Annotated[str, typer.Option(help="Torch device: cpu, cuda.", envvar="MIDAR_DEVICE")] = "cpu",
    seed: Annotated[int, typer.Option(min=0, help="Seed of training.")] = 0,
    budget: Annotated[
        str, typer.Option(help="What training may take now: 8h, 90min, or images; the next run goes on.")
    ] = "",
    images: Annotated[
        str, typer.Option(help="Images that the whole training shows, or data: 1,000 times each at most.")
    ] = "",
    training_processes: Annotated[
        int, typer.Option(min=1, help="Processes that share the training, such as the machine's GPUs.")
    ] = 1,
    two_views: Annotated[
        bool, typer.Option("--two-views", help="Draw CC and MLO of one breast together: gives whole pretend patients.")
    ] = False,
) -> None:
    """Climb the whole ladder up to a rung; what stands already, current and whole, is not made again."""
    from assets.home import AlreadyRunningError
    from assets.resources import Ladder, Training
    from assets.run import climb_ladder
    from pipelines.pgan.budget import Budget
    from pipelines.storage.keys import VaultKeyError

    if inbox is not None and not inbox.is_dir():
        _stop("the inbox is not a folder")
    try:
        Budget.parse(budget)
    except ValueError as error:
        _stop(str(error))
    ladder = Ladder(data=str(data.absolute()), inbox=str(inbox.absolute()) if inbox else "", processes=processes)
    training = Training(
        preset=preset,
        device=device,
        seed=seed,
        budget=budget,
        images=images,
        processes=training_processes,
        two_views=two_views,
    )
    try:
        code = climb_ladder(ladder, training, until.value)
    except (AlreadyRunningError, VaultKeyError) as error:
        _stop(str(error))
    raise typer.Exit(code)


@app.command()
def ui(
    data: Data = DEFAULT_DATA,
    inbox: Inbox = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """The Dagster UI with its daemon (sensor, schedules), on loopback alone."""
    from assets.home import open_instance

    open_instance(data).dispose()
    os.environ["MIDAR_DATA"] = str(data.absolute())
    if inbox is not None:
        os.environ["MIDAR_INBOX"] = str(inbox.absolute())
    typer.echo(f"http://127.0.0.1:{port}")
    command = [
        "-m",
        "dagster",
        "dev",
        "--module-name",
        "assets.definitions",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    os.execv(sys.executable, [sys.executable, *command])


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to make: an inbox with deliveries in it.")],
    patients: Annotated[int, typer.Option(min=0, help="Pretend patients; 0 with --pixels takes all.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    scale: Annotated[float, typer.Option(min=0.05, max=1.0, help="Share of the detectors' real matrix size.")] = 0.25,
    deliveries: Annotated[int, typer.Option(min=1, help="Folders to spread the exams over.")] = 2,
    pixels: Annotated[Path | None, typer.Option(help="Folder of real mammograms (PNG, JPG) to wrap.")] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV that describes the pictures.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Folder for the ground truth and the identifiers used.")] = None,
) -> None:
    """Make a pretend hospital archive: drawn breasts, or real mammograms, in pretend patients' DICOM."""
    from rich.progress import Progress

    from pipelines.phantom.archive import write_archive

    if (pixels is None) != (labels is None):
        _stop("real pictures need both --pixels and --labels")
    if out.exists() and any(out.iterdir()):
        typer.echo(f"{out} is there already")
        return
    with Progress() as bars:
        bar = bars.add_task("phantom archive")
        summary = write_archive(
            out,
            patients=patients,
            seed=seed,
            scale=scale,
            pixels=pixels,
            labels=labels,
            deliveries=deliveries,
            truth=truth,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    typer.echo(f"{summary.patients} patients, {summary.images} images, {summary.files} files in {out}")


@app.command()
def trace(
    name: Annotated[
        str, typer.Argument(help="Id (image, object, file, synthetic image, model), or the start of a digest.")
    ],
    data: Data = DEFAULT_DATA,
    every: Annotated[bool, typer.Option("--all", help="Show all sources, not the first few of many.")] = False,
) -> None:
    """Show what a thing was made from, down to the raw file's hash, and what was made from it."""
    from assets.auditing import print_trace

    if not print_trace(data, name, every=every):
        _stop("the ledger knows nothing of that id")


@app.command()
def verify(data: Data = DEFAULT_DATA) -> None:
    """Hash every published file again and check the ledgers' chains; exit 1 and name what was changed."""
    from assets.auditing import print_verification

    raise typer.Exit(0 if print_verification(data) else 1)


@app.command()
def status(data: Data = DEFAULT_DATA) -> None:
    """What stands published, and the readiness level reached."""
    from assets.auditing import print_status

    print_status(data)


@app.command()
def review(
    out: Annotated[Path, typer.Option(help="CSV to write, for a reviewer to fill in.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Write the breasts whose density a human should decide, the most rewarding first, as a CSV without identifiers."""
    from assets.reviewing import write_queue

    written = write_queue(data, out)
    if written is None:
        _stop("no labels stand published: climb to rung a first")
    count, folder = written
    typer.echo(f"{count} breasts in {out}; filled in, it goes into {folder}, and the next run takes it up")


@app.command()
def release(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    data: Data = DEFAULT_DATA,
) -> None:
    """Copy what may leave of the trained model: generator, card, figures; never the critic."""
    from pipelines.pgan.leaving import write_release
    from pipelines.pgan.model import ModelError
    from pipelines.storage.zones import Zones

    try:
        left = write_release(Zones.at(data).publication("pgan/model"), out)
    except ModelError:
        _stop("no trained model stands published: climb to rung pgan first")
    except FileExistsError:
        _stop(f"{out} is there already")
    typer.echo(f"{len(left)} files in {out}")


@app.command()
def walk(
    out: Annotated[Path, typer.Argument(help="Name of the pictures to write, without suffix: a .png and a .gif.")],
    data: Data = DEFAULT_DATA,
    start: Annotated[str, typer.Option(help="Synthetic image (S-…) to walk from.")] = "",
    end: Annotated[str, typer.Option(help="Synthetic image to walk to; without it along density.")] = "",
    number: Annotated[int, typer.Option(min=0, help="Without --start: number of the picture to walk from.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Without --start: seed.")] = 0,
    view: Annotated[Views, typer.Option(help="Without --start: view.")] = Views.MLO,
    frames: Annotated[int, typer.Option(min=2, max=500, help="Pictures from one end to the other.")] = 24,
    truncation: Annotated[float, typer.Option(min=0.05, max=1, help="Without --start: less is more typical.")] = 1.0,
) -> None:
    """Walk through the model's latents: from one synthetic image to another, or along density; a strip and a film."""
    from assets.walking import NoWayError, Walk, write_walk

    asked = Walk(start, end, seed, number, view.value, frames, truncation)
    try:
        strip, film = write_walk(data, out, asked)
    except NoWayError as error:
        _stop(str(error))
    typer.echo(f"{strip}, {film}")


@app.command()
def crosswalk(
    pseudonym: Annotated[str, typer.Argument(help="P-… (patient), A-… (accession number) or 2.25.… (UID).")],
    data: Data = DEFAULT_DATA,
) -> None:
    """For the hospital: print the original behind a pseudonym. Needs the vault; nothing is logged."""
    from assets.vault import ClosedVaultError, print_original
    from pipelines.storage.keys import VaultKeyError

    try:
        known = print_original(data, pseudonym)
    except (ClosedVaultError, VaultKeyError) as error:
        _stop(str(error))
    if not known:
        _stop("the crosswalk knows nothing of that pseudonym")


@app.command()
def deid_score(
    answers: Annotated[Path, typer.Argument(help="CSV: source or sop_instance_uid, action, tag, value, box.")],
    data: Data = DEFAULT_DATA,
    inbox: Inbox = None,
    report: Annotated[Path | None, typer.Option(help="CSV of every verdict; holds no values.")] = None,
    at_least: Annotated[float, typer.Option(min=0, max=1, help="Exit 1 where a smaller share passed.")] = 0.0,
) -> None:
    """Score the de-identified objects against an answer file, action by action; a missing object fails all of its."""
    from assets.vault import ClosedVaultError, print_score
    from pipelines.deidentify.answers import AnswersError
    from pipelines.storage.keys import VaultKeyError

    try:
        share = print_score(data, inbox, answers, report)
    except (ClosedVaultError, VaultKeyError, AnswersError) as error:
        _stop(str(error))
    except (OSError, LookupError):
        _stop("the answers, the inbox or the published objects cannot be read")
    raise typer.Exit(1 if share < at_least else 0)


def _stop(message: str) -> NoReturn:
    typer.echo(f"midar: {message}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """Entry point of the console script."""
    app()

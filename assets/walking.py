"""What ``midar walk`` does: walks through the latents of the model that stands published. Reads; publishes nothing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.pgan.conditions import ConditionError
from pipelines.pgan.model import ModelError
from pipelines.pgan.sampler import Place, Sampler, load_sampler
from pipelines.storage.tables import SYNTHETIC, read_table
from pipelines.storage.zones import Zones
from pipelines.synthesize.walk import neighboring, write_film, write_strip


class NoWayError(ValueError):
    """The walk that was asked for cannot be made; the message says why."""


@dataclass(frozen=True)
class Walk:
    """What is asked for: ids of synthetic images to walk from and to, or else number, seed and view of the start."""

    start: str = ""
    end: str = ""
    seed: int = 0
    number: int = 0
    view: str = "MLO"
    frames: int = 24
    truncation: float = 1.0


def write_walk(data: Path, out: Path, walk: Walk) -> tuple[Path, Path]:
    """Write ``out.png``, a strip, and ``out.gif``, a film; their paths.

    With ``end`` from one image to the other; without, along density with the start's latent, over the densities that
    the model has seen. Raises NoWayError.
    """
    zones = Zones.at(data)
    try:
        sampler = load_sampler(zones.publication("pgan/model"))
        frames, name, word = _frames(sampler, zones, walk)
    except ModelError as error:
        raise NoWayError("no trained model stands published: climb to rung pgan first") from error
    except ConditionError as error:
        raise NoWayError(str(error)) from error
    strip, film = (out.parent / f"{out.name}{suffix}" for suffix in (".png", ".gif"))
    write_strip(strip, frames, name, word)
    write_film(film, frames)
    return strip, film


def _frames(sampler: Sampler, zones: Zones, walk: Walk) -> tuple[np.ndarray, str, str]:
    """The walk's pictures, with its name and a word on it."""
    if walk.end and not walk.start:
        raise NoWayError("an image to walk to needs one to walk from")
    if walk.end:
        (start, truncation), (end, _) = (_place(zones, sampler, name) for name in (walk.start, walk.end))
        return (
            sampler.walk(start, end, walk.frames, truncation),
            f"{start.density}-{end.density}",
            f"{start.view}, latent",
        )
    named = _place(zones, sampler, walk.start) if walk.start else None
    view = named[0].view if named else walk.view
    known = neighboring(sampler.conditions, view)
    if len(known) < 2:
        raise NoWayError(f"the model has not seen two neighboring densities in {view}")
    low, high = known[0], known[-1]
    place, truncation = named or (Place(walk.seed, walk.number, low, view), walk.truncation)
    return sampler.walk_density(place, low, high, walk.frames, truncation), f"{low}-{high}", f"{view}, density"


def _place(zones: Zones, sampler: Sampler, synthetic_id: str) -> tuple[Place, float]:
    """Where an image of the published table lies, and its truncation. Raises NoWayError."""
    path = zones.publication("synthetic/images") / "synthetic.parquet"
    table = read_table(path, SYNTHETIC).to_pylist() if path.exists() else []
    row = next((row for row in table if row["synthetic_id"] == synthetic_id), None)
    if row is None:
        raise NoWayError(f"no synthetic image {synthetic_id} stands published")
    if row["model_sha256"] != sampler.model_sha256:
        raise NoWayError(f"{synthetic_id} was drawn by another model than the one that stands published")
    return Place(row["seed"], row["number"], row["density"], row["view"]), row["truncation"]

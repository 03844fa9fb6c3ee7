"""The files of a finished training: weights, description, figures, pictures and the model card.

The same training leaves the same bytes, however often it was interrupted: what differs from run to run (pace, memory)
is not among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors.torch import save_file

from pipelines.pgan.embedding import embed, write_embedding
from pipelines.pgan.evaluation import Watch, critic_scores, portions, usual_stddev
from pipelines.pgan.feed import Feed, rows_of
from pipelines.pgan.model import CRITIC, DESCRIPTION, FORMAT, GENERATOR, RESTRICTED
from pipelines.pgan.model_card import CARD, CardFacts, write_card
from pipelines.pgan.networks import Critic, Generator
from pipelines.pgan.samples import write_losses
from pipelines.pgan.settings import PGANSettings, resolution_of
from pipelines.storage.atomic import write_bytes, write_json
from pipelines.storage.digests import sha256_of_file, sha256_of_json

LOSSES = "losses.json"
REPORT = "report.json"
GRID = "samples.png"
CHART = "losses.png"

MOST_EMBEDDED = 1024
"""Training pictures that the embedding's calibration is taken from."""


@dataclass(frozen=True)
class Course:
    """What a finished training went through: records, figures of each level, glances, rollbacks, saved checkpoints."""

    images: int
    losses: Sequence[Mapping[str, float]]
    levels: Sequence[Mapping[str, Any]]
    glances: Sequence[Mapping[str, Any]]
    rollbacks: Sequence[Mapping[str, Any]]
    saved: Sequence[Mapping[str, Any]]
    grids: Mapping[int, bytes]
    limits: Mapping[str, float]

    def best(self) -> Mapping[str, Any] | None:
        """The checkpoint of the highest level whose pictures were nearest to the real ones."""
        scored = [entry for entry in self.saved if entry["score"] is not None]
        return min(scored, key=lambda entry: (-entry["level"], entry["score"])) if scored else None


@dataclass(frozen=True)
class Publication:
    """What was published: the model's id, its generator's digest, the report, the training images and digests."""

    model: str
    model_sha256: str
    report: dict[str, Any]
    inputs: tuple[tuple[str, str], ...]


def grid_name(level: int, levels: int) -> str:
    """File name of a level's sample grid; the last level's is ``samples.png``."""
    rows, columns = resolution_of(level)
    return GRID if level == levels else f"samples_{rows}x{columns}.png"


def publish_model(
    folder: Path,
    *,
    settings: PGANSettings,
    dataset: pa.Table,
    feed: Feed,
    watch: Watch,
    generator: Generator,
    critic: Critic,
    course: Course,
) -> Publication:
    """Write a model's files into ``folder``. ``generator`` is the averaged one; ``critic`` is put into its final form.

    Critic and embedding lie in ``restricted/``, a folder closed to all but its owner: they do not leave with the rest.
    """
    level = settings.levels
    critic.eval().requires_grad_(False)
    critic.usual_stddev.fill_(usual_stddev(critic, feed, level, settings.batch_sizes[-1]))
    (folder / RESTRICTED).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, network in ((GENERATOR, generator), (CRITIC, critic)):
        save_file({key: value.cpu().contiguous() for key, value in network.state_dict().items()}, folder / name)
    digests = {name: sha256_of_file(folder / name) for name in (GENERATOR, CRITIC)}
    held_back = rows_of(dataset, "validation")
    report = _report(watch, generator, critic_scores(critic, feed, held_back, level), level, course)
    embeddings = [_embeddings(critic, feed, table, level) for table in (feed.table, held_back)]
    inputs = tuple(zip(feed.table["image_id"].to_pylist(), feed.table["picture_sha256"].to_pylist(), strict=True))
    description = {
        "format": FORMAT,
        "settings": settings.to_json(),
        "resolution": list(settings.resolution),
        "conditions": [list(pair) for pair in feed.conditions],
        "training_images": len(inputs),
        "training_set_sha256": sha256_of_json([list(pair) for pair in sorted(inputs)]),
        "sha256": digests,
        "calibration": report["critic_scores"]["validation"],
        "embedding": write_embedding(folder, *embeddings),
    }
    write_json(folder / REPORT, report)
    write_json(folder / LOSSES, course.losses)
    write_losses(folder / CHART, course.losses)
    write_json(folder / DESCRIPTION, description)
    for index, png in sorted(course.grids.items()):
        write_bytes(folder / grid_name(index, level), png)
    model = f"M-{digests[GENERATOR][:16]}"
    write_card(folder / CARD, CardFacts(model, description, report, dataset))
    return Publication(model, digests[GENERATOR], report, inputs)


def _embeddings(critic: Critic, feed: Feed, table: pa.Table, level: int) -> np.ndarray:
    parts = [embed(critic, feed.pictures(part, level), level) for part in portions(table.slice(0, MOST_EMBEDDED))]
    return np.concatenate([embed(critic, np.empty((0, 1, 1, 1), np.float32), level), *parts])


def _report(watch: Watch, generator: Generator, scores: dict[str, Any], level: int, course: Course) -> dict[str, Any]:
    return {
        "images_shown": course.images,
        "levels": list(course.levels),
        "density": watch.density(generator, level),
        "critic_scores": scores,
        "glances": list(course.glances),
        "rollbacks": list(course.rollbacks),
        "limits": dict(course.limits),
        "checkpoints": list(course.saved),
        "best_checkpoint": course.best(),
    }

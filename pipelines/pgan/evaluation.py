"""What a training says of itself: figures of each level, a glance on the way, calibration, the sample grid."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pipelines.pgan import metrics
from pipelines.pgan.conditions import VIEW, codes, widened
from pipelines.pgan.feed import Feed, to_gray
from pipelines.pgan.fidelity import Estimator, Pictures, class_fidelity
from pipelines.pgan.growth import Stage
from pipelines.pgan.manifold import neighborhood_beside_real
from pipelines.pgan.model import generate, scores
from pipelines.pgan.networks import Critic, Generator
from pipelines.pgan.samples import grid_png
from pipelines.pgan.similarity import class_similarity
from pipelines.storage.tables import DENSITIES, VIEWS

MOST_PICTURES = 256
PER_DENSITY = 24
LEARNED_FROM = 400
"""Training pictures that the density estimator learns from."""

LEAST_ROWS_JUDGED = 80
"""Smaller pictures are judged by their dense fraction alone."""

GLANCE_PICTURES, GLANCE_ROWS = 48, 80
CHUNK = 8
PORTION = 64
GRID_LATENTS = 6
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Watch:
    """A fixed set of training rows and latents on which each level is measured.

    ``held_back``: rows that were not trained on, for real-vs-real baselines; ``estimator`` tells density from pixels
    independently of the networks.
    """

    feed: Feed
    latent_size: int
    seed: int
    held_back: pa.Table | None = None
    estimator: Estimator | None = None

    def measure(self, generator: Generator, level: int) -> dict[str, Any]:
        """All figures of a level, each beside the same one between real pictures."""
        table = self._some(MOST_PICTURES)
        real = self.feed.pictures(table, level)[:, 0]
        density, view = table["density"].to_pylist(), table["view"].to_pylist()
        fake = self._generate(generator, density, view, level)
        classes = [f"{d} {v}" for d, v in zip(density, view, strict=True)]
        threshold = metrics.dense_threshold(real)
        return {
            "level": level,
            "resolution": list(real.shape[1:]),
            "pictures": len(real),
            "sliced_wasserstein": metrics.distance_to_real(real, fake, self.seed),
            "diversity": metrics.diversity(real, fake, classes),
            "ms_ssim": class_similarity(real, fake, classes, self.seed),
            "neighborhood": neighborhood_beside_real(real, fake, threshold, self.seed),
            "fidelity": self._fidelity(generator, level),
        }

    def glance(self, generator: Generator, average: Generator | None, stage: Stage) -> dict[str, Any]:
        """A look at a small sample while training: what the detectors judge, and how checkpoints compare.

        ``finite``: are all pictures; ``diversity``: of ``generator`` over the real pictures' of a class, null without
        a pair; ``score``: mean sliced Wasserstein distance of ``average``, where it is given, from the real pictures.
        Pictures are taken as the stage has them, and averaged down to at most 80×64.
        """
        table = self._some(GLANCE_PICTURES)
        density, view = table["density"].to_pylist(), table["view"].to_pylist()
        real = self.feed.pictures(table, stage.level)[:, 0]
        if stage.fading:
            old = metrics.reduced(real, real.shape[1] // 2).repeat(2, axis=1).repeat(2, axis=2)
            real = old + stage.alpha * (real - old)
        asked = self._latents(len(density)), codes(density, view)
        networks = [network for network in (generator, average) if network is not None]
        made = [_together(network, *asked, stage) for network in networks]
        glance = {"level": stage.level, "finite": all(bool(np.isfinite(pictures).all()) for pictures in made)}
        if not glance["finite"]:
            return {**glance, "diversity": None, "score": None}
        real, *made = (metrics.reduced(pictures.clip(-1, 1), GLANCE_ROWS) for pictures in (real, *made))
        classes = [f"{d} {v}" for d, v in zip(density, view, strict=True)]
        return {
            **glance,
            "diversity": metrics.diversity(real, made[0], classes)["mean"],
            "score": None if average is None else metrics.sliced_wasserstein(made[1], real, self.seed)["mean"],
        }

    def _some(self, most: int) -> pa.Table:
        """At most so many training rows, always the same."""
        count = min(most, self.feed.table.num_rows)
        rows = np.sort(np.random.default_rng(self.seed).permutation(self.feed.table.num_rows)[:count])
        return self.feed.table.take(pa.array(rows))

    def _fidelity(self, generator: Generator, level: int) -> dict[str, Any]:
        asked = [pair for pair in self.feed.conditions for _ in range(PER_DENSITY)]
        density, view = [d for d, _ in asked], [v for _, v in asked]
        fake = to_gray(self._generate(generator, density, view, level)[:, None])
        held_back = self.feed.table.slice(0, 0) if self.held_back is None else self.held_back.slice(0, MOST_PICTURES)
        estimator = self.estimator if fake.shape[1] >= LEAST_ROWS_JUDGED else None
        learned_from, known = self._gray(self._some(LEARNED_FROM), level), self._gray(held_back, level)
        return class_fidelity(estimator, learned_from, known, Pictures(fake, view, density))

    def _gray(self, table: pa.Table, level: int) -> Pictures:
        gray = to_gray(self.feed.pictures(table, level)) if table.num_rows else np.empty((0, 1, 1), np.uint16)
        return Pictures(gray, *(table[name].to_pylist() for name in ("view", "density", "patient")))

    def _latents(self, count: int) -> np.ndarray:
        return np.random.default_rng(self.seed).standard_normal((count, self.latent_size), np.float32)

    def density(self, generator: Generator, level: int) -> dict[str, Any]:
        """Does the dense fraction of generated pictures follow the density asked for; the real pictures' beside it."""
        table = self.feed.table.slice(0, MOST_PICTURES) if self.feed.table.num_rows > MOST_PICTURES else self.feed.table
        real = self.feed.pictures(table, level)[:, 0]
        threshold = metrics.dense_threshold(real)
        asked = [pair for pair in self.feed.conditions for _ in range(PER_DENSITY)]
        density, view = [d for d, _ in asked], [v for _, v in asked]
        fake = self._generate(generator, density, view, level)
        return {
            "threshold": threshold,
            "real": metrics.follows_density(metrics.dense_fractions(real, threshold), table["density"].to_pylist()),
            "generated": metrics.follows_density(metrics.dense_fractions(fake, threshold), density),
        }

    def _generate(self, generator: Generator, density: list[str], view: list[str], level: int) -> np.ndarray:
        asked = self._latents(len(density)), codes(density, view)
        return _together(generator, *asked, Stage(level, 1.0, False)).clip(-1, 1)

    def grid(self, generator: Generator, level: int) -> bytes:
        """The sample grid as PNG: a row a density seen, the same latents in each row, CC beside MLO."""
        latents = self._latents(GRID_LATENTS)
        densities = [d for d in DENSITIES if any(d == seen for seen, _ in self.feed.conditions)]
        views = [v for v in VIEWS if any(v == seen for _, seen in self.feed.conditions)]
        rows = []
        for density in densities:
            wanted = [codes([density] * GRID_LATENTS, [view] * GRID_LATENTS) for view in views]
            rows.append(to_gray(np.concatenate([generate(generator, latents, code, level) for code in wanted])))
        return grid_png(rows, densities)


@torch.no_grad()
def _together(generator: Generator, latents: np.ndarray, code: np.ndarray, stage: Stage) -> np.ndarray:
    """Pictures float32 (n, rows, columns) of a stage, several at a time: quick, and the same for the same asked.

    Of a generator of pairs, the view that the code names.
    """
    device = next(generator.parameters()).device
    wide, pictures = widened(code, generator.code_size), []
    for start in range(0, len(latents), CHUNK):
        part = (torch.from_numpy(array[start : start + CHUNK]).to(device) for array in (latents, wide))
        pictures.append(generator(*part, stage.level, stage.alpha, stage.fading).cpu().numpy())
    views = np.concatenate(pictures)
    own = (code[:, VIEW] > 0.5).astype(int) if views.shape[1] > 1 else np.zeros(len(views), int)
    return views[np.arange(len(views)), own]


@torch.no_grad()
def usual_stddev(critic: Critic, feed: Feed, level: int, batch_size: int, batches: int = 16) -> float:
    """Mean of the critic's minibatch statistic over real batches: what a picture scored alone is given."""
    device = next(critic.parameters()).device
    figures = []
    for index in range(batches):
        pictures = torch.from_numpy(feed.batch(index * batch_size, batch_size, level).pictures)
        figures.append(float(critic.stddev_of(pictures.to(device), level).mean()))
    return float(np.mean(figures))


def critic_scores(critic: Critic, feed: Feed, held_back: pa.Table, level: int) -> dict[str, Any]:
    """Calibration of the critic on training and held-back real pictures, and how well its score tells one from other.

    ``membership_auc``: the chance that a training picture scores higher than one held back (0.5: it cannot tell; 1: it
    knows its training pictures by heart, and whoever has it can find out who was in the training set); null where
    none is held back.
    """
    from scipy.stats import mannwhitneyu

    training, validation = (_scores(critic, feed, table, level) for table in (feed.table, held_back))
    auc = None
    if len(validation):
        auc = float(mannwhitneyu(training, validation).statistic) / (len(training) * len(validation))
    return {"training": calibrated(training), "validation": calibrated(validation), "membership_auc": auc}


def _scores(critic: Critic, feed: Feed, table: pa.Table, level: int) -> np.ndarray:
    parts = [np.empty(0)]
    for part in portions(table):
        condition = codes(part["density"].to_pylist(), part["view"].to_pylist())
        parts.append(scores(critic, feed.pictures(part, level), condition, level))
    return np.concatenate(parts)


def portions(table: pa.Table) -> Iterator[pa.Table]:
    """A table in portions whose pictures fit memory at any level."""
    for start in range(0, table.num_rows, PORTION):
        yield table.slice(start, PORTION)


def calibrated(values: np.ndarray) -> dict[str, Any]:
    """Count, mean, deviation and quantiles of values of real pictures; nulls where there are none."""
    if not len(values):
        return {"images": 0, "mean": None, "deviation": None, "quantiles": None}
    return {
        "images": len(values),
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        "quantiles": {f"{q:.2f}": float(np.quantile(values, q)) for q in QUANTILES},
    }

"""What a training says of itself: figures at the end of each level, the critic's calibration, the sample grid."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pipelines.pgan import metrics
from pipelines.pgan.conditions import codes
from pipelines.pgan.feed import Feed, to_gray
from pipelines.pgan.model import generate, scores
from pipelines.pgan.networks import Critic, Generator
from pipelines.pgan.samples import write_grid
from pipelines.storage.tables import DENSITIES, VIEWS

MOST_PICTURES = 256
PER_DENSITY = 24
GRID_LATENTS = 6
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Watch:
    """A fixed set of training rows and latents on which each level is measured."""

    feed: Feed
    latent_size: int
    seed: int

    def measure(self, generator: Generator, level: int) -> dict[str, Any]:
        """Distance to the real pictures beside real-vs-real, diversity, and whether density follows, at a level."""
        count = min(MOST_PICTURES, self.feed.table.num_rows)
        rows = np.sort(np.random.default_rng(self.seed).permutation(self.feed.table.num_rows)[:count])
        table = self.feed.table.take(pa.array(rows))
        real = self.feed.pictures(table, level)[:, 0]
        density, view = table["density"].to_pylist(), table["view"].to_pylist()
        fake = self._generate(generator, density, view, level)
        classes = [f"{d} {v}" for d, v in zip(density, view, strict=True)]
        return {
            "level": level,
            "resolution": list(real.shape[1:]),
            "sliced_wasserstein": metrics.distance_to_real(real, fake, self.seed),
            "diversity": metrics.diversity(real, fake, classes),
        }

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
        latents = np.random.default_rng(self.seed).standard_normal((len(density), self.latent_size), np.float32)
        return generate(generator, latents, codes(density, view), level)[:, 0].clip(-1, 1)

    def write_grid(self, generator: Generator, level: int, path: Path) -> None:
        """The sample grid: a row a density seen, the same latents in each row, CC beside MLO."""
        latents = np.random.default_rng(self.seed).standard_normal((GRID_LATENTS, self.latent_size), np.float32)
        densities = [d for d in DENSITIES if any(d == seen for seen, _ in self.feed.conditions)]
        views = [v for v in VIEWS if any(v == seen for _, seen in self.feed.conditions)]
        rows = []
        for density in densities:
            wanted = [codes([density] * GRID_LATENTS, [view] * GRID_LATENTS) for view in views]
            rows.append(to_gray(np.concatenate([generate(generator, latents, code, level) for code in wanted])))
        write_grid(path, rows, densities)


@torch.no_grad()
def usual_stddev(critic: Critic, feed: Feed, level: int, batch_size: int, batches: int = 16) -> float:
    """Mean of the critic's minibatch statistic over real batches: what a picture scored alone is given."""
    device = next(critic.parameters()).device
    figures = []
    for index in range(batches):
        pictures = torch.from_numpy(feed.batch(index * batch_size, batch_size, level).pictures)
        figures.append(float(critic.stddev_of(pictures.to(device), level).mean()))
    return float(np.mean(figures))


def calibrate(critic: Critic, feed: Feed, table: pa.Table, level: int) -> dict[str, Any]:
    """Count, mean, deviation and quantiles of the critic's scores of real pictures; nulls where there are none."""
    if not table.num_rows:
        return {"images": 0, "mean": None, "deviation": None, "quantiles": None}
    condition = codes(table["density"].to_pylist(), table["view"].to_pylist())
    values = scores(critic, feed.pictures(table, level), condition, level)
    return {
        "images": len(values),
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        "quantiles": {f"{q:.2f}": float(np.quantile(values, q)) for q in QUANTILES},
    }

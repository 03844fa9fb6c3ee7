"""How good a set of kept pictures is as a whole, without any downloaded network, each figure beside its real baseline.

What fills a deficit is of the short classes, so real pictures are matched to it: of every density and view as many kept
ones as there are in either of two halves of the real ones. The kept pictures are held against one half, the other half
against the same one.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.pgan.frechet import frechet_distance
from pipelines.pgan.manifold import NEIGHBORS, neighborhood
from pipelines.pgan.metrics import sliced_wasserstein
from pipelines.pgan.similarity import class_similarity

MOST_PICTURES = 256
"""Pictures a side."""

Features = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Classed:
    """Pictures uint16 0…4095 (n, rows, columns) and the class (density and view) of each."""

    pictures: np.ndarray
    classes: Sequence[str]


def measure_kept(real: Classed, kept: Classed, features: Features | None, seed: int = 0) -> dict[str, Any]:
    """Figures of ``kept`` beside those of ``real``; ``features`` gives feature vectors (n, size), float64, of pictures.

    ``sliced_wasserstein`` per pyramid level, × 10³; ``ms_ssim`` of pairs within a class; ``neighborhood`` (precision,
    recall, density, coverage) and ``frechet`` in feature space. All null with fewer than two matched pictures, those in
    feature space without features or with too few pictures for their neighborhoods.
    """
    first, second, chosen = _matched(real.classes, kept.classes, seed)
    figures: dict[str, Any] = {
        "pictures": len(chosen),
        "sliced_wasserstein": None,
        "ms_ssim": None,
        "neighborhood": None,
        "frechet": None,
    }
    if len(chosen) < 2:
        return figures
    gray = [_unit(s.pictures[rows]) for s, rows in ((real, first), (real, second), (kept, chosen))]
    figures["sliced_wasserstein"] = {
        "generated": sliced_wasserstein(gray[2], gray[0], seed),
        "real": sliced_wasserstein(gray[1], gray[0], seed),
    }
    figures["ms_ssim"] = class_similarity(gray[1], gray[2], [kept.classes[i] for i in chosen], seed)
    if features is not None and len(chosen) > NEIGHBORS:
        a, b = (features(real.pictures[rows]) for rows in (first, second))
        made = features(kept.pictures[chosen])
        figures["neighborhood"] = {"generated": neighborhood(a, made), "real": neighborhood(a, b)}
        figures["frechet"] = {"generated": frechet_distance(made, a), "real": frechet_distance(b, a)}
    return figures


def _matched(real: Sequence[str], kept: Sequence[str], seed: int) -> tuple[list[int], list[int], list[int]]:
    """Rows of two halves of the real pictures and of the kept ones, class by class as many of each."""
    rng = np.random.default_rng(seed)
    own, made = _rows(real, rng), _rows(kept, rng)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for name in sorted(set(own) & set(made)):
        count = min(len(own[name]) // 2, len(made[name]), max(1, MOST_PICTURES // len(set(made))))
        for part, rows in zip(
            parts, (own[name][:count], own[name][count : 2 * count], made[name][:count]), strict=True
        ):
            part.extend(rows)
    return parts


def _rows(classes: Sequence[str], rng: np.random.Generator) -> dict[str, list[int]]:
    """The rows of each class, in a shuffled order."""
    rows: dict[str, list[int]] = defaultdict(list)
    for i in rng.permutation(len(classes)).tolist():
        rows[classes[i]].append(i)
    return rows


def _unit(gray: np.ndarray) -> np.ndarray:
    return gray.astype(np.float32) / 2047.5 - 1

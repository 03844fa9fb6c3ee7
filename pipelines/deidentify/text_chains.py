"""Chains of strokes within the breast that stand like a line of letters, told from vessels and calcifications.

A chain runs from stroke to stroke where the next one begins at the height of the last, is of its size and about as
strong. A logistic model of a dozen facts of a chain and of their products (``text_chains.csv``, fitted to texts burned
into pictures that nothing is measured on) gives its log-odds of being text.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

_LEAST_HEIGHT = 4
_NEXT = 6
_REACH = 1.1
_LEAST_LENGTH, _MOST_SLOPE = float(np.log(2)), 0.35

FACTS = (
    "strokes", "length", "height_spread", "off_line", "slope", "contrast", "contrast_spread", "fill", "inked", "width",
    "height", "width_spread",
)  # fmt: skip
"""What is known of a chain; ``strokes``, ``length`` and ``height`` as logarithms, lengths over the mean height."""

_LENGTH, _SLOPE = FACTS.index("length"), FACTS.index("slope")


@dataclass(frozen=True)
class Strokes:
    """Strokes of a picture: ``boxes`` of shape (n, 4) as left, top, width, height; ``areas`` in pixels; ``contrast``
    over the local limit, 1 and more; and which lie ``within`` the breast.
    """

    boxes: np.ndarray
    areas: np.ndarray
    contrast: np.ndarray
    within: np.ndarray

    def only(self, which: np.ndarray) -> "Strokes":
        """Some of them, by a mask."""
        return Strokes(self.boxes[which], self.areas[which], self.contrast[which], self.within[which])

    def turned(self) -> "Strokes":
        """The same with rows and columns exchanged, so that text that runs upwards runs along."""
        return Strokes(self.boxes[:, [1, 0, 3, 2]], self.areas, self.contrast, self.within)


def chains(strokes: Strokes) -> np.ndarray:
    """The number, from 0, of the chain that each stroke belongs to: strokes that follow one another along rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    left, top, width, height = strokes.boxes.T.astype(np.float64)
    count = len(left)
    middle = top + height / 2
    tree = cKDTree(np.stack([left, middle], 1))
    distance, follower = tree.query(np.stack([left + width, middle], 1), min(_NEXT, count))
    here = np.repeat(np.arange(count), min(_NEXT, count))
    there, away = follower.ravel(), distance.ravel()
    onward = (here != there) & (left[there] + width[there] > left[here] + width[here])
    here, there, away = here[onward], there[onward], away[onward]
    low, high = np.minimum(height[here], height[there]), np.maximum(height[here], height[there])
    overlap = np.minimum(top[here] + height[here], top[there] + height[there]) - np.maximum(top[here], top[there])
    ratio = strokes.contrast[here] / np.maximum(strokes.contrast[there], 1e-6)
    alike = (away <= _REACH * high + 1) & (overlap >= 0.5 * low) & (low >= 0.45 * high)
    alike &= (low >= _LEAST_HEIGHT) & (ratio < 3) & (ratio > 1 / 3)
    links = coo_array((np.ones(int(alike.sum())), (here[alike], there[alike])), shape=(count, count))
    numbers: np.ndarray = connected_components(links, directed=False)[1]
    return numbers


def facts(strokes: Strokes, numbers: np.ndarray) -> np.ndarray:
    """What the model looks at, of shape (chains, facts)."""
    left, top, width, height = strokes.boxes.T.astype(np.float64)
    count = np.bincount(numbers).astype(np.float64)
    chains = len(count)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(numbers, values, chains) / count

    def spread(values: np.ndarray) -> np.ndarray:
        return np.sqrt(mean((values - mean(values)[numbers]) ** 2))

    begin, end = np.full(chains, np.inf), np.full(chains, -np.inf)
    np.minimum.at(begin, numbers, left)
    np.maximum.at(end, numbers, left + width)
    length = end - begin
    tall = np.maximum(mean(height), 1)
    across, middle = left + width / 2, top + height / 2
    from_middle = across - mean(across)[numbers]
    slope = mean(from_middle * middle) / np.maximum(mean(from_middle**2), 0.25 * tall**2)
    off = middle - mean(middle)[numbers] - slope[numbers] * from_middle
    contrast = np.log(strokes.contrast)
    fill = np.bincount(numbers, strokes.areas, chains) / np.bincount(numbers, width * height, chains)
    return np.stack(
        [
            np.log(count),
            np.log(length / tall),
            spread(height) / tall,
            np.sqrt(mean(off**2)) / tall,
            np.abs(slope),
            mean(contrast),
            spread(contrast),
            fill,
            np.bincount(numbers, width, chains) / length,
            mean(width) / tall,
            np.log(tall),
            spread(width) / tall,
        ],
        axis=1,
    )


def possible(found: np.ndarray) -> np.ndarray:
    """Which chains, by their facts, can be text at all: long enough, and not steep."""
    can: np.ndarray = (found[:, _LENGTH] > _LEAST_LENGTH) & (found[:, _SLOPE] < _MOST_SLOPE)
    return can


def terms(found: np.ndarray) -> np.ndarray:
    """What the model adds up: the facts, and the product of each with itself and those behind it."""
    return np.hstack([found, *(found[:, [k]] * found[:, k:] for k in range(found.shape[1]))])


def term_names() -> list[str]:
    """The names of the terms."""
    return [*FACTS, *(f"{one}*{other}" for k, one in enumerate(FACTS) for other in FACTS[k:])]


def log_odds(strokes: Strokes, numbers: np.ndarray) -> np.ndarray:
    """The log-odds that each chain is a line of text; minus infinity where it cannot be one."""
    found = facts(strokes, numbers)
    odds = np.full(len(found), -np.inf)
    can = possible(found)
    weights = _model()
    odds[can] = terms(found[can]) @ weights[:-1] + weights[-1]
    return odds


def best_log_odds(strokes: Strokes) -> np.ndarray:
    """For each stroke the log-odds of the chain that it is in, along rows or along columns, whichever is the higher."""
    found = []
    for way in (strokes, strokes.turned()):
        numbers = chains(way)
        found.append(log_odds(way, numbers)[numbers])
    best: np.ndarray = np.maximum(*found)
    return best


@lru_cache(maxsize=1)
def _model() -> np.ndarray:
    """The weights of the terms and, last, the bias."""
    with Path(__file__).with_name("text_chains.csv").open(encoding="utf-8", newline="") as file:
        weights = {row["term"]: float(row["weight"]) for row in csv.DictReader(file)}
    return np.array([weights[name] for name in (*term_names(), "bias")])

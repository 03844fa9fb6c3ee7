"""Walks through a generator's latents, as a strip of pictures and as a film that goes there and back."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.storage.atomic import replacing
from pipelines.storage.tables import DENSITIES, VIEWS
from pipelines.synthesize.breast import clear_air, find_breast
from pipelines.synthesize.settings import SynthesisSettings
from pipelines.synthesize.sheet import COLUMNS, Row, draw_rows, gray_image

Along = Callable[[str, str, str, int], NDArray[np.uint16]]
"""Along density with one latent: from a density to another, view, frames → uint16 (frames, rows, columns)."""

Between = Callable[[str, str, int], NDArray[np.uint16]]
"""Between two pictures of a density and view, frames → uint16 (frames, rows, columns)."""

FRAMES = 24
_MILLISECONDS, _REST = 80, 600
_LEAST_ROWS = 320


def write_strip(path: Path, frames: NDArray[np.uint16], name: str, word: str) -> None:
    """Write eight of the frames (n, rows, columns), evenly chosen with the first and the last, as a PNG in a row."""
    frames = _cleared(frames)
    chosen = np.unique(np.linspace(0, len(frames) - 1, COLUMNS).round().astype(int))
    draw_rows(path, [Row(name, word, [(str(i + 1), frames[i]) for i in chosen])])


def write_film(path: Path, frames: NDArray[np.uint16]) -> None:
    """Write the frames as an endless GIF in 256 grays, there and back, small ones enlarged.

    The same frames give the same bytes. Raises ValueError where there is no frame.
    """
    if not len(frames):
        raise ValueError("a film has at least one frame")
    factor = max(1, -(-_LEAST_ROWS // frames.shape[1]))
    size = frames.shape[2] * factor, frames.shape[1] * factor
    images = [gray_image(frame, size) for frame in _cleared(frames)]
    images += images[-2:0:-1]
    rests = {0, len(frames) - 1}
    durations = [_REST if i in rests else _MILLISECONDS for i in range(len(images))]
    with replacing(path) as temporary:
        images[0].save(
            temporary, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False
        )


def _cleared(frames: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The frames with their air at 0, as kept pictures have it."""
    floor = SynthesisSettings.air_floor
    return np.stack([clear_air(frame, find_breast(frame, floor), floor) for frame in frames])


def neighboring(conditions: Collection[tuple[str, str]], view: str) -> Sequence[str]:
    """The longest run of neighboring densities that a model has seen in a view; densities between them can be asked."""
    runs: list[list[str]] = [[]]
    for density in DENSITIES:
        if (density, view) in conditions:
            runs[-1].append(density)
        else:
            runs.append([])
    return max(runs, key=len)


def draw_gallery(path: Path, conditions: Collection[tuple[str, str]], along: Along, between: Between) -> bool:
    """Write the gallery as PNG: for each view a walk along density, then one between two pictures of a middle density.

    Writes nothing where the model has seen no condition.
    """
    rows = []
    for view in VIEWS:
        known = neighboring(conditions, view)
        if len(known) > 1:
            frames = _cleared(along(known[0], known[-1], view, COLUMNS))
            ranks = np.linspace(DENSITIES.index(known[0]), DENSITIES.index(known[-1]), COLUMNS)
            captions = [density_in_words(rank) for rank in ranks]
            rows.append(Row(f"{known[0]}-{known[-1]}", f"{view}, density", list(zip(captions, frames, strict=True))))
    for view in VIEWS:
        known = neighboring(conditions, view)
        if known:
            middle = known[len(known) // 2]
            frames = _cleared(between(middle, view, COLUMNS))
            shares = [f"{round(100 * share)} %" for share in np.linspace(0, 1, COLUMNS)]
            rows.append(Row(middle, f"{view}, latent", list(zip(shares, frames, strict=True))))
    if rows:
        draw_rows(path, rows)
    return bool(rows)


def density_in_words(rank: float) -> str:
    """A rank 0…3 as a class, or as the share of the way between two: ``B + 0.43``."""
    below = min(int(rank), len(DENSITIES) - 1)
    over = rank - below
    return DENSITIES[below] if over < 0.005 else f"{DENSITIES[below]} + {over:.2f}"

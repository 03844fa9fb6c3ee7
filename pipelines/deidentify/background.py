"""Of a mammogram, all that is neither breast nor a marker that stays, as boxes to blank."""

import numpy as np

from pipelines.deidentify.text_candidates import Box, Scene
from pipelines.deidentify.text_reading import DetectorError

_MARGIN = 5  # cells around the breast that stay, so that no skin is cut away
_LEAST_PART = 0.25  # of the largest part: two breasts may lie in one picture, a label is smaller


def background(scene: Scene, kept: list[Box]) -> list[Box]:
    """Boxes that cover a picture but for its breast, with a margin, and for the boxes that are ``kept``.

    Raises DetectorError, breast_not_found, where the picture holds no breast: all of it would go.
    """
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(scene.mask)
    if count < 2:
        raise DetectorError("breast_not_found")
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    breast = (areas >= _LEAST_PART * areas.max())[labels].astype(np.uint8)
    stays = cv2.dilate(breast, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8))
    rows, columns = (-(-n // scene.step) for n in scene.shape[:2])
    grid = np.zeros((rows, columns), bool)
    grid[: stays.shape[0], : stays.shape[1]] = stays > 0
    grid[stays.shape[0] :] = grid[stays.shape[0] - 1]
    grid[:, stays.shape[1] :] = grid[:, stays.shape[1] - 1 : stays.shape[1]]
    for top, left, bottom, right in kept:
        cells = (max(0, top) // scene.step, -(-bottom // scene.step), max(0, left) // scene.step)
        grid[cells[0] : cells[1], cells[2] : -(-right // scene.step)] = True
    step = scene.step
    return [(t * step, x * step, b * step, r * step) for t, x, b, r in _rectangles(~grid)]


def _rectangles(cells: np.ndarray) -> list[Box]:
    """Rectangles that make up the cells that are set: runs of each row, joined with the same runs above them."""
    found: list[Box] = []
    running: dict[tuple[int, int], int] = {}
    for row in range(len(cells) + 1):
        line = cells[row] if row < len(cells) else np.zeros(cells.shape[1], bool)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
        runs = {(int(a), int(b)) for a, b in edges.reshape(-1, 2)}
        found += [(running.pop(run), run[0], row, run[1]) for run in sorted(set(running) - runs)]
        running |= {run: row for run in runs if run not in running}
    return sorted(found)

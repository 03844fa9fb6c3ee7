"""Odd pictures made on purpose: what a detector of novel pictures is tried on, since nobody labels the odd ones.

Each is drawn into, or in the place of, a real standard picture (uint16, 0…4095, air 0, chest wall on the left), so that
only the oddity tells it from the real ones. The same picture and seed give the same oddity.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint16]
Floats = NDArray[np.float64]

WHITE = 4095

_AIR = 64
"""Gray up to which a pixel is air."""


def implant(picture: Picture, random: np.random.Generator) -> Picture:
    """A silicone implant: a smooth, bright, sharply bordered body against the chest wall, a third to a half as high and
    as wide as the breast."""
    gray, inside = picture.astype(np.float64), picture > _AIR
    top, bottom, width = _extent(inside)
    high, wide = (bottom - top) * random.uniform(0.3, 0.45), width * random.uniform(0.45, 0.7)
    center = (top + bottom) / 2 + random.uniform(-0.1, 0.1) * (bottom - top)
    distance = _distance(picture.shape, (center, 0.0), (high, wide))
    body = np.where(distance < 1, WHITE * random.uniform(0.8, 0.95) * (1 - 0.08 * distance), 0)
    return _gray(np.where(inside, np.maximum(gray, body), gray))


def marker(picture: Picture, random: np.random.Generator) -> Picture:
    """Lead markers laid on the breast: a bright plate with letters cut out of it, and a row of letters beside it."""
    gray = picture.copy()
    rows, columns = picture.shape
    top, bottom, width = _extent(picture > _AIR)
    high, wide = max(4, round(0.14 * rows)), max(6, round(0.22 * columns))
    y = round(random.uniform(top, max(top + 1, bottom - 2 * high)))
    x = round(random.uniform(0.1, 0.5) * width)
    gray[y : y + high, x : x + wide] = WHITE
    gray[_letters(picture.shape, str(random.choice(["RCC", "LMLO", "R", "L"])), (x + 1, y + high - 1))] = 0
    gray[_letters(picture.shape, "TECH 1", (x, y + 2 * high))] = WHITE
    return gray


def wrong_body_part(picture: Picture, random: np.random.Generator) -> Picture:
    """A chest or a hand in place of the breast, with the breast picture's own noise of gray."""
    draw = (_chest, _hand)[int(random.integers(2))]
    body = draw(picture.shape, random)
    return _gray(np.where(body > 0, body + random.normal(0, 60, picture.shape), 0))


def upside_down(picture: Picture, random: np.random.Generator) -> Picture:
    """The picture turned by half: what was the chest wall is on the right."""
    return np.ascontiguousarray(picture[::-1, ::-1])


def phantom(picture: Picture, random: np.random.Generator) -> Picture:
    """A test object: a block of plastic at the chest wall with specks, fibers and masses, or a wedge of steps."""
    rows, columns = picture.shape
    body = np.zeros(picture.shape, np.float32)
    high, wide = round(random.uniform(0.5, 0.9) * rows), round(random.uniform(0.6, 0.95) * columns)
    top = (rows - high) // 2
    if random.random() < 0.5:
        steps = np.repeat(np.linspace(0.2, 0.95, 8) * WHITE, -(-high // 8))[:high]
        body[top : top + high, :wide] = steps[:, None]
    else:
        body[top : top + high, :wide] = WHITE * random.uniform(0.3, 0.6)
        for place in range(16):
            center = (round((place % 4 + 0.5) * wide / 4), top + round((place // 4 + 0.5) * high / 4))
            side = max(1, rows // 40) * (1 + place % 3)
            gray = float(WHITE * random.uniform(0.65, 1))
            if place // 4 % 2:
                cv2.circle(body, center, side, gray, -1)
            else:
                cv2.line(body, (center[0] - side, center[1] - side), (center[0] + side, center[1] + side), gray, 1)
    return _gray(np.where(body > 0, body + random.normal(0, 30, picture.shape), 0))


KINDS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "implant": implant,
    "marker": marker,
    "wrong_body_part": wrong_body_part,
    "upside_down": upside_down,
    "phantom": phantom,
}
"""The oddities by name."""


def inject(pictures: Picture, kind: str, seed: int = 0) -> Picture:
    """An oddity of a kind for each of the pictures (n, rows, columns)."""
    draw = KINDS[kind]
    made = [draw(p, np.random.default_rng((seed, *kind.encode(), i))) for i, p in enumerate(pictures)]
    return np.stack(made) if made else pictures


def _extent(inside: NDArray[np.bool_]) -> tuple[int, int, int]:
    """First and last row of the breast, and its greatest width; the whole picture where there is none."""
    if not inside.any():
        return 0, inside.shape[0] - 1, inside.shape[1]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return int(rows[0]), int(rows[-1]), int(columns[-1]) + 1


def _distance(shape: tuple[int, ...], center: tuple[float, float], radii: tuple[float, float]) -> Floats:
    """Distance of every pixel from an ellipse's center, 1 on its border."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    found: Floats = np.hypot((y - center[0]) / radii[0], (x - center[1]) / radii[1])
    return found


def _letters(shape: tuple[int, ...], text: str, place: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a text (a 25th of the picture high) is written, its lower left corner at (column, row)."""
    page = np.zeros(shape, np.uint8)
    cv2.putText(page, text, place, cv2.FONT_HERSHEY_SIMPLEX, shape[0] / 400, 255, max(1, shape[0] // 100))
    return page > 127


def _chest(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """A chest: two dark lungs with ribs across them, the spine and the heart between."""
    rows, columns = shape
    body = np.full(shape, WHITE * random.uniform(0.55, 0.75))
    y, x = np.mgrid[:rows, :columns]
    ribs = 300 * (np.sin(y * 2 * np.pi * 9 / rows + x * 2 / columns) > 0.3)
    for side in (0.28, 0.72):
        lung = _distance(shape, (0.45 * rows, side * columns), (0.36 * rows, random.uniform(0.16, 0.2) * columns)) < 1
        body[lung] = (WHITE * random.uniform(0.15, 0.25) + ribs)[lung]
    heart = _distance(shape, (0.6 * rows, 0.56 * columns), (0.17 * rows, 0.2 * columns)) < 1
    body[heart] = WHITE * 0.8
    return body


def _hand(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """A hand: palm and five fingers with bones in them, from the left edge."""
    rows, columns = shape
    flesh, bone = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    palm = (0, round(0.5 * rows))
    cv2.ellipse(flesh, palm, (round(0.4 * columns), round(0.22 * rows)), 0, -90, 90, 1.0, -1)
    for finger in range(5):
        angle = np.deg2rad(-50 + 25 * finger + random.uniform(-6, 6))
        length = random.uniform(0.75, 0.95) * columns
        tip = (round(length * np.cos(angle)), round(0.5 * rows + 0.45 * rows * np.sin(angle)))
        cv2.line(flesh, palm, tip, 1.0, max(2, rows // 12))
        cv2.line(bone, palm, tip, 1.0, max(1, rows // 28))
    return np.asarray(WHITE * (0.3 * flesh + 0.45 * bone), np.float64)


def _gray(picture: NDArray) -> Picture:
    return np.clip(np.rint(picture), 0, WHITE).astype(np.uint16)

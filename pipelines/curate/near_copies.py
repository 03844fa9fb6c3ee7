"""Near copies: pictures that were re-windowed, re-sized, mirrored, cropped or compressed again, and are still the same.

Hashes name the candidates (`hashes`); the pictures decide. One is laid over the other by an affine map that maximizes
their correlation (Evangelidis & Psarakis 2008), and where both hold tissue two figures must be high: the correlation of
gray ranks, which two breasts of like shape can come near, and that of fine detail, which they cannot. Measured on 543
real pictures: copies of seven kinds had 0.985 and 0.66 or more (with hashes within reach 0.76), pictures of different
breasts or views up to 0.965 and 0.62, of one woman's two breasts up to 0.976 and 0.75. In smooth, fatty breasts noise
takes a little from the first figure, which a second figure far beyond the others makes good.

What is no copy: the two breasts of one woman, another view, a repeated exposure (the breast lies differently), the
contrast-enhanced picture of the same compression. A repeated exposure so like the first that both figures are reached
is treated as a copy: it would teach nothing that the first does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.curate.duplicates import copies, first_of_each
from pipelines.curate.hashes import ORIENTATIONS, candidates, unpack
from pipelines.storage.tables import COPIES
from pipelines.storage.workers import Progress, Result, Workers, silent

ALIKE = ((0.98, 0.75), (0.96, 0.90))
"""Correlation of gray ranks and of fine detail that copies have, the one or the other pair of figures."""

OVERLAP = 0.6
"""Share of the smaller breast that must lie within the other."""

SHAPES = ((64, 52), (128, 104))
"""Rows and columns at which pictures are laid over one another, coarse and fine."""

WORTH_SPREADING = 200
"""Candidates from which on other processes are worth their start."""

_DETAIL_SIGMA = 4.0
_STEPS = 60
_STEPS_OF_GRAY = 2048

Row = Mapping[str, Any]
Place = tuple[str, str, int]
"""Delivery, shard and row of a level B picture."""
Picture = Callable[[str, str, int], np.ndarray]


@dataclass(frozen=True)
class Likeness:
    """How alike two pictures are where both hold tissue, laid over one another; ``overlap`` is a share 0…1."""

    correlation: float
    detail: float
    overlap: float

    @property
    def is_copy(self) -> bool:
        """Are they one picture."""
        alike = any(self.correlation > gray and self.detail > detail for gray, detail in ALIKE)
        return alike and self.overlap > OVERLAP


NOT_ALIKE = Likeness(0.0, 0.0, 0.0)


def find_copies(
    rows: Sequence[Row], picture: Picture, workers: Workers | None = None, progress: Progress = silent
) -> pa.Table:
    """The table of COPIES from level B's kept rows in the order in which they came: exact pairs and near ones.

    ``picture`` gives level B's picture for delivery, shard and row, and must be fit to travel to other processes. Exact
    copies are paired with the first of their group, which alone stands for them among the near ones. Rows without a
    hash have no near copies.
    """
    found = [_pair(group[0], copy, "exact") for group in copies(rows) for copy in _others(group)]
    hashed = [row for row in first_of_each(rows) if row["picture_hash"] and row["shard"]]
    pairs = candidates(unpack([row["picture_hash"] for row in hashed])).tolist() if hashed else []
    spread = (workers or Workers()) if len(pairs) >= WORTH_SPREADING else Workers()
    tasks = [(_place(hashed[a]), _place(hashed[b]), ORIENTATIONS[o]) for a, b, _, o in pairs]
    results: list[Likeness] = []
    for result in spread.spread(partial(_compare, picture), tasks):
        results.append(_value(result))
        progress(len(results), len(tasks))
    for (a, b, apart, orientation), likeness in zip(pairs, results, strict=True):
        if likeness.is_copy:
            figures = {"correlation": round(likeness.correlation, 4), "detail": round(likeness.detail, 4)}
            lie = {"bits": apart, "orientation": ORIENTATIONS[orientation]}
            found.append(_pair(hashed[a], hashed[b], "near") | figures | lie)
    return COPIES.build(found)


def _others(group: Sequence[Row]) -> list[Row]:
    """The group's rows after the first, each image once: what came in two deliveries is no copy of itself."""
    unique = {row["image_id"]: row for row in reversed(group)}
    return [row for image_id, row in sorted(unique.items()) if image_id != group[0]["image_id"]]


def _value(result: "Result[tuple[Place, Place, str], Likeness]") -> Likeness:
    if result.value is None:
        raise RuntimeError(f"two pictures could not be compared: {result.failure}")
    return result.value


def _place(row: Row) -> Place:
    return row["delivery"], row["shard"], row["shard_row"]


def _compare(picture: Picture, task: tuple[Place, Place, str]) -> Likeness:
    one, other, orientation = task
    return compare(picture(*one), turn(picture(*other), orientation))


def turn(picture: np.ndarray, orientation: str) -> np.ndarray:
    """A picture as it lies in one of ORIENTATIONS."""
    rows = -1 if orientation in ("up_down", "turned") else 1
    columns = -1 if orientation in ("left_right", "turned") else 1
    return picture[::rows, ::columns]


def compare(one: np.ndarray, other: np.ndarray) -> Likeness:
    """Lay the other picture over the one (both uint16, air 0, any size) and measure how alike they are."""
    matrix = np.eye(2, 3, dtype=np.float32)
    for number, shape in enumerate(SHAPES):
        first, second = _ranked(one, shape), _ranked(other, shape)
        if number:
            matrix[:, 2] *= shape[0] / SHAPES[number - 1][0]
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-4)
        try:
            blur = 3 if number else 5
            _, found = cv2.findTransformECC(first, second, matrix, cv2.MOTION_AFFINE, stop, None, blur)  # type: ignore[call-overload]
        except cv2.error:  # it does not converge: they are nothing alike
            return NOT_ALIKE
        matrix = np.asarray(found, np.float32)
    return _likeness(first, second, matrix)


def _likeness(first: NDArray[np.float32], second: NDArray[np.float32], matrix: NDArray[np.float32]) -> Likeness:
    size, flags = first.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(second, matrix, size, flags=flags)
    inside = cv2.warpAffine((second > 0).astype(np.float32), matrix, size, flags=flags) > 0.99
    both = inside & (first > 0)
    smaller = min(int((first > 0).sum()), int((second > 0).sum()))
    if both.sum() < 100:
        return NOT_ALIKE
    # In whole steps, or rounding would rank the pixels of a saturated picture, which are all alike, by chance.
    one, other = (_spread_evenly(np.rint(values * _STEPS_OF_GRAY), both) for values in (first, moved))
    return Likeness(
        correlation=_correlation(one[both], other[both]),
        detail=_correlation(_detail(one, both), _detail(other, both)),
        overlap=float(both.sum() / max(1, smaller)),
    )


def _ranked(picture: np.ndarray, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The breast's crop at a shape, each pixel by its rank among the breast's, 0…1; air 0."""
    rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
    if not len(rows):
        return np.zeros(shape, np.float32)
    crop = np.ascontiguousarray(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    small = cv2.resize(crop, SHAPES[-1][::-1], interpolation=cv2.INTER_AREA)
    ranks = _spread_evenly(small.astype(np.float32), small > 0)
    return np.asarray(cv2.resize(ranks, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _spread_evenly(values: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The values by their rank among those ``where`` (of equals the middle one), 0…1; 0 elsewhere."""
    out = np.zeros(values.shape, np.float32)
    _, inverse, counts = np.unique(values[where], return_inverse=True, return_counts=True)
    if len(counts):
        out[where] = ((np.cumsum(counts) - counts / 2) / counts.sum())[inverse]
    return out


def _detail(values: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What a wide mean over the tissue around takes away from each of its pixels."""
    weight = cv2.GaussianBlur(where.astype(np.float32), (0, 0), _DETAIL_SIGMA)
    mean = cv2.GaussianBlur(values, (0, 0), _DETAIL_SIGMA) / np.maximum(weight, 1e-3)
    return np.asarray((values - mean)[where], np.float32)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    a, b = one.astype(np.float64) - one.mean(), other.astype(np.float64) - other.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def _pair(first: Row, second: Row, kind: str) -> dict[str, Any]:
    known = first["patient"] is not None and second["patient"] is not None
    return {
        "image_id": second["image_id"],
        "copy_of": first["image_id"],
        "kind": kind,
        "same_patient": first["patient"] == second["patient"] if known else None,
        "bits": None,
        "correlation": None,
        "detail": None,
        "orientation": None,
    }

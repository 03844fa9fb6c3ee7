"""The standard picture: the breast cropped, chest wall on the left, fitted into rows × columns, everything else 0.

The breast keeps its aspect ratio, touches the left edge with its chest wall, and lies in the middle between top and
bottom: MLO pictures mostly fill the height anyway, and a centered CC picture has its nipple near the middle row.
Gray values are averaged over each output pixel's area (interpolated linearly where a small source is enlarged).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import pydicom
from scipy.sparse import csr_array

from pipelines.normalize.breast import Breast
from pipelines.normalize.grayscale import GrayScale
from pipelines.normalize.header import number, numbers

ROWS, COLUMNS = 1280, 1024
"""Size of the standard picture."""

FIXED_SPACING = 0.24
"""mm: 1280 × 1024 pixels of this size cover a detector of 24 × 30 cm."""

STRIP = 3 << 17
"""Source pixels that are resampled at a time: with their gray values they fit a cache of 2 MB."""


@dataclass(frozen=True)
class Placement:
    """Which part of the source goes where.

    ``top, left, bottom, right``: the crop in source pixels (half open); ``flipped``: columns run backwards;
    ``height, width``: the crop's size in the picture; ``first_row``: where its first row goes (its first column goes
    to column 0); ``rows, columns``: the picture; ``cut``: whether the breast is larger than the picture.
    """

    top: int
    left: int
    bottom: int
    right: int
    flipped: bool
    height: int
    width: int
    first_row: int
    rows: int
    columns: int
    cut: bool = False

    @property
    def enlarged(self) -> bool:
        """Whether the source has fewer pixels than the picture, along either side."""
        return self.height > self.bottom - self.top or self.width > self.right - self.left

    @property
    def affine(self) -> tuple[float, float, float, float, float, float]:
        """a, b, c, d, e, f: source row = a·row + b·column + c, source column = d·row + e·column + f.

        Row and column 0 are the centers of the first pixels, in the picture and in the source.
        """
        down, across = (self.bottom - self.top) / self.height, (self.right - self.left) / self.width
        row_shift = self.top - 0.5 + (0.5 - self.first_row) * down
        if self.flipped:
            return down, 0.0, row_shift, 0.0, -across, self.right - 0.5 - 0.5 * across
        return down, 0.0, row_shift, 0.0, across, self.left - 0.5 + 0.5 * across


def source_spacing(dataset: pydicom.Dataset) -> tuple[float, float] | None:
    """Row and column spacing in the breast's plane, in mm, or None.

    Imager Pixel Spacing (0018,1164) over the magnification factor, else Pixel Spacing (0028,0030), else Nominal
    Scanned Pixel Spacing (0018,2010). Values without sense (zero, negative, above 2 mm) are as good as absent.
    """
    magnification = number(dataset, "EstimatedRadiographicMagnificationFactor") or 1.0
    if not 0.9 <= magnification <= 4:
        magnification = 1.0
    for keyword, divisor in (
        ("ImagerPixelSpacing", magnification),
        ("PixelSpacing", 1.0),
        ("NominalScannedPixelSpacing", 1.0),
    ):
        found = numbers(dataset, keyword)
        if len(found) == 2 and all(0.005 < value <= 2 for value in found):
            return found[0] / divisor, found[1] / divisor
    return None


def pixel_aspect(dataset: pydicom.Dataset) -> float:
    """Column spacing over row spacing, by the spacing, else by Pixel Aspect Ratio (PS3.3 C.7.6.3.1.7), else 1."""
    spacing = source_spacing(dataset)
    if spacing is not None:
        return spacing[1] / spacing[0]
    ratio = numbers(dataset, "PixelAspectRatio")  # vertical, horizontal
    return ratio[1] / ratio[0] if len(ratio) == 2 and all(1 <= value <= 10_000 for value in ratio) else 1.0


def place(
    breast: Breast,
    source_shape: tuple[int, int],
    *,
    chest_wall: str,
    aspect: float = 1.0,
    scale: float | None = None,
    rows: int = ROWS,
    columns: int = COLUMNS,
) -> Placement:
    """Crop to the breast and fit it, at the largest size at which all of it is in the picture, or at a fixed ``scale``.

    ``aspect`` is the source's column spacing over its row spacing; ``scale`` is picture rows per source row. The crop
    has a margin of one thumbnail pixel but at the chest wall. What is too large at a fixed scale loses its nipple side
    and, in equal parts, its top and bottom.
    """
    top, left, bottom, right = breast.box
    margin = (1, 0, 1, 1) if chest_wall == "left" else (1, 1, 1, 0)
    down, across = source_shape[0] / breast.mask.shape[0], source_shape[1] / breast.mask.shape[1]
    top, left = max(0, round((top - margin[0]) * down)), max(0, round((left - margin[1]) * across))
    bottom = min(source_shape[0], round((bottom + margin[2]) * down))
    right = min(source_shape[1], round((right + margin[3]) * across))
    whole = (bottom - top, right - left)
    if scale is None:
        scale = min(rows / (bottom - top), columns / ((right - left) * aspect))
    else:
        tall, wide = max(1, int(rows / scale)), max(1, int(columns / (scale * aspect)))
        top += max(0, bottom - top - tall) // 2
        bottom = min(bottom, top + tall)
        left, right = (left, min(right, left + wide)) if chest_wall == "left" else (max(left, right - wide), right)
    height = min(rows, max(1, round((bottom - top) * scale)))
    width = min(columns, max(1, round((right - left) * aspect * scale)))
    first_row = (rows - height) // 2
    cut = (bottom - top, right - left) != whole
    return Placement(top, left, bottom, right, chest_wall == "right", height, width, first_row, rows, columns, cut)


def render(values: np.ndarray, gray: GrayScale, breast: Breast, placement: Placement) -> tuple[np.ndarray, np.ndarray]:
    """The picture (uint16, 0…4095) and the breast's mask in it (bool), both (rows, columns)."""
    p = placement
    place = np.s_[p.first_row : p.first_row + p.height, : p.width]
    inside = _mask(breast, values.shape, p)
    picture, mask = np.zeros((p.rows, p.columns), np.uint16), np.zeros((p.rows, p.columns), bool)
    mask[place] = inside
    crop = values[p.top : p.bottom, p.left : p.right]
    resample(crop, gray.table(values.dtype), mask[place], picture[place], flipped=p.flipped)
    return picture, mask


def resample(
    values: np.ndarray, table: np.ndarray, inside: np.ndarray, picture: np.ndarray, *, flipped: bool = False
) -> None:
    """Draw gray values into a picture (uint16) where its mask ``inside`` (bool, same shape) says.

    ``values`` are of 8 or 16 bits; ``table`` (float32, 0…65535) gives the gray of each of their bit patterns;
    ``flipped``: the picture's columns run backwards. Along an axis that shrinks a pixel is the mean over its area,
    fractions of source pixels at its ends included; along one that grows it is interpolated linearly between the
    centers of source pixels, beyond which the last one holds. Each axis is a product with a sparse matrix of weights.
    All is done in strips of rows that stay in a core's cache.
    """
    patterns = values.view(f"u{values.itemsize}")
    down, across = (_weights(old, new) for old, new in zip(values.shape, inside.shape, strict=True))
    step = max(1, STRIP * len(inside) // values.size)
    for top in range(0, len(inside), step):
        within = inside[top : top + step].view(np.uint8)
        left, _, width, _ = cv2.boundingRect(within)
        if width:
            first = inside.shape[1] - left - width if flipped else left
            rows, down_here = _part(down, top, top + len(within))
            columns, across_here = _part(across, first, first + width)
            gray = cv2.LUT(np.ascontiguousarray(patterns[rows, columns]), table)
            small = across_here @ cv2.transpose(down_here @ gray)
            small = np.rint(small, out=small).astype(np.uint16)
            small = cv2.rotate(small, cv2.ROTATE_90_CLOCKWISE) if flipped else cv2.transpose(small)
            place = np.s_[left : left + width]
            cv2.copyTo(small, within[:, place], picture[top : top + step, place])


def _weights(old: int, new: int) -> csr_array:
    """The share that each of ``old`` pixels in a row has in each of ``new`` ones; every row sums to 1."""
    if new > old:
        return _between((np.arange(new) + 0.5) * old / new - 0.5, old)
    edges = np.arange(new + 1) * (old / new)
    edges[-1] = old
    first, counts = edges[:-1].astype(np.int32), np.ceil(edges[1:]).astype(np.int32) - edges[:-1].astype(np.int32)
    pointers = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    row = np.repeat(np.arange(new), counts)
    columns = np.arange(pointers[-1], dtype=np.int32) - pointers[row] + first[row]
    data = (np.minimum(edges[row + 1], columns + 1) - np.maximum(edges[row], columns)) * (new / old)
    return csr_array((data.astype(np.float32), columns, pointers), shape=(new, old))


def _between(places: np.ndarray, old: int) -> csr_array:
    """The share that each of ``old`` pixels has at places between their centers; beyond the last one it holds."""
    places = np.clip(places, 0, old - 1)
    first = np.minimum(places.astype(np.int32), max(0, old - 2))
    share = places - first
    data, columns = np.stack([1 - share, share], 1), np.stack([first, np.minimum(first + 1, old - 1)], 1)
    pointers = np.arange(0, 2 * len(places) + 1, 2, dtype=np.int32)
    return csr_array((data.ravel().astype(np.float32), columns.ravel(), pointers), shape=(len(places), old))


def _part(weights: csr_array, start: int, stop: int) -> tuple[slice, csr_array]:
    """Some rows of a matrix of weights: which source pixels they need, and their weights alone."""
    first, last = weights.indptr[start], weights.indptr[stop]
    needed = slice(int(weights.indices[first]), int(weights.indices[last - 1]) + 1)
    entries = weights.data[first:last], weights.indices[first:last] - needed.start
    return needed, csr_array((*entries, weights.indptr[start : stop + 1] - first), (stop - start, needed.stop - needed.start))


def _mask(breast: Breast, source_shape: tuple[int, ...], p: Placement) -> np.ndarray:
    """The thumbnail's mask, widened by one of its pixels so that no skin is lost, drawn smoothly at the crop's size."""
    widened = cv2.dilate(breast.mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    down, across = breast.mask.shape[0] / source_shape[0], breast.mask.shape[1] / source_shape[1]
    row_step, column_step = (p.bottom - p.top) / p.height * down, (p.right - p.left) / p.width * across
    rows = p.top * down - 0.5 + (np.arange(p.height) + 0.5) * row_step
    columns = p.left * across - 0.5 + (np.arange(p.width) + 0.5) * column_step
    narrow = _between(columns[::-1] if p.flipped else columns, widened.shape[1]) @ cv2.transpose(widened)
    return (_between(rows, widened.shape[0]) @ cv2.transpose(narrow)) > 0.5

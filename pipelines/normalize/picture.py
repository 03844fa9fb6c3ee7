"""The standard picture: the breast cropped, chest wall on the left, fitted into rows × columns, everything else 0.

The breast keeps its aspect ratio, touches the left edge with its chest wall, and lies in the middle between top and
bottom: MLO pictures mostly fill the height anyway, and a centered CC picture has its nipple near the middle row.
Gray values are averaged over each output pixel's area (interpolated linearly where a small source is enlarged).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import pydicom

from pipelines.normalize.breast import Breast
from pipelines.normalize.grayscale import GrayScale
from pipelines.normalize.header import number, numbers
from pipelines.normalize.weights import between, resized

ROWS, COLUMNS = 1280, 1024
"""Size of the standard picture."""

FIXED_SPACING = 0.24
"""mm: 1280 × 1024 pixels of this size cover a detector of 24 × 30 cm."""

STRIP = 1 << 16
"""Source pixels that are resampled at a time: with their gray values they take 0.4 MB, and stay in a core's cache."""


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
    down, across = (resized(old, new) for old, new in zip(values.shape, inside.shape, strict=True))
    step = max(1, STRIP * len(inside) // values.size)
    for top in range(0, len(inside), step):
        within = inside[top : top + step].view(np.uint8)
        left, _, width, _ = cv2.boundingRect(within)
        if width:
            first = inside.shape[1] - left - width if flipped else left
            rows, down_here = down.part(top, top + len(within))
            columns, across_here = across.part(first, first + width)
            gray = cv2.LUT(patterns[rows, columns], table)
            small = across_here @ cv2.transpose(down_here @ gray)
            small = np.rint(small, out=small).astype(np.uint16)
            small = cv2.rotate(small, cv2.ROTATE_90_CLOCKWISE) if flipped else cv2.transpose(small)
            place = np.s_[left : left + width]
            cv2.copyTo(small, within[:, place], picture[top : top + step, place])


def _mask(breast: Breast, source_shape: tuple[int, ...], p: Placement) -> np.ndarray:
    """The thumbnail's mask, widened by one of its pixels so that no skin is lost, drawn smoothly at the crop's size."""
    widened = cv2.dilate(breast.mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    height, width = breast.mask.shape[0] / source_shape[0], breast.mask.shape[1] / source_shape[1]
    row_step, column_step = (p.bottom - p.top) / p.height * height, (p.right - p.left) / p.width * width
    rows = p.top * height - 0.5 + (np.arange(p.height) + 0.5) * row_step
    columns = p.left * width - 0.5 + (np.arange(p.width) + 0.5) * column_step
    narrow = between(columns[::-1] if p.flipped else columns, widened.shape[1]) @ cv2.transpose(widened)
    narrow, down = cv2.transpose(narrow), between(rows, widened.shape[0])
    drawn = np.empty((p.height, p.width), bool)
    step = max(1, STRIP // p.width)
    for top in range(0, p.height, step):
        needed, weights = down.part(top, min(top + step, p.height))
        np.greater(weights @ narrow[needed], 0.5, out=drawn[top : top + step])
    return drawn

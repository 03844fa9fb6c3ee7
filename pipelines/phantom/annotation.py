"""What is written into the picture: lead markers on the detector, and text burned in beside the breast."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.phantom.texture import Field

Box = tuple[int, int, int, int]
"""top, left, bottom, right in pixels; bottom and right are exclusive."""


def lead_marker(laterality: str, view: str, height: int) -> Field:
    """A lead marker plate as an opacity 0…1, ``height`` pixels high: the breast's letter, below it the view."""
    frame = max(1, height // 22)
    free = height - 8 * frame
    letters = [_letters(laterality, 0.58 * free), _letters(view, 0.36 * free)]
    width = max(block.shape[1] for block in letters) + 6 * frame
    plate = np.zeros((height, width), np.float32)
    top = 3 * frame
    for block in letters:
        left = (width - block.shape[1]) // 2
        rows = min(block.shape[0], height - top)
        plate[top : top + rows, left : left + block.shape[1]] = block[:rows]
        top += rows + frame
    plate[:frame] = plate[-frame:] = 1.0
    plate[:, :frame] = plate[:, -frame:] = 1.0
    return plate


def text_block(lines: Sequence[str], size: int) -> Field:
    """Lines of text as an opacity 0…1, ``size`` pixels high each, left-aligned."""
    blocks = [_letters(line, size) for line in lines]
    step = round(size * 1.3)
    block = np.zeros((step * len(blocks), max(b.shape[1] for b in blocks)), np.float32)
    for number, letters in enumerate(blocks):
        rows = min(step, letters.shape[0])
        block[number * step : number * step + rows, : letters.shape[1]] = letters[:rows]
    return block


def find_room(taken: NDArray[np.bool_], size: tuple[int, ...], corners: Sequence[str], margin: int) -> Box | None:
    """The first corner (``top right``, ``bottom left``, …) with ``size`` (height, width) free pixels, or None.

    ``taken`` marks pixels that must not be covered; ``margin`` is the distance kept from the picture's edges.
    """
    rows, columns = taken.shape
    height, width = size
    for corner in corners:
        vertical, horizontal = corner.split()
        top = margin if vertical == "top" else rows - margin - height
        left = margin if horizontal == "left" else columns - margin - width
        if top < 0 or left < 0 or top + height > rows or left + width > columns:
            continue
        around = taken[max(0, top - 4) : top + height + 4, max(0, left - 4) : left + width + 4]
        if not around.any():
            return top, left, top + height, left + width
    return None


def _letters(text: str, size: float) -> Field:
    """One line of text, cropped to its ink, as an opacity 0…1; capitals are about ``size`` pixels high."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(max(6.0, size * 1.40))
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    canvas = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(canvas, np.float32) / np.float32(255)

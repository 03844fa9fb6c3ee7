"""Read text in pieces of a picture with the OCR models inside the rapidocr wheel; tell view markers from other text.

What was read stays in memory: it may be a name.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

LONGEST_SIDE = 2000
"""A picture is shrunk to this many pixels before it is read whole."""

_GLYPH_HEIGHT = 32.0
_PADDING = 16
_MODELS = {"Det": "PP-OCRv6_det_small.onnx", "Rec": "PP-OCRv6_rec_small.onnx"}
_VIEWS = "CC|MLO|ML|LM|LMO|XCCL|XCCM|XCC|FB|SIO|ISO|CV|AT|LAT|TAN|SM"
_MARKER = re.compile(rf"[RL]|[RL]?(?:{_VIEWS})(?:ID)?[RL]?|(?:RIGHT|LEFT)(?:{_VIEWS})?")
_SIDE_AND_VIEW = rf"(?P<marker>[RL][ .,:-]{{0,3}}(?:{_VIEWS})(?:ID)?)"
_HEAD = re.compile(_SIDE_AND_VIEW + r"(?P<rest>[^A-Z0-9].*[A-Z0-9].*)")
_TAIL = re.compile(r"(?P<rest>.*[A-Z0-9].*[^A-Z0-9])" + _SIDE_AND_VIEW)

Box = tuple[int, int, int, int]
"""Top, left, bottom, right in pixels; bottom and right are past the end."""


class DetectorError(Exception):
    """The detector cannot run on an object, which must then be refused. ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Line:
    """A line of text that was read: its box in pixels (bottom and right past the end), and how sure the reading is."""

    top: int
    left: int
    bottom: int
    right: int
    text: str
    score: float

    @property
    def is_marker(self) -> bool:
        """Whether it says no more than side and view, such as ``R CC`` or ``L-MLO`` (view codes of PS3.16 CID 4014)."""
        plain = unicodedata.normalize("NFKD", self.text.upper())
        letters = re.sub(r"[^A-Z0-9]", "", plain).replace("0", "O")
        return _MARKER.fullmatch(letters) is not None

    @property
    def is_signed_marker(self) -> bool:
        """Whether it is a marker with two or three letters or digits beside it, such as a technologist's initials."""
        _, rest = self._split()
        return 0 < sum(c.isalnum() for c in rest) <= 3

    def parted(self) -> tuple[Box | None, Box | None]:
        """The boxes of the side and view that a line begins or ends with, and of the rest of it; None, None where it
        does neither. Where the one ends is reckoned from the count of letters, half a letter given to the rest.
        """
        marker, rest = self._split()
        if not rest or self.bottom - self.top > self.right - self.left:
            return None, None
        share = (len(marker) - 0.5) / (len(marker) + len(rest))
        at = round(share * (self.right - self.left))
        if self.text.startswith(marker):
            cut = self.left + at
            return (self.top, self.left, self.bottom, cut), (self.top, cut, self.bottom, self.right + self._end)
        cut = self.right - at
        return (self.top, cut, self.bottom, self.right), (self.top, self.left - self._end, self.bottom, cut)

    @property
    def _end(self) -> int:
        return round(0.7 * (self.bottom - self.top))

    def _split(self) -> tuple[str, str]:
        """The side and view that the text begins or ends with, and the rest; the rest is empty where there is none."""
        for pattern in (_HEAD, _TAIL):
            match = pattern.fullmatch(self.text.upper())
            if match:
                return self.text[slice(*match.span("marker"))], self.text[slice(*match.span("rest"))]
        return self.text, ""

    @property
    def characters(self) -> int:
        """Letters and digits in it."""
        return sum(c.isalnum() for c in self.text)


def read_piece(picture: np.ndarray, box: Box, height: float, upside_down: bool = False) -> list[Line]:
    """Read a piece of a picture in display order: ``box`` is top, left, bottom, right; ``height`` a glyph's, in pixels.

    The piece is padded, stretched to its own gray range, scaled so that glyphs are of the size that the models know,
    and turned over where ``upside_down`` says so.
    Raises DetectorError where the models are missing or fail.
    """
    pad = int(max(_PADDING, 0.8 * height))
    top, left = max(0, box[0] - pad), max(0, box[1] - pad)
    piece = picture[top : box[2] + pad, left : box[3] + pad]
    scale = min(_GLYPH_HEIGHT / max(height, 1.0), 3.0, LONGEST_SIDE / max(piece.shape))
    lines = _read(piece[::-1, ::-1] if upside_down else piece, scale)
    if upside_down:
        rows, columns = piece.shape
        lines = [
            Line(rows - k.bottom, columns - k.right, rows - k.top, columns - k.left, k.text, k.score) for k in lines
        ]
    return [Line(k.top + top, k.left + left, k.bottom + top, k.right + left, k.text, k.score) for k in lines]


def read_whole(picture: np.ndarray) -> list[Line]:
    """Read a whole 2-D picture in display order, shrunk where it is larger than LONGEST_SIDE."""
    return _read(picture, min(1.0, LONGEST_SIDE / max(picture.shape)) if max(picture.shape) > 400 else 2.0)


def _read(piece: np.ndarray, scale: float) -> list[Line]:
    import cv2

    low, high = (
        float(v)
        for v in np.percentile(piece[:: 1 + piece.shape[0] // 1000, :: 1 + piece.shape[1] // 1000], [0.5, 99.9])
    )
    gray = np.clip((piece.astype(np.float32) - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
    size = (max(8, round(gray.shape[1] * scale)), max(8, round(gray.shape[0] * scale)))
    gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    try:
        result = _engine()(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))
    except DetectorError:
        raise
    except Exception:  # noqa: BLE001 - whatever the engine dies of, the object it was to judge must be refused
        raise DetectorError("text_detector_failed") from None
    if getattr(result, "boxes", None) is None or result.txts is None:
        return []
    rows, columns = size[1] / piece.shape[0], size[0] / piece.shape[1]
    lines = []
    for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
        (left, top), (right, bottom) = corners.min(0) / (columns, rows), corners.max(0) / (columns, rows)
        lines.append(Line(int(top), int(left), int(np.ceil(bottom)), int(np.ceil(right)), text, float(score)))
    return lines


@lru_cache(maxsize=1)
def _engine() -> Any:
    """The OCR engine of this process, made on first use; it takes seconds and 300 MB."""
    import logging

    from rapidocr import RapidOCR

    parameters: dict[str, Any] = {
        "Global.use_cls": False,
        "Global.text_score": 0.0,
        "Global.max_side_len": LONGEST_SIDE,
        "Global.log_level": "critical",
        "Det.limit_type": "max",
        "Det.limit_side_len": LONGEST_SIDE,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
    parameters |= {f"{part}.model_path": str(path) for part, path in model_paths().items()}
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    try:
        return RapidOCR(params=parameters)
    except Exception:  # noqa: BLE001 - a missing library or a damaged model: no object can be judged
        raise DetectorError("text_detector_missing") from None


def model_paths() -> dict[str, Path]:
    """The models inside the installed wheel, by part; naming them keeps the library from downloading others.

    Raises DetectorError where one is missing.
    """
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise DetectorError("text_detector_missing")
    paths = {part: Path(spec.origin).parent / "models" / name for part, name in _MODELS.items()}
    if not all(path.is_file() for path in paths.values()):
        raise DetectorError("text_detector_missing")
    return paths

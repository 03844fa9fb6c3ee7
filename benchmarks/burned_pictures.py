"""Mammograms, drawn and real, in two halves by their hash, and texts burned into them, for the benchmarks."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont

from pipelines.deidentify.frames import Frames
from pipelines.phantom import annotation, breast, grayscale, vendors

DATA = Path(__file__).parents[1].parent / "shared" / "data"
DEJAVU = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FONTS = (
    "default", "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "hershey simplex", "hershey duplex",
)  # fmt: skip
WITH_TEXT = ("nema_MG1", "rsna_10006_1864590858", "clunie", "birads_")
"""Real pictures that carry text or labels (side and view in mirrored letters, too): not counted as clean."""

SEEDS = {"tune": 1000, "test": 2000}
"""Seeds of each half: of its drawn pictures, and of the texts burned into its pictures."""


@dataclass
class Picture:
    """A picture without added text: stored values, whether small ones are bright, and where the breast is."""

    name: str
    pixels: np.ndarray
    monochrome1: bool
    breast: np.ndarray
    clean: bool = True
    marker: tuple[int, int, int, int] | None = None


@dataclass
class Burned:
    """A text in a picture: what it says, the mask of its box as (slices, mask), and what it is like."""

    text: str
    place: tuple[slice, slice]
    mask: np.ndarray
    where: str
    height: float
    contrast: float
    font: str
    turn: float
    style: str
    covered: dict[str, float] = field(default_factory=dict)


def half_of(data: bytes) -> str:
    """The half that a picture belongs to, by its content."""
    return ("tune", "test")[hashlib.sha256(data).digest()[0] & 1]


def drawn(half: str, number: int, scale: float, vendor: vendors.Vendor, marker: bool = True) -> Picture:
    """A drawn mammogram of a vendor, with a lead marker where there is room."""
    seed = SEEDS[half] + number
    anatomy = breast.grow("ABCD"[number % 4], seed)
    detector = vendor.formats[-1]
    shape, spacing = (round(detector.rows * scale), round(detector.columns * scale)), detector.spacing / scale
    laterality, view = "LR"[number % 2], ("CC", "MLO")[number // 2 % 2]
    drawing = breast.draw_breast(anatomy, laterality, view, shape=shape, spacing=spacing)
    box = None
    if marker:
        plate = annotation.lead_marker(laterality, view, max(40, round(15 / spacing)))
        side = "left" if laterality == "R" else "right"
        box = annotation.find_room(drawing.breast, plate.shape, (f"top {side}", f"bottom {side}"), round(6 / spacing))
        if box is not None:
            part = drawing.picture[box[0] : box[2], box[1] : box[3]]
            np.maximum(part, 0.97 * plate, out=part)
    pixels = grayscale.present(vendor.gray, drawing.picture, np.random.default_rng(seed))
    monochrome1 = vendor.gray.photometric == "MONOCHROME1"
    return Picture(f"drawn {vendor.name} {number}", pixels, monochrome1, drawing.breast, True, box)


def real(half: str) -> Iterator[Picture]:
    """The real mammograms of a half: DICOM objects first, then digitized films and low-energy pictures."""
    paths = sorted((DATA / "dicom-mg").glob("[gnrc]*"))
    for group, every in (("nyu-16bit", 1), ("nyu-8bit", 1), ("mini-mias-1024", 2), ("cdd-cesm-512", 12)):
        found = sorted(p for p in (DATA / "mammograms" / group).iterdir() if p.suffix in (".png", ".jpg"))
        if group.startswith("cdd"):
            found = [p for p in found if "_DM_" in p.name]
        paths += found[::every]
    for path in paths:
        if half_of(path.read_bytes()) == half and (picture := _loaded(path)) is not None:
            yield picture


def _loaded(path: Path) -> Picture | None:
    monochrome1 = False
    if path.suffix in (".png", ".jpg"):
        with Image.open(path) as image:
            pixels = np.asarray(image if image.mode.startswith("I") else image.convert("L"))
        pixels = pixels.astype(np.uint16) if pixels.dtype == np.int32 else pixels
    else:
        try:
            frames = Frames.of(pydicom.dcmread(path))
            assert frames is not None
            pixels, monochrome1 = frames.luminance(0), frames.monochrome1
        except Exception:  # noqa: BLE001 - the broken file among them
            return None
    clean = not any(name in path.name for name in WITH_TEXT) and "mias" not in str(path.parent)
    return Picture(path.name, pixels, monochrome1, _breast_of(shown(pixels, monochrome1)), clean)


def shown(pixels: np.ndarray, monochrome1: bool) -> np.ndarray:
    """Pixels so that dark is small."""
    return pixels.max() - pixels if monochrome1 else pixels


def _breast_of(shown: np.ndarray) -> np.ndarray:
    """The largest bright part of a picture by Otsu's threshold on its logarithm, smoothed: not the detector's way."""
    small = cv2.resize(shown.astype(np.float32), None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    level = np.log1p(small - small.min())
    scaled = (255 * level / max(level.max(), 1e-6)).astype(np.uint8)
    _, mask = cv2.threshold(cv2.GaussianBlur(scaled, (9, 9), 0), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return np.zeros(shown.shape, bool)
    largest = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    return cv2.resize(largest, shown.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


_FAMILY = (
    "KOWALSKA", "Nguyen", "O'CONNOR", "Fernández", "MÜLLER-LANG", "Okafor", "SZABO", "Lindqvist", "PATEL", "YILMAZ",
)  # fmt: skip
_GIVEN = ("ANNA", "Mary", "THUY", "Inés", "GRETA", "Ngozi", "ILONA", "Karin", "ASHA", "ELIF")


def words(rng: np.random.Generator) -> str:
    """A name, date, identifier or accession number, alone or together."""
    family, given = str(rng.choice(_FAMILY)), str(rng.choice(_GIVEN))
    date = f"{rng.integers(1, 29):02d}.{rng.integers(1, 13):02d}.{rng.integers(1930, 2024)}"
    number = int(rng.integers(10**5, 10**8))
    return str(
        rng.choice(
            [
                f"{family}, {given}",
                f"{family}^{given}",
                f"{given} {family}",
                date,
                f"DOB {date}",
                f"{rng.integers(1930, 2024)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}",
                f"ID {number}",
                f"ACC{number:08d}",
                f"MRN: {number}",
                f"{family} {given} {date}",
                f"{number // 1000}/{rng.integers(10, 99)}",
            ]
        )
    )


def ink_of(text: str, height: float, font: str) -> np.ndarray:
    """Opacity 0…1 of a line of text, cropped to its ink; capitals are ``height`` pixels high."""
    if font.startswith("hershey"):
        plain = text.encode("ascii", "replace").decode()
        face = cv2.FONT_HERSHEY_DUPLEX if "duplex" in font else cv2.FONT_HERSHEY_SIMPLEX
        thick = max(1, round(height / 11))
        size = (height - thick) / 21.0
        (width, tall), base = cv2.getTextSize(plain, face, size, thick)
        canvas = np.zeros((tall + base + 12, width + 12), np.uint8)
        cv2.putText(canvas, plain, (6, tall + 6), face, size, 255, thick, cv2.LINE_AA)
    else:
        size = height / (0.72 if font == "default" else 0.729)
        kind = ImageFont.load_default(size) if font == "default" else ImageFont.truetype(DEJAVU / f"{font}.ttf", size)
        left, top, right, bottom = (int(v) for v in kind.getbbox(text))
        image = Image.new("L", (right - left + 8, bottom - top + 8))
        ImageDraw.Draw(image).text((4 - left, 4 - top), text, 255, font=kind)
        canvas = np.asarray(image)
    rows, columns = (np.flatnonzero(canvas.max(axis)) for axis in (1, 0))
    return canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] / np.float32(255)


def turned(ink: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Ink turned by degrees, and the mask of its box turned with it."""
    box = np.ones(ink.shape, np.float32)
    if angle % 90 == 0:
        return np.rot90(ink, round(angle / 90)), np.rot90(box, round(angle / 90)) > 0.5
    rows, columns = ink.shape
    cosine, sine = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    size = (math.ceil(columns * cosine + rows * sine) + 2, math.ceil(columns * sine + rows * cosine) + 2)
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, 1.0)
    matrix[:, 2] += (size[0] / 2 - columns / 2, size[1] / 2 - rows / 2)
    return cv2.warpAffine(ink, matrix, size), cv2.warpAffine(box, matrix, size) > 0.5


def burn(pixels: np.ndarray, monochrome1: bool, breast_mask: np.ndarray, where: str, used: np.ndarray,
         rng: np.random.Generator) -> Burned | None:  # fmt: skip
    """Burn one text into stored pixels, in place; None where no place or no contrast was found for it."""
    rows = pixels.shape[0]
    height = float(np.exp(rng.uniform(np.log(12), np.log(max(16, min(72, 0.035 * rows))))))
    font, text = str(rng.choice(FONTS)), words(rng)
    turn = float(rng.choice([0, 90, 270, rng.uniform(1, 5) * rng.choice([-1, 1])], p=[0.64, 0.12, 0.12, 0.12]))
    style = str(rng.choice(["plain", "outlined", "framed", "plate"], p=[0.7, 0.1, 0.1, 0.1]))
    ink, box = turned(ink_of(text, height, font), turn)
    size = ink.shape
    room = int(max(8, 0.5 * height))
    if size[0] + 2 * room >= rows or size[1] + 2 * room >= pixels.shape[1]:
        return None
    for _ in range(300):
        top = int(rng.integers(room, rows - size[0] - room))
        left = int(rng.integers(room, pixels.shape[1] - size[1] - room))
        place = slice(top, top + size[0]), slice(left, left + size[1])
        around = slice(top - room, top + size[0] + room), slice(left - room, left + size[1] + room)
        share = float(breast_mask[place].mean())
        lies = "outside" if share == 0 and not breast_mask[around].any() else "over" if share > 0.95 else "edge"
        if lies == "edge" and not 0.05 < share < 0.95:
            continue
        if lies == where and not used[around].any():
            break
    else:
        return None
    contrast = float(np.exp(rng.uniform(np.log(3), np.log(25))))
    low, high = float(pixels.min()), float(pixels.max())
    part = pixels[around].astype(np.float32)
    inner = (slice(room, room + size[0]), slice(room, room + size[1]))
    if style == "plate":
        edge = room - room // 2
        part[edge:-edge, edge:-edge] = rng.uniform(low, high)
    if style == "framed":
        corner = (part.shape[1] - 2, part.shape[0] - 2)
        cv2.rectangle(part, (1, 1), corner, float(rng.choice([low, high])), max(1, round(height / 14)))
    level, spread = float(part[inner].mean()), max(float(part[inner].std()), 0.01 * (high - low))
    sign = rng.choice([-1, 1])
    for direction in (sign, -sign):
        value = float(np.clip(level + direction * contrast * spread, low, high))
        if abs(value - level) >= 3 * spread:
            break
    else:
        return None
    if style == "outlined":
        thick = max(1, round(height / 16))
        halo = cv2.dilate(np.pad(ink, room), np.ones((2 * thick + 1,) * 2))
        other = float(np.clip(level - np.sign(value - level) * 3 * spread, low, high))
        part = part * (1 - halo) + other * halo
    part[inner] = part[inner] * (1 - ink) + value * ink
    pixels[around] = np.rint(np.clip(part, low, high)).astype(pixels.dtype)
    used[around] = True
    return Burned(text, place, box, where, height, abs(value - level) / spread, font, turn, style)

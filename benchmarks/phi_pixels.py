"""Burned-in text: how much of it is covered, what is blanked that was none, and what the search costs.

    python benchmarks/phi_pixels.py [--half test] [--images 40] [--full 12] [--peer 4] [--save FOLDER]

Texts (names, dates, identifiers) are burned into drawn mammograms of several vendors and into the real pictures of
``../shared/data``: capitals 12 pixels high and more, contrast of 3 and more local standard deviations, several fonts,
turned, slanted, framed, on plates, dark and bright, beside, at the edge of and over the breast. A text counts as
covered where boxes cover 90 % of its ink's box. Pictures are in one of two halves by their hash, and the seeds of the
drawn ones and of the texts differ: settings are tuned on the half ``tune`` alone.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from burned_pictures import SEEDS, Burned, Picture, burn, drawn, real, shown

from pipelines.deidentify.burned_in import TextBox, blank, find_text
from pipelines.deidentify.text_settings import TextSettings
from pipelines.phantom import vendors

GOALS = {"outside": 0.995, "edge": 0.95, "over": 0.95}


def covered(boxes: list[TextBox], burned: Burned, shape: tuple[int, ...]) -> float:
    """The share of a text's box that boxes cover."""
    mask = np.zeros(shape, np.uint8)
    blank(mask, boxes, 1)
    return float((mask[burned.place] > 0)[burned.mask].mean())


def spent(function: Callable[[], list[TextBox]]) -> tuple[list[TextBox], float]:
    """What a function returns, and the CPU seconds it took."""
    start = time.process_time()
    return function(), time.process_time() - start


def pictures(half: str, count: int) -> Iterator[Picture]:
    """Drawn and real pictures in turn."""
    every = (*vendors.VENDORS, vendors.FILM)
    from_files = list(real(half))
    for number in range(count):
        if number % 2 and from_files:
            yield from_files[(number // 2 * 5) % len(from_files)]
        else:
            yield drawn(half, number // 2, 0.6 if number % 8 else 1.0, every[number // 2 % len(every)])


def text_part(args: argparse.Namespace) -> list[Burned]:
    """Burn texts in and count those covered."""
    rng = np.random.default_rng(SEEDS[args.half])
    everything: list[Burned] = []
    peer = _peer() if args.peer else None
    for number, picture in enumerate(pictures(args.half, args.images)):
        pixels, used = picture.pixels.copy(), np.zeros(picture.pixels.shape, bool)
        if picture.marker:
            used[picture.marker[0] : picture.marker[2], picture.marker[1] : picture.marker[3]] = True
        wanted = ["outside", "over", "edge", "over", "outside"]
        wanted = wanted if number % 2 else [wanted[number // 2 % 5]]
        texts = [burn(pixels, picture.monochrome1, picture.breast, w, used, rng) for w in wanted]
        texts = [t for t in texts if t is not None]
        if not texts:
            continue
        ways: dict[str, Callable[[], list[TextBox]]] = {
            "auto": lambda p=pixels, m=picture.monochrome1: find_text(p, monochrome1=m)
        }
        if number < args.full:
            ways["full"] = lambda p=pixels, m=picture.monochrome1: find_text(p, monochrome1=m, settings=FULL)
        if peer and number < args.peer:
            ways["peer"] = lambda p=pixels, m=picture.monochrome1: peer(shown(p, m))
        for way, function in ways.items():
            boxes, seconds = spent(function)
            for text in texts:
                text.covered[way] = covered(boxes, text, pixels.shape)
            if args.save:
                _save(args.save / f"{number:03d} {way}.png", pixels, picture, boxes, texts, way)
            COST.setdefault(way, []).append(seconds)
        for text in texts:
            if args.verbose and text.covered["auto"] < 0.9:
                print(f"  missed {text.covered['auto']:.2f} {number} {picture.name} {text.where}", end=" ")
                print(f"{text.height:.0f} px contrast {text.contrast:.1f}", end=" ")
                print(f"{text.font} turn {text.turn:.0f} {text.style} {text.text!r}")
        everything += texts
    return everything


FULL = TextSettings(mode="full")
COST: dict[str, list[float]] = {}


def _peer() -> Callable[[np.ndarray], list[TextBox]]:
    """rapidocr as it comes out of its wheel, on the whole picture shrunk to 2000 pixels."""
    from rapidocr import RapidOCR

    from pipelines.deidentify.text_reading import model_paths

    settings: dict[str, object] = {f"{part}.model_path": str(path) for part, path in model_paths().items()}
    settings |= {"Global.log_level": "critical", "Global.use_cls": False, "Global.max_side_len": 2000}
    settings |= {
        "Det.limit_type": "max",
        "Det.limit_side_len": 2000,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    }
    engine = RapidOCR(params=settings)

    def read(picture: np.ndarray) -> list[TextBox]:
        scale = min(1.0, 2000 / max(picture.shape))
        low, high = np.percentile(picture[::8, ::8], [0.5, 99.9])
        gray = np.clip((picture - low) * (255.0 / max(high - low, 1)), 0, 255).astype(np.uint8)
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        result = engine(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR))
        boxes = result.boxes if result.boxes is not None else []
        return [_extended(corners / scale) for corners in boxes]

    return read


def _extended(corners: np.ndarray) -> TextBox:
    """The box around a line, as much larger than it as the project's own are."""
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    height = min(right - left, bottom - top)
    along, across = (0.7, 0.3) if right - left >= bottom - top else (0.3, 0.7)
    top, left = max(0, int(top - across * height)), max(0, int(left - along * height))
    return TextBox(1, top, left, math.ceil(bottom + across * height), math.ceil(right + along * height))


def _save(
    path: Path, pixels: np.ndarray, picture: Picture, boxes: list[TextBox], texts: list[Burned], way: str
) -> None:
    """A picture with boxes (green) and missed texts (red) drawn, for a person to look at."""
    display = shown(pixels, picture.monochrome1).astype(np.float32)
    low, high = np.percentile(display[::8, ::8], [0.5, 99.9])
    gray = np.clip((display - low) * (255 / max(high - low, 1)), 0, 255).astype(np.uint8)
    canvas = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)
    for box in boxes:
        cv2.rectangle(canvas, (box.left, box.top), (box.right, box.bottom), (0, 255, 0), 3)
    for text in texts:
        if text.covered[way] < 0.9:
            (rows, columns) = text.place
            cv2.rectangle(
                canvas, (columns.start - 4, rows.start - 4), (columns.stop + 4, rows.stop + 4), (0, 0, 255), 3
            )
    scale = min(1.0, 1400 / max(canvas.shape))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def clean_part(args: argparse.Namespace) -> tuple[float, list[float], list[float], tuple[int, int]]:
    """Pictures without text: the share of breast pixels blanked, CPU seconds per 13 Mpx, and markers kept."""
    blanked = total = 0
    nothing: list[float] = []
    marked: list[float] = []
    kept = markers = 0
    found = [p for p in real(args.half) if "clunie" not in p.name][: args.clean]
    for number in range(4):
        vendor = (vendors.HOLOGIC, vendors.FUJIFILM, vendors.GE, vendors.SIEMENS)[number]
        found.append(drawn(args.half, 100 + number, 1.0, vendor, marker=False))
        found.append(drawn(args.half, 100 + number, 1.0, vendor))
    find_text(found[-1].pixels)  # so that loading the models is not counted
    for picture in found:
        boxes, seconds = spent(lambda p=picture: find_text(p.pixels, monochrome1=p.monochrome1))
        mask = np.zeros(picture.pixels.shape, np.uint8)
        blank(mask, boxes, 1)
        hit = int((mask[picture.breast] > 0).sum())
        blanked, total = blanked + hit, total + int(picture.breast.sum())
        if picture.clean and picture.pixels.size > 3_000_000:
            (marked if picture.marker else nothing).append(13e6 * seconds / picture.pixels.size)
        if picture.marker:
            top, left, bottom, right = picture.marker
            markers += 1
            kept += (mask[top:bottom, left:right] > 0).mean() < 0.1
        if args.verbose:
            print(
                f"  clean {picture.name} {picture.pixels.shape} boxes {len(boxes)} breast pixels {hit} {seconds:.2f} s"
            )
        if args.save:
            _save(args.save / "clean" / f"{picture.name}.png", picture.pixels, picture, boxes, [], "auto")
    return blanked / max(total, 1), nothing, marked, (kept, markers)


def line(name: str, value: float, goal: float, most: bool = False, note: str = "") -> None:
    """One figure with its goal."""
    met = value <= goal if most else value >= goal
    print(f"{name:<52} {value:8.4f}  goal {'≤' if most else '≥'} {goal:<6} {'met' if met else 'MISSED'} {note}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("tune", "test"), default="test")
    parser.add_argument("--images", type=int, default=40, help="pictures with text")
    parser.add_argument("--full", type=int, default=12, help="of these, how many in mode full too")
    parser.add_argument("--peer", type=int, default=4, help="of these, how many read whole by rapidocr too")
    parser.add_argument("--clean", type=int, default=24, help="real pictures without added text")
    parser.add_argument("--save", type=Path, help="a folder for pictures with the boxes drawn")
    parser.add_argument("--verbose", action="store_true", help="name what was missed")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    started = time.process_time()
    texts = text_part(args)
    for way in COST:
        for where in GOALS:
            shares = [t.covered[way] >= 0.9 for t in texts if t.where == where and way in t.covered]
            if shares:
                goal = {"auto": GOALS[where], "full": max(0.98, GOALS[where]), "peer": GOALS[where]}[way]
                line(f"covered, {way}, {where}", float(np.mean(shares)), goal, note=f"{sum(shares)} of {len(shares)}")
        inner = [t.covered[way] >= 0.9 for t in texts if t.where != "outside" and way in t.covered]
        if inner:
            line(f"covered, {way}, over and edge", float(np.mean(inner)), 0.98 if way == "full" else 0.95,
                 note=f"{sum(inner)} of {len(inner)}")  # fmt: skip
        print(f"CPU seconds a picture with text, {way}: median {np.median(COST[way]):.2f}")
    share, nothing, marked, (kept, markers) = clean_part(args)
    line("breast pixels blanked in pictures without text", share, 0.001, most=True)
    line(
        "CPU s per 13 Mpx, nothing there (median)",
        float(np.median(nothing)),
        0.25,
        most=True,
        note=f"max {max(nothing):.2f}",
    )
    line(
        "CPU s per 13 Mpx, with a marker (median)",
        float(np.median(marked)),
        0.5,
        most=True,
        note=f"max {max(marked):.2f}",
    )
    line("markers kept", kept / max(markers, 1), 1.0, note=f"{kept} of {markers}")
    print(f"CPU seconds in all: {time.process_time() - started:.0f}")


if __name__ == "__main__":
    sys.exit(main())

"""Does the pGAN learn? Trained for 15 CPU minutes, it is held against real pictures it has not seen.

    python -m benchmarks.pgan_convergence [--pictures 2000] [--minutes 15] [--levels 5] [--save FOLDER]
    python -m benchmarks.pgan_convergence --dataset research/level_a/dataset [--levels 6] [--minutes 30]

By default on drawn breasts (80×64, four densities, two views, 5 % of the women held back); with ``--dataset`` on a
level A set, such as one of real pictures. The demo preset's schedule is scaled so that the training takes about the
CPU minutes asked for, by a first look at how long its steps take; the figures are those that every training reports.
Limits (drawn breasts, 80×64): sliced Wasserstein distance at most 30 (× 10³), diversity at least 0.9 of the real
pictures', recall at least 0.6, the density asked for recovered at least 0.85 by the label rung's own estimator, rank
correlation at least 0.8. Other sets and sizes have none: there the same figures between real pictures, ``(real)``, say
what can be had. ``--save`` keeps the model's files, with the grid of samples.
"""

import argparse
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assets.density_judge import ESTIMATOR
from pipelines.pgan.budget import scaled_schedule
from pipelines.pgan.engine import Engine
from pipelines.pgan.feed import Feed, read_dataset, rows_of
from pipelines.pgan.growth import Stage, total_images
from pipelines.pgan.headline import headline
from pipelines.pgan.model import reproducible
from pipelines.pgan.settings import PGANSettings, resolution_of
from pipelines.pgan.training import train
from pipelines.phantom.breast import draw_breast, grow
from pipelines.phantom.texture import weave
from pipelines.storage.digests import sha256_of_array
from pipelines.storage.pyramid import FOLDER, level_name
from pipelines.storage.shards import ShardWriter
from pipelines.storage.tables import DATASET, write_table

WATCHED = 1.1  # what glances, figures and checkpoints take, as a multiple of the steps alone
SPACING = 1.45  # mm a pixel at 160×128, of which 80×64 are the means
LIMITS = (
    ("sliced_wasserstein", "at most", 30.0),
    ("diversity", "at least", 0.9),
    ("recall", "at least", 0.6),
    ("class recovered", "at least", 0.85),
    ("class spearman", "at least", 0.8),
)


def main() -> None:
    """Train, and print the figures and what they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000, help="drawn training pictures (2000)")
    parser.add_argument("--minutes", type=float, default=15.0, help="CPU minutes of training (15)")
    parser.add_argument("--levels", type=int, default=5, choices=(4, 5, 6), help="5 is 80×64, 6 is 160×128")
    parser.add_argument("--dataset", type=Path, help="a level A set to train on instead of drawn breasts")
    parser.add_argument("--save", type=Path, help="a folder that keeps the model's files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="midar-benchmark-") as temporary:
        place = Path(temporary)
        dataset = options.dataset or draw_dataset(place / "dataset", options.pictures)
        settings = fitted(settings_of(options.levels), dataset, 60 * options.minutes)
        start = time.process_time()
        summary = train(
            dataset, settings=settings, checkpoints=place / "checkpoints", folder=place / "model", estimator=ESTIMATOR
        )
        spent = time.process_time() - start
        print(
            f"{summary.training_images} training pictures, {summary.images_shown} shown, {spent / 60:.1f} CPU minutes"
        )
        for figures in summary.report["levels"]:
            _print(figures)
        if not options.dataset and options.levels == 5:
            _judge(headline(summary.report["levels"][-1]))
        if options.save:
            shutil.copytree(place / "model", options.save, dirs_exist_ok=True)


def settings_of(levels: int) -> PGANSettings:
    """The demo preset, a level lower or higher."""
    demo = PGANSettings.demo()
    if levels <= demo.levels:
        names = ("stable_images", "fade_images", "batch_sizes")
        return replace(demo, levels=levels, **{name: getattr(demo, name)[:levels] for name in names})
    return replace(
        demo,
        levels=levels,
        stable_images=(*demo.stable_images, demo.stable_images[-1]),
        fade_images=(*demo.fade_images, demo.fade_images[-1]),
        batch_sizes=(*demo.batch_sizes, demo.batch_sizes[-1]),
    )


def fitted(settings: PGANSettings, dataset: Path, seconds: float) -> PGANSettings:
    """The settings with a schedule that takes about so many CPU seconds, by the time of eight steps at each level."""
    feed = Feed.of(dataset, rows_of(read_dataset(dataset), "train"), settings)
    expected = 0.0
    with reproducible():
        engine = Engine(settings)
        for level in range(1, settings.levels + 1):
            size = settings.batch_sizes[level - 1]
            engine.step(feed.batch(0, size, level), Stage(level, 1.0, False), 0)
            start = time.process_time()
            for step in range(8):
                engine.step(feed.batch(step * size, size, level), Stage(level, 1.0, False), step * size)
            each = (time.process_time() - start) / 8 / size
            expected += each * (settings.stable_images[level - 1] + settings.fade_images[level - 1])
    return scaled_schedule(settings, feed.table.num_rows, round(total_images(settings) * seconds / WATCHED / expected))


def draw_dataset(folder: Path, pictures: int) -> Path:
    """A level A set of drawn breasts: two views each of women of all densities in turn, one in twenty held back."""
    drawn: list[np.ndarray] = []
    rows: list[dict[str, Any]] = []
    for woman in range(-(-pictures * 10 // 19)):
        anatomy = grow("ABCD"[woman % 4], woman)
        tissue = weave(anatomy.seed, 1.5 * SPACING)
        for view in ("CC", "MLO"):
            breast = draw_breast(anatomy, "L", view, shape=(160, 128), spacing=SPACING, tissue=tissue)
            gray = np.clip(breast.picture, 0, 1) * 4095
            drawn.append(np.rint(gray.reshape(80, 2, 64, 2).mean((1, 3))).astype(np.uint16))
            rows.append(_row(len(rows), woman, view, drawn[-1]))
    for level in range(5, 0, -1):
        rows_columns = resolution_of(level)
        with ShardWriter(folder / FOLDER, level_name(rows_columns), rows_columns, mapped_rows=256) as shards:
            for row, picture in zip(rows, drawn, strict=True):
                shards.append(row["image_id"], np.rint(picture).astype(np.uint16))
        height, width = (side // 2 for side in rows_columns)
        drawn = [p.reshape(height, 2, width, 2).mean((1, 3)) for p in drawn] if level > 1 else []
    write_table(folder / "dataset.parquet", DATASET, DATASET.build(rows))
    return folder


def _row(number: int, woman: int, view: str, picture: np.ndarray) -> dict[str, Any]:
    ids = {"image_id": f"I-{number:05d}", "patient": f"P-{woman:05d}", "cluster": f"P-{woman:05d}"}
    place = {"shard": "shard-00000.arrow", "shard_row": number, "pyramid_row": number}
    facts = {"delivery": "D-1", "laterality": "L", "view": view, "density": "ABCD"[woman % 4], "confidence": 1.0}
    split = "validation" if woman // 4 % 20 == 0 else "train"
    return ids | place | facts | {"vendor_group": "V", "split": split, "picture_sha256": sha256_of_array(picture)}


def _print(figures: dict[str, Any]) -> None:
    short = headline(figures)
    size = "×".join(map(str, figures["resolution"]))
    told = ", ".join(f"{name} {value:.3g}" for name, value in short.items() if value is not None)
    print(f"  {size}: {told}")


def _judge(figures: dict[str, float | None]) -> None:
    for name, side, limit in LIMITS:
        value = figures[name]
        met = value is not None and (value <= limit if side == "at most" else value >= limit)
        shown = "not measured" if value is None else f"{value:.3g}"
        print(f"{name:20} {shown:>8}  {side} {limit:g}  {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()

"""Vendor harmonization: how well the vendor can be told and density be seen, before and after the curves.

    python -m benchmarks.harmonize [--women 80] [--scale 0.1] [--halves 4] [--save FOLDER]

Every figure is of patients that no curve was fitted on. Limits: the vendor told no better than chance + 0.1, no more
than 0.03 of the rank correlation with density lost within a vendor.

Drawn: five vendors' pretend exams, four pictures a woman, half of the women to fit on: as they are seen in screening;
with one vendor that sees mostly fatty and one that sees mostly dense breasts; the same fitted without densities; and
fitted on few women, which shows what a curve from so many pictures is worth.

Real: digitized films (MIAS, 162 pictures) against digital low-energy pictures (CDD-CESM, 164) of ``../shared/data``.
MIAS grades fatty, fatty-glandular, dense-glandular (F, G, D), CDD-CESM A to D. Density is correlated with gray within
each by its own scale. The three are not three of the four, so curves are fitted once as the product does, which knows
the density of CDD-CESM alone and compares the two as they are; and once, for comparison, at a mix of two classes that
can be defended: not dense (F, G; A, B) and dense (D; C, D). Patients are halved several times over.
"""

import argparse
import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pipelines.evaluate.harmonization import measure_harmonization
from pipelines.normalize.curve_fitting import Pool, empty_pool, fit
from pipelines.normalize.mammogram import NormalizeSettings, normalize
from pipelines.phantom.vendors import VENDORS
from pipelines.storage.tables import CURVE_IMAGES, DENSITIES, HARMONIZATION, IMAGES, VENDOR_CURVES, read_table
from tests.evaluate.exams import Row, normalized, subject
from tests.normalize.drawing import wrap

MAMMOGRAMS = Path(__file__).parents[2] / "shared" / "data" / "mammograms"
SETTINGS = NormalizeSettings(640, 512)
SCREENING = "ABBBBCCCCD"
MIXES = {"hologic": "AAABBBBBCD", "ge": "ABCCCCCDDD"}
"""What the vendors see in the second case: the one mostly fatty, the other mostly dense breasts."""


def drawn(women: int, scale: float, mixes: Mapping[str, str]) -> list[Row]:
    """Rows of level_b.images with ``density`` and ``training`` beside."""
    rows = []
    for place, vendor in enumerate(VENDORS):
        densities = mixes.get(vendor.name, SCREENING)
        for n in range(women):
            density = densities[n % len(densities)]
            who = subject(vendor, place * women + n, {"R": density, "L": density})
            for row in normalized(who, scale, 4, SETTINGS):
                rows.append(row | {"density": density, "place": n, "training": n % 20 < 10})
    return rows


def real() -> list[Row]:
    """The same of the real pictures, with the table's own word for the density."""
    rows = []
    with (MAMMOGRAMS / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
        entries = list(csv.DictReader(file))
    for entry in entries:
        folder = entry["path"].split("/")[0]
        if folder not in ("mini-mias-512", "cdd-cesm-512") or entry["image_type"].startswith("contrast"):
            continue
        pixels = np.asarray(Image.open(MAMMOGRAMS / entry["path"]).convert("L"))
        film = folder == "mini-mias-512"
        facts = {"Manufacturer": "HOWTEK" if film else "GE", "ManufacturerModelName": "film" if film else "digital"}
        facts |= {"ImageLaterality": entry["laterality"], "ViewPosition": entry["view"], "ImagerPixelSpacing": None}
        outcome = normalize(wrap(pixels, WindowCenter=128, WindowWidth=256, **facts), SETTINGS)
        if outcome.status == "kept":
            key = {"image_id": entry["path"], "file_id": entry["path"], "delivery": "D-1", "object_sha256": "0"}
            rows.append(
                key | outcome.facts | {"status": "kept", "patient": entry["patient"], "word": entry["density_raw"]}
            )
    return rows


def fitted(rows: Sequence[Row]) -> list[Row]:
    """Rows of VENDOR_CURVES, a curve of its own for each group whatever its size, from the training rows."""
    pools: dict[str, Pool] = {}
    for row in rows:
        pool = pools.setdefault(row["vendor_group"], empty_pool())
        if row["training"]:
            at = DENSITIES.index(row["density"]) if row["density"] else 4
            pool.sums[at] += np.array(row["breast_histogram"]) / sum(row["breast_histogram"])
            pool.counts[at] += 1
    curves = fit(list(pools.values()), range(len(pools)))
    facts = {"labeled_images": 0, "fitted_on": "group", "version": "benchmark"}
    return [
        {"vendor_group": name, "images": pool.images, "training_images": pool.images, **facts}
        | {"lut": np.rint(np.arange(4096) if curve is None else curve).astype(int).tolist()}
        for (name, pool), curve in zip(pools.items(), curves, strict=True)
    ]


def measured(rows: Sequence[Row], curves: Sequence[Row], held_out: Sequence[bool], save: Path | None) -> list[Row]:
    """The rows of HARMONIZATION on the pictures that are held out."""
    images = IMAGES.build({name: v for name, v in row.items() if name in IMAGES.schema.names} for row in rows)
    known = [
        {name: row[name] for name in ("file_id", "image_id", "patient", "vendor_group")}
        | {"density": row["density"], "training": not out, "fitted": not out}
        for row, out in zip(rows, held_out, strict=True)
    ]
    with TemporaryDirectory() as temporary:
        folder = save or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measure_harmonization(images, VENDOR_CURVES.build(curves), CURVE_IMAGES.build(known), folder=folder)
        table = read_table(folder / "harmonization.parquet", HARMONIZATION).to_pylist()
    return [row for row in table if row["measured_on"] == "held_out"]


def show(
    title: str,
    found: Sequence[Row],
    figures: Sequence[str] = ("vendor_accuracy", "vendor_by_brightness", "density_within", "density_across"),
) -> None:
    """Print the figures with their intervals, and the limit beside those that have one."""
    print(title)
    for row in found:
        if row["figure"] in figures and (row["vendor_group"] == "*" or row["figure"] == "density_within"):
            before, after = (
                f"{row[w]:.3f} ({row[f'{w}_low']:.3f} to {row[f'{w}_high']:.3f})" for w in ("before", "after")
            )
            limit = f"limit {row['chance'] + 0.1:.3f}" if row["chance"] else ""
            limit = f"limit {row['before'] - 0.03:.3f}" if row["figure"] == "density_within" else limit
            name = row["vendor_group"].split("|FOR")[0]
            print(f"  {row['figure']:20} {name:30} {row['images']:4} images  {before}  ->  {after}  {limit}")


def drawn_part(args: argparse.Namespace) -> None:
    """Drawn breasts of five vendors."""
    rows = drawn(args.women, args.scale, {})
    held_out = [not row["training"] for row in rows]
    save = args.save and args.save / "drawn"
    show("drawn, one mix for all", measured(rows, fitted(rows), held_out, save))
    for women in (2, 4, 8, 12, 20):
        few = fitted(
            [
                row | {"training": row["training"] and row["place"] % 20 + 10 * (row["place"] // 20) < women}
                for row in rows
            ]
        )
        show(
            f"drawn, fitted on {4 * women} pictures of each vendor",
            measured(rows, few, held_out, None),
            ("vendor_accuracy",),
        )
    mixed = drawn(args.women, args.scale, MIXES)
    held_out = [not row["training"] for row in mixed]
    show(
        "drawn, one vendor sees fatty and one dense breasts",
        measured(mixed, fitted(mixed), held_out, args.save and args.save / "mixed"),
    )
    blind = fitted([row | {"density": None} for row in mixed])
    show("the same, fitted without densities", measured(mixed, blind, held_out, None))


def real_part(args: argparse.Namespace) -> None:
    """Films against digital pictures."""
    rows = real()
    for row in rows:
        film = "film" in row["vendor_group"]
        rank = ("FGD" if film else "ABCD").find(row["word"]) if row["word"] else -1
        row["own"] = DENSITIES[rank] if rank >= 0 else None
        row["known"] = None if film else row["own"]
        row["two"] = None if rank < 0 else "BC"[rank >= 2]
    for half in range(args.halves):
        training = [hashlib.sha256(f"{half}{row['patient']}".encode()).digest()[0] % 2 == 0 for row in rows]
        held_out = [not flag for flag in training]

        def with_density(name: str, training: Sequence[bool] = training) -> list[Row]:
            return [
                row | {"density": row[name] if name else None, "training": flag}
                for row, flag in zip(rows, training, strict=True)
            ]

        for way, title in (("known", "as the product does"), ("two", "at a mix of two classes")):
            curves = fitted(with_density(way))
            save = args.save and args.save / f"real {half} {way}"
            show(
                f"real, half {half}, {title}",
                measured(with_density(""), curves, held_out, save),
                ("vendor_accuracy", "vendor_by_brightness"),
            )
            show("", measured(with_density("own"), curves, held_out, None), ("density_within",))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--women", type=int, default=80)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--halves", type=int, default=4)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    drawn_part(args)
    if MAMMOGRAMS.is_dir():
        real_part(args)


if __name__ == "__main__":
    main()

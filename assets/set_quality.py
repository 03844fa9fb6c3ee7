"""What the kept synthetic pictures are as a set: measured by the pGAN's figures in the feature space of the screen."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.storage.atomic import write_json
from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import SYNTHETIC, read_table
from pipelines.synthesize.density_followed import density_followed
from pipelines.synthesize.judges import Judges
from pipelines.synthesize.pictures import PictureSet

MOST_OF_A_CLASS = 64
"""Kept pictures of a density and view that are measured, the first ones."""


def write_quality(folder: Path, training: PictureSet, held_back: PictureSet, judges: Judges) -> None:
    """Write ``quality.json`` beside the kept pictures: ``set``, their figures beside real ones; ``density``, how far
    the density seen follows the one asked for. Nothing where nothing was wanted."""
    from pipelines.pgan.kept_quality import Classed, measure_kept

    rows = read_table(folder / "synthetic.parquet", SYNTHETIC).to_pylist()
    if not rows:
        return
    chosen: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["verdict"] == "kept":
            chosen.setdefault(f"{row['density']} {row['view']}", []).append(row)
    named = [(name, row) for name, own in sorted(chosen.items()) for row in own[:MOST_OF_A_CLASS]]
    pictures = np.empty((len(named), *training.pictures.shape[1:]), np.uint16)
    reader = ShardReader(folder)
    for place, (_, row) in zip(pictures, named, strict=True):
        place[:] = reader.read(row["shard"], row["shard_row"])
    real = [part for part in (training, held_back) if len(part)]
    everyone = Classed(
        np.concatenate([np.asarray(part.pictures) for part in real]),
        [f"{d} {v}" for part in real for d, v in zip(part.densities, part.views, strict=True)],
    )
    kept = Classed(pictures, [name for name, _ in named])
    write_json(
        folder / "quality.json",
        {
            "set": measure_kept(everyone, kept, judges.features),
            "density": density_followed(rows, held_back, judges.estimate),
        },
    )


def quality_table(quality: Mapping[str, Any]) -> str:
    """The set's figures beside those between real pictures, as markdown."""
    lines = [f"{quality['pictures']} pictures a side", "", "| figure | synthetic | real |", "|---|---|---|"]
    for name, made, real in quality_lines(quality):
        lines.append(f"| {name} | {made:.3g} | {real:.3g} |")
    return "\n".join(lines)


def quality_lines(quality: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """The figures that were measured: name, of kept pictures, of real ones."""
    for name, key in (("sliced Wasserstein", "sliced_wasserstein"), ("", "neighborhood")):
        pair = quality[key]
        for part in pair["real"] if pair else ():
            yield f"{name} {part}".strip(), pair["generated"][part], pair["real"][part]
    if quality["frechet"]:
        yield "Fréchet distance of features", quality["frechet"]["generated"], quality["frechet"]["real"]
    similar = quality["ms_ssim"] or {"per_class": {}}
    for name, pair in similar["per_class"].items():
        if pair:
            yield f"MS-SSIM of pairs, {name}", pair["generated"], pair["real"]


def density_table(density: Mapping[str, Any]) -> str:
    """How far percent density and the density expected follow the one asked for, as markdown."""
    lines = ["| pictures | measure | rank correlation | means A … D |", "|---|---|---|---|"]
    for part, measures in density.items():
        for measure, found in measures.items():
            told = "-" if found["spearman"] is None else f"{found['spearman']:.3f}"
            means = ", ".join(f"{name} {mean:.2f}" for name, mean in found["mean"].items())
            lines.append(f"| {part} ({found['pictures']}) | {measure.replace('_', ' ')} | {told} | {means} |")
    return "\n".join(lines)

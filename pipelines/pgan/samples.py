"""Pictures of a training: the sample grid (a row a density, a column a latent) and the course of the losses, as PNG."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.storage.atomic import replacing

MARGIN = 44
GAP = 2
_LEAST_ROWS = 160


def grid_png(rows: Sequence[np.ndarray], labels: Sequence[str]) -> bytes:
    """Pictures uint16 0…4095 as a PNG, one array (n, h, w) a row, a label before each row; small ones are enlarged."""
    count = max(len(row) for row in rows)
    height, width = rows[0].shape[1:]
    factor = max(1, -(-_LEAST_ROWS // height)) if height < _LEAST_ROWS else 1
    height, width = height * factor, width * factor
    canvas = Image.new("L", (MARGIN + count * (width + GAP), len(rows) * (height + GAP)), 64)
    draw = ImageDraw.Draw(canvas)
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = i * (height + GAP)
        draw.text((8, top + height // 2 - 14), label, fill=255, font=ImageFont.load_default(24))
        for j, picture in enumerate(row):
            small = Image.fromarray((picture >> 4).astype(np.uint8))
            canvas.paste(small.resize((width, height), Image.Resampling.BICUBIC), (MARGIN + j * (width + GAP), top))
    buffer = io.BytesIO()
    canvas.save(buffer, format="PNG")
    return buffer.getvalue()


def write_losses(path: Path, losses: Sequence[Mapping[str, float]]) -> None:
    """Write the course of both losses over images shown, each level on its own ground; the same records, same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=100, layout="constrained")
    axes = figure.subplots()
    for name, label in (("critic_loss", "critic"), ("generator_loss", "generator")):
        axes.plot([row["images"] for row in losses], [row[name] for row in losses], label=label)
    for level in sorted({row["level"] for row in losses}):
        shown = [row["images"] for row in losses if row["level"] == level]
        axes.axvspan(shown[0], shown[-1], color="gray" if level % 2 else "white", alpha=0.12)
    axes.set(xlabel="images shown", ylabel="loss")
    axes.legend()
    with replacing(path) as temporary:
        FigureCanvasAgg(figure).print_png(temporary, metadata={"Software": None})

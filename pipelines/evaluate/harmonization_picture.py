"""The picture of what the vendor curves did: the curves, the groups' grays before and after, and the figures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MOST_GROUPS = 10
"""The groups shown: those with the most pictures."""

_BIN = 32
_FIGURES = {
    "vendor_accuracy": "vendor told by quantiles (balanced accuracy)",
    "vendor_by_brightness": "vendor told by mean and spread (balanced accuracy)",
    "density_within": "density seen within a vendor (Spearman)",
    "density_across": "density seen across vendors (Spearman)",
}


@dataclass(frozen=True)
class Look:
    """A vendor group: its curve (4096,), and the mean histogram (4096,) of its ``images`` pictures."""

    name: str
    curve: NDArray[np.float64]
    histogram: NDArray[np.float64]
    images: int


def draw_harmonization(path: Path, looks: list[Look], table: pa.Table) -> None:
    """Draw it as PNG from the groups' looks and the table (HARMONIZATION); the same content gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = sorted(sorted(looks, key=lambda look: (-look.images, look.name))[:MOST_GROUPS], key=lambda look: look.name)
    figure = Figure(figsize=(12, 8), dpi=100)
    FigureCanvasAgg(figure)
    (before, after), (curves, figures) = figure.subplots(2, 2)
    for number, look in enumerate(shown):
        color, label = f"C{number % 10}", f"{look.name} ({look.images})".replace("$", "")
        mapped = np.bincount(look.curve.astype(int), look.histogram, len(look.histogram))
        for axes, histogram in ((before, look.histogram), (after, mapped)):
            shares = 100 * histogram.reshape(-1, _BIN).sum(axis=1)
            axes.plot(np.arange(len(shares)) * _BIN + _BIN / 2, shares, color=color, linewidth=1.2)
        curves.plot(look.curve, color=color, linewidth=1.2, label=label)
    top = max(before.get_ylim()[1], after.get_ylim()[1])
    for axes, title in ((before, "Mean histogram of each group before"), (after, "… and after the curves")):
        axes.set(title=title, xlabel="gray", ylabel=f"% of the breast in {_BIN} grays", xlim=(0, 4095), ylim=(0, top))
    curves.set(title="Curves", xlabel="gray before", ylabel="gray after", xlim=(0, 4095), ylim=(0, 4095))
    if shown:
        curves.legend(fontsize=6, loc="lower right")
    _draw_figures(figures, table)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})


def _draw_figures(axes: Any, table: pa.Table) -> None:
    """The figures of all vendors together, before (gray) and after (black), with their intervals, and chance."""
    rows = [row for row in table.to_pylist() if row["vendor_group"] == "*"]
    rows.sort(key=lambda row: (list(_FIGURES).index(row["figure"]), row["measured_on"] != "held_out"))
    for at, row in enumerate(rows):
        for shift, when, color in ((-0.12, "before", "0.6"), (0.12, "after", "black")):
            axes.plot([row[f"{when}_low"], row[f"{when}_high"]], [at + shift] * 2, color=color, linewidth=2)
            axes.plot(row[when], at + shift, "o", color=color)
        if row["chance"] is not None:
            axes.plot([row["chance"]] * 2, [at - 0.35, at + 0.35], color="C3", linewidth=1.5)
    names = [
        f"{_FIGURES[row['figure']]}\n{row['measured_on'].replace('_', ' ')}, {row['images']} images" for row in rows
    ]
    axes.set_yticks(range(len(rows)), names, fontsize=7)
    axes.set(title="Before (gray) and after (black); chance in red", ylim=(max(len(rows), 1) - 0.5, -0.5))
    axes.set_xlim(min([0.0, *(row[f"{when}_low"] for row in rows for when in ("before", "after"))]), 1.02)
    if not rows:
        axes.text(0.5, 0, "not measured: too few pictures", ha="center", fontsize=9)

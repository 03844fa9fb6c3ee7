"""The card's chart: images of each density by split, view, maker and age."""

from pathlib import Path

from pipelines.curate.export.facts import Facts, crossed
from pipelines.storage.atomic import replacing

NAME = "counts.png"
_COLUMNS = (("split", "split"), ("view", "view"), ("manufacturer", "maker"), ("age_band", "age in years"))


def write_counts_picture(folder: Path, facts: Facts) -> None:
    """Write ``folder/counts.png``; the same figures give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3), dpi=80)
    figure.subplots_adjust(left=0.04, right=0.99, bottom=0.16, top=0.9, wspace=0.2)
    canvas = FigureCanvasAgg(figure)
    for axes, (column, title) in zip(figure.subplots(1, len(_COLUMNS)), _COLUMNS, strict=True):
        head, *lines, _ = crossed(facts, "density", column)
        bottom = [0] * len(lines)
        for number, name in enumerate(head[1:-1], start=1):
            heights = [int(line[number]) for line in lines]
            axes.bar([line[0] for line in lines], heights, bottom=bottom, label=name)
            bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
        axes.set_ylim(0, max(1, *bottom) * 1.5)  # room for the legend
        axes.set_title(f"images by {title}", fontsize=9)
        axes.set_xlabel("density", fontsize=8)
        axes.tick_params(labelsize=7)
        if head[1:-1]:
            axes.legend(fontsize=6)
    with replacing(folder / NAME) as temporary:
        canvas.print_figure(temporary, format="png", metadata={"Software": None})

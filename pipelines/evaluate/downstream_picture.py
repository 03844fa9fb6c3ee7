"""The picture of what training pictures are worth: kappa of each training set by fraction, and the differences."""

from pathlib import Path

import pyarrow as pa

from pipelines.storage.tables import ARMS

_NAMES = {
    "real": "real",
    "classical": "real + classical",
    "mixed": "real + synthetic",
    "pretrained": "synthetic, then real",
    "synthetic": "synthetic alone",
}


def draw_downstream(path: Path, table: pa.Table) -> None:
    """Draw it as PNG from the table (DOWNSTREAM); the same content gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [r for r in table.to_pylist() if r["measure"] == "quadratic_kappa" and r["value"] is not None]
    figure = Figure(figsize=(12, 4.5), dpi=100)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    fractions = sorted({row["fraction"] for row in rows})
    for number, arm in enumerate(ARMS):
        own = sorted((r for r in rows if r["arm"] == arm), key=lambda r: r["fraction"])
        at = [fractions.index(r["fraction"]) + (number - 2) * 0.09 for r in own]
        values = [r["value"] for r in own]
        ends = [[r["value"] - r["value_low"] for r in own], [r["value_high"] - r["value"] for r in own]]
        if own:
            left.errorbar(
                at, values, [[max(0.0, e) for e in end] for end in ends], fmt="o-", capsize=3, label=_NAMES[arm]
            )
    left.set_xticks(range(len(fractions)), [f"{100 * fraction:g} %" for fraction in fractions])
    left.set(title="Quadratic kappa on real test patients", xlabel="real training patients", ylabel="kappa, 95 %")
    if rows:
        left.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)
    compared = [
        (row, other)
        for row in sorted(rows, key=lambda r: (-r["fraction"], ARMS.index(r["arm"])))
        for other in ("real", "classical")
        if row[f"over_{other}"] is not None and row["arm"] not in ("real", "classical")
    ]
    for place, (row, other) in enumerate(compared):
        low, high = row[f"over_{other}_low"], row[f"over_{other}_high"]
        color = "C2" if low > 0 else "C3" if high < 0 else "0.4"
        right.plot([low, high], [place, place], color=color, linewidth=2)
        right.plot(row[f"over_{other}"], place, "o", color=color)
    right.axvline(0, color="black", linewidth=0.8)
    names = [f"{_NAMES[r['arm']]} over {_NAMES[other]}, {100 * r['fraction']:g} %" for r, other in compared]
    right.set_yticks(range(len(compared)), names, fontsize=7)
    right.set(title="Paired differences of kappa, 95 %", ylim=(len(compared) - 0.5, -0.5) if compared else (0, 1))
    if not compared:
        right.text(0, 0.5, "not measured: no synthetic pictures", ha="center", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})

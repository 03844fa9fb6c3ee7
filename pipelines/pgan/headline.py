"""The figures of a level in short, for tables and logs. Light to import."""

from collections.abc import Mapping
from typing import Any


def headline(figures: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures of a level (``Watch.measure``), one number each: generated, and (real) real-vs-real."""
    near, seen = figures["neighborhood"], figures["fidelity"]
    numbers: dict[str, float | None] = {}
    for name, suffix in (("generated", ""), ("real", " (real)")):
        numbers["sliced_wasserstein" + suffix] = figures["sliced_wasserstein"][name]["mean"]
        numbers["ms_ssim" + suffix] = figures["ms_ssim"][name]
        for figure in ("precision", "recall", "density", "coverage"):
            title = "neighbor density" if figure == "density" else figure  # not the breast's
            numbers[title + suffix] = near[name][figure] if near[name] else None
        for figure in ("recovered", "within_one", "spearman"):
            numbers[f"class {figure}{suffix}"] = seen[name][figure]
    return {"diversity": figures["diversity"]["mean"], **dict(sorted(numbers.items()))}

"""The closing table of a run: found, each loss with its reason, the level reached, counts per class, synthetic made."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from pipelines.pgan.budget import read_underway
from pipelines.storage.tables import DENSITIES, SPLITS
from pipelines.storage.zones import Zones

REPORTS = {
    "readiness page": "evaluation/readiness_report/readiness.html",
    "readiness certificate": "evaluation/readiness_report/readiness.json",
    "level A contact sheet": "level_a/dataset/contact_sheet.png",
    "export of level A": "level_a/export/README.md",
    "vendor curves": "level_b/vendor_curves/curves.png",
    "harmonization": "level_b/harmonization/harmonization.png",
    "pGAN samples": "pgan/model/samples.png",
    "pGAN model card": "pgan/model/MODEL_CARD.md",
    "synthetic sheet": "synthetic/images/sheet.png",
    "latent walks": "synthetic/images/gallery.png",
    "worth to a classifier": "evaluation/downstream/downstream.png",
}


def read_certificate(zones: Zones) -> dict[str, Any] | None:
    """The standing certificate, or None."""
    path = zones.research / REPORTS["readiness certificate"]
    return json.loads(path.read_text()) if path.exists() else None


def level_line(zones: Zones) -> str:
    """One line that says where the data stand and what keeps them from the next rung."""
    certificate = read_certificate(zones)
    if certificate is None:
        return "no readiness certificate yet"
    level = certificate["level"]
    words = f"The data stand on MIDaR level {level}." if level else "The data stand below MIDaR level D."
    missing = {c["id"]: c for c in certificate["criteria"]}
    hindrances = [f"{missing[i]['statement']} ({_measured(missing[i]['value'])})" for i in certificate["next"]]
    return words + (f" Next rung hindered by: {'; '.join(hindrances)}." if hindrances else "")


def _measured(value: float | None) -> str:
    return "not measured" if value is None else f"measured: {value}"


def print_closing(console: Console, zones: Zones) -> None:
    """Print the closing table from the standing certificate."""
    certificate = read_certificate(zones)
    if certificate is None:
        console.print("no readiness certificate was made", highlight=False)
        return
    console.print(_funnel(certificate))
    console.print(_classes(certificate))
    model = zones.research / "pgan" / "model" / "not_trained.json"
    if model.exists():
        console.print(f"The pGAN was not trained: {json.loads(model.read_text())['reason']}.", highlight=False)
    underway = read_underway(zones.workspace("pgan/model"))
    if underway:
        console.print(f"The pGAN is {underway}: the next run goes on.", highlight=False)
    console.print(f"[bold]{level_line(zones)}[/bold]", highlight=False)
    reports = Table("report", Column("file", overflow="fold"))
    for name, path in REPORTS.items():
        if (zones.research / path).exists():
            reports.add_row(name, _shown(zones.research / path))
    console.print(reports)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _funnel(certificate: dict[str, Any]) -> Table:
    table = Table("step", "count", "lost on the way", title="From files found to training images")
    for step in certificate["funnel"]:
        lost = ", ".join(f"{count} {reason}" for reason, count in sorted(step["lost"].items(), key=lambda i: -i[1]))
        table.add_row(step["step"], str(step["count"]), lost)
    return table


def _classes(certificate: dict[str, Any]) -> Table:
    table = Table("density", *SPLITS, "synthetic", title="Images per BI-RADS density")
    for density in DENSITIES:
        cells = []
        for split in (*SPLITS, "synthetic"):
            counts = certificate["classes"].get(split, {})
            cells.append(str(sum(count for name, count in counts.items() if name.split()[0] == density)))
        table.add_row(density, *cells)
    return table

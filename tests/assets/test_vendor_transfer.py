"""What the UI and the page say of a transfer from vendor to vendor is what was measured."""

from pathlib import Path
from typing import Any

from assets.vendor_transfer import lines_of, metadata_of, verdicts_of
from pipelines.storage.atomic import write_json
from pipelines.storage.tables import TRANSFER, write_table


def row(figure: str, group: str, before: float, after: float) -> dict[str, Any]:
    around = {"before": before, "after": after, "change": after - before}
    bounds = {f"{n}_{side}": v + d for n, v in around.items() for side, d in (("low", -0.1), ("high", 0.1))}
    facts = {"way": "harmonization", "figure": figure, "vendor_group": group, "images": 60, "patients": 30}
    return facts | around | bounds | {"chance": 0.5 if figure == "vendor_accuracy" else None}


def test_lines_verdicts_and_metadata_of_a_published_assessment(tmp_path: Path) -> None:
    rows = [row("structure", "*", 0.75, 0.8), row("vendor_accuracy", "A|b|FOR PRESENTATION|lossless", 0.75, 0.5)]
    write_table(tmp_path / "transfer.parquet", TRANSFER, TRANSFER.build(rows))
    write_json(tmp_path / "transfer.json", {"verdicts": {"harmonization": "Use it."}})
    (tmp_path / "transfer.png").write_bytes((Path(__file__).parents[2] / "docs/asset_graph.png").read_bytes())
    head = {"way": "harmonization", "images": "60"}
    assert lines_of(tmp_path) == [
        head
        | {"figure": "structure", "vendor group": "*"}
        | {"before": "0.75 (0.65 to 0.85)", "after": "0.80 (0.70 to 0.90)"},
        head
        | {"figure": "vendor accuracy", "vendor group": "A · b · FOR PRESENTATION · lossless"}
        | {"before": "0.75 (0.65 to 0.85)", "after": "0.50 (0.40 to 0.60)"},
    ]
    assert verdicts_of(tmp_path) == ["Use it."]
    shown = metadata_of(tmp_path)
    assert shown["dagster/row_count"] == 2
    assert shown["verdict"].value == "- Use it."
    line = "| harmonization | structure | * | 60 | 0.75 (0.65 to 0.85) | 0.80 (0.70 to 0.90) |"
    assert line in shown["figures"].value

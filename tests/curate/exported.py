"""A level A publication and its export, made of the pictures of a small level B."""

import json
from pathlib import Path

from pipelines.curate.dataset import DatasetSettings, write_dataset
from pipelines.curate.export.facts import Deidentification
from pipelines.curate.export.statement import Statement
from pipelines.curate.export.write import ExportSummary, write_export
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.tables import LABELS, VOTES, write_table
from tests.curate.conftest import LevelB, build

SHAPE = (80, 64)
HOW = Deidentification(
    ("2026c",), ("ab" * 32,), (("113100", "Basic Application Confidentiality Profile"),), "0123456789ab"
)
CHANNELS = ("table", "sr", "text", "pixels")


def twelve_patients() -> LevelB:
    """48 pictures of all densities, sides and views."""
    return build(
        {"patient": f"P-{p:02d}", "density": "ABBCCD"[p % 6], "view": v, "laterality": s, "age": 35.0 + 3 * p}
        for p in range(12)
        for s in "LR"
        for v in ("CC", "MLO")
    )


def publish(level_b: LevelB, root: Path) -> tuple[Path, Path]:
    """The folders of the data set and of its labels; each label rests on a statement or two of its own."""
    dataset, labels = root / "dataset", root / "labels"
    votes, rows = [], []
    for n, row in enumerate(level_b.labels.to_pylist()):
        channels = sorted({CHANNELS[n % 4], CHANNELS[n % 3]})
        ids = [f"V-{n}-{channel}" for channel in channels]
        said = row["density"] is not None
        rows.append(
            {**row, "sources": json.dumps(channels if said else []), "evidence": json.dumps(ids if said else [])}
        )
        rows[-1]["conflict"] = said and n % 10 == 0
        votes += [
            {"vote_id": i, "source": c, "evidence_id": f"L-{n}", "rule": "r", "densities": row["density"] or "A"}
            for i, c in zip(ids, channels, strict=True)
        ]
    for folder in (dataset, labels):
        folder.mkdir(parents=True)
    write_dataset(
        level_b.images,
        level_b.labels,
        level_b.curves,
        picture=level_b.picture,
        folder=dataset,
        settings=DatasetSettings(shape=SHAPE),
    )
    write_table(labels / "labels.parquet", LABELS, LABELS.build(rows))
    write_table(labels / "votes.parquet", VOTES, VOTES.build(votes))
    return dataset, labels


def digests_of(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256_of_file(p) for p in folder.rglob("*") if p.is_file()}


def export(dataset: Path, labels: Path, folder: Path, **options) -> ExportSummary:
    folder.mkdir(parents=True)
    chosen = {
        "stated": digests_of(dataset),
        "statement": Statement(),
        "deidentification": HOW,
        "versions": {"midar": "0.1.0+test"},
        "curves": "v" * 64,
        **options,
    }
    return write_export(dataset, labels, folder=folder, **chosen)

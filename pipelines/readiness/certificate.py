"""The readiness certificate: readiness.json, the record of where a data set stands and why.

It holds no time and nothing that identifies a patient; the same data give the same bytes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.readiness.criteria import RUNGS, Certificate, CriterionResult, Figures
from pipelines.readiness.funnel import Step
from pipelines.storage.atomic import write_json

TASK = "Classification of breast density, BI-RADS 5th edition categories A to D, from one normalized mammogram"
FORMAT = 2


def write_certificate(
    folder: Path,
    certificate: Certificate,
    *,
    figures: Figures,
    deliveries: Mapping[str, Figures],
    funnel: Sequence[Step],
    dataset: pa.Table | None = None,
    synthetic: pa.Table | None = None,
    key_fingerprint: str,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Write ``folder/readiness.json`` and return its content.

    ``figures`` and ``deliveries`` are what the certificate was evaluated on; ``dataset`` and ``synthetic`` (DATASET,
    SYNTHETIC) give the counts per class; ``versions`` names code and libraries.
    """
    content = {
        "format": FORMAT,
        "task": TASK,
        "level": certificate.level,
        "rung": certificate.rung,
        "criteria": [_criterion(result) for result in certificate.results],
        "next": [result.criterion.id for result in hindrances(certificate)],
        "deliveries": {
            name: {
                "level": certificate.deliveries.get(name),
                "part_of_the_set": name in certificate.parts,
                "figures": dict(deliveries[name]),
            }
            for name in deliveries
        },
        "figures": dict(figures),
        "funnel": [step.to_json() for step in funnel],
        "classes": _classes(dataset, synthetic),
        "key_fingerprint": key_fingerprint,
        "versions": dict(versions),
    }
    write_json(folder / "readiness.json", content)
    return content


def hindrances(certificate: Certificate) -> list[CriterionResult]:
    """The criteria that keep the data from the next rung; none on the highest."""
    above = 0 if certificate.rung is None else RUNGS.index(certificate.rung) + 1
    following = RUNGS[above : above + 1]
    return [r for r in certificate.results if r.criterion.level in following and not r.passes]


def _criterion(result: CriterionResult) -> dict[str, Any]:
    criterion = result.criterion
    return {
        "id": criterion.id,
        "level": criterion.level,
        "asset": criterion.asset,
        "scope": criterion.scope,
        "statement": criterion.statement,
        "measure": criterion.measure,
        "how": criterion.how,
        "operator": criterion.operator,
        "threshold": criterion.threshold,
        "gate": criterion.gate,
        "required": criterion.required,
        "source": criterion.source,
        "value": result.value,
        "holds": result.holds,
        "passes": result.passes,
    }


def _classes(dataset: pa.Table | None, synthetic: pa.Table | None) -> dict[str, Any]:
    """Images per split and density and view, and kept synthetic images per density and view."""
    counts: dict[str, Any] = {}
    for row in dataset.select(["split", "density", "view"]).to_pylist() if dataset is not None else ():
        counts.setdefault(row["split"], Counter())[f"{row['density']} {row['view']}"] += 1
    for row in synthetic.select(["verdict", "density", "view"]).to_pylist() if synthetic is not None else ():
        if row["verdict"] == "kept":
            counts.setdefault("synthetic", Counter())[f"{row['density']} {row['view']}"] += 1
    return {name: dict(counter) for name, counter in counts.items()}

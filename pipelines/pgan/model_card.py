"""The model card: what a generator was trained on and how, what was measured, and what it must not be used for.

Sections after Mitchell et al. 2019 (Model Cards for Model Reporting). It names no patient and no image.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.pgan.headline import headline
from pipelines.pgan.model import CRITIC, RESTRICTED
from pipelines.storage.atomic import write_bytes
from pipelines.storage.tables import DENSITIES, SPLITS, VIEWS

CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class CardFacts:
    """The model's id, the contents of model.json and report.json, and the DATASET table that it was trained from."""

    model: str
    description: Mapping[str, Any]
    report: Mapping[str, Any]
    dataset: pa.Table


def write_card(path: Path, facts: CardFacts) -> None:
    """Write the card as markdown; the same facts give the same bytes."""
    sections = [_heading(facts), _data(facts), _recipe(facts), _figures(facts), _course(facts), _limits(facts)]
    write_bytes(path, ("\n\n".join(sections) + "\n").encode())


def _heading(facts: CardFacts) -> str:
    rows, columns = facts.description["resolution"]
    return (
        f"# {facts.model}: a generator of mammograms\n\n"
        f"A progressive GAN (Korkinof et al. 2018; Karras et al. 2018) that makes gray pictures of {rows}×{columns}, 0 "
        "(air) to 4095, breast on the left, for a breast density (A to D) and a view (CC, MLO).\n\n"
        "**Meant for** filling in rare classes of a training set, and for research. "
        "**Not meant for** diagnosis, for teaching readers, or for validation and test sets.\n\n"
        f"Generator: SHA-256 `{facts.description['sha256']['generator.safetensors']}`."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def _data(facts: CardFacts) -> str:
    columns = (facts.dataset[name].to_pylist() for name in ("split", "density", "view"))
    counts = Counter(zip(*columns, strict=True))
    body = [
        [split, view, *(counts[split, density, view] for density in DENSITIES)] for split in SPLITS for view in VIEWS
    ]
    return (
        "## Data\n\n"
        f"Trained on the training split of the level A set alone: {facts.description['training_images']} images, "
        f"SHA-256 of their ids and pictures `{facts.description['training_set_sha256']}`. The validation split "
        "calibrated the critic and gave baselines; the test split was not read. Splits are by patient.\n\n"
        + _table(["split", "view", *DENSITIES], body)
    )


def _recipe(facts: CardFacts) -> str:
    settings = facts.description["settings"]
    rows = [[name, ", ".join(map(str, v)) if isinstance(v, list) else v] for name, v in sorted(settings.items())]
    return f"## Recipe\n\n{facts.report['images_shown']} images were shown.\n\n" + _table(["setting", "value"], rows)


def _figures(facts: CardFacts) -> str:
    levels = facts.report["levels"]
    head = ["figure", *("×".join(map(str, level["resolution"])) for level in levels)]
    numbers = [headline(level) for level in levels]
    body = [[name, *(_number(column[name]) for column in numbers)] for name in numbers[0]] if numbers else []
    seen = facts.report["levels"][-1]["fidelity"] if levels else {}
    rank = facts.report["density"]
    auc = facts.report["critic_scores"]["membership_auc"]
    return (
        "## Figures\n\n"
        "Each level's end; (real) is the same figure between real pictures: two halves of the training pictures, or "
        "held-back ones for the classes. Sliced Wasserstein distance × 10³, smaller is nearer. Diversity is a multiple "
        "of the real pictures'. Precision, recall, neighbor density and coverage in gray values at 20×16 and dense "
        "fraction. Class figures must be read beside diversity and recall: collapsed generators score high on them.\n\n"
        f"{_table(head, body)}\n\n"
        f"Classes at the last level were judged by: {seen.get('estimator', 'none')}. Rank correlation of dense "
        f"fraction and density: generated {_number(rank['generated']['spearman'])}, "
        f"real {_number(rank['real']['spearman'])}. The critic tells training from held-back pictures with an area "
        f"under the curve of {_number(auc)} (0.5: not at all)."
    )


def _course(facts: CardFacts) -> str:
    rollbacks = facts.report["rollbacks"]
    if not rollbacks:
        return "## Course\n\nNo alarm of the detectors of divergence and collapse."
    names = ("images", "level", "reason", "figure", "value", "limit", "back_to")
    body = [[_number(r[n]) if n in ("value", "limit") else r[n] for n in names] for r in rollbacks]
    return "## Course\n\nThe detectors rang, and the training went back with half the learning rates:\n\n" + _table(
        names, body
    )


def _limits(facts: CardFacts) -> str:
    seen = {tuple(pair) for pair in facts.description["conditions"]}
    unseen = [f"{d} {v}" for d in DENSITIES for v in VIEWS if (d, v) not in seen]
    lines = [
        "Pictures of this kind are known for a broken skin line or nipple, checkerboards, smeared calcifications, and "
        "more faults in MLO than in CC (Korkinof et al. 2018, 2020). No reader has judged these.",
        "Calcifications, masses and other findings are not controlled and must not be read as such.",
        f"Never asked for in training, and refused: {', '.join(unseen)}." if unseen else "All classes were trained on.",
        f"`{CRITIC}` and what else lies in `{RESTRICTED}/` must not leave with the generator: with the critic one can "
        "find out whose images were in the training set.",
        "Few training images make near copies likelier: screen what is generated against the training set.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3g}"

"""Is it worth it? A density classifier is taught by different training sets and tested on real patients it never saw.

The training sets: ``real`` pictures alone; ``classical``, real ones changed by classical augmentation; ``mixed``, real
and synthetic ones together; ``pretrained``, synthetic ones first and then real ones; ``synthetic`` alone ("train on
synthetic, test on real"). All have the same network, the same number of steps, every density equally often, and the
same real validation pictures to choose the best state. Each training is repeated with other seeds, and at fractions of
the real training patients; the generator had seen all of them, so the synthetic pictures at a small fraction are those
of a site that has a well-fed generator and few labels. Only the validation and test splits decide; the test split is
looked at once.

Beside it, the same network tells real training pictures from synthetic ones: 0.5 is a guess.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.evaluate.classical_augmentation import augment
from pipelines.evaluate.classifier import Cohort, Phase, answers, classify, train_classifier
from pipelines.evaluate.downstream_picture import draw_downstream
from pipelines.evaluate.downstream_statistics import CLASSES, MEASURES, Estimate, Scores
from pipelines.evaluate.worth_settings import WorthSettings
from pipelines.storage.atomic import write_json
from pipelines.storage.curriculum import FINE_TUNING
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.ledger import LedgerRow
from pipelines.storage.tables import ARMS, DENSITIES, DOWNSTREAM, PREDICTIONS, write_table
from pipelines.storage.workers import Progress, Workers, silent

OPERATION = "measure_worth"
"""The operation in the ledger."""

TABLE, PREDICTED, PICTURE, SUMMARY = "downstream.parquet", "predictions.parquet", "downstream.png", "downstream.json"

NEEDS_SYNTHETIC = ("mixed", "pretrained", "synthetic")
LEAST_SYNTHETIC = 4
"""Fewer synthetic pictures are not compared."""


@dataclass(frozen=True)
class Part:
    """Pictures of a split, or synthetic ones, with classes 0…3 for A…D: their ids, the SHA-256 of each, and the
    cluster of patients that it belongs to."""

    ids: Sequence[str]
    digests: Sequence[str]
    cohort: Cohort
    clusters: NDArray[np.object_]


@dataclass(frozen=True)
class Task:
    """One training: which set, at which fraction of the real patients, with which seed."""

    arm: str
    fraction: float
    seed: int


def tasks_of(settings: WorthSettings, synthetic: int) -> list[Task]:
    """All trainings, for a number of synthetic pictures."""
    arms = [arm for arm in ARMS if synthetic >= LEAST_SYNTHETIC or arm not in NEEDS_SYNTHETIC]
    fractions = {arm: (1.0,) if arm == "synthetic" else settings.fractions for arm in arms}
    return [Task(a, f, s) for a in arms for f in fractions[a] for s in range(settings.seeds)]


def measure_worth(
    parts: dict[str, Part],
    synthetic: Part,
    *,
    settings: WorthSettings,
    workers: Workers,
    folder: Path,
    progress: Progress = silent,
) -> tuple[LedgerRow, ...]:
    """Train, test and compare; ``parts`` are the real train, validation and test splits.

    Writes ``downstream.parquet`` (DOWNSTREAM), ``predictions.parquet`` (PREDICTIONS), ``downstream.png`` and
    ``downstream.json`` (a plain verdict) into ``folder``; gives the ledger's row. Without training or test pictures the
    tables are empty, and the verdict says so.
    """
    tasks = tasks_of(settings, len(synthetic.cohort)) if parts["train"].ids and parts["test"].ids else []
    predicted: dict[Task, NDArray[np.int64]] = {}
    train = partial(_predict, parts=parts, synthetic=synthetic.cohort, settings=settings)
    for result in workers.spread(train, tasks):
        if result.value is None:
            raise RuntimeError(f"a training of the classifier failed: {result.failure}")
        predicted[result.item] = result.value
        progress(len(predicted), len(tasks))
    scores = _scores(predicted, parts["test"], settings)
    table = DOWNSTREAM.build(_rows(scores, parts["test"], settings))
    apart = tell_apart(parts["train"], synthetic, settings) if tasks else Estimate(None, None, None)
    write_table(folder / TABLE, DOWNSTREAM, table)
    write_table(folder / PREDICTED, PREDICTIONS, PREDICTIONS.build(_predictions(predicted, parts["test"])))
    write_json(folder / SUMMARY, {"verdicts": verdicts(table), "told_apart": vars(apart)})
    draw_downstream(folder / PICTURE, table)
    digest = sha256_of_file(folder / TABLE)
    made_from = tuple(p for part in (*parts.values(), synthetic) for p in zip(part.ids, part.digests, strict=True))
    return (LedgerRow(f"downstream-{digest[:16]}", TABLE, digest, made_from, OPERATION),)


def _predict(task: Task, *, parts: dict[str, Part], synthetic: Cohort, settings: WorthSettings) -> NDArray[np.int64]:
    """Train once, and tell the classes of the test pictures."""
    real = share_of(parts["train"], task.fraction, task.seed)
    network = train_classifier(
        phases_of(task.arm, real, synthetic, settings.classifier.steps),
        parts["validation"].cohort,
        classes=CLASSES,
        settings=settings.classifier,
        seed=task.seed,
    )
    return classify(network, parts["test"].cohort.pictures)


def phases_of(arm: str, real: Cohort, synthetic: Cohort, steps: int) -> list[Phase]:
    """What an arm learns from, in order; the steps are the same for all of them."""
    if arm == "pretrained":
        late = round(FINE_TUNING * steps)
        return [Phase(synthetic, steps - late), Phase(real, late, FINE_TUNING)]
    if arm == "mixed":
        return [Phase(real.joined(synthetic), steps)]
    if arm == "synthetic":
        return [Phase(synthetic, steps)]
    return [Phase(real, steps, change=augment if arm == "classical" else None)]


def share_of(part: Part, fraction: float, seed: int) -> Cohort:
    """A share of the patients, at least one of each density; a smaller share of one seed lies within a larger one."""
    order = np.random.default_rng(seed).permutation(np.unique(part.clusters.astype(str)))
    densest = {cluster: int(part.cohort.classes[part.clusters == cluster].max()) for cluster in order}
    chosen: set[str] = set()
    for number in range(CLASSES):
        own = [cluster for cluster in order if densest[cluster] == number]
        chosen |= set(own[: max(1, round(fraction * len(own)))])
    return part.cohort.take(np.isin(part.clusters.astype(str), sorted(chosen)))


def _scores(
    predicted: dict[Task, NDArray[np.int64]], test: Part, settings: WorthSettings
) -> dict[tuple[str, float], Scores]:
    together = {(task.arm, task.fraction) for task in predicted}
    return {
        (arm, fraction): Scores(
            test.cohort.classes,
            np.stack([predicted[Task(arm, fraction, seed)] for seed in range(settings.seeds)]),
            test.clusters,
        )
        for arm, fraction in sorted(together)
    }


def _rows(scores: dict[tuple[str, float], Scores], test: Part, settings: WorthSettings) -> Iterator[dict[str, Any]]:
    counts = {"seeds": settings.seeds, "images": len(test.ids), "patients": len(set(test.clusters))}
    for (arm, fraction), own in scores.items():
        for name in MEASURES:
            row: dict[str, Any] = {"arm": arm, "fraction": fraction, "measure": name, **counts}
            row |= _columns("value", own.estimate(name))
            for other in ("real", "classical"):
                same = scores.get((other, fraction))
                known = same is not None and other != arm
                row |= _columns(f"over_{other}", own.over(same, name) if same and known else Estimate(None, None, None))
            yield row


def _columns(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _predictions(predicted: dict[Task, NDArray[np.int64]], test: Part) -> Iterator[dict[str, Any]]:
    for task, classes in predicted.items():
        for image, true, told in zip(test.ids, test.cohort.classes, classes, strict=True):
            yield {
                "arm": task.arm,
                "fraction": task.fraction,
                "seed": task.seed,
                "image_id": image,
                "density": DENSITIES[true],
                "predicted": DENSITIES[told],
            }


def verdicts(table: pa.Table) -> list[str]:
    """Plain sentences on whether synthetic pictures helped, by quadratic kappa; the first is the one that was planned.

    Planned: real and synthetic pictures together against real ones alone, of all patients.
    """
    kappas = {(r["arm"], r["fraction"]): r for r in table.to_pylist() if r["measure"] == "quadratic_kappa"}
    sentences = []
    for arm, words in (
        ("mixed", "Synthetic pictures beside real ones"),
        ("pretrained", "Pre-training on synthetic ones"),
    ):
        for other, rival in (("real", "real ones alone"), ("classical", "classical augmentation")):
            row = kappas.get((arm, 1.0))
            if row is None or row[f"over_{other}"] is None:
                continue
            low, high = row[f"over_{other}_low"], row[f"over_{other}_high"]
            word = "helped" if low > 0 else "harmed" if high < 0 else "made no difference that could be measured"
            sentences.append(
                f"{words} {word} against {rival}: quadratic kappa {row['value']:.2f}, a difference of "
                f"{row[f'over_{other}']:+.2f} (95 % {low:+.2f} to {high:+.2f}; {row['patients']} test patients)."
            )
    return sentences or ["Not measured: there are no synthetic pictures to compare, or no real ones to test on."]


def tell_apart(real: Part, synthetic: Part, settings: WorthSettings) -> Estimate:
    """Balanced accuracy of telling real from synthetic pictures that the network did not learn from; 0.5 is a guess.

    Half of the patients, and every second synthetic picture, teach it the other half, and the other way round. The
    interval is over the repetitions' folds and the pictures, patients together.
    """
    if len(synthetic.cohort) < LEAST_SYNTHETIC or len(set(real.clusters)) < LEAST_SYNTHETIC:
        return Estimate(None, None, None)
    clusters = np.unique(real.clusters.astype(str))
    half = np.isin(real.clusters.astype(str), np.random.default_rng(0).permutation(clusters)[: len(clusters) // 2])
    second = np.arange(len(synthetic.cohort)) % 2 == 1
    right = np.empty(len(half) + len(second))
    both = Cohort(
        np.concatenate([real.cohort.pictures, synthetic.cohort.pictures]),
        np.repeat([0, 1], [len(half), len(second)]),
    )
    folds = np.concatenate([half, second])
    nobody = both.take(np.zeros(len(both), bool))
    for fold in (False, True):
        phase = Phase(both.take(folds == fold), settings.classifier.steps)
        network = train_classifier([phase], nobody, classes=2, settings=settings.classifier, seed=0)
        others = folds != fold
        told = (answers(network, both.pictures[others])[:, 0] > 0).astype(int)
        right[others] = told == both.classes[others]
    return _balanced(right, both.classes, np.concatenate([real.clusters.astype(str), np.asarray(synthetic.ids)]))


def _balanced(right: NDArray[np.float64], kinds: NDArray[np.int64], groups: NDArray[np.str_]) -> Estimate:
    """Mean of the two kinds' shares of right answers, with a bootstrap over groups."""
    rng = np.random.default_rng(0)
    value, draws = 0.0, np.zeros(1000)
    for kind in (0, 1):
        _, group = np.unique(groups[kinds == kind], return_inverse=True)
        hits, sizes = np.bincount(group, right[kinds == kind]), np.bincount(group)
        value += float(hits.sum() / sizes.sum()) / 2
        times = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), len(draws))
        draws += times @ hits / (times @ sizes) / 2
    return Estimate.of(value, draws)

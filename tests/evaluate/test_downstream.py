"""The worth of training pictures: figures against scikit-learn, honest verdicts, and every training accounted for."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, recall_score

from pipelines.evaluate.classifier import Cohort
from pipelines.evaluate.downstream import (
    PICTURE,
    PREDICTED,
    SUMMARY,
    TABLE,
    Part,
    measure_worth,
    phases_of,
    share_of,
    tasks_of,
    tell_apart,
    verdicts,
)
from pipelines.evaluate.downstream_statistics import Scores
from pipelines.evaluate.worth_settings import ClassifierSettings, WorthSettings
from pipelines.storage.tables import DOWNSTREAM, PREDICTIONS, read_table
from pipelines.storage.workers import Workers
from tests.evaluate.test_classifier import drawn


def part(counts, seed=0, images=2, name="P"):
    cohort = drawn([c * images for c in counts], seed)
    clusters = np.array([f"{name}-{seed}-{i // images}" for i in range(len(cohort))], object)
    ids = [f"{name}{seed}-{i}" for i in range(len(cohort))]
    return Part(ids, ["0" * 64] * len(ids), cohort, clusters)


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 4, 60)
    predicted = np.clip(true + rng.integers(-1, 2, (3, 60)), 0, 3)
    scores = Scores(true, predicted, np.arange(60).astype(object), draws=50)
    kappa = np.mean([cohen_kappa_score(true, row, weights="quadratic") for row in predicted])
    balanced = np.mean([balanced_accuracy_score(true, row) for row in predicted])
    recall = np.mean([recall_score(true, row, average=None, labels=range(4)) for row in predicted], axis=0)
    assert scores.values["quadratic_kappa"] == pytest.approx(kappa)
    assert scores.values["balanced_accuracy"] == pytest.approx(balanced)
    assert [scores.values[f"recall_{c}"] for c in "ABCD"] == pytest.approx(recall.tolist())
    found = scores.estimate("quadratic_kappa")
    assert found.low <= found.value <= found.high


def test_intervals_are_over_patients_and_cover_the_truth():
    rng = np.random.default_rng(0)
    inside = width_of_images = width_of_patients = 0
    for _ in range(40):
        true = np.repeat(rng.integers(0, 4, 40), 4)
        wrong = np.repeat(rng.random(40) < 0.3, 4)  # all images of a woman are told wrongly together
        predicted = np.where(wrong, np.clip(true + 1, 0, 3) - (true == 3), true)[None]
        women = np.repeat(np.arange(40), 4).astype(object)
        found = Scores(true, predicted, women, draws=200).estimate("balanced_accuracy")
        alone = Scores(true, predicted, np.arange(160).astype(object), draws=200).estimate("balanced_accuracy")
        inside += found.low <= 0.7 <= found.high
        width_of_patients += found.high - found.low
        width_of_images += alone.high - alone.low
    assert inside >= 34
    assert width_of_patients > 1.7 * width_of_images


def test_a_difference_is_paired():
    rng = np.random.default_rng(1)
    true = rng.integers(0, 4, 80)
    worse = np.clip(true + rng.integers(-1, 2, (2, 80)), 0, 3)
    better = np.where(np.arange(80) < 6, true, worse)  # a little better, always on the same images
    women = np.arange(80).astype(object)
    first, second = (Scores(true, rows, women, draws=300) for rows in (worse, better))
    paired = second.over(first, "quadratic_kappa")
    own = first.estimate("quadratic_kappa")
    assert paired.value == pytest.approx(second.values["quadratic_kappa"] - first.values["quadratic_kappa"], abs=1e-6)
    assert paired.high - paired.low < 0.7 * (own.high - own.low)


def test_one_class_in_the_test_set_has_no_kappa():
    scores = Scores(np.zeros(5, int), np.zeros((2, 5), int), np.arange(5).astype(object), draws=20)
    assert scores.estimate("quadratic_kappa").value is None
    assert scores.estimate("balanced_accuracy").value == 1
    assert scores.estimate("recall_D").value is None


def test_shares_of_patients_are_nested_whole_and_of_every_density():
    train = part([10, 10, 10, 10])
    small, large, everyone = (share_of(train, f, seed=2) for f in (0.1, 0.5, 1.0))
    assert [len(c) for c in (small, large, everyone)] == [8, 40, 80]
    assert set(small.classes) == {0, 1, 2, 3}
    assert {p.tobytes() for p in small.pictures} < {p.tobytes() for p in large.pictures}
    other = share_of(train, 0.1, seed=3)
    assert {p.tobytes() for p in other.pictures} != {p.tobytes() for p in small.pictures}


def test_every_set_has_the_same_steps():
    real, synthetic = drawn([3] * 4), drawn([2] * 4, seed=9)
    for arm in ("real", "classical", "mixed", "pretrained", "synthetic"):
        assert sum(phase.steps for phase in phases_of(arm, real, synthetic, 41)) == 41
    assert len(phases_of("mixed", real, synthetic, 10)[0].cohort) == 20
    assert phases_of("classical", real, synthetic, 10)[0].change is not None
    first, then = phases_of("pretrained", real, synthetic, 10)
    assert (len(first.cohort), len(then.cohort)) == (8, 12)


def test_without_synthetic_pictures_the_others_are_still_measured():
    settings = WorthSettings()
    assert {task.arm for task in tasks_of(settings, 0)} == {"real", "classical"}
    assert len(tasks_of(settings, 100)) == 4 * 3 * 5 + 5


@pytest.fixture(scope="module")
def worth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worth")
    parts = {"train": part([3, 3, 3, 3]), "validation": part([2] * 4, 1), "test": part([4] * 4, 2)}
    synthetic = part([6] * 4, 3, 1, "S")
    ledger = measure_worth(parts, synthetic, settings=WorthSettings.tiny(), workers=Workers(1), folder=folder)
    return folder, parts, synthetic, ledger


def test_tables_picture_and_verdict_are_written(worth):
    folder, parts, synthetic, (row,) = worth
    table = read_table(folder / TABLE, DOWNSTREAM).to_pylist()
    assert {(r["arm"], r["fraction"]) for r in table} == {
        (arm, 1.0) for arm in ("real", "classical", "mixed", "pretrained", "synthetic")
    }
    assert {r["patients"] for r in table} == {16}
    predictions = read_table(folder / PREDICTED, PREDICTIONS).to_pylist()
    assert len(predictions) == 5 * 2 * 32
    mixed = [r for r in predictions if r["arm"] == "mixed"]
    kappas = [
        cohen_kappa_score(
            *zip(*[(r["density"], r["predicted"]) for r in mixed if r["seed"] == s], strict=True),
            weights="quadratic",
            labels=list("ABCD"),
        )
        for s in (0, 1)
    ]
    (kappa,) = (r for r in table if r["arm"] == "mixed" and r["measure"] == "quadratic_kappa")
    assert kappa["value"] == pytest.approx(np.mean(kappas), abs=1e-6)
    summary = json.loads((folder / SUMMARY).read_text())
    assert len(summary["verdicts"]) == 4
    assert summary["verdicts"][0].startswith("Synthetic pictures beside real ones")
    assert (folder / PICTURE).stat().st_size > 5000
    assert {i for i, _ in row.inputs} == {i for p in (*parts.values(), synthetic) for i in p.ids}


def test_same_input_same_bytes_whatever_the_workers(worth, tmp_path):
    folder, parts, synthetic, _ = worth
    measure_worth(parts, synthetic, settings=WorthSettings.tiny(), workers=Workers(2, chunk=3), folder=tmp_path)
    for name in (TABLE, PREDICTED, PICTURE, SUMMARY):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_nothing_to_test_on_is_said(tmp_path):
    nobody = part([0] * 4)
    parts = {"train": part([2] * 4), "validation": nobody, "test": nobody}
    measure_worth(parts, nobody, settings=WorthSettings.tiny(), workers=Workers(1), folder=tmp_path)
    assert pq.read_table(tmp_path / TABLE).num_rows == 0
    assert json.loads((tmp_path / SUMMARY).read_text())["verdicts"][0].startswith("Not measured")
    assert (tmp_path / PICTURE).exists()


def kappa_row(arm, value, difference, half, **fixed):
    ends = {"value": value, "value_low": value - 0.1, "value_high": value + 0.1}
    for other in ("real", "classical"):
        known = arm not in ("real", "classical")
        numbers = (difference, difference - half, difference + half) if known else (None,) * 3
        ends |= dict(zip((f"over_{other}", f"over_{other}_low", f"over_{other}_high"), numbers, strict=True))
    return {"arm": arm, "fraction": 1.0, "measure": "quadratic_kappa", "seeds": 5, "images": 50, "patients": 20} | ends


@pytest.mark.parametrize(
    ("difference", "half", "word"),
    [(0.2, 0.1, "helped"), (-0.2, 0.1, "harmed"), (0.2, 0.3, "made no difference that could be measured")],
)
def test_the_verdict_follows_the_interval(difference, half, word):
    table = DOWNSTREAM.build([kappa_row("real", 0.5, 0, 0), kappa_row("mixed", 0.5 + difference, difference, half)])
    sentences = verdicts(table)
    assert f"Synthetic pictures beside real ones {word} against real ones alone" in sentences[0]
    assert f"{difference:+.2f}" in sentences[0]


def test_synthetic_pictures_that_look_the_same_are_not_told_apart_and_others_are():
    settings = replace(WorthSettings.tiny(), classifier=ClassifierSettings(width=4, steps=80, batch=16))
    real, same = part([8] * 4), part([8] * 4, 5, 2, "S")
    alike = tell_apart(real, same, settings)
    assert alike.low < 0.5 < alike.high + 0.1
    dark = Part(same.ids, same.digests, Cohort(same.cohort.pictures // 3, same.cohort.classes), same.clusters)
    assert tell_apart(real, dark, settings).value > 0.95
    assert tell_apart(real, part([0] * 4), settings).value is None

"""Odd real pictures come first, by the detector that tells oddities best on other patients."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipelines.evaluate.novelty import (
    SHOWN,
    Ordinary,
    Subject,
    auroc,
    measure_detectors,
    measure_novelty,
    threshold_of,
)
from pipelines.evaluate.oddities import KINDS, inject
from pipelines.storage.tables import NOVELTY, ODDITIES, read_table
from tests.evaluate.test_classifier import drawn

SHAPE = (40, 32)


def smooth(pictures, densities, views):
    """A plain detector that works: how much is all alike, and how far tissue reaches to the right."""
    return np.array([float(np.mean((np.abs(np.diff(p.astype(int), axis=1)) < 60)[p[:, 1:] > 64])) for p in pictures])


def guess(pictures, densities, views):
    return np.array([float(p.sum() % 101) for p in pictures])


@pytest.fixture(scope="module")
def ordinary() -> Ordinary:
    cohort = drawn([12] * 4, shape=SHAPE)
    names = [f"P-{i // 2}" for i in range(len(cohort))]
    return Ordinary(cohort.pictures, ["ABCD"[c] for c in cohort.classes], ["CC", "MLO"] * 24, names)


@pytest.mark.parametrize("kind", KINDS)
def test_oddities_are_pictures_like_the_others_but_not_the_same(kind: str, ordinary: Ordinary) -> None:
    made = inject(ordinary.pictures, kind)
    assert (made.shape, made.dtype, made.max() <= 4095) == (ordinary.pictures.shape, np.uint16, True)
    assert all((a != b).mean() > 0.01 for a, b in zip(made, ordinary.pictures, strict=True))
    assert np.array_equal(made, inject(ordinary.pictures, kind))
    assert inject(np.zeros((1, *SHAPE), np.uint16), kind).shape == (1, *SHAPE)  # air alone
    if kind not in ("upside_down",):
        assert not np.array_equal(made, inject(ordinary.pictures, kind, seed=1))


def test_an_implant_and_a_marker_lie_within_the_breast_and_leave_the_rest(ordinary: Ordinary) -> None:
    picture = ordinary.pictures[:4]
    odd = inject(picture, "implant")
    assert ((odd == picture) | (picture > 64)).all()
    assert ((odd > picture).mean((1, 2)) > 0.03).all()
    assert np.array_equal(inject(picture, "upside_down")[0], picture[0, ::-1, ::-1])


def test_the_area_under_the_curve_is_the_published_one() -> None:
    random = np.random.default_rng(0)
    usual, odd = random.integers(0, 8, 40).astype(float), random.integers(3, 11, 30).astype(float)
    labels = np.r_[np.zeros(40), np.ones(30)]
    assert auroc(usual, odd) == pytest.approx(roc_auc_score(labels, np.r_[usual, odd]))


def test_halves_share_no_patient_and_the_better_detector_is_chosen(ordinary: Ordinary) -> None:
    halves = [ordinary.half(n) for n in (0, 1)]
    assert not set(halves[0].patients) & set(halves[1].patients)
    assert sum(map(len, halves)) == len(ordinary)
    rows = measure_detectors(ordinary, {"guess": guess, "smooth": smooth})
    assert {r["detector"] for r in rows if r["chosen"]} == {"smooth"}
    assert len(rows) == 2 * 2 * (len(KINDS) + 1)
    measured = {(r["detector"], r["kind"]): r["auroc"] for r in rows if r["measured_on"] == "measuring"}
    assert measured["smooth", "*"] == pytest.approx(np.mean([measured["smooth", kind] for kind in KINDS]))
    assert measured["smooth", "implant"] > 0.9
    assert abs(measured["guess", "*"] - 0.5) < 0.2


def test_a_threshold_lets_through_as_few_as_it_says() -> None:
    random = np.random.default_rng(1)
    beyond = [np.mean(random.normal(size=2000) > threshold_of(random.normal(size=99), 0.05)) for _ in range(200)]
    assert np.mean(beyond) == pytest.approx(0.05, abs=0.005)
    assert threshold_of(np.array([3.0, 1.0, 2.0])) == 3.0


def test_odd_subjects_come_first_with_a_sheet(ordinary: Ordinary, tmp_path: Path) -> None:
    usual = drawn([10] * 4, seed=5, shape=SHAPE).pictures
    odd = inject(usual[:6], "implant")
    facts = {"delivery": "D-1", "vendor_group": None, "view": None, "density": None, "split": None}
    subjects = [
        Subject(p, facts | {"image_id": f"I-{i:02}"}, f"{i:064x}") for i, p in enumerate(np.concatenate([usual, odd]))
    ]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        ledger = measure_novelty(subjects, ordinary, {"guess": guess, "smooth": smooth}, folder=tmp_path / folder)
    table = NOVELTY.frame(read_table(tmp_path / "a" / "novelty.parquet", NOVELTY))
    assert set(table["image_id"][:6]) == {f"I-{i}" for i in range(40, 46)}
    assert table["rank"].tolist() == list(range(1, 47))
    assert (table["is_novel"] == (table["oddness"] > table["threshold"])).all()
    assert set(table["image_id"][table["is_novel"]]) >= {f"I-{i}" for i in range(40, 46)}
    assert set(table["detector"]) == {"smooth"}
    assert len(ledger[0].inputs) == 46
    assert SHOWN < 46
    for name in ("novelty.parquet", "oddities.parquet", "novelty.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_with_few_held_back_nothing_is_ranked(ordinary: Ordinary, tmp_path: Path) -> None:
    few = Ordinary(ordinary.pictures[:6], ordinary.densities[:6], ordinary.views[:6], ordinary.patients[:6])
    for detectors, held_back in (({"smooth": smooth}, few), ({}, ordinary)):
        measure_novelty([], held_back, detectors, folder=tmp_path)
        assert read_table(tmp_path / "novelty.parquet", NOVELTY).num_rows == 0
        assert read_table(tmp_path / "oddities.parquet", ODDITIES).num_rows == 0
        assert not (tmp_path / "novelty.png").exists()

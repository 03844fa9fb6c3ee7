"""The screen with all its judges: feature space, copies in it, the density that an estimator believes; the record."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.storage.tables import DENSITIES, SCREENING, SYNTHETIC, read_table
from pipelines.synthesize.copies import FeatureIndex, NeighborIndex
from pipelines.synthesize.density_followed import density_followed
from pipelines.synthesize.judges import Judges
from pipelines.synthesize.odd_sheet import OddSheet
from pipelines.synthesize.quota import fill_quota
from pipelines.synthesize.screening import COPY_TESTS, Screen
from pipelines.synthesize.settings import SynthesisSettings
from tests.synthesize.cohort import Cohort
from tests.synthesize.test_quota import plan


def features(pictures: np.ndarray) -> np.ndarray:
    blocks = pictures.reshape(len(pictures), 8, 10, 8, 8).astype(np.float64)
    return np.concatenate(
        [blocks.mean((2, 4)).reshape(len(pictures), -1), blocks.std((2, 4)).reshape(len(pictures), -1)], 1
    )


def estimate(pictures: np.ndarray, views: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Density by the share of bright tissue, as the drawn breasts have it."""
    shares = np.array([(p > 1700)[p > 64].mean() if (p > 64).any() else np.nan for p in pictures])
    centers = np.array([0.1, 0.25, 0.5, 0.8])
    weights = np.exp(-np.abs(shares[:, None] - centers) * 20)
    return weights / weights.sum(1, keepdims=True), shares


def calibrated(cohort: Cohort) -> Screen:
    center = features(cohort.training.pictures).mean(0)

    def distances(found: np.ndarray, densities: Sequence[str]) -> np.ndarray:
        return np.sqrt(((found - center) ** 2).sum(1))

    judges = Judges(lambda p, d, v: np.zeros(len(p)), features, distances, estimate)
    return Screen.calibrated(cohort.training, cohort.held_back, judges, SynthesisSettings(calibration_pictures=60))


@pytest.fixture(scope="module")
def screen(drawn: Cohort) -> Screen:
    return calibrated(drawn)


def test_every_test_has_a_finding_and_the_first_that_fails_names_the_reason(screen: Screen, drawn: Cohort) -> None:
    unseen = drawn.unseen
    for verdict in screen.judge(unseen.pictures, unseen.densities, unseen.views):
        names = [finding.test for finding in verdict.findings]
        assert names[: len(COPY_TESTS)] == list(COPY_TESTS)
        assert names[-3:] == ["features", "critic", "class"]
        assert len(set(names)) == len(names)
        failed = [f.test for f in verdict.findings if not f.passed]
        expected = None if not failed else "copy" if failed[0] in COPY_TESTS else failed[0]
        assert verdict.reason == expected
        assert verdict.judged_density in DENSITIES
        assert 0 <= verdict.expected_density <= 3
        assert all(f.low is not None or f.high is not None for f in verdict.findings)


def test_few_unseen_real_pictures_are_rejected_by_all_tests_together(screen: Screen, drawn: Cohort) -> None:
    unseen = drawn.unseen
    verdicts = screen.judge(unseen.pictures, unseen.densities, unseen.views)
    # 5 % are allowed; of 48 pictures of 12 women 5 may be by chance.
    assert np.sum([v.reason is not None for v in verdicts]) <= 5


def test_what_is_far_out_in_feature_space_is_rejected(screen: Screen, drawn: Cohort) -> None:
    pushed = replace(screen, judges=Judges(screen.judges.score, features, lambda f, d: np.full(len(f), 9e9)))
    one = next(drawn.unseen.batches(1))
    verdict = pushed.judge(one.pictures, one.densities, one.views)[0]
    assert verdict.reason in ("features", "copy") or verdict.reason.startswith("breast_")
    assert not next(f for f in verdict.findings if f.test == "features").passed
    assert verdict.figure("class") is None  # nobody was asked


def test_a_density_that_is_hardly_believed_is_dropped_or_relabeled(screen: Screen, drawn: Cohort) -> None:
    unseen = drawn.unseen
    fatty = [i for i, d in enumerate(unseen.densities) if d == "A"][:6]
    claims = [unseen.pictures[fatty], ["D"] * len(fatty), [unseen.views[i] for i in fatty]]
    dropped = screen.judge(*claims)
    assert all(v.reason is not None for v in dropped)
    assert any(v.reason == "class" for v in dropped) or all(v.reason.startswith("breast_density") for v in dropped)
    again = replace(screen, settings=SynthesisSettings(disagreement="relabel")).judge(*claims)
    for before, after in zip(dropped, again, strict=True):
        if before.reason == "class" and after.reason is None:
            assert after.density == after.judged_density != "D"


def test_copies_have_one_original_that_stands_out(drawn: Cohort) -> None:
    index = NeighborIndex(drawn.training)
    picture = drawn.training.pictures[7]
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 150, picture.shape) * (picture > 0), 0, 4095)
    half = np.roll(np.rint(noisy).astype(np.uint16), 1, axis=0)  # half a pixel of the small picture
    found = index.nearest(half)
    assert found.row == 7
    assert found.standing_out < 0.7
    usual = [index.nearest(p).standing_out for p in drawn.unseen.pictures[:8]]
    assert min(usual) > found.standing_out
    assert found.nearness == pytest.approx(found.distance**2 / found.second)
    near = [index.nearest(p).nearness for p in drawn.unseen.pictures[:8]]
    assert min(near) > 0.36 > found.nearness  # never called a copy above that
    assert index.nearest(picture, 7).row != 7
    assert index.nearest(picture, 7).second >= index.nearest(picture, 7).distance


def test_authenticity_is_the_ratio_of_two_distances() -> None:
    points = np.array([[0.0, 0], [1, 0], [5, 0]])
    index = FeatureIndex(points)
    near = index.nearest(np.array([[0.9, 0.0], [9, 9]]))
    assert (near.row, near.distance) == (1, pytest.approx(0.1))
    assert index.authenticity(near) == pytest.approx(0.1 / 1.0)
    own = index.nearest(points[:1], 0)
    assert (own.row, index.authenticity(own, 0)) == (1, pytest.approx(1.0 / 4.0))
    assert FeatureIndex(points[:1]).authenticity(near) == 1.0


def sample(pictures: np.ndarray, densities: Sequence[str], views: Sequence[str]):
    """Gives pictures of a cohort whatever density is asked for, those of the view in turn."""

    def give(seed: int, numbers: Sequence[int], asked: Sequence[str], of: Sequence[str]) -> np.ndarray:
        rows = [[i for i, v in enumerate(views) if v == view] for view in of]
        return np.stack([pictures[own[n % len(own)]] for own, n in zip(rows, numbers, strict=True)])

    return give


def test_relabeled_pictures_fill_the_cell_that_they_belong_to(drawn: Cohort, screen: Screen, tmp_path: Path) -> None:
    unseen = drawn.unseen
    arguments = {
        "sample": sample(unseen.pictures, unseen.densities, unseen.views),
        "score": screen.judges,
        "training": drawn.training,
        "held_back": drawn.held_back,
        "model_sha256": "a1" * 32,
        "folder": tmp_path,
    }
    settings = SynthesisSettings(disagreement="relabel", tries=8, calibration_pictures=30)
    summary = fill_quota(plan(A_CC=2, D_CC=2), **arguments, settings=settings)
    rows = read_table(tmp_path / "synthetic.parquet", SYNTHETIC).to_pylist()
    kept = [r for r in rows if r["verdict"] == "kept"]
    wanted = {("A", "CC"): 2, ("D", "CC"): 2}
    assert all(summary.kept_by_cell.get(cell, 0) <= count for cell, count in wanted.items())
    assert {(r["density"], r["view"]) for r in kept} <= set(wanted)
    assert {r["requested_density"] for r in rows} <= {"A", "D"}
    for row in kept:
        assert row["density"] in (row["requested_density"], row["judged_density"])
    grounds = SCREENING.frame(read_table(tmp_path / "screening.parquet", SCREENING))
    assert set(grounds["synthetic_id"]) == {r["synthetic_id"] for r in rows}
    passed = grounds.groupby("synthetic_id")["passed"].all()
    assert all(passed[r["synthetic_id"]] for r in kept)
    outside = (grounds["figure"] < grounds["low"]) | (grounds["figure"] > grounds["high"])
    assert (outside == ~grounds["passed"]).all()
    assert grounds["low"].isna().any()
    if len(kept) < len(rows):
        assert (tmp_path / "odd.png").exists()


def test_the_odd_sheet_has_a_row_for_each_reason(tmp_path: Path) -> None:
    sheet = OddSheet()
    assert not sheet.draw(tmp_path / "odd.png")
    for n in range(12):
        sheet.add("copy", np.full((80, 64), 1000, np.uint16), f"A CC {n}", np.full((80, 64), 3000, np.uint16))
    one = {}
    for rows in (1, 2):
        if rows == 2:
            sheet.add("critic", np.full((80, 64), 2000, np.uint16), "D CC 1")
        assert sheet.draw(tmp_path / "odd.png")
        one[rows] = np.asarray(Image.open(tmp_path / "odd.png"))
    assert one[2].shape[0] > 1.8 * one[1].shape[0]
    assert {round(255 * gray / 4095) for gray in (1000, 3000)} <= set(np.unique(one[1]).tolist())
    assert round(255 * 2000 / 4095) in one[2]


def test_density_is_followed_or_not(drawn: Cohort) -> None:
    def rows(shares: dict[str, float], verdict: str = "kept") -> list[dict]:
        return [
            {
                "density": d,
                "requested_density": d,
                "verdict": verdict,
                "percent_density": s + n / 99,
                "expected_density": None,
            }
            for d, s in shares.items()
            for n in range(5)
        ]

    rising, broken = {"A": 0.1, "B": 0.2, "C": 0.4, "D": 0.6}, {"A": 0.5, "B": 0.2, "D": 0.3}
    found = density_followed(rows(rising) + rows(broken, "rejected"), drawn.held_back, estimate)
    kept = found["kept"]["percent_density"]
    assert (kept["pictures"], kept["falls"]) == (20, 0)
    assert kept["spearman"] > 0.9
    assert kept["mean"]["C"] == pytest.approx(0.4 + 2 / 99)
    assert found["generated"]["percent_density"]["pictures"] == 35
    assert density_followed(rows(broken), drawn.held_back, None)["kept"]["percent_density"]["falls"] == 1
    assert found["kept"]["expected_density"] == {"pictures": 0, "mean": {}, "spearman": None, "falls": None}
    assert found["real"]["percent_density"]["pictures"] == len(drawn.held_back)

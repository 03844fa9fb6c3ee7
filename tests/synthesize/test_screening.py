"""The screen lets real breasts through that it never saw, and stops copies and oddities."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from pipelines.synthesize.judges import Judges
from pipelines.synthesize.pictures import PictureSet, PictureSetError
from pipelines.synthesize.screening import Screen, Verdict
from pipelines.synthesize.settings import SynthesisSettings
from tests.synthesize.cohort import Cohort

Alter = Callable[[np.ndarray], np.ndarray]


def indifferent(pictures: np.ndarray, densities: list[str], views: list[str]) -> np.ndarray:
    return np.zeros(len(pictures))


@pytest.fixture(scope="module", params=["drawn", "films"])
def cohort(request: pytest.FixtureRequest) -> Cohort:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def screen(cohort: Cohort) -> Screen:
    return Screen.calibrated(cohort.training, cohort.held_back, indifferent, SynthesisSettings())


def judged(screen: Screen, real: PictureSet, alter: Alter | None = None) -> list[Verdict]:
    pictures = real.pictures
    if alter is not None:
        altered = [np.clip(np.round(alter(p.astype(np.float64))), 0, 4095) for p in pictures]
        pictures = np.stack(altered).astype(np.uint16)
    return screen.judge(pictures, real.densities, real.views)


def test_real_breasts_that_it_never_saw_pass(screen: Screen, cohort: Cohort) -> None:
    verdicts = judged(screen, cohort.unseen)
    assert len(verdicts) >= 30
    assert np.mean([v.reason is not None for v in verdicts]) <= 0.08


def test_copies_with_noise_shifts_and_mirrors_are_found(screen: Screen, cohort: Cohort) -> None:
    random = np.random.default_rng(3)

    def copy(p: np.ndarray) -> np.ndarray:
        shifted = ndimage.shift(p, random.integers(-2, 3, 2), order=0, mode="nearest")
        noisy = shifted * random.uniform(0.9, 1.1) + random.normal(0, random.uniform(0, 200), p.shape) * (shifted > 0)
        return noisy[::-1] if random.random() < 0.3 else noisy

    verdicts = judged(screen, cohort.training, copy)
    assert np.mean([v.reason == "copy" for v in verdicts]) >= 0.99
    named = [v.nearest_image_id == i for v, i in zip(verdicts, cohort.training.image_ids, strict=True)]
    assert np.mean(named) >= 0.99


def test_a_training_picture_itself_is_at_no_distance(screen: Screen, cohort: Cohort) -> None:
    verdicts = judged(screen, cohort.training)
    assert {v.reason for v in verdicts} == {"copy"}
    assert np.mean([v.nearest_distance < 0.05 for v in verdicts]) >= 0.8


GRID = (-1.0) ** np.add.outer(np.arange(80), np.arange(64))
COARSE_GRID = (-1.0) ** np.add.outer(np.arange(80) // 2, np.arange(64) // 2)
NOISE = np.random.default_rng(5).uniform(0, 4095, (80, 64))


def _cut(p: np.ndarray) -> np.ndarray:
    return np.where(((np.arange(80) < 36) | (np.arange(80) > 43))[:, None], p, 0)


ODDITIES: dict[str, Alter] = {
    "black": np.zeros_like,
    "flat": lambda p: np.full_like(p, 1500),
    "flat breast": lambda p: 1500.0 * (p > 64),
    "noise": lambda p: NOISE,
    "breast of noise": lambda p: NOISE * (p > 64),
    "two pieces": _cut,
    "away from the chest wall": lambda p: np.roll(p * (np.arange(64) < 40), 20, 1),
    "chest wall on the right": lambda p: p[:, ::-1],
    "checkerboard": lambda p: p + 150 * GRID * (p > 64),
    "coarse checkerboard": lambda p: p + 250 * COARSE_GRID * (p > 64),
    "columns": lambda p: p + 200 * (-1.0) ** np.arange(64) * (p > 64),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_oddities_are_stopped(name: str, screen: Screen, cohort: Cohort) -> None:
    verdicts = judged(screen, cohort.unseen, ODDITIES[name])
    assert np.mean([v.reason is not None for v in verdicts]) >= 0.97


def test_inverted_breasts_are_mostly_stopped(screen: Screen, cohort: Cohort) -> None:
    verdicts = judged(screen, cohort.unseen, lambda p: np.where(p > 64, 4095 - p, 0))
    assert np.mean([v.reason is not None for v in verdicts]) >= 0.5


def test_obliques_upside_down_are_stopped(screen: Screen, cohort: Cohort) -> None:
    verdicts = judged(screen, cohort.unseen, lambda p: p[::-1])
    obliques = [v.reason is not None for v, view in zip(verdicts, cohort.unseen.views, strict=True) if view == "MLO"]
    assert np.mean(obliques) >= 0.9


def test_haze_in_the_air_is_cleared(screen: Screen, cohort: Cohort) -> None:
    haze = np.random.default_rng(1).uniform(0, 50, (80, 64))
    clean, hazy = judged(screen, cohort.unseen), judged(screen, cohort.unseen, lambda p: p + haze)
    for before, after in zip(clean, hazy, strict=True):
        air = before.picture == 0
        assert (after.picture[air] == 0).mean() >= 0.9
    assert np.mean([v.reason is not None for v in hazy]) <= 0.1


def brightness(pictures: np.ndarray, densities: list[str], views: list[str]) -> np.ndarray:
    return pictures.reshape(len(pictures), -1).mean(1) / 4095


def test_the_critic_rejects_as_few_held_back_as_it_is_told_to(drawn: Cohort) -> None:
    scores = brightness(drawn.held_back.pictures, [], [])
    for share in (0.02, 0.25):
        settings = SynthesisSettings(odd_features=share, least_held_back=10)
        screen = Screen.calibrated(drawn.training, drawn.held_back, brightness, settings)
        rejected = int((scores < screen.critic_low).sum())
        # Split conformal prediction: of n held back, the k-th lowest stands for a share of k / (n + 1).
        assert rejected <= max(0, int(share * (len(scores) + 1)) - 1)
        low, middle = np.quantile(scores, (0.05, 0.5))
        assert screen.critic_low <= middle - 2 * (middle - low) + 1e-9
        verdicts = screen.judge(drawn.held_back.pictures, drawn.held_back.densities, drawn.held_back.views)
        low = [v.reason for v, s in zip(verdicts, scores, strict=True) if s < screen.critic_low]
        assert all(reason is not None for reason in low)


def test_with_few_held_back_no_real_picture_would_fail_the_critic(drawn: Cohort) -> None:
    few = next(drawn.held_back.batches(5))
    none = PictureSet(few.pictures[:0], [], [], [])
    for held_back in (few, none):
        screen = Screen.calibrated(drawn.training, held_back, brightness, SynthesisSettings())
        assert screen.thresholds.rule == "training_and_held_back"
        real = np.concatenate([drawn.training.pictures, held_back.pictures])
        assert screen.critic_low <= brightness(real, [], []).min()


def test_a_score_that_is_no_number_is_the_worst(drawn: Cohort) -> None:
    one = next(drawn.unseen.batches(1))
    screen = Screen.calibrated(drawn.training, drawn.held_back, indifferent, SynthesisSettings())
    broken = Screen(**{**vars(screen), "judges": Judges(lambda p, d, v: np.full(len(p), np.nan))})
    verdict = broken.judge(one.pictures, one.densities, one.views)[0]
    assert verdict.reason == "critic"
    assert np.isfinite(verdict.critic_score)


def test_duplicates_among_the_training_pictures_do_not_blind_the_screen(drawn: Cohort) -> None:
    twice = PictureSet(
        np.repeat(drawn.training.pictures[:20], 2, axis=0),
        [str(i) for i in range(40)],
        [d for d in drawn.training.densities[:20] for _ in "ab"],
        [v for v in drawn.training.views[:20] for _ in "ab"],
    )
    screen = Screen.calibrated(twice, drawn.held_back, indifferent, SynthesisSettings())
    assert {v.reason for v in judged(screen, twice)} == {"copy"}


def test_shapes_must_agree(drawn: Cohort) -> None:
    screen = Screen.calibrated(drawn.training, drawn.held_back, indifferent, SynthesisSettings())
    with pytest.raises(PictureSetError):
        screen.judge(np.zeros((1, 40, 32), np.uint16), ["A"], ["CC"])
    with pytest.raises(PictureSetError):
        Screen.calibrated(
            drawn.training,
            PictureSet(np.zeros((1, 40, 32), np.uint16), ["x"], ["A"], ["CC"]),
            indifferent,
            SynthesisSettings(),
        )
    with pytest.raises(PictureSetError):
        PictureSet(np.zeros((2, 40, 32), np.uint16), ["x"], ["A"], ["CC"])

"""The label rung's estimator as a judge of the pGAN's pictures."""

import numpy as np
import pytest

from assets.density_judge import ESTIMATOR, estimates, teach
from pipelines.label.percent_density import measure
from pipelines.pgan.fidelity import Pictures, class_fidelity
from tests.pgan.conftest import draw


def noisy(seed: int, densities: str) -> Pictures:
    """Toy breasts with grain, so that gray values can be clustered; air stays 0."""
    rng = np.random.default_rng(seed)
    drawn = np.stack([draw(d, "CC", rng, 80, 64) for d in densities]).astype(np.float64)
    grain = np.where(drawn > 0, np.clip(drawn + rng.normal(0, 120, drawn.shape), 1, 4095), 0)
    return Pictures(
        grain.astype(np.uint16), ["CC"] * len(densities), list(densities), [f"P-{i}" for i in range(len(densities))]
    )


def test_it_recovers_the_density_of_pictures_that_it_has_not_seen():
    learned_from, held_back = noisy(0, "ABCD" * 10), noisy(1, "ABCD" * 5)
    turned = Pictures(held_back.gray[::-1], held_back.views, held_back.densities)
    figures = class_fidelity(ESTIMATOR, learned_from, held_back, turned)
    assert figures["estimator"] == ESTIMATOR.name
    assert figures["real"]["recovered"] >= 0.85
    assert figures["real"]["spearman"] >= 0.9
    assert figures["generated"]["recovered"] < 0.2
    assert figures["generated"]["spearman"] < -0.9


def test_it_learns_nothing_of_few_patients_or_of_nothing_to_measure():
    few = noisy(0, "ABCD" * 7)
    assert teach(few.gray, few.views, few.densities, few.patients) is None
    blank = np.zeros((40, 80, 64), np.uint16)
    assert teach(blank, ["CC"] * 40, ["A", "B"] * 20, [str(i) for i in range(40)]) is None


def test_a_picture_without_a_breast_is_not_judged():
    learned_from = noisy(0, "ABCD" * 10)
    judge = teach(learned_from.gray, learned_from.views, learned_from.densities, learned_from.patients)
    pictures = np.concatenate([np.zeros((1, 80, 64), np.uint16), learned_from.gray[:1]])
    first, second = judge(pictures, ["CC", "CC"])
    assert first is None
    assert second in "AB"
    assert judge(pictures[:1], ["CC"]) == [None]


def test_haze_in_the_air_changes_no_judgement():
    learned_from, asked = noisy(0, "ABCD" * 10), noisy(1, "ABCD" * 5)
    judge = teach(learned_from.gray, learned_from.views, learned_from.densities, learned_from.patients)
    haze = np.random.default_rng(2).integers(0, 40, asked.gray.shape).astype(np.uint16)
    hazy = np.where(asked.gray == 0, haze, asked.gray)
    judged = judge(hazy, asked.views)
    assert sum(d == found for d, found in zip(asked.densities, judged, strict=True)) >= 17
    assert sum(a == b for a, b in zip(judged, judge(asked.gray, asked.views), strict=True)) >= 19


def test_estimates_are_the_judges_probabilities_and_percent_density():
    learned_from, held_back = noisy(0, "ABCD" * 10), noisy(1, "ABCD" * 5)
    material = learned_from.gray, learned_from.views, learned_from.densities, learned_from.patients
    estimate, judge = estimates(*material), teach(*material)
    likely, percent = estimate(held_back.gray, held_back.views)
    assert likely.sum(axis=1) == pytest.approx(1)
    assert ["ABCD"[best] for best in likely.argmax(1)] == judge(held_back.gray, held_back.views)
    expected = [measure(p, "CC").percent_density for p in held_back.gray]
    assert percent.tolist() == expected
    alone = estimate(held_back.gray[3:4], ["CC"])
    assert np.array_equal(alone[0], likely[3:4])
    nothing = estimate(np.zeros((1, 80, 64), np.uint16), ["CC"])
    assert np.isnan(nothing[0]).all()
    assert np.isnan(nothing[1]).all()


def test_with_few_patients_percent_density_is_all_there_is():
    few = noisy(0, "ABCD" * 3)
    likely, percent = estimates(few.gray, few.views, few.densities, few.patients)(few.gray, few.views)
    assert np.isnan(likely).all()
    assert np.isfinite(percent).all()

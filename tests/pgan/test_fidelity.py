"""Class fidelity: what a judge that is independent of the GAN makes of pictures, real held-back ones beside."""

import numpy as np
import pytest

from pipelines.pgan.fidelity import DENSE_FRACTION, Estimator, Pictures, class_fidelity, followed
from tests.pgan.conftest import draw


def drawn(seed: int, densities: str) -> Pictures:
    rng = np.random.default_rng(seed)
    views = ["CC", "MLO"] * (len(densities) // 2)
    gray = np.stack([draw(d, v, rng, 40, 32) for d, v in zip(densities, views, strict=True)])
    return Pictures(gray, views, list(densities), [f"P-{i}" for i in range(len(densities))])


TRAINING, HELD_BACK = drawn(0, "AABBCCDD" * 4), drawn(1, "AABBCCDD" * 2)


def test_shares_and_ranks_by_hand():
    figures = followed(["A", "B", "D", None, "C"], ["A", "A", "A", "C", "C"])
    assert figures == {
        "pictures": 5,
        "judged": 4,
        "recovered": 2 / 5,
        "within_one": 3 / 5,
        "spearman": pytest.approx(np.corrcoef([1, 2, 4, 3], [2, 2, 2, 4])[0, 1]),
        "per_class": {"A": 1 / 3, "C": 1 / 2},
    }


def test_nothing_judged_is_null_and_one_class_has_no_rank():
    assert followed([None], ["A"])["recovered"] is None
    assert followed([], [])["spearman"] is None
    assert followed(["B", "C"], ["B", "B"])["spearman"] is None


def test_the_dense_fraction_recovers_drawn_densities_and_sees_wrong_ones():
    right = class_fidelity(None, TRAINING, HELD_BACK, drawn(2, "AABBCCDD" * 3))
    assert right["estimator"] == "dense fraction"
    assert right["real"]["recovered"] > 0.9
    assert right["generated"]["recovered"] > 0.9
    assert right["generated"]["spearman"] > 0.9
    turned = drawn(2, "AABBCCDD" * 3)
    wrong = Pictures(turned.gray[::-1], turned.views[::-1], turned.densities)
    assert class_fidelity(None, TRAINING, HELD_BACK, wrong)["generated"]["recovered"] < 0.2


def test_the_given_estimator_judges_and_is_taught_the_training_pictures_alone():
    taught = []

    def teach(gray, views, densities, patients):
        taught.append((gray.shape, list(densities), list(patients)))
        return lambda pictures, of_views: ["B"] * len(pictures)

    figures = class_fidelity(Estimator("always B", teach), TRAINING, HELD_BACK, HELD_BACK)
    assert taught == [((32, 40, 32), TRAINING.densities, TRAINING.patients)]
    assert figures["estimator"] == "always B"
    assert figures["real"]["recovered"] == figures["generated"]["recovered"] == 0.25


@pytest.mark.parametrize("judge", [None, lambda pictures, views: [None] * len(pictures)])
def test_an_estimator_that_cannot_judge_gives_way_to_the_dense_fraction(judge):
    figures = class_fidelity(Estimator("none", lambda *_: judge), TRAINING, HELD_BACK, HELD_BACK)
    assert figures["estimator"] == DENSE_FRACTION.name
    assert figures["generated"] == figures["real"]


def test_without_held_back_pictures_there_is_no_baseline():
    nothing = Pictures(np.empty((0, 40, 32), np.uint16), [], [])
    figures = class_fidelity(None, TRAINING, nothing, HELD_BACK)
    assert figures["real"]["recovered"] is None
    assert figures["generated"]["recovered"] > 0.9

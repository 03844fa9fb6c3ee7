"""The density classifier learns what can be learned, the same way each time."""

import numpy as np
import torch

from pipelines.evaluate.classical_augmentation import augment
from pipelines.evaluate.classifier import (
    CHECKS,
    Cohort,
    Phase,
    _Draw,
    _is_check,
    answers,
    classify,
    train_classifier,
)
from pipelines.evaluate.worth_settings import ClassifierSettings

SETTINGS = ClassifierSettings(width=4, steps=40, batch=16)


def drawn(counts, seed=0, shape=(20, 16)):
    """Half-disks whose bright share rises with the class; ``counts`` pictures of each class."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(4), counts)
    y, x = np.mgrid[: shape[0], : shape[1]]
    breast = np.hypot((y - shape[0] / 2) / shape[0], x / shape[1] / 1.6) < 0.45
    pictures = []
    for c in classes:
        dense = rng.random(shape) < (c + 0.5) / 4
        pictures.append(np.where(breast, np.where(dense, 3000, 1200) + rng.normal(0, 60, shape), 0))
    return Cohort(np.clip(pictures, 0, 4095).astype(np.uint16), classes.astype(np.int64))


def test_what_can_be_learned_is_learned_and_a_class_it_never_saw_is_not():
    train, test = drawn([12] * 4), drawn([10] * 4, seed=1)
    network = train_classifier([Phase(train, 60)], drawn([4] * 4, seed=2), classes=4, settings=SETTINGS, seed=0)
    told = classify(network, test.pictures)
    assert (told == test.classes).mean() > 0.8
    halves = train_classifier(
        [Phase(drawn([12, 0, 0, 12]), 60)], drawn([4, 0, 0, 4]), classes=4, settings=SETTINGS, seed=0
    )
    assert np.unique(classify(halves, drawn([5, 0, 0, 5], seed=3).pictures)).tolist() == [0, 3]


def test_same_arguments_same_network_another_seed_another():
    train, check = drawn([6] * 4), drawn([2] * 4, seed=2)
    made = [
        answers(train_classifier([Phase(train, 10)], check, classes=4, settings=SETTINGS, seed=seed), check.pictures)
        for seed in (3, 3, 4)
    ]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert torch.get_num_threads() >= 1
    assert not torch.are_deterministic_algorithms_enabled()


def test_classes_are_drawn_equally_often_whatever_their_counts_and_each_picture_once_a_round():
    cohort = Cohort(np.arange(23, dtype=np.uint16).reshape(23, 1, 1), np.repeat([0, 1, 3], [2, 6, 15]).astype(np.int64))
    draw = _Draw(cohort, 12, (0, 0))
    seen = torch.cat([draw(4)[0].flatten() for _ in range(3)]).mul(4095).round().int().tolist()
    assert [sum(cohort.classes[value] == c for value in seen) for c in (0, 1, 3)] == [12, 12, 12]
    assert sorted(v for v in seen if cohort.classes[v] == 1) == sorted([*range(2, 8)] * 2)
    _, wanted = draw(4)
    assert set(map(tuple, wanted.tolist())) == {(0, 0, 0), (1, 0, 0), (1, 1, 1)}


def test_the_state_that_validation_likes_best_is_kept():
    train = drawn([8] * 4)
    wrong = Cohort(train.pictures, 3 - train.classes)  # validation that contradicts: every step makes it worse
    early = train_classifier([Phase(train, CHECKS)], wrong, classes=4, settings=SETTINGS, seed=0)
    late = train_classifier([Phase(train, 60)], wrong, classes=4, settings=SETTINGS, seed=0)
    fit = train_classifier([Phase(train, 60)], train, classes=4, settings=SETTINGS, seed=0)
    assert (classify(late, train.pictures) == train.classes).mean() < (
        classify(fit, train.pictures) == train.classes
    ).mean()
    assert sum(_is_check(step, 60) for step in range(60)) == CHECKS
    assert early is not late


def test_no_picture_no_answer():
    network = train_classifier([Phase(drawn([2] * 4), 1)], drawn([0] * 4), classes=4, settings=SETTINGS, seed=0)
    assert answers(network, np.empty((0, 20, 16), np.uint16)).shape == (0, 3)


def test_augmentation_moves_the_breast_a_little_keeps_air_and_repeats():
    pictures = torch.from_numpy(drawn([4] * 4).pictures.astype(np.float32) / 4095)[:, None]
    first, again = (augment(pictures, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == pictures.shape
    assert float(first.min()) == 0
    assert float(first.max()) <= 1
    areas = (first > 0.05).sum((1, 2, 3)) / (pictures > 0.05).sum((1, 2, 3))
    assert 0.6 < float(areas.min()) <= float(areas.max()) < 1.5
    assert float(areas.std()) > 0.02
    assert torch.equal(augment(torch.zeros_like(pictures), torch.Generator()), torch.zeros_like(pictures))


def test_a_rotation_keeps_angles_in_pictures_that_are_not_square(monkeypatch):
    """A horizontal bar turned by a known angle lies along that angle in pixels."""
    from pipelines.evaluate import classical_augmentation as module

    for name in ("SKEW", "ZOOM", "SHIFT", "GAMMA", "GAIN"):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(module, "ROTATION", 30.0)
    picture = torch.zeros(40, 1, 120, 60)
    picture[:, :, 59:61, 10:50] = 1
    turned = augment(picture, torch.Generator().manual_seed(1))
    noise = torch.Generator().manual_seed(1)
    wanted = (2 * torch.rand(40, generator=noise) - 1) * 30
    y, x = np.mgrid[:120, :60]
    for image, angle in zip(turned[:, 0].numpy(), wanted.numpy(), strict=True):
        dx, dy = x - (image * x).sum() / image.sum(), y - (image * y).sum() / image.sum()
        found = 0.5 * np.degrees(np.arctan2(2 * (image * dx * dy).sum(), (image * (dx**2 - dy**2)).sum()))
        assert abs(abs(found) - abs(float(angle))) < 1.0

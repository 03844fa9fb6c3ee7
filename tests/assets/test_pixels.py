"""Pixels vote in the labels asset: taught by training patients alone, and written down with their model."""

import json
from pathlib import Path

import numpy as np
import pytest

from assets import level_a, tables_at_hand
from assets.resources import Ladder
from pipelines.label.density_model import LEAST_PATIENTS
from pipelines.label.fusion import label
from pipelines.label.readings import breasts_of
from pipelines.storage.tables import IMAGES, PIXELS_CAP, VOTES
from pipelines.storage.workers import silent
from tests.label.test_percent_density import drawing, picture_of
from tests.label.test_pixels import image

PATIENTS = LEAST_PATIENTS + 6


@pytest.fixture
def ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ladder:
    """A ladder whose pictures are drawn and whose last six patients are not in training."""
    drawn = [picture_of(drawing(seed, "CC")) for seed in range(4)]
    monkeypatch.setattr(level_a, "pictures_at_hand", lambda _: lambda delivery, shard, row: drawn[row // 2 % 4])
    splits = {f"P-{n}": "train" if n < LEAST_PATIENTS else "test" for n in range(PATIENTS)}
    monkeypatch.setattr(tables_at_hand, "split_at_hand", lambda _: splits)
    return Ladder(data=str(tmp_path), processes=1)


def test_pixels_speak_where_readers_are_silent_and_quietly(ladder: Ladder, tmp_path: Path) -> None:
    images = IMAGES.build([image(n, "CC") for n in range(PATIENTS)])
    known = {f"2.25.{n:04d}0": "ABCD"[n % 4] for n in range(LEAST_PATIENTS)}
    votes = level_a.votes_of_pixels(ladder, images, known, tmp_path, silent)
    assert {v["patient"] for v in votes} == {f"P-{n}" for n in range(PATIENTS)}
    assert json.loads((tmp_path / "density_model.json").read_text())["cap"] <= PIXELS_CAP
    labels = label(breasts_of(VOTES.build(votes), images)).to_pylist()
    assert len(labels) == PATIENTS
    assert np.max([row["confidence"] for row in labels if row["density"]]) <= PIXELS_CAP


def test_too_few_training_patients_teach_nothing(ladder: Ladder, tmp_path: Path) -> None:
    images = IMAGES.build([image(n, "CC") for n in range(PATIENTS)])
    held_back = {f"2.25.{n:04d}0": "B" for n in range(7, PATIENTS)}
    assert level_a.votes_of_pixels(ladder, images, held_back, tmp_path, silent) == []
    assert not (tmp_path / "density_model.json").exists()

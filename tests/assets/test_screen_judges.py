"""What the assets give to the screen and to the novelty ranking, and the set's figures that they publish."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from assets.detectors import critic_oddness, detectors_of
from assets.screen_judges import feature_settings_for, judges_of
from assets.set_quality import density_table, quality_lines, quality_table, write_quality
from pipelines.evaluate.worth_settings import FeatureSettings
from pipelines.storage.tables import DENSITIES
from pipelines.synthesize.pictures import PictureSet, evenly
from pipelines.synthesize.quota import fill_quota
from pipelines.synthesize.settings import SynthesisSettings
from tests.pgan.conftest import draw
from tests.synthesize.test_quota import plan


def toys(seed: int, count: int) -> PictureSet:
    """Toy breasts with grain, of all densities in turn."""
    rng = np.random.default_rng(seed)
    densities = [DENSITIES[i % 4] for i in range(count)]
    views = [("CC", "MLO")[i // 4 % 2] for i in range(count)]
    drawn = np.stack([draw(d, v, rng, 80, 64) for d, v in zip(densities, views, strict=True)]).astype(np.float64)
    grain = np.where(drawn > 0, np.clip(drawn + rng.normal(0, 150, drawn.shape), 100, 4095), 0)
    return PictureSet(grain.astype(np.uint16), [f"{seed}-{i}" for i in range(count)], densities, views)


def test_a_critic_that_lacks_the_density_takes_the_best_one() -> None:
    asked: list[tuple[str, str]] = []

    def score(pictures: np.ndarray, densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
        asked.extend(zip(densities, views, strict=True))
        return np.array([DENSITIES.index(d) + 10.0 * (v == "MLO") for d, v in zip(densities, views, strict=True)])

    oddness = critic_oddness(score)
    pictures = np.zeros((3, 4, 4), np.uint16)
    assert oddness(pictures, ["B", None, None], ["CC", "CC", None]).tolist() == [-1.0, -3.0, -13.0]
    assert len(asked) == 1 + 4 + 8


def test_without_a_model_feature_space_and_extremes_detect() -> None:
    real = toys(0, 32)
    found = detectors_of(None, real.pictures, real.densities, FeatureSettings.tiny())
    assert set(found) == {"features", "features_and_extremes"}
    noise = np.random.default_rng(0).integers(0, 4096, (8, 80, 64)).astype(np.uint16)
    for detector in found.values():
        usual = detector(toys(1, 8).pictures, [None] * 8, [None] * 8)
        assert detector(noise, [None] * 8, [None] * 8).min() > usual.max()
    assert detectors_of(None, real.pictures[:4], real.densities[:4], FeatureSettings.tiny()) == {}


def test_rows_are_spread_evenly() -> None:
    assert evenly(3, 5) == [0, 1, 2]
    assert evenly(10, 5) == [0, 2, 4, 6, 8]
    assert feature_settings_for(20) == FeatureSettings.tiny()
    assert feature_settings_for(80) == FeatureSettings()


def test_the_kept_set_is_measured_beside_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.screen_judges.feature_settings_for", lambda rows: FeatureSettings.tiny())
    training, held_back, fresh = toys(0, 64), toys(1, 24), toys(2, 64)
    judges = judges_of(None, training, training.image_ids)

    def sample(seed: int, numbers: Sequence[int], densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
        own = list(zip(fresh.densities, fresh.views, strict=True))
        rows = [[i for i, c in enumerate(own) if c == cell] for cell in zip(densities, views, strict=True)]
        return np.stack([fresh.pictures[r[n % len(r)]] for r, n in zip(rows, numbers, strict=True)])

    fill_quota(
        plan(A_CC=4, D_CC=4), sample=sample, score=judges, training=training, held_back=held_back,
        model_sha256="a1" * 32, settings=SynthesisSettings(calibration_pictures=40), folder=tmp_path,
    )  # fmt: skip
    write_quality(tmp_path, training, held_back, judges)
    quality = json.loads((tmp_path / "quality.json").read_text())
    names = [name for name, _, _ in quality_lines(quality["set"])]
    assert quality["set"]["pictures"] >= 2
    assert "sliced Wasserstein mean" in names
    table = quality_table(quality["set"])
    assert table.count("\n|") == len(names) + 2
    density = quality["density"]["generated"]["percent_density"]
    assert density["mean"]["D"] > density["mean"]["A"]
    assert f"{density['spearman']:.3f}" in density_table(quality["density"])

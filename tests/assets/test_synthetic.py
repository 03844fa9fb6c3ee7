"""Synthetic images and the augmented set as assets: what a model of both views gives, and what is recorded."""

import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from assets import pgan, synthetic
from assets.home import open_instance
from assets.resources import Ladder, Training
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import train
from pipelines.storage.croissant import croissant_errors
from pipelines.storage.curriculum import read_curriculum
from pipelines.storage.publication import Staging
from pipelines.storage.tables import (
    DATASET,
    DENSITIES,
    EXCLUSIONS,
    PLAN,
    SYNTHETIC,
    SYNTHETIC_PATIENTS,
    VIEWS,
    read_table,
    write_table,
)
from tests.pgan.conftest import make_dataset
from tests.pgan.test_two_view import with_breasts

SETTINGS = replace(PGANSettings.tiny(), stable_images=(16, 16, 24), fade_images=(0, 8, 8))


@pytest.fixture(scope="module")
def level_a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy level A folder with pairs of views and a plan that wants one image of density D."""
    folder = make_dataset(tmp_path_factory.mktemp("toy") / "dataset", train={"A": 8, "B": 8, "C": 8, "D": 8})
    write_table(folder / "dataset.parquet", DATASET, with_breasts(folder))
    cells = [(density, view) for density in DENSITIES for view in VIEWS]
    plan = [{"density": d, "view": v, "real": 4, "target": 5, "deficit": int((d, v) == ("D", "CC"))} for d, v in cells]
    write_table(folder / "plan.parquet", PLAN, PLAN.build(plan))
    write_table(folder / "exclusions.parquet", EXCLUSIONS, EXCLUSIONS.build([]))
    return folder


def made(root: Path, level_a: Path, *, two_views: bool, truncation: str = "") -> dg.ExecuteInProcessResult:
    ladder = Ladder(data=str(root), truncation=truncation)

    def build_set(staging: Staging) -> None:
        shutil.copytree(level_a, staging.folder, dirs_exist_ok=True)

    def build_model(staging: Staging) -> None:
        settings = replace(SETTINGS, two_views=two_views)
        train(level_a, settings=settings, checkpoints=root / "checkpoints", folder=staging.folder)

    ladder.make("level_a/dataset", "", inputs=dict, parameters={}, build=build_set)
    ladder.make("pgan/model", "", inputs=lambda: ladder.digests("level_a/dataset"), parameters={}, build=build_model)
    with open_instance(root) as instance:
        return dg.materialize(
            [synthetic.images, synthetic.augmented_dataset],
            instance=instance,
            resources={"ladder": ladder, "training": Training(preset="tiny")},
        )


def metadata_of(result: dg.ExecuteInProcessResult, name: str) -> dict:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key.path == ["synthetic", name]]
    return dict(event.materialization.metadata)


def test_a_model_of_both_views_gives_patients_and_walks(level_a: Path, tmp_path: Path) -> None:
    result = made(tmp_path, level_a, two_views=True, truncation="0.9")
    folder = tmp_path / "research/synthetic/images"
    shown = metadata_of(result, "images")
    assert {"walks", "sheet", "pretend patients", "pretend patients' verdicts"} <= set(shown)
    assert "data:image/jpeg;base64," in shown["walks"].value
    rows = read_table(folder / "synthetic.parquet", SYNTHETIC).to_pylist()
    assert {row["truncation"] for row in rows} == {0.9}
    assert {(row["density"], row["view"]) for row in rows} == {("D", "CC")}
    patients = read_table(folder / "patients.parquet", SYNTHETIC_PATIENTS).to_pylist()
    assert {row["density"] for row in patients} == set(DENSITIES)
    assert {(row["laterality"], row["view"]) for row in patients} == {(s, v) for s in "LR" for v in VIEWS}
    augmented = tmp_path / "research/synthetic/augmented_dataset"
    assert croissant_errors(augmented) == []
    assert [stage.labels for stage in read_curriculum(augmented / "curriculum.json").stages][-1] == "read"
    assert "fine-tune" in metadata_of(result, "augmented_dataset")["curriculum"].value


def test_a_model_of_single_views_gives_none(level_a: Path, tmp_path: Path) -> None:
    result = made(tmp_path, level_a, two_views=False)
    assert not list((tmp_path / "research/synthetic").rglob("patients*"))
    shown = metadata_of(result, "images")
    assert "pretend patients" not in shown
    assert "walks" in shown


@pytest.mark.parametrize("text", ["0", "1.5", "much", "-1"])
def test_a_truncation_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(dg.Failure, match="MIDAR_TRUNCATION"):
        _ = Ladder(data=str(tmp_path), truncation=text).synthesis
    assert Ladder(data=str(tmp_path)).synthesis.truncation == 1.0


def test_both_views_are_asked_for_by_setting_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not pgan.settings_of(Training(preset="tiny"), 10).two_views
    assert pgan.settings_of(Training(preset="tiny", two_views=True), 10).two_views
    monkeypatch.setenv("MIDAR_TWO_VIEWS", "1")
    assert pgan.settings_of(Training(preset="demo"), 10).two_views
    monkeypatch.setenv("MIDAR_TWO_VIEWS", "yes")
    with pytest.raises(dg.Failure, match="MIDAR_TWO_VIEWS"):
        pgan.settings_of(Training(preset="demo"), 10)

"""Real mammograms in pretend patients' DICOM climb to level A, and a pGAN trains on them."""

import json
from pathlib import Path

import pytest

from pipelines.storage.tables import DATASET, read_table
from tests.end_to_end.runs import Ran, ran

pytestmark = pytest.mark.xdist_group("real mammograms")


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run over the low-energy pictures of CDD-CESM and half of the MIAS films."""
    pictures = shared / "data" / "mammograms"
    wrap = ("--pixels", pictures, "--labels", pictures / "labels.csv")
    return ran(tmp_path_factory.mktemp("real"), "--preset", "tiny", patients=60, seed=2, phantom=wrap)


def test_level_a_is_reached(real: Ran) -> None:
    certificate = json.loads((real.research / "evaluation/readiness_report/readiness.json").read_text())
    assert certificate["level"] == "A", certificate["next"]
    dataset = DATASET.frame(read_table(real.research / "level_a/dataset/dataset.parquet", DATASET))
    assert len(dataset) >= 40
    assert set(dataset["density"]) >= {"B", "C"}


def test_model_is_trained_on_them(real: Ran) -> None:
    report = json.loads((real.research / "pgan/model/report.json").read_text())
    assert report["levels"]
    assert (real.research / "pgan/model/samples.png").stat().st_size > 1000

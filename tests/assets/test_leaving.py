"""The statement that goes with an export: where it is looked for, and what happens where it cannot be used."""

import dagster as dg
import pytest

from assets.leaving import statement_of
from assets.resources import Ladder
from pipelines.curate.export.statement import Statement


@pytest.fixture
def ladder(tmp_path, monkeypatch):
    monkeypatch.delenv("MIDAR_DATASET", raising=False)
    return Ladder(data=str(tmp_path / "data"))


def test_is_read_from_the_data_root_or_from_where_the_environment_says(ladder, tmp_path, monkeypatch):
    assert statement_of(ladder) == Statement()
    (ladder.zones.root / "dataset.toml").write_text('license = "MIT"\n')
    assert statement_of(ladder).license == "MIT"
    (tmp_path / "other.toml").write_text('license = "CC0-1.0"\n')
    monkeypatch.setenv("MIDAR_DATASET", str(tmp_path / "other.toml"))
    assert statement_of(ladder).license == "CC0-1.0"


def test_what_cannot_be_used_is_a_clear_failure(ladder, tmp_path, monkeypatch):
    (ladder.zones.root / "dataset.toml").write_text('licence = "MIT"\n')
    with pytest.raises(dg.Failure, match="unknown settings: licence"):
        statement_of(ladder)
    monkeypatch.setenv("MIDAR_DATASET", str(tmp_path / "nowhere.toml"))
    with pytest.raises(dg.Failure, match="names no file"):
        statement_of(ladder)

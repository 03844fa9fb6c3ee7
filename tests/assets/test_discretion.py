"""What an exception quotes stays in the restricted zone."""

from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.cli import app
from assets.resources import Ladder
from pipelines.storage.publication import GateError


def test_exception_leaves_with_its_class_alone(tmp_path) -> None:
    ladder = Ladder(data=str(tmp_path))
    with pytest.raises(dg.Failure) as failure, ladder.discreet("level_d/inventory"):
        raise ValueError("DOE^JANE 1961-04-12")
    assert "ValueError" in failure.value.description
    assert "DOE" not in failure.value.description
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__
    [account] = (tmp_path / "restricted" / "errors").iterdir()
    assert "DOE^JANE" in account.read_text()
    assert account.stat().st_mode & 0o777 == 0o600


def test_event_log_holds_no_value_of_an_exception(tmp_path, monkeypatch) -> None:
    from assets.home import open_instance
    from assets.rung import rung

    @rung("level_d/inventory", deps=[], kinds={"dicom"})
    def broken(context: dg.AssetExecutionContext, ladder: Ladder) -> dg.MaterializeResult:
        """Fails with a name in its message."""
        secret = "DOE" + "^JANE"
        raise KeyError(secret)

    monkeypatch.setattr(dg.RetryPolicy, "max_retries", 0, raising=False)
    with open_instance(tmp_path) as instance:
        result = dg.materialize(
            [broken], instance=instance, resources={"ladder": Ladder(data=str(tmp_path))}, raise_on_error=False
        )
    assert not result.success
    for file in (tmp_path / "dagster_home").rglob("*"):
        if file.is_file():
            assert b"DOE^JANE" not in file.read_bytes(), file.name


def test_failed_gate_is_told_in_words_and_not_tried_again(tmp_path) -> None:
    with pytest.raises(dg.Failure, match="found = accepted") as failure, Ladder(data=str(tmp_path)).discreet("x/y"):
        raise GateError("found = accepted + duplicate + quarantined")
    assert failure.value.allow_retries is False


def test_a_mode_of_normalization_that_there_is_not_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIDAR_NORMALIZE", "stretch")
    ladder = Ladder(data=str(tmp_path))
    with pytest.raises(dg.Failure, match="fit, fixed_spacing"):
        _ = ladder.normalize_mode
    monkeypatch.setenv("MIDAR_NORMALIZE", "fixed_spacing")
    assert ladder.normalize_mode == "fixed_spacing"
    assert Ladder(data=str(tmp_path), normalize="fit").normalize_mode == "fit"


def test_real_pictures_without_their_table_are_refused(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["phantom", str(tmp_path / "inbox"), "--pixels", str(tmp_path)])
    assert said.exit_code == 2
    assert "--labels" in said.output

import dagster as dg
import pytest

from assets.resources import Ladder
from pipelines.curate.balance import BalanceSettings
from pipelines.curate.splits import Proportions


def test_without_settings_the_defaults_hold(monkeypatch) -> None:
    for name in ("MIDAR_SPLIT", "MIDAR_TARGET", "MIDAR_SYNTHETIC_SHARE"):
        monkeypatch.delenv(name, raising=False)
    assert (Ladder().proportions, Ladder().balance) == (Proportions(), BalanceSettings())


def test_the_environment_is_read_and_a_field_goes_before_it(monkeypatch) -> None:
    monkeypatch.setenv("MIDAR_SPLIT", "0.8,0.1,0.1")
    monkeypatch.setenv("MIDAR_TARGET", "0.1,0.4,0.4,0.1")
    monkeypatch.setenv("MIDAR_SYNTHETIC_SHARE", "0.5")
    assert Ladder().proportions == Proportions(0.8, 0.1, 0.1)
    assert Ladder().balance == BalanceSettings(0.5, prevalence=(0.1, 0.4, 0.4, 0.1))
    assert Ladder(split="0.6,0.2,0.2").proportions == Proportions(0.6, 0.2, 0.2)


@pytest.mark.parametrize("wrong", ["0.7,0.3", "0.9,0.1,0.1", "many"])
def test_wrong_settings_are_said_clearly(wrong) -> None:
    with pytest.raises(dg.Failure, match="MIDAR_SPLIT"):
        _ = Ladder(split=wrong).proportions
    with pytest.raises(dg.Failure, match="MIDAR_TARGET"):
        _ = Ladder(target=wrong).balance

from pathlib import Path

import pytest

from pipelines.deidentify.confidentiality import concept_rule_of, rule_of, type_of
from pipelines.deidentify.profile import ProfileError, load_profile

DEFAULT = (Path(__file__).parents[2] / "pipelines/deidentify/profile.toml").read_text()


def changed(tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    text = DEFAULT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "profile.toml"
    path.write_text(text)
    return path


def test_default() -> None:
    profile = load_profile()
    assert profile.edition == "2026c"
    assert profile.decide(0x00080020).action == "C"  # type: ignore[union-attr]
    assert profile.decide(0x00181000).action == "K"  # type: ignore[union-attr]
    assert profile.decide(0x00080080).action == "X/Z/D"  # type: ignore[union-attr]
    assert profile.decide(0x00101010).action == "K"  # type: ignore[union-attr]
    assert profile.decide(0x00280010) is None


def test_moving_goes_before_retaining_a_devices_dates() -> None:
    decision = load_profile().decide(0x00181200)
    assert decision is not None
    assert (decision.action, decision.option) == ("C", "retain_longitudinal_modified_dates")


def test_without_options_the_basic_profile_holds(tmp_path: Path) -> None:
    text = "\n".join(line.replace("true", "false") for line in DEFAULT.splitlines())
    path = tmp_path / "p.toml"
    path.write_text(text)
    profile = load_profile(path)
    assert profile.decide(0x00101010).action == "X"  # type: ignore[union-attr]
    assert profile.decide(0x00080020).action == "Z"  # type: ignore[union-attr]
    assert [code for code, _ in profile.codes] == ["113100"]
    assert profile.sha256 != load_profile().sha256


def test_both_date_options_are_an_error(tmp_path: Path) -> None:
    path = changed(tmp_path, ("retain_longitudinal_full_dates = false", "retain_longitudinal_full_dates = true"))
    with pytest.raises(ProfileError, match="exclude each other"):
        load_profile(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("retain_uids = false", "retain_everything = true", "unknown options"),
        ("retain_uids = false", 'retain_uids = "no"', "true or false"),
        ('other_short = "detect"', 'other_short = "guess"', "a policy is one of"),
        ("most_days = 3650", "most_days = 0", "whole number"),
        ("[options]", "[options", "TOML"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        load_profile(changed(tmp_path, (old, new)))


def test_types_and_concepts() -> None:
    mg = "1.2.840.10008.5.1.4.1.1.1.2"
    assert type_of(mg, (), 0x00080050) == 2
    assert type_of(mg, (), 0x00080090) == 2
    assert type_of(mg, (), 0x00081070) == 3
    assert type_of("1.2.3", (), 0x00080050) is None
    assert concept_rule_of("121008", "DCM", "PNAME").basic == "D"  # type: ignore[union-attr]
    assert concept_rule_of("121008", "DCM", "TEXT") is None
    assert rule_of(0x00280010) is None


def test_data_files_come_from_the_standard(tmp_path: Path) -> None:
    from pipelines.deidentify.derive_confidentiality import main
    from tests.deidentify.conftest import SHARED

    if not (SHARED / "standard").is_dir():
        pytest.skip("the standard's tables are not at hand")
    main([str(SHARED / "standard"), "--out", str(tmp_path)])
    for made in sorted(tmp_path.iterdir()):
        assert made.read_bytes() == (Path(__file__).parents[2] / "pipelines/deidentify" / made.name).read_bytes()

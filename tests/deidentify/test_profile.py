from pathlib import Path
from typing import Any

import pytest
from pydicom.sr.codedict import codes

from pipelines.deidentify.confidentiality import concept_rule_of, edition, rule_of, type_of
from pipelines.deidentify.profile import BASIC, OPTIONS, ProfileError, chosen_profile, load_profile
from tests.deidentify.conftest import mammogram
from tests.deidentify.settings import profile_of_only, profile_with

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


def test_every_option_is_in_the_file_and_switches_alone(tmp_path: Path) -> None:
    for name in OPTIONS:
        profile = profile_of_only(tmp_path, name)
        assert profile.options == {name}
        assert [code for code, _ in profile.codes] == ["113100", OPTIONS[name][0]]
    assert len(OPTIONS) == 11
    assert load_profile().options == {
        "clean_pixel_data",
        "clean_structured_content",
        "clean_descriptors",
        "retain_longitudinal_modified_dates",
        "retain_patient_characteristics",
        "retain_device_identity",
        "retain_safe_private",
    }


def test_codes_are_those_of_the_standards_context_group() -> None:
    group = codes.CID7050
    known = {(getattr(group, name).value, getattr(group, name).meaning) for name in group.dir()}
    said = {BASIC, *(option[:2] for option in OPTIONS.values())}
    assert known - said == {("113102", "Clean Recognizable Visual Features Option")}
    assert said <= known


def test_clean_pixel_data_is_said_of_searched_pixels_alone(tmp_path: Path) -> None:
    profile = load_profile()
    assert profile.codes_of(pixels_cleaned=True) == profile.codes
    assert set(profile.codes) - set(profile.codes_of(pixels_cleaned=False)) == {OPTIONS["clean_pixel_data"][:2]}
    unread = load_profile(changed(tmp_path, ('mode = "auto"', 'mode = "off"')))
    assert OPTIONS["clean_pixel_data"][:2] not in unread.codes_of(pixels_cleaned=True)


def test_another_edition_is_an_error(tmp_path: Path) -> None:
    for line in ('edition = "2026b"', "edition = 2026", ""):
        with pytest.raises(ProfileError, match="another edition"):
            load_profile(changed(tmp_path, ('edition = "2026c"', line)))
    assert edition() == "2026c"


def test_a_hospitals_own_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIDAR_PROFILE", raising=False)
    vault = tmp_path / "vault"
    vault.mkdir()
    assert chosen_profile(vault) is None
    (vault / "profile.toml").write_text(DEFAULT)
    assert chosen_profile(vault) == vault / "profile.toml"
    named = changed(tmp_path, ("retain_uids = false", "retain_uids = true"))
    monkeypatch.setenv("MIDAR_PROFILE", str(named))
    assert load_profile(chosen_profile(vault)).is_on("retain_uids")
    monkeypatch.setenv("MIDAR_PROFILE", str(tmp_path / "missing.toml"))
    with pytest.raises(ProfileError, match="MIDAR_PROFILE"):
        chosen_profile(vault)


def test_retained_uids(deidentified: Any, tmp_path: Path) -> None:
    profile = profile_with(tmp_path, retain_uids=True)
    dataset = mammogram()
    written = deidentified(dataset, location="inbox:1.2.276.0.99.1.1/1.2.276.0.99.3.1.dcm", profile=profile)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert written[keyword].value == dataset[keyword].value, keyword
    assert written.file_meta.MediaStorageSOPInstanceUID == "1.2.276.0.99.3.1"
    assert written.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.276.0.99.3.7"
    assert written.PatientID.startswith("P-")
    assert "113110" in [item.CodeValue for item in written.DeidentificationMethodCodeSequence]


def test_retained_institution(deidentified: Any, tmp_path: Path) -> None:
    written = deidentified(mammogram(), profile=profile_with(tmp_path, retain_institution_identity=True))
    assert written.InstitutionName == "Klinikum Glimmerthal"
    assert written.InstitutionAddress == "Seeweg 5, Glimmerthal"
    assert "113112" in [item.CodeValue for item in written.DeidentificationMethodCodeSequence]


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({"retain_longitudinal_modified_dates": True}, "MODIFIED"),
        ({"retain_longitudinal_modified_dates": False, "retain_longitudinal_full_dates": True}, "UNMODIFIED"),
        ({"retain_longitudinal_modified_dates": False}, "REMOVED"),
    ],
)
def test_longitudinal_information(deidentified: Any, tmp_path: Path, options: dict[str, bool], state: str) -> None:
    written = deidentified(mammogram(), profile=profile_with(tmp_path, **options))
    assert written.LongitudinalTemporalInformationModified == state
    assert (written.StudyDate == "20180309") == (state == "UNMODIFIED")
    assert bool(written.StudyDate) == (state != "REMOVED")
    assert not written.get("PatientBirthDate")
    if state == "UNMODIFIED":
        assert written.AcquisitionDateTime == "20180310101700.250000+0100"


def test_what_was_done_is_said_in_words(deidentified: Any) -> None:
    written = deidentified(mammogram())
    meanings = [item.CodeMeaning for item in written.DeidentificationMethodCodeSequence]
    assert written.DeidentificationMethod[0] == "DICOM PS3.15 2026c"
    assert list(written.DeidentificationMethod[1 : 1 + len(meanings)]) == meanings
    assert all(len(value) <= 64 for value in written.DeidentificationMethod)

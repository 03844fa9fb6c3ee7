"""The profile: which options of PS3.15 are on, and what that makes of each attribute. Data in ``profile.toml``."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from pipelines.deidentify.confidentiality import Rule, edition, rule_of
from pipelines.deidentify.policies import POLICIES
from pipelines.deidentify.text_settings import TextSettings
from pipelines.storage.digests import sha256_of_json

BASIC = ("113100", "Basic Application Confidentiality Profile")

OPTIONS = {
    "clean_pixel_data": ("113101", "Clean Pixel Data Option", ""),
    "clean_graphics": ("113103", "Clean Graphics Option", "graphics"),
    "clean_structured_content": ("113104", "Clean Structured Content Option", "structured_content"),
    "clean_descriptors": ("113105", "Clean Descriptors Option", "descriptors"),
    "retain_longitudinal_full_dates": (
        "113106",
        "Retain Longitudinal Temporal Information Full Dates Option",
        "full_dates",
    ),
    "retain_longitudinal_modified_dates": (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
        "modified_dates",
    ),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option", "patient"),
    "retain_device_identity": ("113109", "Retain Device Identity Option", "device"),
    "retain_uids": ("113110", "Retain UIDs Option", "uids"),
    "retain_safe_private": ("113111", "Retain Safe Private Option", "safe_private"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option", "institution"),
}
"""Each option's code and meaning in CID 7050 and its column in the table."""


class ProfileError(ValueError):
    """The profile's file cannot be used. The message says which setting is wrong."""


@dataclass(frozen=True)
class Decision:
    """What the profile says of an attribute: an action code of Table E.1-1a, and the option that says so (or "")."""

    action: str
    option: str


@dataclass(frozen=True)
class Profile:
    """A choice of options and of text policies; the defaults are in ``profile.toml``."""

    edition: str
    options: frozenset[str]
    most_days: int
    oldest: int
    policies: Mapping[str, str] = field(hash=False)
    fields: Mapping[str, str] = field(hash=False)
    pixels: TextSettings = field(default_factory=TextSettings)
    model: str = ""

    def __post_init__(self) -> None:
        if {"retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"} <= self.options:
            raise ProfileError(
                "retain_longitudinal_full_dates and retain_longitudinal_modified_dates exclude each other: "
                "dates are either kept or moved"
            )

    @cached_property
    def sha256(self) -> str:
        """Digest of all settings: objects made under one profile carry the same."""
        return sha256_of_json({**asdict(self), "options": sorted(self.options)})

    @property
    def codes(self) -> list[tuple[str, str]]:
        """Code and meaning (CID 7050) of the Basic Profile and of each option that is on, in order of the codes."""
        return [BASIC, *sorted(OPTIONS[name][:2] for name in self.options)]

    def codes_of(self, *, pixels_cleaned: bool) -> list[tuple[str, str]]:
        """The codes that hold for one object: Clean Pixel Data is said only of pixel data that were searched."""
        searched = pixels_cleaned and self.pixels.mode != "off"
        unsaid = None if searched else OPTIONS["clean_pixel_data"][0]
        return [(code, meaning) for code, meaning in self.codes if code != unsaid]

    def is_on(self, option: str) -> bool:
        """Whether an option is on, by its name in the profile's file."""
        return option in self.options

    def decide(self, tag: int) -> Decision | None:
        """What becomes of an attribute; None where the standard's table does not name it."""
        return _decide_tag(self.options, tag)

    def decide_rule(self, rule: Rule) -> Decision:
        """What becomes of what a rule names."""
        return _decide(self.options, rule)


@lru_cache(maxsize=16384)
def _decide_tag(options: frozenset[str], tag: int) -> Decision | None:
    rule = rule_of(tag)
    return None if rule is None else _decide(options, rule)


_PRECEDENCE = (
    "retain_longitudinal_modified_dates",
    "retain_longitudinal_full_dates",
    "retain_uids",
    "retain_institution_identity",
    "retain_device_identity",
    "retain_patient_characteristics",
    "clean_descriptors",
    "clean_structured_content",
    "clean_graphics",
    "retain_safe_private",
)


def _decide(options: frozenset[str], rule: Rule) -> Decision:
    """Moving dates goes before retaining them as a device's; what no option speaks of is the Basic Profile's."""
    for option in _PRECEDENCE:
        action = rule.options.get(OPTIONS[option][2])
        if option in options and action:
            return Decision(action, option)
    return Decision(rule.basic, "")


def chosen_profile(vault: Path) -> Path | None:
    """The hospital's own profile: the file that MIDAR_PROFILE names, else ``profile.toml`` in the vault, else None.

    Raises ProfileError where MIDAR_PROFILE names no file: another profile would be silently taken in its place.
    """
    named = os.environ.get("MIDAR_PROFILE")
    if named:
        if not Path(named).is_file():
            raise ProfileError("MIDAR_PROFILE names no file")
        return Path(named)
    own = vault / "profile.toml"
    return own if own.is_file() else None


def load_profile(path: Path | None = None) -> Profile:
    """Read a profile's TOML file, or the packaged default. Raises ProfileError where a setting is wrong or missing."""
    source = path or Path(__file__).with_name("profile.toml")
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError("the profile is not valid TOML") from error
    if data.get("edition") != edition():
        raise ProfileError(f"the profile is for another edition of PS3.15 than the tables, which are of {edition()}")
    options = _table(data, "options")
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ProfileError(f"unknown options: {', '.join(unknown)}; known are {', '.join(sorted(OPTIONS))}")
    if not all(isinstance(value, bool) for value in options.values()):
        raise ProfileError("options are true or false")
    text = dict(_table(data, "text"))
    fields = text.pop("fields", {})
    model = text.pop("model", "")
    if not isinstance(model, str):
        raise ProfileError("text.model is the folder of a spaCy model")
    for name, policy in [*text.items(), *fields.items()]:
        if policy not in POLICIES:
            raise ProfileError(f"text.{name}: a policy is one of {', '.join(POLICIES)}")
    return Profile(
        edition=edition(),
        options=frozenset(name for name, value in options.items() if value),
        most_days=_positive(_table(data, "dates"), "most_days"),
        oldest=_positive(_table(data, "patient"), "oldest"),
        policies={name: text.get(name, "remove") for name in _KINDS},
        fields=dict(fields),
        pixels=_pixels(_table(data, "pixels")),
        model=model,
    )


_KINDS = ("short_descriptors", "long_descriptors", "retained", "other_short", "other_long", "reports")


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise ProfileError(f"[{name}] is a table")
    return table


def _pixels(table: dict[str, Any]) -> TextSettings:
    try:
        return TextSettings.of(table)
    except ValueError as error:
        raise ProfileError(str(error)) from None


def _positive(table: dict[str, Any], name: str) -> int:
    value = table.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ProfileError(f"{name} is a whole number of at least 1")
    return value

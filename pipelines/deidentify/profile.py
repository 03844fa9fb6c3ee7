"""The profile: which options of PS3.15 are on, and what that makes of each attribute. Data in ``profile.toml``."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from pipelines.deidentify.confidentiality import Rule, rule_of
from pipelines.deidentify.policies import POLICIES
from pipelines.storage.digests import sha256_of_json

BASIC = ("113100", "Basic Application Confidentiality Profile")

OPTIONS = {
    "clean_pixel_data": ("113101", "Clean Pixel Data Option", ""),
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
)


def _decide(options: frozenset[str], rule: Rule) -> Decision:
    """Moving dates goes before retaining them as a device's; what no option speaks of is the Basic Profile's."""
    for option in _PRECEDENCE:
        action = rule.options.get(OPTIONS[option][2])
        if option in options and action:
            return Decision(action, option)
    return Decision(rule.basic, "")


def load_profile(path: Path | None = None) -> Profile:
    """Read a profile's TOML file, or the packaged default. Raises ProfileError where a setting is wrong or missing."""
    source = path or Path(__file__).with_name("profile.toml")
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError("the profile is not valid TOML") from error
    options = _table(data, "options")
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ProfileError(f"unknown options: {', '.join(unknown)}; known are {', '.join(sorted(OPTIONS))}")
    if not all(isinstance(value, bool) for value in options.values()):
        raise ProfileError("options are true or false")
    text = dict(_table(data, "text"))
    fields = text.pop("fields", {})
    for name, policy in [*text.items(), *fields.items()]:
        if policy not in POLICIES:
            raise ProfileError(f"text.{name}: a policy is one of {', '.join(POLICIES)}")
    return Profile(
        edition=str(data.get("edition", "")),
        options=frozenset(name for name, value in options.items() if value),
        most_days=_positive(_table(data, "dates"), "most_days"),
        oldest=_positive(_table(data, "patient"), "oldest"),
        policies={name: text.get(name, "remove") for name in _KINDS},
        fields=dict(fields),
    )


_KINDS = ("short_descriptors", "long_descriptors", "retained", "other_short", "other_long")


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise ProfileError(f"[{name}] is a table")
    return table


def _positive(table: dict[str, Any], name: str) -> int:
    value = table.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ProfileError(f"{name} is a whole number of at least 1")
    return value

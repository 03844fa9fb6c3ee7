"""Profiles that differ from the default by some options, and the standard's own tables as the oracle of tests."""

import csv
import re
from functools import cache
from pathlib import Path

import pytest

from pipelines.deidentify.profile import OPTIONS, Profile, load_profile
from tests.deidentify.conftest import SHARED

DEFAULT = Path(__file__).parents[2] / "pipelines/deidentify/profile.toml"


def profile_with(folder: Path, **options: bool) -> Profile:
    """The default profile with options switched as given."""
    text = DEFAULT.read_text()
    for name, value in options.items():
        text, count = re.subn(rf"^{name} = \w+", f"{name} = {str(value).lower()}", text, flags=re.MULTILINE)
        assert count == 1, name
    path = folder / "switched.toml"
    path.write_text(text)
    return load_profile(path)


def profile_of_only(folder: Path, *options: str) -> Profile:
    """The Basic Profile with these options alone."""
    return profile_with(folder, **{name: name in options for name in OPTIONS})


@cache
def standard_table(name: str) -> list[dict[str, str]]:
    """A table of PS3.15 as printed, by its number; the test is skipped where the standard's tables are not at hand."""
    if not (SHARED / "standard").is_dir():
        pytest.skip("the standard's tables are not at hand")
    (path,) = (SHARED / "standard").glob(f"ps3.15-*_{name}_*.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))

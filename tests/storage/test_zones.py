"""Zones are closed where they must be, and locations cannot lead out of a delivery."""

import os
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

from pipelines.storage.zones import Zones


def test_restricted_zone_is_closed_and_only_level_d_lies_in_it(tmp_path: Path) -> None:
    zones = Zones.at(tmp_path)
    zones.create()
    assert zones.restricted.stat().st_mode & 0o777 == 0o700
    assert zones.publication("level_d/inventory", "D-1").is_relative_to(zones.restricted)
    for asset in ("level_c/objects", "level_b/images", "pgan/model"):
        assert zones.publication(asset).is_relative_to(zones.research)
        assert zones.workspace(asset).is_relative_to(zones.research)


def test_locations_name_files_of_the_delivery(tmp_path: Path) -> None:
    zones = Zones.at(tmp_path)
    name = b"DOE^J\xe9/\xff.dcm"
    path = zones.source_path("inbox:" + quote_from_bytes(name), tmp_path / "delivery", tmp_path / "inventory")
    assert os.fsencode(path) == os.fsencode(tmp_path / "delivery") + b"/" + name
    unpacked = zones.source_path("unpacked:F-1", tmp_path / "delivery", tmp_path / "inventory")
    assert unpacked == tmp_path / "inventory" / "unpacked" / "F-1"


@pytest.mark.parametrize(
    "location", ["inbox:../x", "inbox:/etc/passwd", "unpacked:../../x", "http://x", "inbox:a/%2e%2e/b"]
)
def test_locations_that_lead_out_are_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ValueError, match="location"):
        Zones.at(tmp_path).source_path(location, tmp_path / "delivery", tmp_path / "inventory")

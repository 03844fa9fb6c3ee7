"""The audit of written objects finds what a defect, or a profile, has left undone."""

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pipelines.deidentify.audit import AUDIT, Audit, audit_delivery
from pipelines.deidentify.delivery import deidentify_delivery
from pipelines.storage.tables import INVENTORY, OBJECTS, read_table
from pipelines.storage.workers import Workers
from tests.deidentify.conftest import mammogram, save
from tests.deidentify.test_delivery import entry


@pytest.fixture
def made(tmp_path: Path, key: Any) -> Any:
    """Three objects of one study de-identified under a profile: what to audit, and where they lie."""

    def run(profile: Any) -> tuple[dict[str, Any], list[Path]]:
        paths = [save(mammogram(SOPInstanceUID=f"1.2.276.0.99.3.{n}"), tmp_path / f"in-{n}.dcm") for n in range(3)]
        inventory = INVENTORY.build([entry(path, number) for number, path in enumerate(paths)])
        shared = {
            "source": {f"inbox:{path.name}": path for path in paths}.__getitem__,
            "key": key,
            "profile": profile,
            "folder": tmp_path,
            "workers": Workers(),
        }
        deidentify_delivery(inventory, **shared)
        objects = read_table(tmp_path / "objects.parquet", OBJECTS)
        shared |= {"inventory": inventory, "objects": objects}
        return shared, [tmp_path / path for path in objects["path"].to_pylist()]

    return run


def test_clean_objects_pass(made: Any, profile: Any, tmp_path: Path) -> None:
    shared, _ = made(profile)
    assert audit_delivery(**shared) == Audit(3, 0, 0, 0, 0, False)
    assert json.loads((tmp_path / AUDIT).read_text())["unsearched"] == 0


def test_pictures_that_were_not_searched_for_text_are_counted(made: Any, headers_only: Any) -> None:
    shared, _ = made(headers_only)
    assert audit_delivery(**shared).unsearched == 3


def test_a_name_that_came_back_a_lost_mark_and_a_lost_file_are_found(made: Any, profile: Any) -> None:
    shared, written = made(profile)
    dataset = pydicom.dcmread(written[0])
    dataset.StationName = str(mammogram().PatientName).split("^")[0]
    dataset.save_as(written[0])
    dataset = pydicom.dcmread(written[1])
    dataset.PatientIdentityRemoved = "NO"
    dataset.save_as(written[1])
    written[2].unlink()
    audit = audit_delivery(**shared)
    assert (audit.survivors, audit.unmarked, audit.unreadable) == (1, 1, 1)

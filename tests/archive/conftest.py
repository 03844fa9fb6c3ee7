"""Deliveries made for tests."""

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pipelines.archive.deliveries import Delivery
from pipelines.archive.inventory import InventorySummary, take_inventory
from pipelines.archive.limits import ArchiveLimits
from pipelines.storage.keys import Key
from pipelines.storage.tables import INVENTORY, read_table
from pipelines.storage.workers import Workers

KEY = Key(b"0123456789abcdef0123456789abcdef")


def _write_image(
    path: Path, uid: str = "1.2.3.4", rows: int = 16, syntax: str = ExplicitVRLittleEndian, **values
) -> Path:
    """A small image with identifiers and a sequence."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = syntax
    data_set = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    data_set.SOPClassUID, data_set.SOPInstanceUID = meta.MediaStorageSOPClassUID, uid
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    data_set.PatientID, data_set.AccessionNumber, data_set.Modality = "PID-77", "ACC-5", "MG"
    item = pydicom.Dataset()
    item.CodeValue = "R-10242"
    data_set.ViewCodeSequence = [item]
    data_set["ViewCodeSequence"].is_undefined_length = True
    data_set.Rows, data_set.Columns, data_set.SamplesPerPixel = rows, 16, 1
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 16, 12, 11, 0
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.PixelData = bytes(range(256)) * (rows * 32 // 256)
    for name, value in values.items():
        setattr(data_set, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data_set.save_as(path, enforce_file_format=True)
    return path


class Taken:
    """An inventory taken of a folder: its summary, its rows by location, and where it was written."""

    def __init__(self, folder: Path, out: Path, workers: Workers, limits: ArchiveLimits) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out = out
        self.summary: InventorySummary = take_inventory(
            Delivery("d", folder), key=KEY, folder=out, workers=workers, limits=limits
        )
        self.rows = read_table(out / "inventory.parquet", INVENTORY).to_pylist()

    def row(self, location: str) -> dict:
        (row,) = [r for r in self.rows if r["location"] == location]
        return row

    def members(self, location: str) -> list[dict]:
        container = self.row(location)["file_id"]
        return [r for r in self.rows if r["container"] == container]

    def outcome(self, location: str) -> tuple[str, str, str | None]:
        row = self.row(location)
        return row["kind"], row["status"], row["reason"]


@pytest.fixture
def write_image():
    return _write_image


@pytest.fixture
def key() -> Key:
    return KEY


@pytest.fixture
def take(tmp_path):
    """Take the inventory of a folder; the books must balance each time."""
    counter = iter(range(100))

    def take(folder: Path, workers: Workers = Workers(1), limits: ArchiveLimits = ArchiveLimits()) -> Taken:  # noqa: B008
        taken = Taken(folder, tmp_path / f"out{next(counter)}", workers, limits)
        s = taken.summary
        assert s.found == s.accepted + s.duplicates + s.quarantined == len(taken.rows)
        assert sum(s.reasons.values()) == s.quarantined == sum(r["reason"] is not None for r in taken.rows)
        return taken

    return take


@pytest.fixture
def delivery(tmp_path) -> Path:
    folder = tmp_path / "inbox" / "delivery"
    folder.mkdir(parents=True)
    return folder

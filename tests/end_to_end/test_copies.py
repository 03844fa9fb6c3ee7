"""Copies of mammograms that come back as other patients' DICOM are found on the way from the archive to level B."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, RLELossless, generate_uid

from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.storage.keys import Key
from pipelines.storage.tables import COPIES, IMAGES, PATIENT_SPLITS, read_table
from tests.curate.changing import KINDS
from tests.end_to_end.runs import give_key, midar

pytestmark = pytest.mark.xdist_group("copies")

CHOSEN = 4
"""Images that are copied, each in every way."""


def mammograms(inbox: Path) -> Iterator[pydicom.Dataset]:
    """Readable pictures of 12 bits for presentation, one a patient, in the order of their paths."""
    seen = set()
    for path in sorted(p for p in inbox.rglob("*") if p.is_file()):
        try:
            dataset = pydicom.dcmread(path)
            pixels = dataset.pixel_array
        except Exception:  # noqa: BLE001 - the archive holds broken files and others than DICOM on purpose
            continue
        wanted = dataset.get("Modality") == "MG" and dataset.get("PresentationIntentType") == "FOR PRESENTATION"
        if wanted and pixels.ndim == 2 and dataset.BitsStored == 12 and dataset.PatientID not in seen:
            seen.add(dataset.PatientID)
            yield dataset


def copied(source: pydicom.Dataset, kind: str, number: int) -> pydicom.Dataset:
    """The picture of an object changed as copies are, in an object of another patient and study."""
    copy = deepcopy(source)
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(copy, name, generate_uid(entropy_srcs=[name, source.SOPInstanceUID, kind]))
    copy.PatientID, copy.PatientName = f"COPY{number:04d}", f"Copied^{kind}{number}"
    copy.AccessionNumber = f"CP{number:06d}"
    copy.file_meta.MediaStorageSOPInstanceUID = copy.SOPInstanceUID
    copy.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    changed = KINDS[kind](source.pixel_array, np.random.default_rng(number))
    if kind == "recompressed":
        stream = imagecodecs.jpeg2k_encode(source.pixel_array, level=42, codecformat="j2k", bitspersample=12)
        copy.file_meta.TransferSyntaxUID, copy.PixelData = JPEG2000, encapsulate([stream])
        copy["PixelData"].VR, copy["PixelData"].is_undefined_length = "OB", True
        copy.LossyImageCompression, copy.LossyImageCompressionRatio = "01", "20"
        copy.LossyImageCompressionMethod = "ISO_15444_1"
        return copy
    copy.Rows, copy.Columns = changed.shape
    copy.PixelData = changed.tobytes()
    copy["PixelData"].VR, copy["PixelData"].is_undefined_length = "OW", False
    if kind == "resized":
        factor = source.Rows / copy.Rows
        copy.ImagerPixelSpacing = [f"{float(v) * factor:.6f}" for v in source.ImagerPixelSpacing]
    if kind == "exact":
        copy.compress(RLELossless)
    return copy


@pytest.fixture(scope="module")
def injected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[str, str]]]:
    """A run up to level B's splits, and by the new UID of each copy: its kind, and the new UID of what it copies."""
    root = tmp_path_factory.mktemp("copies")
    inbox, data, temporary = root / "inbox", root / "data", root / "tmp"
    midar("phantom", inbox, "--patients", 9, "--seed", 11, "--scale", 0.15, temporary=temporary)
    give_key(data)
    uid_of = Pseudonyms(Key.load_or_create(data / "restricted" / "vault")).uid
    made = {}
    sources = list(mammograms(inbox))[:CHOSEN]
    (inbox / "second reading").mkdir()
    for place, source in enumerate(sources):
        for index, kind in enumerate(KINDS):
            copy = copied(source, kind, 100 * place + index)
            copy.save_as(inbox / "second reading" / f"{place}-{index}.dcm", enforce_file_format=True)
            made[uid_of(copy.SOPInstanceUID)] = kind, uid_of(source.SOPInstanceUID)
    midar("run", "--inbox", inbox, "--data", data, "--until", "b", temporary=temporary)
    return data / "research", made


def test_every_copy_is_found_and_nothing_else(injected: tuple[Path, dict[str, tuple[str, str]]]) -> None:
    research, made = injected
    assert len(made) == CHOSEN * len(KINDS)
    pairs = read_table(research / "level_b/splits/copies.parquet", COPIES).to_pylist()
    found = {frozenset((p["image_id"], p["copy_of"])) for p in pairs}
    missed = [kind for uid, (kind, source) in made.items() if frozenset((uid, source)) not in found]
    assert missed == []
    origin = {uid: source for uid, (_, source) in made.items()}
    strange = [pair for pair in found if len({origin.get(uid, uid) for uid in pair}) > 1]
    assert strange == []


def test_who_shares_an_image_is_in_one_split(injected: tuple[Path, dict[str, tuple[str, str]]]) -> None:
    research, made = injected
    tables = [read_table(path, IMAGES).to_pylist() for path in research.glob("level_b/images/*/images.parquet")]
    patient = {row["image_id"]: row["patient"] for rows in tables for row in rows if row["status"] == "kept"}
    splits = read_table(research / "level_b/splits/splits.parquet", PATIENT_SPLITS).to_pylist()
    place = {row["patient"]: (row["cluster"], row["split"]) for row in splits}
    for uid, (_, source) in made.items():
        assert patient[uid] != patient[source]
        assert place[patient[uid]] == place[patient[source]]

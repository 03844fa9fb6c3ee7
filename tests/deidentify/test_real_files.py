"""Real, odd and broken files: each is written or refused with a reason, and what is written is as valid as it was."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID

from pipelines.deidentify import residual
from pipelines.deidentify.codestream import hiding_places_of_fragments
from pipelines.deidentify.confidentiality import safe_private_vr
from pipelines.deidentify.delivery import deidentify_delivery
from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.profile import load_profile
from pipelines.deidentify.reading import quiet, read_raw
from pipelines.deidentify.refusals import RefusedError
from pipelines.storage.keys import Key
from pipelines.storage.tables import INVENTORY, OBJECTS, read_table
from pipelines.storage.workers import Workers
from tests.deidentify.conftest import SHARED
from tests.deidentify.settings import profile_with
from tests.deidentify.test_delivery import entry
from tests.deidentify.test_valid_objects import errors

DATA = SHARED / "data"
REFUSED = {
    "openrem_Hologic_PropProj.dcm": "secondary_capture_without_pixels",
    "pydicom-data__emri_small_jpeg_2k_lossless_too_short.dcm": "pixel_data_broken",
    "pydicom-data__liver_deflate.dcm": "transfer_syntax_unknown",
    "pydicom-data__liver_nonbyte_aligned_deflate.dcm": "transfer_syntax_unknown",
    "pydicom__DICOMDIR-bigEnd": "dicomdir",
    "pydicom__fall.dcm": "not_of_a_patient",
    "pydicom__summer.dcm": "not_of_a_patient",
    "pydicom__rtplan_truncated.dcm": "truncated",
    "pydicom__waveform_ecg.dcm": "waveform",
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real files are not at hand")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: Any) -> tuple[dict[Path, dict[str, Any]], Path]:
    folder = tmp_path_factory.mktemp("real")
    text = (Path(__file__).parents[2] / "pipelines/deidentify/profile.toml").read_text()
    settings = folder / "profile.toml"
    settings.write_text(text.replace("clean_pixel_data = true", "clean_pixel_data = false"))
    paths = sorted(p for kind in ("dicom-mg", "dicom-other") for p in (DATA / kind).iterdir() if p.suffix != ".txt")
    inventory = INVENTORY.build([entry(path, number) for number, path in enumerate(paths)])
    out = folder / "out"
    out.mkdir()
    deidentify_delivery(
        inventory,
        source={f"inbox:{p.name}": p for p in paths}.__getitem__,
        key=Key(bytes(range(32))),
        profile=load_profile(settings),
        folder=out,
        workers=Workers(),
    )
    rows = read_table(out / "objects.parquet", OBJECTS).to_pylist()
    return {paths[int(row["file_id"][2:])]: row for row in rows}, out


def test_every_file_is_written_or_refused_for_the_right_reason(outputs: Any) -> None:
    rows, out = outputs
    refused = {path.name: row["reason"] for path, row in rows.items() if row["status"] == "refused"}
    copies = {name for name, reason in refused.items() if reason == "duplicate_sop_instance_uid"}
    assert {name: reason for name, reason in refused.items() if name not in copies} == REFUSED
    uids: Counter[str] = Counter()
    for path in (path for path in rows if path.name not in REFUSED):
        with quiet():
            uids[str(read_raw(path).get("SOPInstanceUID", path.name))] += 1
    assert len(copies) == sum(count - 1 for count in uids.values())
    assert len(list(out.rglob("*.dcm"))) == len(rows) - len(refused)


def test_dcmtk_reads_what_is_written(outputs: Any) -> None:
    _, out = outputs
    written = sorted(out.rglob("*.dcm"))
    run = subprocess.run(["dcmdump", "--quiet", *written], capture_output=True, check=False)
    assert run.returncode == 0
    assert run.stderr == b""


def _zeros_for_text(pixels: bytes, syntax: UID) -> bytes:
    """Encapsulated pixel data with zeros where its frames hold something else than the picture."""
    assert syntax.is_compressed
    clean = bytearray(pixels)
    for first, last in hiding_places_of_fragments(lambda at, size: pixels[at : at + size], _fragments(pixels)):
        clean[first:last] = bytes(last - first)
    return bytes(clean)


def _fragments(pixels: bytes) -> Iterator[tuple[int, int]]:
    position = 8 + int.from_bytes(pixels[4:8], "little")
    while pixels[position : position + 4] == b"\xfe\xff\x00\xe0":
        length = int.from_bytes(pixels[position + 4 : position + 8], "little")
        yield position + 8, length
        position += 8 + length


def test_pixels_are_the_same_bytes(outputs: Any) -> None:
    rows, out = outputs
    zeros = 0
    for path, row in rows.items():
        if row["status"] == "written":
            with quiet():
                source, written = read_raw(path), pydicom.dcmread(out / row["path"])
                before, after = source.get("PixelData"), written.get("PixelData")
            if before != after:
                assert (path.name, after) == (path.name, _zeros_for_text(before, written.file_meta.TransferSyntaxUID))
                zeros += 1
            for element in written:
                if element.tag.is_private and not element.tag.is_private_creator:
                    creator = written[element.tag.group, element.tag.element >> 8].value
                    safe = safe_private_vr(creator, element.tag.group, element.tag.element & 0xFF)
                    assert safe is not None, (path.name, element.tag)
    assert zeros == 5


def test_a_second_scan_finds_no_survivor(outputs: Any, profile: Any, pseudonyms: Any) -> None:
    rows, out = outputs
    for path, row in rows.items():
        if row["status"] == "written":
            days = pseudonyms.days(row["patient"], profile.most_days)
            assert residual.survivors(path, out / row["path"], profile, f"inbox:{path.name}", days) == 0, path.name


def _with_its_sop_class(path: Path, folder: Path) -> Path:
    """A file whose data set lacks the SOP Class that its meta information states, with it: dciodvfy looks there."""
    with quiet():
        dataset = pydicom.dcmread(path, force=True)
        stated = dataset.file_meta.get("MediaStorageSOPClassUID")
        if "SOPClassUID" in dataset or not stated:
            return path
        dataset.SOPClassUID = stated
        dataset.save_as(folder / "completed.dcm", enforce_file_format=False)
    return folder / "completed.dcm"


def test_no_new_errors_in_any_file(tmp_path: Path, pseudonyms: Any) -> None:
    profile = profile_with(tmp_path, clean_pixel_data=False)
    shipped = Path(pydicom.__file__).parent / "data/test_files"
    paths = [p for kind in ("dicom-mg", "dicom-other") for p in sorted((DATA / kind).iterdir()) if p.suffix != ".txt"]
    paths += [p for p in sorted(shipped.rglob("*")) if p.is_file() and p.suffix in ("", ".dcm") and p.name != "README"]
    refused: Counter[str] = Counter()
    new = {}
    for number, path in enumerate(paths):
        target = tmp_path / "out.dcm"
        try:
            deidentify_object(path, target, file_id=f"f-{number}", location="", profile=profile, pseudonyms=pseudonyms)
        except RefusedError as error:
            refused[error.reason] += 1
            continue
        found = errors(target) - errors(path)
        if found:
            found -= errors(_with_its_sop_class(path, tmp_path))
        if found:
            new[path.name] = found
    assert new == {}
    assert len(paths) - refused.total() > 270, refused
    assert set(refused) <= {*REFUSED.values(), "no_sop_class", "pixel_data_truncated"}, refused


@pytest.mark.parametrize("name", ["rsna_10006_1864590858_tagged.dcm", "nema_MG1_J2KI"])
def test_a_picture_from_which_text_was_blanked_is_still_there(name: str, tmp_path: Path) -> None:
    source = DATA / "dicom-mg" / name
    summary = deidentify_delivery(
        INVENTORY.build([entry(source, 0)]),
        source=lambda _: source,
        key=Key(bytes(range(32))),
        profile=load_profile(),
        folder=tmp_path,
        workers=Workers(),
    )
    assert summary.written == 1
    (row,) = read_table(tmp_path / "objects.parquet", OBJECTS).to_pylist()
    assert row["text_boxes"] > 0
    before, after = pydicom.dcmread(source), pydicom.dcmread(tmp_path / row["path"])
    assert (after.Rows, after.Columns) == (before.Rows, before.Columns)
    assert len(after.PixelData) > 0.5 * len(before.PixelData)

"""Real, odd and broken files: each is written or refused with a reason, and what is written is as valid as it was."""

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pipelines.deidentify import residual
from pipelines.deidentify.delivery import deidentify_delivery
from pipelines.deidentify.profile import load_profile
from pipelines.deidentify.reading import quiet, read_raw
from pipelines.storage.keys import Key
from pipelines.storage.tables import INVENTORY, OBJECTS, read_table
from pipelines.storage.workers import Workers
from tests.deidentify.conftest import SHARED
from tests.deidentify.test_delivery import entry

DATA = SHARED / "data"
REFUSED = {
    "openrem_Hologic_PropProj.dcm": "secondary_capture_without_pixels",
    "pydicom-data__emri_small_jpeg_2k_lossless_too_short.dcm": "no_data_set",
    "pydicom-data__liver_deflate.dcm": "transfer_syntax_unknown",
    "pydicom-data__liver_nonbyte_aligned_deflate.dcm": "transfer_syntax_unknown",
    "pydicom__DICOMDIR-bigEnd": "dicomdir",
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
    for path in rows:
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


def test_pixels_are_the_same_bytes(outputs: Any) -> None:
    rows, out = outputs
    for path, row in rows.items():
        if row["status"] == "written":
            with quiet():
                source, written = read_raw(path), pydicom.dcmread(out / row["path"])
                assert source.get("PixelData") == written.get("PixelData"), path.name
            assert not any(element.tag.is_private for element in written), path.name


def test_a_second_scan_finds_no_survivor(outputs: Any, profile: Any, pseudonyms: Any) -> None:
    rows, out = outputs
    for path, row in rows.items():
        if row["status"] == "written":
            days = pseudonyms.days(row["patient"], profile.most_days)
            assert residual.survivors(path, out / row["path"], profile, f"inbox:{path.name}", days) == 0, path.name


def _errors(path: Path) -> set[str]:
    run = subprocess.run(["dciodvfy", path], capture_output=True, check=False)
    lines = (run.stdout + run.stderr).decode("latin-1").splitlines()
    return {re.sub(r"\b[\d.]{8,}", "UID", line) for line in lines if line.startswith("Error")}


def test_no_new_errors_in_valid_mammography_files(outputs: Any) -> None:
    rows, out = outputs
    compared = 0
    for path, row in rows.items():
        with quiet():
            valid = "SOPClassUID" in read_raw(path)
        if path.parent.name == "dicom-mg" and row["status"] == "written" and valid:
            assert _errors(out / row["path"]) - _errors(path) == set(), path.name
            compared += 1
    assert compared >= 12

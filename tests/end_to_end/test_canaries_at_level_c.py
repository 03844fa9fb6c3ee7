"""Level C lets no canary out: not from any field, path, table, report or picture, and not when something fails."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pydicom
import pytest

from pipelines.deidentify.profile import load_profile
from pipelines.storage.tables import INVENTORY, OBJECTS, REPORTS, read_table
from tests.end_to_end.canary_archive import Canaries, write_canary_archive
from tests.end_to_end.runs import COMMAND, Ran, environment, give_key, midar
from tests.end_to_end.test_canaries import outside, survivors

pytestmark = pytest.mark.xdist_group("canaries")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Canaries]:
    inbox = tmp_path_factory.mktemp("canaries") / "inbox"
    return inbox, write_canary_archive(inbox, load_profile())


@pytest.fixture(scope="module")
def climbed(archive: tuple[Path, Canaries], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    root = tmp_path_factory.mktemp("climbed")
    give_key(root / "data")
    run = midar("run", "--until", "c", "--inbox", archive[0], "--data", root / "data", temporary=root / "tmp")
    return Ran(archive[0], root / "data", root, root / "tmp", run.stdout + run.stderr)


def test_the_canaries_are_in_the_archive(archive: tuple[Path, Canaries], tmp_path: Path) -> None:
    inbox, canaries = archive
    names = tmp_path / "names"
    names.write_text("\n".join(str(path) for path in inbox.rglob("*")))
    found = {text.lower() for _, text in survivors(list(canaries.words), [inbox, names], tmp_path)}
    assert len(canaries.words) > 400
    assert {w.lower() for w in canaries.words} - canaries_in_pictures(canaries) <= found | in_archives(canaries)


def canaries_in_pictures(canaries: Canaries) -> set[str]:
    return {word.lower() for word in canaries.pixels}


def in_archives(canaries: Canaries) -> set[str]:
    """Inside of compressed archives, which a search of bytes does not see, and of files that were cut."""
    hidden = ("member", "burned", "SOPInstanceUID", "ImageComments", "Description", "private")
    return {word.lower() for word, place in canaries.words.items() if any(h in place for h in hidden)}


def test_every_file_is_accounted_for(climbed: Ran) -> None:
    inventory = _table(climbed.data / "restricted/level_d/inventory", "inventory.parquet", INVENTORY)
    objects = _table(climbed.research / "level_c/objects", "objects.parquet", OBJECTS)
    accepted = [row for row in inventory if row["status"] == "accepted" and row["kind"] == "dicom"]
    assert {row["file_id"] for row in accepted} == {row["file_id"] for row in objects}
    written = [row for row in objects if row["status"] == "written"]
    assert len(written) >= 7
    assert {row["reason"] for row in objects if row["status"] == "refused"} >= {"pixels_undecodable"}
    assert sum(row["text_boxes"] or 0 for row in written) >= 14


def test_no_canary_leaves_the_restricted_zone(archive: tuple[Path, Canaries], climbed: Ran, tmp_path: Path) -> None:
    found = survivors(list(archive[1].words), outside(climbed, tmp_path), tmp_path)
    assert {(path, archive[1].words.get(text, text)) for path, text in found} == set()


def test_no_canary_can_be_read_in_a_picture(archive: tuple[Path, Canaries], climbed: Ran) -> None:
    from pipelines.deidentify.burned_in import find_text

    pictures = 0
    for path in sorted((climbed.research / "level_c/objects").rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        if "PixelData" not in dataset or dataset.file_meta.TransferSyntaxUID.is_compressed:
            continue  # the compressed one has no text in its picture, but in its codestream
        pictures += 1
        pixels = dataset.pixel_array
        assert _read(pixels).isdisjoint(canaries_in_pictures(archive[1])), path.name
        assert find_text(pixels) == []
    assert pictures >= 6


def _read(pixels: object) -> set[str]:
    """Words that the reader finds in a whole picture, without any of the product's own steps before it."""
    import numpy as np
    from rapidocr import RapidOCR

    gray = (np.asarray(pixels, np.float64) / 4095 * 255).astype(np.uint8)
    result = RapidOCR()(np.stack([gray] * 3, axis=-1), use_cls=False)
    return {word.lower() for text in result.txts or () for word in text.split()}


def test_reports_can_still_be_read(climbed: Ran) -> None:
    reports = _table(climbed.research / "level_c/reports", "reports.parquet", REPORTS)
    texts = [row["text"] for row in reports if row["status"] == "written"]
    assert len(texts) == 2
    assert any("Scattered fibroglandular densities, BI-RADS 2" in text for text in texts)


def test_no_canary_when_a_worker_dies(archive: tuple[Path, Canaries], climbed: Ran, tmp_path: Path) -> None:
    give_key(tmp_path / "data")
    arguments = ["run", "--until", "c", "--inbox", archive[0], "--data", tmp_path / "data", "--processes", "2"]
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [COMMAND, *map(str, arguments)], env=environment(tmp_path / "tmp"), stdout=out, stderr=out
        )
        killed = _kill_a_worker(process, tmp_path / "data/research/level_c/objects")
        assert process.wait(timeout=600) == 0
    assert killed
    run = Ran(archive[0], tmp_path / "data", tmp_path, tmp_path / "tmp", (tmp_path / "out").read_text())
    assert survivors(list(archive[1].words), outside(run, tmp_path), tmp_path) == set()
    objects = _table(run.research / "level_c/objects", "objects.parquet", OBJECTS)
    assert len(objects) == len(_table(climbed.research / "level_c/objects", "objects.parquet", OBJECTS))


def test_no_canary_under_a_wrong_key(archive: tuple[Path, Canaries], climbed: Ran, tmp_path: Path) -> None:
    key = climbed.data / "restricted/vault/key"
    right = key.read_text()
    try:
        for wrong in ("0bad" * 16, "no key at all"):
            key.write_text(wrong)
            arguments = ("run", "--until", "c", "--inbox", archive[0], "--data", climbed.data)
            result = midar(*arguments, temporary=climbed.temporary, check=False)
            assert result.returncode != 0
            assert "key" in result.stdout + result.stderr
            run = Ran(archive[0], climbed.data, tmp_path, climbed.temporary, result.stdout + result.stderr)
            assert survivors(list(archive[1].words), outside(run, tmp_path), tmp_path) == set()
    finally:
        key.write_text(right)


def _table(folder: Path, name: str, contract: object) -> list[dict]:
    (path,) = folder.glob(f"*/{name}")
    return read_table(path, contract).to_pylist()


def _kill_a_worker(process: subprocess.Popen, asset: Path) -> bool:
    """Kill one of the processes that the work is spread over, while the asset is being made."""
    for _ in range(6000):
        if list(asset.glob(".staging-*/.staged/*")):
            for child in _descendants(process.pid):
                if b"spawn_main" in _command(child):
                    os.kill(child, signal.SIGKILL)
                    return True
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return False


def _descendants(pid: int) -> list[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found, frontier = [], [pid]
    while frontier:
        frontier = [child for child, parent in parents.items() if parent in frontier]
        found += frontier
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""

"""A round trip through a PACS: Orthanc takes the files by C-STORE, lists the study, shows it, gives it back whole."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from pipelines.storage.tables import LATERALITIES, VIEWS
from pipelines.synthesize.dicom import Origin, encode

MODEL = "7a" * 32
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Orthanc:
    """An Orthanc of the test's own: it answers the loopback address alone, and takes files of one sender there."""

    def __init__(self, folder: Path) -> None:
        self.http, self.dicom = _free_ports()
        config = {
            "Name": "test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomCheckModalityHost": True,
            "DicomModalities": {"sender": ["SENDER", "127.0.0.1", 4242]},
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [],
        }
        (folder / "orthanc.json").write_text(json.dumps(config))
        with (folder / "orthanc.log").open("wb") as log:
            self.process = subprocess.Popen([shutil.which("Orthanc"), str(folder / "orthanc.json")], stderr=log)

    def ask(self, path: str) -> bytes:
        with NO_PROXY.open(f"http://127.0.0.1:{self.http}{path}", timeout=30) as answer:
            return answer.read()

    def tell(self, path: str) -> Any:
        return json.loads(self.ask(path))

    def wait(self) -> bool:
        """Until it answers; False where it has ended instead (its port was taken meanwhile, say)."""
        for _ in range(300):
            if self.process.poll() is not None:
                return False
            try:
                self.ask("/system")
            except OSError:
                time.sleep(0.1)
            else:
                return True
        return False

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)


def _free_ports() -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    if shutil.which("Orthanc") is None or shutil.which("storescu") is None:
        pytest.skip("Orthanc or storescu is not installed")
    for attempt in range(3):
        folder = tmp_path / f"orthanc{attempt}"
        folder.mkdir()
        server = Orthanc(folder)
        try:
            if server.wait():
                yield server
                return
        finally:
            server.stop()
    pytest.fail(f"Orthanc does not start: {(folder / 'orthanc.log').read_text()[-500:]}")


@pytest.fixture
def sent(breast: Callable[..., np.ndarray], orthanc: Orthanc, tmp_path: Path) -> dict[str, np.ndarray]:
    """A pretend patient's four pictures and one of nobody else's, sent; SOP Instance UIDs to what they show."""
    made, files = {}, []
    origins = [
        Origin(f"S-{side}{view}", MODEL, 1, 2, "C", view, patient="W-1", laterality=side, instance=number)
        for number, (side, view) in enumerate(((s, v) for s in LATERALITIES for v in VIEWS), 1)
    ]
    for origin in (*origins, Origin("S-alone", MODEL, 1, 3, "A", "CC")):
        picture = breast(3, origin.density, origin.view, rows=160)
        instance, data = encode(picture, origin)
        made[instance] = picture if origin.laterality == "L" else picture[:, ::-1]
        files.append(tmp_path / f"{origin.synthetic_id}.dcm")
        files[-1].write_bytes(data)
    called = ["storescu", "--required", "-aet", "SENDER", "-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom)]
    done = subprocess.run([*called, *map(str, files)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_a_study_goes_in_and_comes_back_whole(orthanc: Orthanc, sent: dict[str, np.ndarray]) -> None:
    studies = {s["PatientMainDicomTags"]["PatientID"]: s for s in map(orthanc.tell, _paths(orthanc, "studies"))}
    assert set(studies) == {"SYNTHETIC-W-1", "SYNTHETIC-S-alone"}
    whole = studies["SYNTHETIC-W-1"]
    assert whole["MainDicomTags"]["StudyDescription"] == "SYNTHETIC mammogram"
    assert whole["PatientMainDicomTags"]["PatientName"] == "SYNTHETIC^W-1"
    assert len(orthanc.tell(f"/studies/{whole['ID']}/instances")) == 4
    seen = set()
    for path in _paths(orthanc, "instances"):
        file = pydicom.dcmread(BytesIO(orthanc.ask(f"{path}/file")))
        picture = sent[file.SOPInstanceUID]
        np.testing.assert_array_equal(file.pixel_array, picture)
        assert file[0x0008, 0x001C].value == "YES"
        assert file.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "109100"
        shown = np.asarray(Image.open(BytesIO(orthanc.ask(f"{path}/preview"))).convert("L")).astype(float)
        assert np.corrcoef(shown.ravel(), picture.ravel())[0, 1] > 0.99
        seen.add(file.SOPInstanceUID)
    assert seen == set(sent)


def _paths(orthanc: Orthanc, kind: str) -> list[str]:
    return [f"/{kind}/{name}" for name in orthanc.tell(f"/{kind}")]

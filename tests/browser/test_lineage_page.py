"""A real browser opens the lineage page of the running UI."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "midar"
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--window-size=1600,1000",
    "--virtual-time-budget=30000",
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.xdist_group("demo"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str, process: subprocess.Popen) -> bool:
    for _ in range(240):
        if process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except OSError:
            time.sleep(0.5)
    return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("ui")
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MIDAR_", "DAGSTER_"))}
    process = subprocess.Popen(
        ["env", "--default-signal=INT,TERM", COMMAND, "ui", "--data", root / "data", "--port", str(port)],
        env={**environment, "DAGSTER_DISABLE_TELEMETRY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert answers(f"http://127.0.0.1:{port}/server_info", process), "the server did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def page(url: str, profile: Path) -> str:
    """The page's document after its scripts have run."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


def test_lineage_page_shows_every_rung(server: str, tmp_path: Path) -> None:
    dom = page(f"{server}/asset-groups", tmp_path / "profile")
    for group in ("level_d", "level_c", "level_b", "level_a", "pgan", "synthetic", "evaluation"):
        assert group in dom


def test_lineage_of_one_asset_shows_what_it_is_made_from(server: str, tmp_path: Path) -> None:
    dom = page(f"{server}/assets/synthetic/images?view=lineage&lineageScope=upstream", tmp_path / "profile")
    assert "augmented_dataset" in dom or "model" in dom
    assert "images" in dom

"""A real browser draws the certificate's page, wide and as narrow as a phone, and asks for nothing beside it."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.readiness.criteria import load_criteria
from pipelines.readiness.page import PAGE
from tests.readiness.conftest import world  # noqa: F401 - a fixture
from tests.readiness.reading import Page
from tests.readiness.test_page import picture, written  # noqa: F401 - picture is a fixture

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
SEAL = (0x1F, 0x5F, 0x99)
LOST = (0xD9, 0x79, 0x3B)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def browse(page: Path, *options: str) -> subprocess.CompletedProcess:
    """Open a page; what it does that its own policy forbids stands on stderr as a line of the console."""
    profile = page.parent / "profile"
    command = [str(CHROMIUM), *FLAGS, "--enable-logging=stderr", f"--user-data-dir={profile}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)


def test_the_browser_reads_every_criterion_and_loss(world, tmp_path, picture):  # noqa: F811
    content, _ = written(world, tmp_path, picture)
    page = Page(browse(tmp_path / PAGE, "--dump-dom").stdout)
    for criterion in load_criteria():
        row = next(row for row in page.rows if row[0].startswith(criterion.statement))
        assert criterion.id in row[0]
        assert row[-1].startswith("✓ holds" if criterion.required else ("✓ holds", "? not measured"))
    for step in content["funnel"]:
        for reason, count in step["lost"].items():
            assert [reason.replace("_", " "), "", str(count)] in page.rows


@pytest.mark.parametrize("width", [1280, 400])
def test_the_browser_draws_seal_flow_and_bars_within_the_width(width, world, tmp_path, picture):  # noqa: F811
    written(world, tmp_path, picture)
    shot = tmp_path / "page.png"
    said = browse(tmp_path / PAGE, f"--screenshot={shot}", f"--window-size={width},4000").stderr
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert pixels.shape[1] == width
    for color in (SEAL, LOST):
        assert (np.abs(pixels - color).sum(axis=2) < 12).sum() > 50
    assert (pixels[:, -8:] == 255).all(), "something is wider than the page"
    assert 0.01 < (pixels.min(axis=2) < 128).mean() < 0.5
    assert "CONSOLE" not in said


def test_the_browser_would_refuse_to_load_anything_beside_the_page(world, tmp_path):  # noqa: F811
    _, text = written(world, tmp_path)
    other = tmp_path / "other.html"
    other.write_text(text.replace("</main>", '<img src="https://127.0.0.1/x.png" alt=""><script>1</script></main>'))
    said = browse(other, "--dump-dom").stderr
    assert sum("CONSOLE" in line and "Content Security Policy" in line for line in said.splitlines()) >= 2

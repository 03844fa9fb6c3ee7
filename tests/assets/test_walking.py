"""``midar walk``: from image to image or along density, over the model that stands published."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from assets.cli import app
from assets.walking import NoWayError, Walk, write_walk
from pipelines.pgan.sampler import Place, Sampler, load_sampler
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import train
from pipelines.storage.tables import SYNTHETIC, write_table
from pipelines.storage.zones import Zones
from pipelines.synthesize.breast import clear_air, find_breast
from pipelines.synthesize.settings import SynthesisSettings
from tests.pgan.conftest import make_dataset

PLACES = {
    "S-a": Place(0, 3, "A", "MLO"),
    "S-b": Place(0, 8, "B", "MLO"),
    "S-c": Place(0, 8, "B", "CC"),
    "S-old": Place(0, 1, "A", "MLO"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a model of densities A and B, and a table of synthetic images, one of another model."""
    root = tmp_path_factory.mktemp("walking")
    zones = Zones.at(root / "data")
    folder = make_dataset(root / "dataset", train={"A": 8, "B": 9})
    settings = replace(PGANSettings.tiny(), stable_images=(16, 16, 32), fade_images=(0, 8, 8))
    train(folder, settings=settings, checkpoints=root / "checkpoints", folder=zones.publication("pgan/model"))
    sha = load_sampler(zones.publication("pgan/model")).model_sha256
    rows = [
        {
            **{"synthetic_id": name, "number": place.number, "seed": place.seed, "density": place.density},
            **{"view": place.view, "truncation": 0.8, "verdict": "rejected", "reason": "critic", "critic_score": 0.0},
            **{"critic_low": 1.0, "nearest_distance": 1.0, "nearest_low": 0.5, "nearest_image_id": "I-1"},
            **{"dense_fraction": 0.5, "model_sha256": "0" * 64 if name == "S-old" else sha},
        }
        for name, place in PLACES.items()
    ]
    write_table(zones.publication("synthetic/images") / "synthetic.parquet", SYNTHETIC, SYNTHETIC.build(rows))
    return root / "data"


@pytest.fixture(scope="module")
def sampler(data: Path) -> Sampler:
    return load_sampler(Zones.at(data).publication("pgan/model"))


def frame(path: Path, number: int) -> np.ndarray:
    """A frame of a film, brought back to the model's size."""
    with Image.open(path) as image:
        image.seek(number)
        shown = np.asarray(image.convert("L")).astype(float)
    return shown.reshape(20, 16, 16, 16).mean((1, 3))


def cleared(picture: np.ndarray) -> np.ndarray:
    """A picture as the screen hands it on."""
    floor = SynthesisSettings.air_floor
    return clear_air(picture, find_breast(picture, floor), floor)


def test_a_walk_joins_two_images(data: Path, sampler: Sampler, tmp_path: Path) -> None:
    strip, film = write_walk(data, tmp_path / "walk", Walk(start="S-a", end="S-b", frames=5))
    assert (strip, film) == (tmp_path / "walk.png", tmp_path / "walk.gif")
    for number, name in ((0, "S-a"), (4, "S-b")):
        place = PLACES[name]
        own = sampler.sample(place.seed, [place.number], [place.density], [place.view], truncation=0.8)[0]
        assert np.corrcoef(frame(film, number).ravel(), cleared(own).ravel())[0, 1] > 0.97
    assert strip.stat().st_size > 1000


@pytest.mark.parametrize("start", ["S-a", ""])
def test_a_walk_along_density_begins_with_the_image(start: str, data: Path, sampler: Sampler, tmp_path: Path) -> None:
    _, film = write_walk(data, tmp_path / "walk", Walk(start=start, number=3, frames=4, truncation=0.8))
    way = sampler.walk_density(PLACES["S-a"], "A", "B", 4, 0.8)
    for number in range(4):
        assert np.corrcoef(frame(film, number).ravel(), cleared(way[number]).ravel())[0, 1] > 0.97


@pytest.mark.parametrize(
    ("walk", "why"),
    [
        (Walk(end="S-a"), "needs one to walk from"),
        (Walk(start="S-x"), "no synthetic image S-x"),
        (Walk(start="S-old"), "another model"),
        (Walk(start="S-b", end="S-c"), "from one view to another"),
    ],
)
def test_what_cannot_be_walked_is_refused_with_a_reason(walk: Walk, why: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(NoWayError, match=why):
        write_walk(data, tmp_path / "walk", walk)
    assert not list(tmp_path.iterdir())


def test_the_command(data: Path, tmp_path: Path, sampler: Sampler) -> None:
    run = CliRunner()
    done = run.invoke(app, ["walk", str(tmp_path / "w"), "--data", str(data), "--view", "CC", "--frames", "3"])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"w.png", "w.gif"}
    nothing = run.invoke(app, ["walk", str(tmp_path / "w"), "--data", str(tmp_path)])
    assert (nothing.exit_code, "no trained model" in nothing.output) == (2, True)

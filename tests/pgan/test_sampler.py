"""Sampling from a published model: the same picture whatever is asked for beside it."""

import gc
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipelines.pgan.conditions import ConditionError, codes
from pipelines.pgan.feed import read_dataset, rows_of
from pipelines.pgan.latents import latent_of
from pipelines.pgan.model import Description, ModelError, generate, reproducible
from pipelines.pgan.networks import Generator
from pipelines.pgan.sampler import Place, Sampler, load_critic, load_sampler
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import train
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.pyramid import Pyramid
from tests.pgan.conftest import make_dataset

SETTINGS = replace(PGANSettings.tiny(), stable_images=(32, 32, 64), fade_images=(0, 16, 16))


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, Path]:
    """A data set without density D and without C in MLO, and the model trained on it."""
    root = tmp_path_factory.mktemp("published")
    folder = make_dataset(root / "dataset", train={"A": 8, "B": 9}, levels=3)
    train(folder, settings=SETTINGS, checkpoints=root / "checkpoints", folder=root / "model")
    return folder, root / "model"


@pytest.fixture(scope="module")
def sampler(published) -> Sampler:
    return load_sampler(published[1])


@pytest.fixture
def model(published, tmp_path) -> Path:
    """A copy of the model to be damaged."""
    return Path(shutil.copytree(published[1], tmp_path / "model"))


def test_pictures_are_gray_values_at_the_models_resolution(sampler, published):
    pictures = sampler.sample(1, [0, 1, 2], ["A", "B", "A"], ["CC", "MLO", "CC"])
    assert pictures.shape == (3, *sampler.resolution) == (3, 20, 16)
    assert pictures.dtype == np.uint16
    assert pictures.max() <= 4095
    assert sampler.model_sha256 == sha256_of_file(published[1] / "generator.safetensors")


def test_a_picture_is_the_same_in_any_batch_and_order(sampler):
    numbers = list(range(9))
    densities, views = list("ABABABABA"), ["CC", "CC", "MLO"] * 3
    together = sampler.sample(7, numbers, densities, views)
    for i in (0, 4, 8):
        np.testing.assert_array_equal(sampler.sample(7, [i], [densities[i]], [views[i]])[0], together[i])
    backwards = sampler.sample(7, numbers[::-1], densities[::-1], views[::-1])
    np.testing.assert_array_equal(backwards[::-1], together)


def test_it_is_the_same_after_loading_again_and_under_other_threads(sampler, published):
    import torch

    asked = (7, [3, 5], ["A", "B"], ["CC", "MLO"])
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        again = load_sampler(published[1]).sample(*asked)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(again, sampler.sample(*asked))


def test_another_process_with_other_threads_makes_the_same_bytes(sampler, published):
    code = (
        "import hashlib, sys, torch; torch.set_num_threads(3)\n"
        "from pathlib import Path\n"
        "from pipelines.pgan.sampler import load_sampler\n"
        "s = load_sampler(Path(sys.argv[1]))\n"
        "made = [s.sample(7, [n], ['B'], ['MLO'], truncation=t) for t in (1.0, 0.7) for n in range(6)]\n"
        "print(hashlib.sha256(b''.join(m.tobytes() for m in made)).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(published[1])],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "3"},
        cwd=Path(__file__).parents[2],
    )
    together = [sampler.sample(7, range(6), ["B"] * 6, ["MLO"] * 6, truncation=t).tobytes() for t in (1.0, 0.7)]
    assert done.stdout.strip() == hashlib.sha256(b"".join(together)).hexdigest()


def test_settings_of_torch_are_put_back():
    import torch

    before = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    with reproducible():
        assert (torch.get_num_threads(), torch.backends.cudnn.allow_tf32) == (1, False)
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.backends.cudnn.allow_tf32) == before
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.gpu
def test_a_gpu_makes_the_same_pictures_to_within_rounding(sampler, published):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    asked = (7, range(20), ["A", "B"] * 10, ["MLO"] * 20)
    made = load_sampler(published[1], "cuda").sample(*asked, truncation=0.7).astype(int)
    assert np.abs(made - sampler.sample(*asked, truncation=0.7)).max() <= 2


def test_a_stream_has_no_end_and_is_the_same_wherever_it_begins(sampler):
    first = list(islice(sampler.stream(7, "A", "MLO", batch=5), 12))
    np.testing.assert_array_equal(np.stack(first), sampler.sample(7, range(12), ["A"] * 12, ["MLO"] * 12))
    later = list(islice(sampler.stream(7, "A", "MLO", first=9, batch=2), 3))
    np.testing.assert_array_equal(later, first[9:])


def test_a_stream_needs_no_more_memory_the_longer_it_runs(sampler):
    pictures = sampler.stream(7, "A", "CC", batch=4)
    for _ in islice(pictures, 20):
        pass
    grown = []
    tracemalloc.start()
    try:
        for _ in range(3):  # whatever else the process does meanwhile (collects, imports) it does once
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for _ in islice(pictures, 100):
                pass
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert min(grown) < 20 * 16 * 2 * 100 / 4


def test_a_walk_begins_and_ends_with_the_pictures_themselves(sampler):
    start, end = Place(7, 2, "A", "CC"), Place(7, 5, "B", "CC")
    way = sampler.walk(start, end, 9)
    assert (way.shape, way.dtype) == ((9, 20, 16), np.uint16)
    for frame, place in ((0, start), (-1, end)):
        own = sampler.sample(place.seed, [place.number], [place.density], [place.view])[0]
        np.testing.assert_array_equal(way[frame], own)
    steps = np.abs(np.diff(way.astype(float), axis=0)).mean((1, 2))
    assert 0 < steps.max() < 0.5 * np.abs(way[-1].astype(float) - way[0]).mean()
    with pytest.raises(ConditionError, match="from one view to another"):
        sampler.walk(start, replace(end, view="MLO"), 3)


def test_a_walk_along_density_keeps_the_latent(sampler):
    way = sampler.walk_density(Place(7, 2, "A", "MLO"), "A", "B", 5)
    np.testing.assert_array_equal(way[0], sampler.sample(7, [2], ["A"], ["MLO"])[0])
    latent = latent_of(7, "A", "MLO", 2, SETTINGS.latent_size)
    np.testing.assert_array_equal(way, sampler.draw([latent] * 5, [0.0, 0.25, 0.5, 0.75, 1.0], ["MLO"] * 5))
    with pytest.raises(ConditionError, match="no training images of C MLO, D MLO"):
        sampler.walk_density(Place(7, 2, "A", "MLO"), "A", "D", 5)


def test_conditions_that_training_did_not_see_are_refused_by_name(sampler):
    assert sampler.conditions == (("A", "CC"), ("A", "MLO"), ("B", "CC"), ("B", "MLO"))
    with pytest.raises(ConditionError, match="no training images of C MLO, D CC"):
        sampler.sample(1, [0, 1, 2], ["A", "D", "C"], ["CC", "CC", "MLO"])
    with pytest.raises(ConditionError):
        sampler.sample(1, [0], ["E"], ["CC"])


def test_nothing_asked_gives_nothing(sampler):
    assert sampler.sample(1, [], [], []).shape == (0, 20, 16)


def untrained(**change: object) -> Sampler:
    """A sampler of random weights that saw A and B in both views, C in CC alone."""
    import torch

    torch.manual_seed(0)
    settings = replace(SETTINGS, **change)
    seen = (("A", "CC"), ("A", "MLO"), ("B", "CC"), ("B", "MLO"), ("C", "CC"))
    return Sampler(Generator(settings), Description(settings, seen, {"generator.safetensors": "0"}, {}))


def test_a_density_between_two_classes_lies_between_their_pictures():
    sampler = untrained()
    asked = codes([0.0, 0.5, 1.0], ["CC"] * 3)
    with reproducible():
        low, middle, high = (p.astype(float) for p in _same_latent(sampler, asked))
    assert 0 < np.abs(middle - low).mean() < np.abs(high - low).mean()
    assert sampler.sample(3, [0], [0.5], ["CC"]).shape == (1, 20, 16)


def _same_latent(sampler: Sampler, asked: np.ndarray) -> np.ndarray:
    latents = np.random.default_rng(0).standard_normal((1, 16)).astype(np.float32).repeat(len(asked), 0)
    return generate(sampler._generator, latents, asked, 3)


@pytest.mark.parametrize(("density", "view"), [(1.5, "MLO"), (2.5, "CC"), ("C", "MLO")])
def test_a_density_is_refused_where_a_class_beside_it_was_not_seen(density, view):
    with pytest.raises(ConditionError, match=r"no training images of [CD] "):
        untrained().sample(1, [0], [density], [view])


def test_an_age_counts_where_the_model_knows_ages_and_is_refused_elsewhere():
    sampler = untrained(condition_age=True)
    young, old, open_ = (sampler.sample(1, [0], ["A"], ["CC"], [age]) for age in (35, 75, None))
    assert (young != old).any()
    np.testing.assert_array_equal(open_, sampler.sample(1, [0], ["A"], ["CC"]))
    with pytest.raises(ConditionError, match="without ages"):
        untrained().sample(1, [0], ["A"], ["CC"], [50])


def test_pairs_are_refused_by_a_model_of_single_views():
    assert not untrained().two_views
    with pytest.raises(ConditionError, match="does not make two views"):
        untrained().sample_pairs(1, [0], ["A"])
    with pytest.raises(ConditionError, match="does not make two views"):
        untrained().sample_women(1, [0], ["A"], 0.8)


def test_a_score_does_not_depend_on_the_other_pictures(published):
    folder, model = published
    table = rows_of(read_dataset(folder), "train")
    pictures = Pyramid(folder).take(table, (20, 16))
    densities, views = table["density"].to_pylist(), table["view"].to_pylist()
    score = load_critic(model)
    together = score(pictures, densities, views)
    assert together.shape == (17,)
    assert np.isfinite(together).all()
    for i in (0, 11):
        assert score(pictures[i : i + 1], densities[i : i + 1], views[i : i + 1])[0] == together[i]
    calibration = json.loads((model / "report.json").read_text())["critic_scores"]["training"]
    assert calibration["mean"] == pytest.approx(together.mean())
    assert calibration["quantiles"]["0.05"] == pytest.approx(np.quantile(together, 0.05))


def test_larger_pictures_are_averaged_down_before_scoring(published):
    score = load_critic(published[1])
    picture = np.random.default_rng(0).integers(0, 4096, (1, 20, 16)).astype(np.uint16)
    larger = picture.repeat(4, 1).repeat(4, 2)
    assert score(larger, ["A"], ["CC"]) == score(picture, ["A"], ["CC"])
    with pytest.raises(ValueError, match="30×16"):
        score(np.zeros((1, 30, 16), np.uint16), ["A"], ["CC"])


@pytest.mark.parametrize("name", ["generator.safetensors", "model.json"])
@pytest.mark.parametrize("damage", ["remove", "cut", "flip"])
def test_a_damaged_model_is_a_clear_error(model, name, damage):
    path = model / name
    data = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[data.index(b'"format": 1') + 10 if name == "model.json" else -1] ^= 3
        path.write_bytes(data)
    with pytest.raises(ModelError):
        load_sampler(model)

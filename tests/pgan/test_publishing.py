"""What a finished training leaves: the card, the critic's embedding, and what of it may leave the hospital."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.pgan.embedding import calibrate_embedding, embed, load_embedding
from pipelines.pgan.evaluation import critic_scores
from pipelines.pgan.feed import Feed, read_dataset, rows_of, to_unit
from pipelines.pgan.headline import headline
from pipelines.pgan.leaving import write_release
from pipelines.pgan.model import CRITIC, ModelError, load_network, read_description
from pipelines.pgan.networks import Critic
from pipelines.pgan.sampler import load_critic, load_sampler
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import train
from pipelines.storage.manifest import read_manifest, unlike_manifest
from pipelines.storage.pyramid import Pyramid
from tests.pgan.conftest import make_dataset

SETTINGS = replace(PGANSettings.tiny(), levels=2, stable_images=(32, 32), fade_images=(0, 16), batch_sizes=(8, 8))


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> tuple[Path, Path]:
    """A data set without density D, and the model trained on it."""
    root = tmp_path_factory.mktemp("published")
    folder = make_dataset(root / "dataset", train={"A": 8, "B": 9, "C": 3}, validation=6, levels=2)
    train(folder, settings=SETTINGS, checkpoints=root / "checkpoints", folder=root / "model")
    return folder, root / "model"


@pytest.fixture(scope="module")
def critic(published) -> Critic:
    description = read_description(published[1])
    return load_network(published[1], CRITIC, Critic(description.settings), description, "cpu")


def pictures_of(folder: Path, split: str) -> np.ndarray:
    return Pyramid(folder).take(rows_of(read_dataset(folder), split), (10, 8))


def test_the_embedding_is_what_the_last_layer_scores(published, critic):
    """Score without the condition = weight · embedding / √size + bias."""
    pictures = to_unit(pictures_of(published[0], "train"))
    found = embed(critic, pictures, 2)
    assert found.shape == (20, SETTINGS.maps(1))
    weight, bias = (getattr(critic.score, name).detach().numpy().astype(np.float64) for name in ("weight", "bias"))
    with torch.no_grad():
        codes = torch.zeros(1, 5)
        expected = [float(critic(torch.from_numpy(p[None]), codes, 2, alone=True)) for p in pictures]
    np.testing.assert_allclose(found @ weight[0] / np.sqrt(found.shape[1]) + bias, expected, rtol=1e-4, atol=1e-5)


def test_distances_are_mahalanobis_in_the_shrunk_covariance():
    from scipy.spatial.distance import mahalanobis
    from sklearn.covariance import LedoitWolf

    rng = np.random.default_rng(0)
    points = rng.standard_normal((40, 6)) @ rng.standard_normal((6, 6))
    oracle = LedoitWolf().fit(points)
    expected = [mahalanobis(p, oracle.location_, np.linalg.inv(oracle.covariance_)) for p in points[:5]]
    np.testing.assert_allclose(calibrate_embedding(points).distances(points[:5]), expected, rtol=1e-4)


def test_features_that_never_vary_can_be_calibrated():
    assert calibrate_embedding(np.ones((5, 3))).distances(np.ones((2, 3))).tolist() == [0, 0]


def test_a_published_embedding_comes_back_with_its_calibration(published, critic):
    folder, model = published
    embedding = load_embedding(model)
    held_back = pictures_of(folder, "validation")
    features = embedding.features(held_back)
    np.testing.assert_array_equal(features, embed(critic, to_unit(held_back), 2))
    np.testing.assert_array_equal(embedding.features(held_back[2:3])[0], features[2])
    np.testing.assert_array_equal(embedding.features(held_back.repeat(2, 1).repeat(2, 2)), features)
    facts = json.loads((model / "model.json").read_text())["embedding"]
    assert facts["size"] == features.shape[1]
    assert facts["learned_from"] == 20
    assert facts["distance_of_held_back"]["quantiles"]["0.50"] == pytest.approx(
        np.median(embedding.distances(features))
    )
    training = embed(critic, to_unit(pictures_of(folder, "train")), 2)
    np.testing.assert_allclose(embedding.distances(training), calibrate_embedding(training).distances(training))
    assert embedding.features(held_back[:0]).shape == (0, features.shape[1])
    with pytest.raises(ValueError, match="do not reduce"):
        embedding.features(np.zeros((1, 8, 10), np.uint16))


@pytest.mark.parametrize("damage", ["remove", "flip"])
def test_a_damaged_embedding_is_a_clear_error(published, tmp_path, damage):
    model = Path(shutil.copytree(published[1], tmp_path / "model"))
    path = model / "restricted" / "embedding.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data)
    with pytest.raises(ModelError, match="embedding"):
        load_embedding(model)


def test_membership_is_the_area_under_the_curve(published, critic):
    from sklearn.metrics import roc_auc_score

    folder, model = published
    dataset, score = read_dataset(folder), load_critic(model)
    values = {}
    for split in ("train", "validation"):
        rows = rows_of(dataset, split)
        values[split] = score(pictures_of(folder, split), rows["density"].to_pylist(), rows["view"].to_pylist())
    truth = np.repeat([1, 0], [20, 6])
    expected = roc_auc_score(truth, np.concatenate([values["train"], values["validation"]]))
    report = json.loads((model / "report.json").read_text())
    assert report["critic_scores"]["membership_auc"] == pytest.approx(expected)
    feed = Feed(folder, rows_of(dataset, "train"), 0)
    assert critic_scores(critic, feed, dataset.slice(0, 0), 2)["membership_auc"] is None


def test_the_card_says_what_the_model_is_and_is_not(published):
    folder, model = published
    card = (model / "MODEL_CARD.md").read_text()
    facts, report = (json.loads((model / name).read_text()) for name in ("model.json", "report.json"))
    assert facts["training_set_sha256"] in card
    assert facts["sha256"]["generator.safetensors"] in card
    assert "| train | CC | 4 | 5 | 1 | 0 |" in card
    assert "refused: D CC, D MLO." in card
    assert "**Not meant for** diagnosis" in card
    for name, value in headline(report["levels"][-1]).items():
        assert f"| {name} |" in card
        assert value is None or f"{value:.3g} |" in card
    dataset = read_dataset(folder)
    assert not any(cell in card for name in ("image_id", "patient") for cell in dataset[name].to_pylist())


def test_what_leaves_has_the_generator_and_no_critic(published, tmp_path):
    _, model = published
    left = write_release(model, tmp_path / "release")
    assert {"generator.safetensors", "model.json", "MODEL_CARD.md", "report.json", "samples.png"} <= set(left)
    assert not any("critic" in path.name or "restricted" in path.parts for path in (tmp_path / "release").rglob("*"))
    assert set(read_manifest(tmp_path / "release")) == set(left)
    assert unlike_manifest(tmp_path / "release") == []
    asked = (1, [0, 1], ["A", "B"], ["CC", "MLO"])
    np.testing.assert_array_equal(load_sampler(tmp_path / "release").sample(*asked), load_sampler(model).sample(*asked))
    with pytest.raises(ModelError):
        load_critic(tmp_path / "release")
    with pytest.raises(FileExistsError):
        write_release(model, tmp_path / "release")
    with pytest.raises(ModelError):
        write_release(tmp_path, tmp_path / "other")

"""CC and MLO of one breast from one latent: networks, pairs, training, and what a model of pairs gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipelines.pgan.conditions import VIEW, ConditionError, codes
from pipelines.pgan.engine import Engine
from pipelines.pgan.feed import Draws, Feed, NotEnoughImages, pairs_of, read_dataset, rows_of
from pipelines.pgan.growth import Stage
from pipelines.pgan.losses import r1_penalty
from pipelines.pgan.model import Description, generate, generate_views
from pipelines.pgan.networks import Generator, doubled, minibatch_stddev
from pipelines.pgan.recipes import critic_of, generator_of
from pipelines.pgan.sampler import Sampler, load_critic, load_sampler
from pipelines.pgan.settings import PGANSettings, SettingsError, resolution_of
from pipelines.pgan.training import train
from pipelines.pgan.two_view import TwoViewCritic, TwoViewGenerator, one_channel
from pipelines.storage.tables import DATASET, write_table
from tests.pgan.conftest import make_dataset

SETTINGS = replace(PGANSettings.tiny(), two_views=True, stable_images=(16, 16, 24), fade_images=(0, 8, 8))


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.manual_seed(0)


def asked(count: int, view: str = "CC") -> torch.Tensor:
    return torch.from_numpy(codes(["C"] * count, [view] * count))


def five_levels() -> PGANSettings:
    return replace(
        SETTINGS, levels=5, stable_images=(8,) * 5, fade_images=(0,) * 5, batch_sizes=(8,) * 5, maps_base=64, maps_max=8
    )


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_each_level_gives_two_different_views_and_scores_of_pairs(level):
    generator, critic = generator_of(five_levels()), critic_of(five_levels())
    assert (type(generator), type(critic)) == (TwoViewGenerator, TwoViewCritic)
    pairs = generator(torch.randn(4, 16), asked(4), level)
    assert pairs.shape == (4, 2, *resolution_of(level))
    assert (pairs[:, 0] - pairs[:, 1]).abs().max() > 1e-3
    assert critic(pairs, asked(4), level).shape == (4,)
    assert critic(pairs[:, :1], asked(4), level).shape == (4,)


@pytest.mark.parametrize("level", [3, 4, 5])
def test_fading_in_starts_at_the_doubled_level_below(level):
    generator = generator_of(five_levels())
    latents = torch.randn(2, 16)
    below = generator(latents, asked(2), level - 1)
    torch.testing.assert_close(generator(latents, asked(2), level, 0.0, True), doubled(below))
    whole = generator(latents, asked(2), level)
    torch.testing.assert_close(generator(latents, asked(2), level, 1.0, True), whole)


def test_the_trunk_is_shared_and_the_heads_are_not():
    settings = five_levels()
    generator = generator_of(settings)
    pairs = generator(torch.randn(2, 16), asked(2), 5)
    own = torch.autograd.grad(pairs[:, 1].sum(), list(generator.mlo_up.parameters()), retain_graph=True)
    assert all(gradient.abs().sum() > 0 for gradient in own)
    for view, layers in ((1, generator.up[3]), (0, generator.mlo_up[1])):
        (none,) = torch.autograd.grad(
            pairs[:, view].sum(), [layers.weight], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        assert none.abs().sum() == 0
    for view in (0, 1):
        (trunk,) = torch.autograd.grad(pairs[:, view].sum(), [generator.up[0].weight], retain_graph=True)
        assert trunk.abs().sum() > 0


def test_a_pairs_score_is_both_views_own_and_one_of_both():
    critic = critic_of(SETTINGS)
    pairs = torch.rand(4, 2, 20, 16)
    singles = [critic(pairs[:, [v]], asked(4, name), 3) for v, name in enumerate(("CC", "MLO"))]
    trunk = critic.trunk(one_channel(pairs), 3, 1.0, False)
    assert torch.equal(one_channel(pairs)[4:], pairs[:, 1:])
    x = critic.features(trunk, torch.cat([minibatch_stddev(trunk[:4]), minibatch_stddev(trunk[4:])]))
    joined = torch.nn.functional.leaky_relu(critic.join(torch.cat([x[:4], x[4:]], dim=1)), 0.2)
    expected = singles[0] + singles[1] + critic.pair(joined)[:, 0]
    torch.testing.assert_close(critic(pairs, asked(4), 3), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(critic(pairs, asked(4, "MLO"), 3), expected, rtol=1e-4, atol=1e-5)


def test_r1_of_pairs_is_over_both_views():
    critic, pairs = critic_of(SETTINGS).double(), torch.rand(2, 2, 5, 4, dtype=torch.float64)

    def score(x: torch.Tensor) -> torch.Tensor:
        return critic(x, asked(2).double(), 1)

    total, step = 0.0, 1e-4
    with torch.no_grad():
        for index in range(pairs.numel()):
            shift = torch.zeros_like(pairs)
            shift.view(-1)[index] = step
            total += ((score(pairs + shift).sum() - score(pairs - shift).sum()) / (2 * step)).item() ** 2
    assert r1_penalty(score, pairs).item() == pytest.approx(total / 2, rel=1e-3)


def with_breasts(folder: Path) -> pa.Table:
    """The toy table, its pictures two by two CC and MLO of one breast; a third of one breast, one without a study."""
    table = read_dataset(folder)
    rows = table.num_rows
    breast = [index // 2 for index in range(rows)]
    values = {
        "patient": [f"P-{b}" for b in breast],
        "study_instance_uid": [None if b == 1 else f"2.25.{b}" for b in breast],
        "laterality": ["L"] * rows,
        "density": ["ABCD"[b % 4] for b in breast],
    }
    for name, column in values.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), [pa.array(column)])
    return table


def test_pairs_are_of_one_breast_and_one_density(dataset):
    table = with_breasts(dataset)
    found = pairs_of(table)
    assert [1, 0] not in (found // 2).tolist()
    assert found.tolist() == [[2 * b, 2 * b + 1] for b in range(14) if b != 1]
    swapped = table.set_column(
        table.schema.get_field_index("density"), table.schema.field("density"), [pa.array(["A", "B"] * 14)]
    )
    assert pairs_of(swapped).shape == (0, 2)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = make_dataset(tmp_path / "dataset", train={"A": 8, "B": 8, "C": 8, "D": 8})
    write_table(folder / "dataset.parquet", DATASET, with_breasts(folder))
    return folder


def test_the_feed_gives_both_views_of_a_breast_side_by_side(folder):
    rows = rows_of(read_dataset(folder), "train")
    feed = Feed(folder, rows, 3, Draws(pairs=True))
    assert feed.table.num_rows == 30
    batch = feed.batch(0, 8, 3)
    assert batch.pictures.shape == (8, 2, 20, 16)
    first = feed.rows(0, 8)
    assert feed.table.take(pa.array(first))["view"].to_pylist() == ["CC"] * 8
    other = feed.table.take(pa.array(first + 1))
    assert other["view"].to_pylist() == ["MLO"] * 8
    assert other["patient"].to_pylist() == feed.table.take(pa.array(first))["patient"].to_pylist()
    np.testing.assert_array_equal(batch.pictures[:, 1:], feed.pictures(other, 3))
    with pytest.raises(NotEnoughImages, match="14 training images in pairs"):
        Feed(folder, rows.slice(0, 16), 3, Draws(pairs=True))


def test_a_model_of_pairs_gives_pairs_and_single_views(folder, tmp_path):
    summary = train(folder, settings=SETTINGS, checkpoints=tmp_path / "c", folder=tmp_path / "m")
    assert summary.training_images == 30
    sampler = load_sampler(tmp_path / "m")
    pairs = sampler.sample_pairs(7, [0, 1], ["A", 2.5])
    assert (pairs.shape, pairs.dtype) == ((2, 2, 20, 16), np.uint16)
    np.testing.assert_array_equal(sampler.sample_pairs(7, [1], [2.5])[0], pairs[1])
    assert (pairs[:, 0] != pairs[:, 1]).any()
    assert sampler.sample(7, [0], ["A"], ["MLO"]).shape == (1, 20, 16)
    score = load_critic(tmp_path / "m")
    assert np.isfinite(score(pairs[:, 0], ["A", "C"], ["CC", "CC"])).all()
    with pytest.raises(ConditionError):
        sampler.sample_pairs(7, [0], ["E"])
    women = sampler.sample_women(7, [0, 1], ["A", "C"], 0.8)
    assert (women.shape, women.dtype) == ((2, 2, 2, 20, 16), np.uint16)
    np.testing.assert_array_equal(sampler.sample_women(7, [1], ["C"], 0.8)[0], women[1])
    assert len({picture.tobytes() for picture in women.reshape(-1, 20, 16)}) == 8


def test_a_generator_of_pairs_gives_the_view_that_is_asked_for():
    generator, latents = generator_of(SETTINGS), np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
    wanted = codes(["B", "B"], ["MLO", "CC"])
    pairs = generate_views(generator, latents, wanted, 3)
    np.testing.assert_array_equal(generate(generator, latents, wanted, 3)[:, 0], pairs[[0, 1], [1, 0]])
    wanted[:, VIEW] = 1 - wanted[:, VIEW]
    np.testing.assert_array_equal(generate_views(generator, latents, wanted, 3), pairs)


def test_both_views_cost_less_than_two_generators():
    settings = five_levels()
    pair, single = (sum(p.numel() for p in network(settings).parameters()) for network in (TwoViewGenerator, Generator))
    assert single < pair < 1.5 * single


def test_two_views_need_levels_below_the_heads():
    with pytest.raises(SettingsError, match="two views need more than 2 levels"):
        replace(SETTINGS, levels=2, stable_images=(8,) * 2, fade_images=(0,) * 2, batch_sizes=(8,) * 2)


def test_training_of_pairs_moves_every_layer_in_use(folder):
    engine = Engine(SETTINGS)
    before = {name: value.clone() for name, value in engine.generator.named_parameters()}
    feed = Feed.of(folder, rows_of(read_dataset(folder), "train"), SETTINGS)
    engine.step(feed.batch(0, 8, 3), Stage(3, 0.5, True), 0)
    still = {name for name, value in engine.generator.named_parameters() if torch.equal(value, before[name])}
    assert still == {"to_gray.0.weight", "to_gray.0.bias"}  # the first level's pictures are not in use at the third


def test_a_womans_breasts_are_more_alike_than_two_womens_and_no_mirror_images():
    seen = tuple((density, view) for density in "ABCD" for view in ("CC", "MLO"))
    generator = generator_of(SETTINGS).requires_grad_(False)
    sampler = Sampler(generator, Description(SETTINGS, seen, {"generator.safetensors": "0"}, {}))
    women = sampler.sample_women(1, range(40), ["B"] * 40, 0.8).astype(float)
    left, right = women[:, 0], women[:, 1]
    own = np.abs(left - right).mean((2, 3))
    strangers = np.abs(left - np.roll(right, 1, axis=0)).mean((2, 3))
    assert (own.mean(0) < 0.75 * strangers.mean(0)).all()
    assert own.min() > 0

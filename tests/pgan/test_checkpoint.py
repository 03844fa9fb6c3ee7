"""Checkpoints: whole, the newest, of this training, or a clear error."""

import json

import pytest
import torch

from pipelines.pgan.checkpoint import (
    CheckpointError,
    ForeignCheckpointError,
    Standing,
    drop_after,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)

TENSORS = {"generator": {"weight": torch.arange(6.0).reshape(2, 3)}, "empty": {}}


def test_the_newest_comes_back_as_it_was_written(tmp_path):
    save_checkpoint(tmp_path, 100, "f", {"generator": {"weight": torch.zeros(1)}}, {"images": 100})
    save_checkpoint(tmp_path, 900, "f", TENSORS, {"images": 900, "losses": [0.1, 1e-17]})
    found = load_checkpoint(tmp_path, "f")
    assert found.state == {"images": 900, "losses": [0.1, 1e-17]}
    torch.testing.assert_close(found.tensors["generator"]["weight"], TENSORS["generator"]["weight"], rtol=0, atol=0)
    assert found.tensors["empty"] == {}


def test_two_are_kept(tmp_path):
    for images in (10, 20, 1_000_000, 30):
        save_checkpoint(tmp_path, images, "f", TENSORS, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images-000000000030", "images-000001000000"]


def test_an_empty_or_missing_folder_has_none(tmp_path):
    assert load_checkpoint(tmp_path, "f") is None
    assert load_checkpoint(tmp_path / "missing", "f") is None


def test_what_was_left_half_written_is_ignored_and_replaced(tmp_path):
    half = tmp_path / ".images-000000000020.part"
    half.mkdir()
    (half / "state.json").write_text("{")
    save_checkpoint(tmp_path, 10, "f", TENSORS, {"images": 10})
    assert load_checkpoint(tmp_path, "f").state["images"] == 10
    save_checkpoint(tmp_path, 20, "f", TENSORS, {"images": 20})
    assert load_checkpoint(tmp_path, "f").state["images"] == 20
    assert not half.exists()


def test_another_trainings_checkpoint_is_refused(tmp_path):
    save_checkpoint(tmp_path, 10, "f", TENSORS, {})
    with pytest.raises(CheckpointError, match="other settings or another data set"):
        load_checkpoint(tmp_path, "g")


def test_another_trainings_checkpoint_is_refused_behind_a_damaged_one_too(tmp_path):
    save_checkpoint(tmp_path, 10, "f", TENSORS, {})
    (save_checkpoint(tmp_path, 20, "g", TENSORS, {}) / "state.json").write_text("{")
    with pytest.raises(ForeignCheckpointError):
        load_checkpoint(tmp_path, "g")


DAMAGES = ["flip", "cut", "remove", "not json", "no state", "no heading", "other state"]


def damage_checkpoint(folder, damage):
    weights, state = folder / "generator.safetensors", folder / "state.json"
    if damage == "flip":
        data = bytearray(weights.read_bytes())
        data[-3] ^= 1
        weights.write_bytes(data)
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-5])
    elif damage == "remove":
        weights.unlink()
    elif damage == "not json":
        state.write_text('{"fingerprint": ')
    elif damage == "no state":
        state.unlink()
    elif damage == "no heading":
        state.write_text(json.dumps({"fingerprint": "f"}))
    else:
        state.write_text(state.read_text().replace('"seen": 3', '"seen": 4'))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_a_clear_error(tmp_path, damage):
    damage_checkpoint(save_checkpoint(tmp_path, 10, "f", TENSORS, {"seen": 3}), damage)
    with pytest.raises(CheckpointError, match=r"images-000000000010.*damaged"):
        load_checkpoint(tmp_path, "f")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_one_falls_back_to_the_one_before(tmp_path, damage):
    save_checkpoint(tmp_path, 10, "f", TENSORS, {"seen": 1})
    damage_checkpoint(save_checkpoint(tmp_path, 20, "f", TENSORS, {"seen": 3}), damage)
    found = load_checkpoint(tmp_path, "f")
    assert (found.images, found.state, found.skipped) == (10, {"seen": 1}, ("images-000000000020",))
    assert load_checkpoint(tmp_path, "f", good=True).images == 10


def names(folder):
    return [int(path.name.removeprefix("images-")) for path in sorted(folder.iterdir())]


def test_the_best_of_the_highest_level_stays(tmp_path):
    for images, level, score in (
        (10, 1, 5.0),
        (20, 2, 40.0),
        (30, 2, 30.0),
        (40, 2, 35.0),
        (50, 2, None),
        (60, 2, 31.0),
    ):
        save_checkpoint(tmp_path, images, "f", TENSORS, {}, Standing(level=level, score=score))
    assert names(tmp_path) == [30, 50, 60]
    save_checkpoint(tmp_path, 70, "f", TENSORS, {}, Standing(level=3, score=90.0))
    assert names(tmp_path) == [60, 70]


def test_the_newest_good_one_stays_and_is_found(tmp_path):
    save_checkpoint(tmp_path, 10, "f", TENSORS, {"seen": 1})
    for images in (20, 30, 40):
        save_checkpoint(tmp_path, images, "f", TENSORS, {"seen": images}, Standing(good=False))
    assert names(tmp_path) == [10, 30, 40]
    assert load_checkpoint(tmp_path, "f").images == 40
    assert load_checkpoint(tmp_path, "f", good=True).images == 10
    drop_after(tmp_path, 10)
    assert names(tmp_path) == [10]


def test_where_none_is_good_there_is_none_to_go_back_to(tmp_path):
    save_checkpoint(tmp_path, 10, "f", TENSORS, {}, Standing(good=False))
    assert load_checkpoint(tmp_path, "f", good=True) is None


def _trained(steps: int) -> tuple[torch.nn.Linear, torch.optim.Adam]:
    torch.manual_seed(1)
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters(), 0.01, betas=(0.0, 0.99), fused=True)
    for step in range(steps):
        optimizer.zero_grad()
        layer(torch.full((1, 3), float(step))).square().sum().backward()
        optimizer.step()
    return layer, optimizer


def test_an_optimizer_continues_where_it_was():
    layer, optimizer = _trained(5)
    twin, fresh = _trained(0)
    twin.load_state_dict(layer.state_dict())
    restore_optimizer(fresh, {key: value.clone() for key, value in optimizer_tensors(optimizer).items()})
    for model, adam in ((layer, optimizer), (twin, fresh)):
        adam.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        adam.step()
    assert torch.equal(layer.weight, twin.weight)


def test_an_optimizer_of_other_parameters_is_refused():
    _, fresh = _trained(0)
    with pytest.raises(CheckpointError):
        restore_optimizer(fresh, {"seven.exp_avg": torch.zeros(1)})


def test_the_state_of_several_groups_of_parameters_comes_back():
    def groups():
        torch.manual_seed(2)
        layer = torch.nn.Linear(3, 2)
        rates = [{"params": [layer.bias], "lr": 0.1}, {"params": [layer.weight], "lr": 0.01}]
        return layer, torch.optim.Adam(rates, betas=(0.0, 0.99))

    layer, optimizer = groups()
    layer(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()
    _, fresh = groups()
    restore_optimizer(fresh, optimizer_tensors(optimizer))
    assert [group["lr"] for group in fresh.param_groups] == [0.1, 0.01]
    for key, value in optimizer_tensors(optimizer).items():
        assert torch.equal(value, optimizer_tensors(fresh)[key])

"""Several real processes on one training, over gloo on the loopback, against one process."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipelines.pgan import distributed
from pipelines.pgan.engine import Engine
from pipelines.pgan.settings import PGANSettings, SettingsError
from pipelines.pgan.training import train
from pipelines.storage.atomic import write_json

ROOT = Path(__file__).parents[2]
SETTINGS = replace(
    PGANSettings.tiny(), levels=2, stable_images=(24, 24), fade_images=(0, 16), batch_sizes=(8, 8), parts=4,
    checkpoint_every=32,
)  # fmt: skip
"""Eight steps, R1 at two of them; four parts of two images, which one process has alone or two share out."""

SCRIPT = """
import json, sys
from pathlib import Path
from pipelines.pgan import distributed
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import TrainingStopped, train

dataset, folder = Path(sys.argv[1]), Path(sys.argv[2])
settings = PGANSettings.from_json(json.loads((folder / "settings.json").read_text()))
asked = 0

def should_stop():
    global asked
    asked += 1
    return asked == 3

options = {"settings": settings, "checkpoints": folder / "checkpoints", "folder": folder / "model"}
try:
    train(dataset, should_stop=should_stop, **options)
except TrainingStopped as stopped:
    print("stopped after", stopped.images, "asked", asked)
train(dataset, **options)
print("the first alone comes here")
"""


COLLAPSING = """
import json, sys
from pathlib import Path
import torch
from pipelines.pgan.engine import Engine
from pipelines.pgan.settings import PGANSettings
from pipelines.pgan.training import train

dataset, folder = Path(sys.argv[1]), Path(sys.argv[2])
settings = PGANSettings.from_json(json.loads((folder / "settings.json").read_text()))
step = Engine.step

@torch.no_grad()
def planted(self, batch, stage, images):
    if images == 72 and self.generator_optimizer.param_groups[0]["lr"] == settings.generator_rate:
        for layer in self.generator.to_gray:
            layer.weight.zero_()
    with torch.enable_grad():
        step(self, batch, stage, images)

Engine.step = planted
summary = train(dataset, settings=settings, checkpoints=folder / "checkpoints", folder=folder / "model")
(event,) = summary.report["rollbacks"]
print(event["reason"], event["images"], event["back_to"], summary.images_shown)
"""


def torchrun(dataset: Path, folder: Path, script: str = SCRIPT, settings: PGANSettings = SETTINGS) -> list[list[str]]:
    """What each of two processes printed, started with the variables that torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    write_json(folder / "settings.json", settings.to_json())
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    started = []
    for rank in range(2):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": str(ROOT)}
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", script, str(dataset), str(folder)],
                env=os.environ | shared | place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    told = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    return [out.splitlines() for out, _ in told]


def test_two_processes_learn_what_one_learns_also_when_interrupted(dataset, tmp_path):
    train(dataset, settings=SETTINGS, checkpoints=tmp_path / "c", folder=tmp_path / "one")
    two = tmp_path / "two"
    first, second = torchrun(dataset, two)
    assert first == ["stopped after 24 asked 3", "the first alone comes here"]
    assert second == ["stopped after 24 asked 0"]
    for name in ("generator.safetensors", "restricted/critic.safetensors"):
        one, shared = load_file(tmp_path / "one" / name), load_file(two / "model" / name)
        for key, value in one.items():
            torch.testing.assert_close(shared[key], value, rtol=0, atol=2e-3, msg=f"{name} {key}")
        moved = load_file(tmp_path / "one" / name)
        untrained = getattr(Engine(SETTINGS), "average" if name.startswith("generator") else "critic").state_dict()
        assert max((moved[key] - untrained[key]).abs().max().item() for key in moved) > 8e-3  # they did learn
    assert {p.name for p in (two / "model").iterdir()} == {p.name for p in (tmp_path / "one").iterdir()}


def test_two_processes_go_back_together_from_a_collapse(dataset, tmp_path):
    settings = replace(SETTINGS, stable_images=(40, 48), fade_images=(0, 24))
    first, second = torchrun(dataset, tmp_path / "two", COLLAPSING, settings)
    assert first == ["collapse 80 64 112"]
    assert second == []


def test_parts_that_cannot_be_shared_out_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 3)
    with pytest.raises(SettingsError, match="4 parts cannot be shared out among 3"):
        Engine(SETTINGS)


def test_alone_nothing_changes():
    value = torch.tensor([1.0, 2.0])
    distributed.start("cpu")
    distributed.average([value])
    assert value.tolist() == [1.0, 2.0]
    assert (distributed.rank(), distributed.world(), distributed.leads()) == (0, 1, True)
    assert distributed.agreed(lambda: True)()
    distributed.finish()

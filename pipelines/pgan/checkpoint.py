"""Checkpoints: a folder each, written whole or not at all; tensors as safetensors, the rest JSON, nothing pickled."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipelines.storage.atomic import publish_folder, write_json
from pipelines.storage.digests import sha256_of_file

KEPT = 2
_NAME = re.compile(r"images-(\d{12})")
_STATE = "state.json"


class CheckpointError(ValueError):
    """A checkpoint is damaged, or belongs to another training."""


@dataclass(frozen=True)
class Checkpoint:
    """What a training resumes from: named groups of tensors, and a state of plain JSON values."""

    tensors: dict[str, dict[str, torch.Tensor]]
    state: dict[str, Any]


def save_checkpoint(
    folder: Path,
    images: int,
    fingerprint: str,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    state: Mapping[str, Any],
) -> Path:
    """Write ``folder/images-<count>`` and drop all but the two newest; returns its path.

    ``fingerprint`` names the training (settings and data set): only the same one may resume from it.
    """
    final = folder / f"images-{images:012d}"
    staging = folder / f".{final.name}.part"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    digests = {}
    for name, group in tensors.items():
        file = staging / f"{name}.safetensors"
        save_file({key: value.detach().cpu().contiguous() for key, value in group.items()}, file)
        digests[file.name] = sha256_of_file(file)
    heading = {"fingerprint": fingerprint, "images": images, "sha256": digests, "state": dict(state)}
    write_json(staging / _STATE, heading)
    publish_folder(staging, final)
    for old in _checkpoints(folder)[:-KEPT]:
        shutil.rmtree(old)
    return final


def load_checkpoint(folder: Path, fingerprint: str) -> Checkpoint | None:
    """The newest checkpoint of a folder, or None where there is none.

    Raises CheckpointError where it is damaged (a file missing, cut or changed) or of another training.
    """
    found = _checkpoints(folder)
    if not found:
        return None
    newest = found[-1]
    try:
        heading = json.loads((newest / _STATE).read_text())
        owner, digests, state = heading["fingerprint"], heading["sha256"], heading["state"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint {newest.name}: {_STATE} is missing or damaged") from error
    if owner != fingerprint:
        raise CheckpointError(f"checkpoint {newest.name} is of a training with other settings or another data set")
    tensors = {}
    for name, digest in sorted(digests.items()):
        try:
            if sha256_of_file(newest / name) != digest:
                raise CheckpointError(f"checkpoint {newest.name}: {name} is damaged")
            tensors[Path(name).stem] = load_file(newest / name)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"checkpoint {newest.name}: {name} is missing or damaged") from error
    return Checkpoint(tensors, state)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("images-*") if _NAME.fullmatch(path.name))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """An optimizer's state as flat tensors, "<parameter index>.<name>"; parameters never stepped have none."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put ``optimizer_tensors`` back into an optimizer of the same parameters. Raises CheckpointError."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    try:
        for key, value in tensors.items():
            index, name = key.split(".", 1)
            own = parameters[int(index)]
            if value.shape == own.shape:  # in the parameter's memory format, which the fused Adam takes for granted
                value = torch.empty_like(own).copy_(value)
            state.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError("the optimizer's state does not fit the networks") from error

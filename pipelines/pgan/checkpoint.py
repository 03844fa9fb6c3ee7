"""Checkpoints: a folder each, written whole or not at all; tensors as safetensors, the rest JSON, nothing pickled."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipelines.storage.atomic import publish_folder, write_json
from pipelines.storage.digests import sha256_of_file, sha256_of_json

KEPT = 2
"""The newest checkpoints that are kept, beside the newest good one and the best one."""

_NAME = re.compile(r"images-(\d{12})")
_STATE = "state.json"


class CheckpointError(ValueError):
    """A checkpoint is damaged, or belongs to another training."""


class ForeignCheckpointError(CheckpointError):
    """A checkpoint belongs to another training."""


@dataclass(frozen=True)
class Checkpoint:
    """What a training resumes from: named groups of tensors, and a state of plain JSON values.

    ``images``: after how many images it was written; ``skipped``: names of newer ones that are damaged.
    """

    tensors: dict[str, dict[str, torch.Tensor]]
    state: dict[str, Any]
    images: int = 0
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standing:
    """How a checkpoint compares with others.

    ``good``: the detectors looked at it and found nothing; ``level``, ``score``: the level trained and a distance to
    the real pictures there, smaller is better, None where it was not measured.
    """

    good: bool = True
    level: int = 0
    score: float | None = None


def save_checkpoint(
    folder: Path,
    images: int,
    fingerprint: str,
    tensors: Mapping[str, Mapping[str, torch.Tensor]],
    state: Mapping[str, Any],
    standing: Standing | None = None,
) -> Path:
    """Write ``folder/images-<count>``; returns its path.

    ``fingerprint`` names the training (settings and data set): only the same one may resume from it. Of those before
    it stay the two newest with it, the newest good one, and the best of the highest level.
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
    heading = {
        "fingerprint": fingerprint,
        "images": images,
        "sha256": digests,
        "standing": asdict(standing or Standing()),
        "state": dict(state),
        "state_sha256": sha256_of_json(dict(state)),
    }
    write_json(staging / _STATE, heading)
    publish_folder(staging, final)
    _prune(folder)
    return final


def load_checkpoint(folder: Path, fingerprint: str, *, good: bool = False) -> Checkpoint | None:
    """The newest whole checkpoint of a folder (with ``good``, of those that the detectors found well), or None.

    A damaged one (a file missing, cut or changed) is passed over, and named in ``skipped``. Raises CheckpointError
    where all are damaged, or the newest whole one is of another training.
    """
    skipped: list[str] = []
    reason = ""
    for path in reversed(_checkpoints(folder)):
        try:
            heading = _heading(path)
            if good and not heading["standing"]["good"]:
                continue
            if heading["fingerprint"] != fingerprint:
                raise ForeignCheckpointError(
                    f"checkpoint {path.name} is of a training with other settings or another data set"
                )
            return Checkpoint(_tensors(path, heading["sha256"]), heading["state"], heading["images"], tuple(skipped))
        except ForeignCheckpointError:
            raise
        except CheckpointError as error:
            skipped.append(path.name)
            reason = reason or str(error)
    if skipped and not good:
        raise CheckpointError(reason)
    return None


def drop_after(folder: Path, images: int) -> None:
    """Remove the checkpoints of more than ``images`` images: a training that went back does not keep them."""
    for path in _checkpoints(folder):
        if _images(path) > images:
            shutil.rmtree(path)


def _heading(path: Path) -> dict[str, Any]:
    """The content of a checkpoint's state file. Raises CheckpointError where it is damaged."""
    try:
        heading: dict[str, Any] = json.loads((path / _STATE).read_text())
        if sha256_of_json(heading["state"]) != heading["state_sha256"]:
            raise CheckpointError(f"checkpoint {path.name}: {_STATE} is damaged")
        if set(heading["standing"]) != {field.name for field in fields(Standing)} or not heading["sha256"]:
            raise ValueError
        return {**heading, "images": int(heading["images"]), "fingerprint": str(heading["fingerprint"])}
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint {path.name}: {_STATE} is missing or damaged") from error


def _tensors(path: Path, digests: Mapping[str, str]) -> dict[str, dict[str, torch.Tensor]]:
    tensors = {}
    for name, digest in sorted(digests.items()):
        try:
            if sha256_of_file(path / name) != digest:
                raise CheckpointError(f"checkpoint {path.name}: {name} is damaged")
            tensors[Path(name).stem] = load_file(path / name)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"checkpoint {path.name}: {name} is missing or damaged") from error
    return tensors


def _prune(folder: Path) -> None:
    """Remove all but the newest, the newest good one, and the best."""
    paths = _checkpoints(folder)
    standings: dict[Path, Standing] = {}
    for path in paths:
        try:
            standings[path] = Standing(**_heading(path)["standing"])
        except CheckpointError:
            continue  # too damaged to compare: it goes with its age
    kept = set(paths[-KEPT:])
    kept.update([path for path, standing in standings.items() if standing.good][-1:])
    scored = [(-s.level, s.score, path) for path, s in standings.items() if s.score is not None]
    if scored:
        kept.add(min(scored)[2])
    for path in set(paths) - kept:
        shutil.rmtree(path)


def _images(path: Path) -> int:
    return int(path.name.removeprefix("images-"))


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

"""The published model: its files, and how generator and critic are run on it picture by picture.

``generator.safetensors`` (the averaged generator), ``restricted/critic.safetensors``, ``model.json`` (settings,
conditions, digests, calibration). On a CPU pictures are made and scored one at a time in float32, in one thread: so the
same picture comes out whatever is asked for beside it, and however many cores there are. On a GPU they are made several
at a time, the same to within rounding.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.utils import deterministic

from pipelines.pgan.conditions import VIEW, widened
from pipelines.pgan.layers import fix_kernels
from pipelines.pgan.networks import Critic, Generator
from pipelines.pgan.settings import PGANSettings, SettingsError
from pipelines.storage.digests import sha256_of_file

GENERATOR = "generator.safetensors"
RESTRICTED = "restricted"
"""Folder of what must not leave with the generator: whoever has the critic can find out who was in the training set."""

CRITIC = f"{RESTRICTED}/critic.safetensors"
DESCRIPTION = "model.json"
FORMAT = 1

AT_ONCE = 16
"""Pictures made at a time on a GPU."""

Network = TypeVar("Network", Generator, Critic)


class ModelError(ValueError):
    """A model's folder is damaged or not a model."""


@dataclass(frozen=True)
class Description:
    """``model.json``: settings, the conditions seen in training, the files' digests, and the whole text."""

    settings: PGANSettings
    conditions: tuple[tuple[str, str], ...]
    sha256: dict[str, str]
    content: dict[str, Any]


def read_description(model_folder: Path) -> Description:
    """Read a model's description. Raises ModelError where it is missing, damaged or of another format."""
    try:
        content = json.loads((model_folder / DESCRIPTION).read_text())
        if content["format"] != FORMAT:
            raise ModelError("the model is of another format")
        settings = PGANSettings.from_json(content["settings"])
        conditions = tuple((density, view) for density, view in content["conditions"])
        return Description(settings, conditions, dict(content["sha256"]), content)
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        detail = "its settings do not hold" if isinstance(error, SettingsError) else "missing or damaged"
        raise ModelError(f"{DESCRIPTION}: {detail}") from error


def load_network(model_folder: Path, name: str, network: Network, description: Description, device: str) -> Network:
    """Load verified weights into a network. Raises ModelError where they are missing, changed or do not fit."""
    path = model_folder / name
    try:
        if sha256_of_file(path) != description.sha256[name]:
            raise ModelError(f"{name} is not the file that {DESCRIPTION} describes")
        network.load_state_dict(load_file(path))
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{name} is missing, damaged or does not fit {DESCRIPTION}") from error
    network = network.to(device).eval().requires_grad_(False)
    fix_kernels(network)
    return network


@contextmanager
def reproducible(short: bool = False) -> Iterator[None]:
    """Deterministic algorithms, and operations of one CPU thread each; put back afterwards.

    On a GPU in whole float32, or, with ``short``, as torch has it: its convolutions then round to 10 bits (TF32), which
    no training feels and 4,096 grays show.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    shortened = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = shortened and short
    filled = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs time, changes no result
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.allow_tf32 = shortened
        deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


Shift = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Features of the first level (n, maps, 5, 4) and their codes to the features that are drawn on from."""


def generate(
    generator: Generator, latents: np.ndarray, codes: np.ndarray, level: int, shift: Shift | None = None
) -> np.ndarray:
    """Pictures float32 (n, 1, h, w) for latents (n, latent_size) and codes (n, 5 or more), in float32.

    Of a generator of pairs, the view that the code names. An age that the codes do not hold is unknown.
    """
    pictures = generate_views(generator, latents, codes, level, shift)
    if pictures.shape[1] == 1:
        return pictures
    channel = (codes[:, VIEW] > 0.5).astype(int)
    return pictures[np.arange(len(pictures)), channel][:, None]


@torch.no_grad()
def generate_views(
    generator: Generator, latents: np.ndarray, codes: np.ndarray, level: int, shift: Shift | None = None
) -> np.ndarray:
    """All that a generator makes of each latent, float32 (n, c, h, w): one view, or CC and MLO of one breast.

    Raises ValueError where there are more latents than codes, or fewer.
    """
    if len(latents) != len(codes):
        raise ValueError(f"{len(latents)} latents with {len(codes)} codes")
    device = next(generator.parameters()).device
    at_once = 1 if device.type == "cpu" else AT_ONCE
    table = widened(codes, generator.code_size)
    pictures = []
    for start in range(0, len(latents), at_once):
        rows = slice(start, start + at_once)
        pair = [torch.from_numpy(part[rows].astype(np.float32)).to(device) for part in (latents, table)]
        features = generator.start(*pair)
        if shift is not None:
            features = shift(features, pair[1])
        pictures.append(generator.draw(features, level).cpu().numpy())
    return np.concatenate(pictures)


@torch.no_grad()
def scores(critic: Critic, pictures: np.ndarray, codes: np.ndarray, level: int) -> np.ndarray:
    """Scores float64 (n,) of pictures float32 (n, 1, h, w), one at a time, each without regard to the others."""
    device = next(critic.parameters()).device
    values = []
    for picture, code in zip(pictures, widened(codes, critic.code_size), strict=True):
        pair = (torch.from_numpy(array[None]).to(device) for array in (picture, code))
        values.append(float(critic(*pair, level, alone=True)))
    return np.array(values, np.float64)

"""The critic's embedding: what it makes of a picture before it scores it, and how far real pictures lie from the mean.

For screening and comparison of pictures by what the critic learned. It is the critic's, and as restricted as that.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from pipelines.pgan.evaluation import calibrated
from pipelines.pgan.feed import to_unit
from pipelines.pgan.metrics import reduced
from pipelines.pgan.model import CRITIC, RESTRICTED, ModelError, load_network, read_description, reproducible
from pipelines.pgan.networks import Critic
from pipelines.pgan.recipes import critic_of
from pipelines.storage.atomic import write_bytes
from pipelines.storage.digests import sha256_of_file

EMBEDDING = f"{RESTRICTED}/embedding.safetensors"


@torch.no_grad()
def embed(critic: Critic, pictures: np.ndarray, level: int) -> np.ndarray:
    """Embeddings float64 (n, size) of pictures float32 (n, 1, rows, columns) in −1…1, one at a time.

    What goes into the critic's last layer; it does not depend on the condition. The critic is asked as for ``scores``.
    """
    device = next(critic.parameters()).device
    caught: list[torch.Tensor] = []
    handle = critic.score.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        code = torch.zeros(1, critic.code_size, device=device)
        for picture in pictures:
            critic(torch.from_numpy(picture[None]).to(device), code, level, alone=True)
    finally:
        handle.remove()
    size = critic.score.weight.shape[1]
    return torch.cat(caught).double().cpu().numpy() if caught else np.empty((0, size))


@dataclass(frozen=True)
class Calibration:
    """Mean (size,) and shrunk covariance (size, size) of the training pictures' embeddings, float64."""

    mean: np.ndarray
    covariance: np.ndarray

    def distances(self, embeddings: np.ndarray) -> np.ndarray:
        """Mahalanobis distances (n,) of embeddings (n, size) from the mean."""
        centered = embeddings - self.mean
        squares = (centered * np.linalg.solve(self.covariance, centered.T).T).sum(axis=1)
        return np.sqrt(np.maximum(squares, 0))


def calibrate_embedding(training: np.ndarray) -> Calibration:
    """Mean and covariance of embeddings (n, size), shrunk towards a multiple of one so that it can be inverted.

    The share of shrinkage is that of Ledoit & Wolf 2004, equation 14.
    """
    mean = training.mean(axis=0)
    centered = training - mean
    n, size = centered.shape
    sample = centered.T @ centered / n
    level = float(np.trace(sample)) / size
    distance = float(((sample - level * np.eye(size)) ** 2).sum())
    noise = (float(((centered**2).sum(axis=1) ** 2).sum()) / n - float((sample**2).sum())) / n
    share = min(1.0, max(0.0, noise / distance)) if distance > 0 else 1.0
    floor = 1e-9 * max(level, 1e-9)  # all pictures alike: still invertible
    return Calibration(mean, (1 - share) * sample + (share * level + floor) * np.eye(size))


def write_embedding(folder: Path, training: np.ndarray, held_back: np.ndarray) -> dict[str, Any]:
    """Write the calibration beside the critic; what model.json says of it.

    ``training`` and ``held_back`` are embeddings; distances of those held back are the measure for what is real.
    """
    calibration = calibrate_embedding(training)
    path = folder / EMBEDDING
    write_bytes(path, save({"mean": calibration.mean, "covariance": calibration.covariance}))
    return {
        "size": training.shape[1],
        "learned_from": len(training),
        "distance_of_held_back": calibrated(calibration.distances(held_back) if len(held_back) else np.empty(0)),
        "sha256": sha256_of_file(path),
    }


class Embedding:
    """A published critic's embedding; a picture's does not depend on the others."""

    def __init__(self, critic: Critic, level: int, resolution: tuple[int, int], calibration: Calibration) -> None:
        self._critic, self._level, self._resolution = critic, level, resolution
        self._calibration = calibration

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Embeddings float64 (n, size) of pictures uint16 (n, rows, columns); larger ones are averaged down.

        Raises ValueError for pictures that do not reduce to the model's resolution.
        """
        small = np.rint(reduced(pictures, self._resolution[0])) if len(pictures) else pictures
        if len(pictures) and small.shape[1:] != self._resolution:
            raise ValueError("pictures do not reduce to the model's resolution")
        with reproducible():
            return embed(self._critic, to_unit(small), self._level)

    def distances(self, embeddings: np.ndarray) -> np.ndarray:
        """How far embeddings (n, size) lie from the training pictures' mean (Mahalanobis), float64 (n,)."""
        return self._calibration.distances(embeddings)


def load_embedding(model_folder: Path, device: str = "cpu") -> Embedding:
    """The embedding of a published model's critic. Raises ModelError where its files are missing or damaged."""
    description = read_description(model_folder)
    critic = load_network(model_folder, CRITIC, critic_of(description.settings), description, device)
    path = model_folder / EMBEDDING
    try:
        if sha256_of_file(path) != description.content["embedding"]["sha256"]:
            raise ModelError(f"{EMBEDDING} is not the file that the model describes")
        tensors = load_file(path)
        calibration = Calibration(tensors["mean"], tensors["covariance"])
    except (OSError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"{EMBEDDING} is missing or damaged") from error
    return Embedding(critic, description.settings.levels, description.settings.resolution, calibration)

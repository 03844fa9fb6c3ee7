"""What a training says of its own course beside the model's files: TensorBoard logs, pace and memory of this call.

None of it is published: it differs from call to call. It lies in the training's workspace.
"""

import io
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from pipelines.pgan.headline import headline
from pipelines.pgan.tensorboard import EventWriter
from pipelines.storage.atomic import write_json

PACE = "pace.json"


class Journal:
    """Logs one call of a training; without a folder it keeps time and memory alone."""

    def __init__(self, folder: Path | None, device: torch.device, images: int) -> None:
        self._folder, self._device = folder, device
        self._events = EventWriter(folder, images) if folder else None
        self.seconds: dict[int, float] = {}
        self.images: dict[int, int] = {}

    @contextmanager
    def timing(self, level: int, images: int) -> Iterator[None]:
        """Count the time of a block that shows so many images at a level."""
        started = time.monotonic()
        yield
        self.seconds[level] = self.seconds.get(level, 0.0) + time.monotonic() - started
        self.images[level] = self.images.get(level, 0) + images

    def record(self, record: Mapping[str, float]) -> None:
        """Log a record of losses, with pace and memory at hand."""
        level = int(record["level"])
        figures = {f"training/{name}": value for name, value in record.items() if name not in ("images", "level")}
        figures["pace/images per second"] = self.pace()[level]
        figures |= {f"memory/{name}": float(value) for name, value in self.peak_memory().items()}
        self._scalars(int(record["images"]), {"growth/level": level, **figures})

    def glance(self, glance: Mapping[str, Any]) -> None:
        """Log a glance of the watch."""
        figures = {f"watch/{name}": glance[name] for name in ("diversity", "score")}
        self._scalars(glance["images"], figures)

    def level(self, figures: Mapping[str, Any], images: int, grid: bytes) -> None:
        """Log the figures of a level's end, and its sample grid."""
        numbers = {f"level/{name}": value for name, value in headline(figures).items()}
        self._scalars(images, numbers)
        if self._events:
            rows, columns = figures["resolution"]
            with Image.open(io.BytesIO(grid)) as picture:
                width, height = picture.size
            self._events.picture(images, f"samples/{rows}x{columns}", grid, height, width)

    def restart(self, images: int) -> None:
        """Say that the training went back."""
        if self._events:
            self._events.restart(images)

    def pace(self) -> dict[int, float]:
        """Images per second of each level trained in this call."""
        return {level: self.images[level] / seconds if seconds else 0.0 for level, seconds in self.seconds.items()}

    def peak_memory(self) -> dict[str, int]:
        """The most memory in bytes: of this process, and of tensors on the GPU where one is used."""
        peak = {"process bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
        if self._device.type == "cuda":
            peak["gpu bytes"] = torch.cuda.max_memory_reserved(self._device)  # recorded steps included
        return peak

    def close(self, images: int) -> None:
        """Write pace and memory of this call beside the logs."""
        if self._folder:
            levels = [
                {
                    "level": level,
                    "images": self.images[level],
                    "seconds": self.seconds[level],
                    "images_per_second": pace,
                }
                for level, pace in sorted(self.pace().items())
            ]
            write_json(self._folder / PACE, {"images": images, "levels": levels, "peak_memory": self.peak_memory()})

    def _scalars(self, step: int, values: Mapping[str, float | None]) -> None:
        if self._events:
            self._events.scalars(step, values)

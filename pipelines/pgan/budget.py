"""How long a night may train, how far it came, and a growth schedule scaled to the data at hand and to a total."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pipelines.pgan.growth import total_images
from pipelines.pgan.settings import PGANSettings, SettingsError
from pipelines.storage.atomic import write_json

MOST_SHOWS = 1000
"""How often a training image is shown at most, on average, where the schedule is scaled to the data: a critic that has
seen its few images more often knows them by heart (Karras et al. 2020, figure 1)."""

_UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0}


@dataclass(frozen=True)
class Budget:
    """What one night may take: seconds or images; None is without bound."""

    seconds: float | None = None
    images: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """``8h``, ``90min``, ``120s`` are time, a bare number is images, nothing is no bound. Raises SettingsError."""
        if not text:
            return cls()
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(h|min|s|)", text.strip())
        amount = float(match[1]) if match else 0.0
        if match is None or amount <= 0 or (not match[2] and not amount.is_integer()):
            raise SettingsError("a budget is a time such as 8h, 90min or 120s, or a whole number of images")
        return cls(seconds=amount * _UNITS[match[2]]) if match[2] else cls(images=int(amount))


class Night:
    """A budget being used up: told of progress, it says when the night is over. The clock starts at once."""

    def __init__(self, budget: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget, self._clock = budget, clock
        self._started = clock()
        self._first: int | None = None
        self._shown = 0

    def tell(self, images: int, total: int) -> None:
        """A progress listener: images shown since the training's beginning."""
        self._first = images if self._first is None else self._first
        self._shown = images - self._first

    def is_over(self) -> bool:
        """Is the budget used up?"""
        seconds, images = self._budget.seconds, self._budget.images
        late = seconds is not None and self._clock() - self._started >= seconds
        return late or (images is not None and self._shown >= images)


_UNDERWAY = "in_training.json"


@dataclass(frozen=True)
class Underway:
    """How far a training has come whose night is over: images shown, and in total."""

    images: int
    total: int

    def __str__(self) -> str:
        return f"in training, {self.images} of {self.total} images"


def note_underway(workspace: Path, underway: Underway | None) -> None:
    """Keep in a workspace how far its training has come; None where none is under way any more."""
    path = workspace / _UNDERWAY
    if underway is None:
        path.unlink(missing_ok=True)
    else:
        write_json(path, {"images": underway.images, "total": underway.total})


def read_underway(workspace: Path) -> Underway | None:
    """The training under way in a workspace, if there is one."""
    path = workspace / _UNDERWAY
    return Underway(**json.loads(path.read_text())) if path.exists() else None


def scaled_schedule(settings: PGANSettings, images_at_hand: int, total: int | None = None) -> PGANSettings:
    """The settings with each span of the growth schedule scaled alike, so that about ``total`` images are shown.

    Without a total each training image is shown at most 1,000 times on average, and never more than the settings say.
    Spans are whole batches, one at least; a level that is not faded in stays so. Raises SettingsError where the total
    is less than 1.
    """
    whole = total_images(settings)
    wanted = min(whole, MOST_SHOWS * images_at_hand) if total is None else total
    if wanted < 1:
        raise SettingsError("a schedule shows at least one image")

    def scaled(spans: tuple[int, ...]) -> tuple[int, ...]:
        pairs = zip(spans, settings.batch_sizes, strict=True)
        return tuple(max(1, round(span * wanted / whole / size)) * size if span else 0 for span, size in pairs)

    if wanted == whole:
        return settings
    return replace(settings, stable_images=scaled(settings.stable_images), fade_images=scaled(settings.fade_images))

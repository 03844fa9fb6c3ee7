"""Settings of a training: resolution, width, schedule, rates, device. Light to import."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

MAX_LEVELS = 9
BASE_ROWS, BASE_COLUMNS = 5, 4
"""The first level's picture: 5×4, doubled at each further level up to 1280×1024 (Korkinof et al. 2018)."""


class SettingsError(ValueError):
    """A setting is out of its range, or settings do not fit one another."""


def resolution_of(level: int) -> tuple[int, int]:
    """Rows and columns of a level 1…9: (5, 4), (10, 8), … (1280, 1024)."""
    return BASE_ROWS << (level - 1), BASE_COLUMNS << (level - 1)


@dataclass(frozen=True)
class PGANSettings:
    """What fixes a training, together with its data set. The defaults are for one large GPU, up to 1280×1024.

    - ``levels``: 1…9; the top resolution is ``resolution_of(levels)``.
    - ``stable_images``, ``fade_images``: training images shown at each level, after and during its fade-in (the first
      level is not faded in: its entry is ignored). Karras et al. 2018: 800,000 each.
    - ``batch_sizes``: images a step at each level.
    - ``latent_size``; ``maps_base``, ``maps_max``: stage s (1 at 5×4) has min(maps_base / 2^s, maps_max) feature maps.
    - ``generator_rate``, ``critic_rate``: Adam's learning rates, β = (0, 0.99).
    - ``r1_gamma``, ``r1_interval``: weight of the R1 penalty, and the steps from one evaluation to the next (lazy).
    - ``ema_half_images``: half-life, in images, of the averaged generator that is published.
    - ``device``: "cpu", "cuda", "cuda:1" …; ``precision``: "float32", or "bf16" for autocast (penalties in float32).
    - ``channels_last``: memory format; ``compile``: torch.compile of the plain passes, on a GPU alone.
    - ``parts``: each batch is worked on in this many equal parts, on a CPU side by side in as many threads, and their
      gradients averaged in order: how many cores there are, and how busy, does not change the result. The minibatch
      statistic sees its part alone.
    - ``checkpoint_every``: images between checkpoints.

    Raises SettingsError.
    """

    levels: int = MAX_LEVELS
    stable_images: tuple[int, ...] = (800_000,) * 9
    fade_images: tuple[int, ...] = (0,) + (800_000,) * 8
    batch_sizes: tuple[int, ...] = (64, 64, 64, 64, 32, 16, 16, 8, 8)
    latent_size: int = 512
    maps_base: int = 8192
    maps_max: int = 512
    generator_rate: float = 0.001
    critic_rate: float = 0.001
    r1_gamma: float = 10.0
    r1_interval: int = 16
    ema_half_images: int = 10_000
    device: str = "cuda"
    precision: str = "bf16"
    channels_last: bool = True
    compile: bool = True
    seed: int = 0
    parts: int = 1
    checkpoint_every: int = 100_000

    def __post_init__(self) -> None:
        if not 1 <= self.levels <= MAX_LEVELS:
            raise SettingsError(f"levels is {self.levels}, not 1…{MAX_LEVELS}")
        for name in ("stable_images", "fade_images", "batch_sizes"):
            if len(getattr(self, name)) != self.levels:
                raise SettingsError(f"{name} needs one entry for each of the {self.levels} levels")
        for name in ("latent_size", "maps_base", "maps_max", "r1_interval", "ema_half_images", "parts"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is less than 1")
        if min(self.stable_images) < 1 or min(self.fade_images) < 0:
            raise SettingsError("stable_images ≥ 1 and fade_images ≥ 0 are needed at each level")
        if any(size % self.parts or size < 2 * self.parts for size in self.batch_sizes):
            raise SettingsError("batch_sizes are not whole parts of at least two images each")
        if self.checkpoint_every < 1 or self.r1_gamma < 0 or min(self.generator_rate, self.critic_rate) <= 0:
            raise SettingsError("checkpoint_every ≥ 1, r1_gamma ≥ 0 and positive learning rates are needed")
        if self.precision not in ("float32", "bf16"):
            raise SettingsError("precision is neither float32 nor bf16")

    @property
    def resolution(self) -> tuple[int, int]:
        """Rows and columns at the top level."""
        return resolution_of(self.levels)

    def maps(self, stage: int) -> int:
        """Feature maps of a stage (1 at 5×4): min(maps_base / 2^stage, maps_max), at least 1."""
        return max(1, min(self.maps_base >> stage, self.maps_max))

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Settings from ``to_json``. Raises SettingsError where a name is unknown or missing."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise SettingsError(f"unknown or missing settings: {sorted(set(values) ^ names)}")
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**plain)

    @classmethod
    def demo(cls, seed: int = 0) -> Self:
        """Up to 80×64 in about 450 CPU-seconds: four minutes on two cores without a GPU."""
        return cls(
            levels=5,
            stable_images=(3_200, 4_000, 4_800, 4_800, 9_600),
            fade_images=(0, 1_600, 3_200, 3_200, 3_200),
            batch_sizes=(32, 32, 32, 16, 16),
            latent_size=64,
            maps_base=512,
            maps_max=64,
            generator_rate=0.002,
            critic_rate=0.002,
            r1_gamma=5.0,
            ema_half_images=1_500,
            device="cpu",
            compile=False,
            seed=seed,
            parts=2,
            checkpoint_every=8_000,
        )

    @classmethod
    def tiny(cls, seed: int = 0) -> Self:
        """Up to 20×16, narrow, some steps a level: seconds. For tests of what surrounds a training."""
        return cls(
            levels=3,
            stable_images=(64, 64, 96),
            fade_images=(0, 32, 32),
            batch_sizes=(8, 8, 8),
            latent_size=16,
            maps_base=64,
            maps_max=16,
            generator_rate=0.002,
            critic_rate=0.002,
            r1_interval=4,
            ema_half_images=50,
            device="cpu",
            precision="float32",
            channels_last=False,
            compile=False,
            seed=seed,
            parts=2,
            checkpoint_every=128,
        )

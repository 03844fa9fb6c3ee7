"""Settings of a training: resolution, width, schedule, rates, device. Light to import."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

MAX_LEVELS = 9
BASE_ROWS, BASE_COLUMNS = 5, 4
"""The first level's picture: 5×4, doubled at each further level up to 1280×1024 (Korkinof et al. 2018)."""

RECIPES = ("default", "korkinof2018")
SAMPLINGS = ("balanced", "natural")
HEAD_LEVELS = 2
"""Levels at the top that each view has to itself where two views are made from one latent."""


class SettingsError(ValueError):
    """A setting is out of its range, or settings do not fit one another."""


def resolution_of(level: int) -> tuple[int, int]:
    """Rows and columns of a level 1…9: (5, 4), (10, 8), … (1280, 1024)."""
    return BASE_ROWS << (level - 1), BASE_COLUMNS << (level - 1)


@dataclass(frozen=True)
class PGANSettings:
    """What fixes a training, together with its data set. The defaults are for one large GPU, up to 1280×1024.

    - ``recipe``: "default" (class-conditional, non-saturating loss, lazy R1), or "korkinof2018" (unconditional WGAN-GP;
      see ``korkinof2018``). ``sampling``: "balanced" takes the densities in turn, "natural" each image as often.
    - ``condition_age``: age bands are a condition beside density and view.
    - ``two_views``: CC and MLO of one breast are made from one latent, trained on breasts that have both.
    - ``augment``: adaptive augmentation, off at the start; its probability can go from 0 to 1 in ``augment_images``.
    - ``levels``: 1…9; the top resolution is ``resolution_of(levels)``.
    - ``stable_images``, ``fade_images``: training images shown at each level, after and during its fade-in (the first
      level is not faded in: its entry is ignored). Karras et al. 2018: 800,000 each.
    - ``batch_sizes``: images a step at each level.
    - ``latent_size``; ``maps_base``, ``maps_max``: stage s (1 at 5×4) has min(maps_base / 2^s, maps_max) feature maps.
    - ``generator_rate``, ``critic_rate``: Adam's learning rates, β = (0, 0.99).
    - ``r1_gamma``, ``r1_interval``: weight of the R1 penalty, and the steps from one evaluation to the next (lazy).
    - ``ema_half_images``: half-life, in images, of the averaged generator that is published.
      These three are the default recipe's: the other one's are fixed.
    - ``device``: "cpu", "cuda", "cuda:1" …; ``precision``: "float32", or "bf16" for autocast (penalties in float32).
    - ``channels_last``: memory format; ``compile``: torch.compile of the plain passes, on a GPU alone.
    - ``parts``: each batch is worked on in this many equal parts, on a CPU side by side in as many threads, and their
      gradients averaged in order: how many cores there are, and how busy, does not change the result. The minibatch
      statistic sees its part alone. Several processes share the parts out among them.
    - ``regenerate``: the generated pictures are made again for the generator's step, so that nothing of one part is
      kept while the next is worked on: with ``parts`` it holds the batch on a small card, for some more time.
    - ``recompute_from``: from this level on activations are made again in the backward pass; ``levels`` + 1 or more
      never, which is the default: at 1280×1024 all of a step of eight images were in 13 GiB, and 8 (640×512) saved
      1 of them for a sixth of the time.
    - ``checkpoint_every``: images between checkpoints.

    Raises SettingsError.
    """

    recipe: str = "default"
    sampling: str = "balanced"
    condition_age: bool = False
    two_views: bool = False
    augment: bool = False
    augment_images: int = 500_000
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
    regenerate: bool = False
    recompute_from: int = MAX_LEVELS + 1
    checkpoint_every: int = 100_000

    def __post_init__(self) -> None:
        self._check_mode()
        if not 1 <= self.levels <= MAX_LEVELS:
            raise SettingsError(f"levels is {self.levels}, not 1…{MAX_LEVELS}")
        for name in ("stable_images", "fade_images", "batch_sizes"):
            if len(getattr(self, name)) != self.levels:
                raise SettingsError(f"{name} needs one entry for each of the {self.levels} levels")
        for name in (
            "latent_size",
            "maps_base",
            "maps_max",
            "r1_interval",
            "ema_half_images",
            "parts",
            "recompute_from",
        ):
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

    def _check_mode(self) -> None:
        """Recipe, sampling, conditions and augmentation. Raises SettingsError."""
        if self.recipe not in RECIPES:
            raise SettingsError(f"recipe is none of {', '.join(RECIPES)}")
        if self.sampling not in SAMPLINGS:
            raise SettingsError(f"sampling is none of {', '.join(SAMPLINGS)}")
        if self.augment_images < 1:
            raise SettingsError("augment_images is less than 1")
        if not self.conditional and (self.condition_age or self.two_views):
            raise SettingsError(f"{self.recipe} knows no conditions")
        if self.recipe != "default" and self.augment:
            raise SettingsError("augmentation is steered by the sign of the default recipe's scores alone")
        if self.two_views and self.levels <= HEAD_LEVELS:
            raise SettingsError(f"two views need more than {HEAD_LEVELS} levels")

    @property
    def conditional(self) -> bool:
        """Do the networks know density and view?"""
        return self.recipe == "default"

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
    def korkinof2018(cls, levels: int = MAX_LEVELS, seed: int = 0) -> Self:
        """The recipe of Korkinof et al. 2018 (arXiv:1807.03401), as far as it is published; the rest as its source.

        Published there: 5×4 to 1280×1024 in nine levels, WGAN-GP, no classes. From Karras et al. 2018, appendix A,
        which it builds on: 800,000 images to fade in and as many stable at each level, minibatches of 16, then 14, 6
        and 3 at the three largest, rate 0.001, one critic step a generator step; λ = 10, drift 0.001 and the average's
        0.999 a step are fixed in the recipe. In float32; whatever else only changes speed stays as it is.
        """
        return cls(
            recipe="korkinof2018",
            sampling="natural",
            levels=levels,
            stable_images=(800_000,) * levels,
            fade_images=(0, *(800_000,) * 8)[:levels],
            batch_sizes=(16, 16, 16, 16, 16, 16, 14, 6, 3)[:levels],
            precision="float32",
            seed=seed,
        )

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

"""Settings of the classifier, of the trainings that measure what pictures are worth, and of its features. Light."""

from dataclasses import dataclass, field

COMPARED_AT = (80, 64)
"""Rows and columns at which real pictures are compared where there is no model, and learned from at most."""


@dataclass(frozen=True)
class ClassifierSettings:
    """``width``: feature maps of the first block, doubled in each; ``steps``, ``batch`` and ``rate`` of a training."""

    width: int = 16
    steps: int = 400
    batch: int = 32
    rate: float = 2e-3
    device: str = "cpu"


@dataclass(frozen=True)
class WorthSettings:
    """Which trainings are made: ``seeds`` repetitions at each of the ``fractions`` of the real training patients, with
    pictures of ``shape`` (rows, columns)."""

    shape: tuple[int, int] = (160, 128)
    fractions: tuple[float, ...] = (0.1, 0.25, 1.0)
    seeds: int = 5
    classifier: ClassifierSettings = field(default_factory=lambda: ClassifierSettings(width=24, steps=1500))

    @classmethod
    def demo(cls) -> "WorthSettings":
        """About three minutes of one CPU core."""
        return cls((40, 32), (0.1, 0.25, 1.0), 5, ClassifierSettings(width=12, steps=160))

    @classmethod
    def tiny(cls) -> "WorthSettings":
        """Seconds, for tests of what surrounds it."""
        return cls((20, 16), (1.0,), 2, ClassifierSettings(width=4, steps=24, batch=16))


@dataclass(frozen=True)
class FeatureSettings:
    """The density classifier whose features pictures are compared by, and the shape of the pictures it looks at."""

    shape: tuple[int, int] = (40, 32)
    classifier: ClassifierSettings = field(default_factory=lambda: ClassifierSettings(width=12, steps=300))
    seed: int = 0

    @classmethod
    def tiny(cls) -> "FeatureSettings":
        """Seconds, for tests of what surrounds it."""
        return cls((20, 16), ClassifierSettings(width=4, steps=24, batch=16))

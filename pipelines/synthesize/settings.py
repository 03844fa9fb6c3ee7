"""Settings of a synthesis. Light to import."""

from dataclasses import dataclass


class SynthesisSettingsError(ValueError):
    """A setting is out of its range."""


@dataclass(frozen=True)
class SynthesisSettings:
    """What fixes a synthesis, together with the plan, the model and the real pictures.

    - ``seed``: of the run; with a candidate's number it fixes the latent.
    - ``batch``: candidates sampled at a time; changes nothing but memory and speed.
    - ``tries``: candidates looked at for each wanted picture, before a cell of the plan is given up short.
    - ``odd_anatomy``: share of real pictures that may be rejected for their anatomy, all figures together.
    - ``odd_features``: share of held-back real pictures that may be rejected by critic, feature space and class
      together.
    - ``least_held_back``: with fewer held-back pictures than this, the training pictures serve as well.
    - ``copy_quantile``: share of real pictures whose distance to their nearest training picture lies below the least
      one accepted.
    - ``disagreement``: what becomes of a picture whose density the estimator hardly believes: ``drop``, or
      ``relabel`` to the likeliest one, where it passes for that and that is wanted too.
    - ``calibration_pictures``: real pictures of each kind (training, held back) that thresholds are measured on at
      most, taken evenly.
    - ``truncation``: ψ of the sampling, over 0 to 1: below 1 pictures are drawn toward their class' mean, which makes
      them more typical and less diverse.
    - ``patients``: whole pretend patients of each density, where the model makes both views of a breast.
    - ``likeness``: cosine of the latents of a pretend patient's two breasts, 0…1.
    - ``air_floor``: gray (of 4095) up to which a pixel outside the breast is haze.

    Raises SynthesisSettingsError.
    """

    seed: int = 0
    batch: int = 16
    tries: int = 10
    odd_anatomy: float = 0.015
    odd_features: float = 0.02
    least_held_back: int = 20
    copy_quantile: float = 0.005
    disagreement: str = "drop"
    calibration_pictures: int = 500
    truncation: float = 1.0
    patients: int = 2
    likeness: float = 0.75
    air_floor: int = 64

    def __post_init__(self) -> None:
        for name in ("batch", "tries", "least_held_back", "calibration_pictures"):
            if getattr(self, name) < 1:
                raise SynthesisSettingsError(f"{name} is less than 1")
        for name in ("odd_anatomy", "odd_features", "copy_quantile"):
            if not 0 <= getattr(self, name) < 0.5:
                raise SynthesisSettingsError(f"{name} is not within 0…0.5")
        if not 0 < self.truncation <= 1:
            raise SynthesisSettingsError("truncation is not over 0 and at most 1")
        if not 0 <= self.likeness <= 1:
            raise SynthesisSettingsError("likeness is not within 0…1")
        if self.disagreement not in ("drop", "relabel"):
            raise SynthesisSettingsError("disagreement is neither drop nor relabel")
        if not 0 < self.air_floor < 1024:
            raise SynthesisSettingsError("air_floor is not within 1…1023")
        if self.seed < 0 or self.patients < 0:
            raise SynthesisSettingsError("seed or patients is negative")

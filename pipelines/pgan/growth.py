"""The growth schedule: which level is trained, and how far it is faded in, as a pure function of images shown.

Level 1 is stable from the start; each further level is first faded in (α rises from 0 to 1 with the images shown),
then stable (Karras et al. 2018, section 2).
"""

from dataclasses import dataclass

from pipelines.pgan.settings import PGANSettings


@dataclass(frozen=True)
class Stage:
    """A moment of the schedule: the level 1…9, its fade-in α in (0, 1], and whether it is still being faded in."""

    level: int
    alpha: float
    fading: bool


def total_images(settings: PGANSettings) -> int:
    """Images that the whole schedule shows."""
    return sum(settings.stable_images) + sum(settings.fade_images[1:])


def level_ends(settings: PGANSettings) -> tuple[int, ...]:
    """For each level, the count of images shown at which it ends."""
    ends, end = [], 0
    for index in range(settings.levels):
        end += settings.stable_images[index] + (settings.fade_images[index] if index else 0)
        ends.append(end)
    return tuple(ends)


def stage_at(settings: PGANSettings, images: int) -> Stage:
    """The stage at which the next batch is trained after ``images`` images (0 …); past the end, the top level.

    A batch belongs wholly to the level in which it starts. During a fade-in α = (images into it + 1) / its length, so
    that the new layers get a gradient from the first batch on.
    """
    start = 0
    for index, end in enumerate(level_ends(settings)):
        if images < end:
            fade = settings.fade_images[index] if index else 0
            into = images - start
            return Stage(index + 1, min(1.0, (into + 1) / fade), True) if into < fade else Stage(index + 1, 1.0, False)
        start = end
    return Stage(settings.levels, 1.0, False)

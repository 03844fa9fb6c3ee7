"""One object of level C becomes one picture of level B, or a reason why not. Everything about one image, in order."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from pipelines.normalize.breast import Breast, find_breast
from pipelines.normalize.decode import DecodeError, PixelDescription, decode, describe, pixel_digest, read_object
from pipelines.normalize.fingerprint import fingerprint
from pipelines.normalize.grayscale import compose
from pipelines.normalize.identity import Identity, identify
from pipelines.normalize.picture import COLUMNS, FIXED_SPACING, ROWS, pixel_aspect, place, render, source_spacing
from pipelines.normalize.quality import Quality, measure
from pipelines.normalize.thumbnail import Thumbnail, read_thumbnail
from pipelines.storage.digests import sha256_of_bytes

MODES = ("fit", "fixed_spacing")

AMBIGUOUS = 1.2
"""A breast whose two ends differ in height by less than this factor is turned as the header says."""


@dataclass(frozen=True)
class NormalizeSettings:
    """Size of the standard picture in pixels, and how a breast is brought to it.

    Mode ``fit``: as large as it can be. Mode ``fixed_spacing``: at ``spacing`` mm a pixel, so that breasts keep their
    sizes; pictures of unknown spacing are then left out.
    """

    rows: int = ROWS
    columns: int = COLUMNS
    mode: str = "fit"
    spacing: float = FIXED_SPACING

    def __post_init__(self) -> None:
        """Raises ValueError for a mode that there is not, or sizes without sense."""
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r}, not one of {', '.join(MODES)}")
        if min(self.rows, self.columns) < 1 or not self.spacing > 0:
            raise ValueError("rows, columns and spacing must be above 0")


@dataclass(frozen=True)
class Outcome:
    """What became of an object: ``status`` kept, excluded or failed; ``facts`` by column of level_b.images; and the
    picture (uint16, 0…4095) where it was kept.

    From one process to another the picture goes without the air around the breast: about half of its bytes.
    """

    status: str
    reason: str | None
    facts: dict[str, Any] = field(default_factory=dict)
    picture: np.ndarray | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.picture is None:
            return Outcome, (self.status, self.reason, self.facts)
        rows, columns = (np.flatnonzero(self.picture.any(axis)) for axis in (1, 0))
        box = tuple(slice(used[0], used[-1] + 1) if used.size else slice(0, 0) for used in (rows, columns))
        breast = np.ascontiguousarray(self.picture[box])
        return _arrived, (self.status, self.reason, self.facts, breast, self.picture.shape, box)


def _arrived(
    status: str,
    reason: str | None,
    facts: dict[str, Any],
    breast: np.ndarray,
    shape: tuple[int, int],
    box: tuple[slice, slice],
) -> Outcome:
    """An outcome come from another process, its picture whole again."""
    picture = np.zeros(shape, breast.dtype)
    picture[box] = breast
    return Outcome(status, reason, facts, picture)


def normalize_file(path: Path, settings: NormalizeSettings) -> Outcome:
    """Normalize one file. Whatever is wrong with it becomes a reason; only a defect of this program raises."""
    try:
        return normalize(read_object(path), settings)
    except DecodeError as error:
        return Outcome("failed", error.reason)


def normalize(dataset: pydicom.Dataset, settings: NormalizeSettings) -> Outcome:
    """Normalize one object; the order is identity, pixels, breast, gray, picture, quality."""
    identity = identify(dataset)
    facts = _facts(identity)
    if identity.exclusion:
        return Outcome("excluded", identity.exclusion, facts)
    try:
        description = describe(dataset)
        values = decode(dataset)
    except DecodeError as error:
        return Outcome("failed", error.reason, facts)
    facts |= {
        "pixel_digest": pixel_digest(values),
        "source_rows": description.rows,
        "source_columns": description.columns,
    }
    thumbnail = read_thumbnail(dataset, values, description, raw=_is_raw(identity))
    if np.ptp(thumbnail.stored) == 0:
        return Outcome("excluded", "flat", facts)
    breast = find_breast(thumbnail.signal, thumbnail.padded)
    if breast is None:
        return Outcome("excluded", "breast_not_found", facts)
    return _keep(dataset, values, description, identity, thumbnail, breast, settings, facts)


def _facts(identity: Identity) -> dict[str, Any]:
    return {
        "laterality": identity.laterality,
        "view": identity.view,
        "manufacturer": identity.manufacturer,
        "model": identity.model or None,
        "presentation_intent": identity.presentation_intent,
        "lossy": identity.lossy,
        "vendor_group": identity.vendor_group,
        "patient_age": identity.patient_age,
        "flags": json.dumps(sorted(identity.flags)),
    }


def _is_raw(identity: Identity) -> bool:
    return identity.presentation_intent == "FOR PROCESSING"


def _keep(
    dataset: pydicom.Dataset,
    values: np.ndarray,
    description: PixelDescription,
    identity: Identity,
    thumbnail: Thumbnail,
    breast: Breast,
    settings: NormalizeSettings,
    facts: dict[str, Any],
) -> Outcome:
    spacing = source_spacing(dataset)
    if settings.mode == "fixed_spacing" and spacing is None:
        return Outcome("excluded", "spacing_unknown", facts)
    chest_wall, flags = _chest_wall(identity, breast)
    placement = place(
        breast,
        values.shape,
        chest_wall=chest_wall,
        aspect=pixel_aspect(dataset),
        scale=spacing[0] / settings.spacing if spacing and settings.mode == "fixed_spacing" else None,
        rows=settings.rows,
        columns=settings.columns,
    )
    gray = compose(
        dataset,
        description,
        raw=_is_raw(identity),
        air=thumbnail.air if _is_raw(identity) else None,
        breast_range=thumbnail.range_in(breast.mask),
    )
    picture, mask = render(values, gray, breast, placement)
    quality = measure(picture, mask)
    for flag, is_so in (
        ("breast_cut_off", breast.cut_off),
        ("enlarged", placement.enlarged),
        ("larger_than_picture", placement.cut),
        ("spacing_unknown", spacing is None),
    ):
        flags += [flag] if is_so else []
    facts = facts | _facts_of_picture(picture, mask, quality, breast.sidedness)
    facts |= {
        "voi": gray.voi,
        "flags": json.dumps(sorted({*identity.flags, *flags, *gray.flags, *quality.flags})),
        "spacing": round(spacing[0] * placement.affine[0], 6) if spacing else None,
        "affine": list(placement.affine),
    }
    return Outcome("kept", None, facts, picture)


def _facts_of_picture(picture: np.ndarray, mask: np.ndarray, quality: Quality, sidedness: float) -> dict[str, Any]:
    figures = quality.figures | {"sidedness": round(min(sidedness, 1000.0), 3)}
    return {
        "quality": json.dumps(figures, sort_keys=True),
        "picture_sha256": sha256_of_bytes(np.ascontiguousarray(picture, "<u2").data),
        "picture_hash": fingerprint(picture),
        "breast_fraction": round(np.count_nonzero(mask) / mask.size, 6),
        "breast_histogram": quality.histogram.tolist(),
    }


def _chest_wall(identity: Identity, breast: Breast) -> tuple[str, list[str]]:
    """The chest wall's side by the pixels (by the header where they do not tell), and flags of contradictions.

    By custom left breasts are stored with the chest wall on the left, right ones on the right. A picture stored the
    other way round is no contradiction where Patient Orientation says so, and agrees with the laterality.
    """
    custom = {"L": "left", "R": "right"}.get(identity.laterality or "")
    expected = custom
    if identity.chest_wall and "orientation_contradicts_laterality" not in identity.flags:
        expected = identity.chest_wall
    if expected and breast.sidedness < AMBIGUOUS:
        return expected, ["side_uncertain"]
    contradicts = expected is not None and expected != breast.chest_wall
    return breast.chest_wall, ["laterality_contradicts_pixels"] if contradicts else []

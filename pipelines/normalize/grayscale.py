"""Gray in the standard's order, composed into one lookup table over all stored values.

Padding is masked on stored values first; then modality LUT or rescale, VOI, and MONOCHROME1's inversion by the
declared range (PS3.3 C.7.5.1.1.2, C.11.1, C.11.2, C.7.6.3.1.2). FOR PROCESSING pictures are raw exposures: they are
shown as (ln I_air − ln I)², which rises with the thickness and density of tissue.

Air and padding give 0; the range is the same for all pictures alike. Nothing is scaled to a picture's own histogram but
where its header gives no VOI transformation at all. The table is not rounded, so that averaging over an output
pixel's area loses nothing.
"""

from dataclasses import dataclass

import numpy as np
import pydicom

from pipelines.normalize.decode import PixelDescription
from pipelines.normalize.header import number, text
from pipelines.normalize.voi import modality, padding_range, voi

WHITE = 4095
"""The highest gray value of a normalized picture."""

THICKEST = 4.0
"""ln(I_air / I) shown as white in FOR PROCESSING pictures: some 6 cm of tissue at 28 kV."""


@dataclass(frozen=True)
class GrayScale:
    """A composed lookup table.

    ``lut`` (float32, 0…4095) holds one entry for each stored value from ``lowest`` on; ``voi`` names what was applied;
    ``flags`` say what the header stated without sense.
    """

    lut: np.ndarray
    lowest: int
    voi: str
    flags: tuple[str, ...]

    def table(self, dtype: np.dtype) -> np.ndarray:
        """Gray (float32) of every bit pattern of stored values of a type; those outside the range take the nearest's.

        Patterns count as unsigned, as ``cv2.LUT`` takes them.
        """
        count = 1 << (8 * dtype.itemsize)
        first = -count // 2 if self.lowest < 0 else 0
        start = self.lowest - first
        table = np.empty(count, np.float32)
        table[:start], table[start : start + len(self.lut)] = self.lut[0], self.lut
        table[start + len(self.lut) :] = self.lut[-1]
        return np.roll(table, first)  # the patterns of negative values come last


@dataclass(frozen=True)
class Signal:
    """How bright tissue is among stored values, before any window: what finds the breast.

    ``rising`` (float32) holds one entry for each stored value from ``lowest`` on, rising with what the beam went
    through; ``padding`` (bool) tells which of them are padding.
    """

    rising: np.ndarray
    padding: np.ndarray
    lowest: int


def is_inverted(dataset: pydicom.Dataset) -> bool:
    """Whether low values are bright: MONOCHROME1 (whose Presentation LUT Shape is INVERSE, and means the same)."""
    return text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1"


def padding_of(dataset: pydicom.Dataset, description: PixelDescription) -> np.ndarray:
    """Which stored values, from the lowest on, are padding (bool)."""
    mask = np.zeros(1 << description.bits_stored, bool)
    limits = padding_range(dataset, description.signed, description.bits_allocated)
    if limits is not None:
        mask[max(0, limits[0] - description.lowest) : max(0, limits[1] + 1 - description.lowest)] = True
    return mask


def read_signal(dataset: pydicom.Dataset, description: PixelDescription, raw: bool) -> Signal:
    """The signal of every stored value: log attenuation where the picture is ``raw``, else the stored value's rank."""
    stored = np.arange(1 << description.bits_stored, dtype=np.float64)
    rising = stored[::-1].copy() if is_inverted(dataset) else stored
    if raw:
        rising = _attenuation(dataset, description)
    return Signal(rising.astype(np.float32), padding_of(dataset, description), description.lowest)


def compose(
    dataset: pydicom.Dataset,
    description: PixelDescription,
    *,
    raw: bool,
    air: float | None = None,
    breast_range: tuple[float, float] | None = None,
) -> GrayScale:
    """Compose the lookup table over all stored values that the header allows.

    ``raw``: the picture is FOR PROCESSING; ``air`` is then the attenuation (as ``read_signal`` gives it) of air.
    ``breast_range``: lowest and highest stored value in the breast, for pictures without any VOI transformation.
    """
    stored = np.arange(description.lowest, description.highest + 1, dtype=np.float64)
    flags: list[str] = []
    if raw:
        attenuation = _attenuation(dataset, description)
        name = "RAW_LOG_SQUARED"
        gray = np.clip((attenuation - (air or 0.0)) / THICKEST, 0, 1) ** 2
    else:
        rescale, flag = modality(dataset, description.signed)
        flags += [flag] if flag else []
        transform, name, flag = voi(dataset, description.signed)
        flags += [flag] if flag else []
        rescaled = rescale(stored)
        if transform is None:
            flags.append("voi_missing")
            gray, name = _without_voi(stored, rescaled, description, breast_range)
        else:
            gray = transform(rescaled)
        if is_inverted(dataset):
            gray = 1 - gray
        if _contradicts(dataset):
            flags.append("presentation_lut_contradiction")
    lut = (np.nan_to_num(gray) * WHITE).clip(0, WHITE).astype(np.float32)
    lut[padding_of(dataset, description)] = 0
    return GrayScale(lut, description.lowest, name, tuple(flags))


def _without_voi(
    stored: np.ndarray,
    rescaled: np.ndarray,
    description: PixelDescription,
    breast_range: tuple[float, float] | None,
) -> tuple[np.ndarray, str]:
    """Linear over the declared range; over the breast's own where that fills less than a quarter of the declared."""
    low, high = float(stored[0]), float(stored[-1])
    name = "NONE"
    if breast_range is not None and breast_range[1] - breast_range[0] < (high - low) / 4:
        low, high = breast_range
        name = "BREAST_RANGE"
    ends = np.interp([low, max(high, low + 1)], stored, rescaled)
    return np.clip((rescaled - ends[0]) / ((ends[1] - ends[0]) or 1.0), 0, 1), name


def _attenuation(dataset: pydicom.Dataset, description: PixelDescription) -> np.ndarray:
    """ln(I_max / I) of every stored value, lowest first, by Pixel Intensity Relationship and its sign (PS3.3 C.8.11.3).

    With LOG the stored values are logarithms already; the declared range is then taken for ln(2^bits).
    """
    count = 1 << description.bits_stored
    exposure = np.arange(count, dtype=np.float64)
    sign = number(dataset, "PixelIntensityRelationshipSign")
    if sign == -1 or (sign is None and not is_inverted(dataset)):
        exposure = exposure[::-1]
    if text(dataset, "PixelIntensityRelationship").upper() == "LOG":
        return (count - 1 - exposure) / (count - 1) * np.log(count)
    return np.log(count) - np.log(np.maximum(exposure, 1))


def _contradicts(dataset: pydicom.Dataset) -> bool:
    shape = text(dataset, "PresentationLUTShape").upper()
    return shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != is_inverted(dataset)

"""From a drawn picture to a vendor's stored values, its windows and its VOI LUTs."""

import numpy as np
from numpy.typing import NDArray

from pipelines.phantom.texture import Field
from pipelines.phantom.vendors import Gray, Raw

Stored = NDArray[np.uint16]


def curve(gray: Gray, brightness: Field | float) -> NDArray[np.float32]:
    """Stored values (not rounded) of brightness 0…1, as the vendor's FOR PRESENTATION processing writes them."""
    p = np.asarray(brightness, np.float32)
    bent = (1 - gray.shoulder) * p**gray.gamma + gray.shoulder * p * p * (3 - 2 * p)
    value = gray.black + (gray.white - gray.black) * bent
    return (2**gray.bits - 1 - value if gray.photometric == "MONOCHROME1" else value).astype(np.float32)


def present(gray: Gray, picture: Field, rng: np.random.Generator) -> Stored:
    """A FOR PRESENTATION picture from brightness 0…1; air carries the detector's noise where the vendor leaves it."""
    value = curve(gray, picture)
    if gray.air_noise:
        noise = np.abs(rng.standard_normal(picture.shape, dtype=np.float32)) * np.float32(gray.air_noise)
        value += np.where(picture <= 0, noise if gray.photometric == "MONOCHROME2" else -noise, 0)
    return np.clip(np.rint(value), 0, 2**gray.bits - 1).astype(np.uint16)


def expose(raw: Raw, attenuation: Field, rng: np.random.Generator) -> Stored:
    """A FOR PROCESSING picture: exposure falls off exponentially with attenuation; noise as of counted quanta."""
    value = np.float32(raw.gain) * np.exp(-np.float32(raw.mu) * attenuation) + np.float32(raw.offset)
    value += np.float32(0.35) * np.sqrt(value) * rng.standard_normal(attenuation.shape, dtype=np.float32)
    return np.clip(np.rint(value), 0, 2**raw.bits - 1).astype(np.uint16)


def windows(gray: Gray, offset: float) -> list[tuple[str, float, float]]:
    """(name, WindowCenter, WindowWidth) of a FOR PRESENTATION picture; ``offset`` shifts all of them (brightness)."""
    found = []
    sigmoid = "SIGMOID" in gray.voi
    for name, dark, bright in gray.windows:
        low, high = (float(curve(gray, max(0.0, b + offset))) for b in (dark, bright))
        width = abs(high - low) * (0.8 if sigmoid else 1.0) + 1
        found.append((name, round((low + high) / 2, 1), round(width, 1)))
    return found


def voi_luts(gray: Gray, offset: float) -> list[tuple[str, list[int], bytes]]:
    """(explanation, LUTDescriptor, LUTData as little-endian words) of the picture's VOI LUT Sequence (C.11.2.1.1)."""
    found = []
    for name, center, width in windows(gray, offset):
        first, last = max(0, int(center - width)), min(2**gray.bits - 1, int(center + width))
        x = (np.arange(first, last + 1) - center) / width
        rising = 1.0 / (1.0 + np.exp(-4.4 * x))
        values = np.rint(4095 * (rising - rising[0]) / (rising[-1] - rising[0])).astype("<u2")
        found.append((name, [len(values), first, 12], values.tobytes()))
    return found

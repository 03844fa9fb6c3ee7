import numpy as np
import pytest

from pipelines.phantom.grayscale import curve, expose, present, voi_luts, windows
from pipelines.phantom.vendors import FILM, VENDORS, Vendor

ALL = [*VENDORS, FILM]
NAMES = [vendor.name for vendor in ALL]


@pytest.mark.parametrize("vendor", ALL, ids=NAMES)
def test_curve_is_monotone_within_the_stored_range(vendor: Vendor) -> None:
    values = curve(vendor.gray, np.linspace(0, 1, 257, dtype=np.float32))
    steps = np.diff(values)
    assert (steps < 0).all() if vendor.gray.photometric == "MONOCHROME1" else (steps > 0).all()
    assert values.min() >= 0
    assert values.max() <= 2**vendor.gray.bits - 1


def test_vendors_store_the_same_brightness_differently() -> None:
    """Relative to its own range, a middle gray lies elsewhere with every vendor: there is something to harmonize."""
    middle = [
        abs(float(curve(v.gray, 0.5)) - float(curve(v.gray, 0.0))) / (v.gray.white - v.gray.black) for v in VENDORS
    ]
    assert max(middle) - min(middle) > 0.2


@pytest.mark.parametrize("vendor", ALL, ids=NAMES)
def test_windows_show_dark_tissue_dark_and_bright_tissue_bright(vendor: Vendor) -> None:
    dark, bright = (float(curve(vendor.gray, b)) for b in (0.2, 0.8))
    inverse = vendor.gray.photometric == "MONOCHROME1"
    for _, center, width in windows(vendor.gray, 0.0):
        shown = [np.clip((v - center) / width + 0.5, 0, 1) for v in (dark, bright)]
        shown = [1 - s for s in shown] if inverse else shown
        assert shown[0] < 0.45
        assert shown[1] > 0.55


def test_voi_luts_rise_over_twelve_bits() -> None:
    for vendor in (v for v in VENDORS if "LUT" in v.gray.voi):
        for _, (entries, first, bits), data in voi_luts(vendor.gray, 0.01):
            table = np.frombuffer(data, "<u2")
            assert len(table) == entries
            assert first + entries <= 2**vendor.gray.bits
            assert bits == 12
            assert (np.diff(table.astype(int)) >= 0).all()
            assert (table[0], table[-1]) == (0, 4095)


@pytest.mark.parametrize("vendor", VENDORS, ids=NAMES[:-1])
def test_logarithm_of_a_raw_picture_gives_attenuation_back(vendor: Vendor) -> None:
    attenuation = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    stored = expose(vendor.raw, attenuation, np.random.default_rng(0)).astype(float)
    restored = -np.log((stored - vendor.raw.offset) / vendor.raw.gain) / vendor.raw.mu
    np.testing.assert_allclose(restored.mean(axis=0), attenuation[0], atol=0.02)
    assert stored[:, 0].mean() > stored[:, -1].mean()


def test_air_stays_air() -> None:
    picture = np.zeros((32, 32), np.float32)
    for vendor in ALL:
        stored = present(vendor.gray, picture, np.random.default_rng(0)).astype(float)
        assert np.abs(stored - float(curve(vendor.gray, 0.0))).max() <= 6 * max(1.0, vendor.gray.air_noise)

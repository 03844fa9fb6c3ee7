"""The composed lookup table against the standard's formulas, written out here a second time."""

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pipelines.normalize.decode import describe
from pipelines.normalize.grayscale import THICKEST, compose, read_signal
from tests.normalize.drawing import wrap

STORED = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def gray(dataset: Dataset, **keywords: object) -> np.ndarray:
    """Gray values of all stored values, lowest first."""
    return compose(dataset, describe(dataset), **({"raw": False} | keywords)).lut


def window_by_the_letter(kind: str, x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3 onto 0…1, one value at a time."""
    if kind == "LINEAR":
        if x <= c - 0.5 - (w - 1) / 2:
            return 0.0
        return 1.0 if x > c - 0.5 + (w - 1) / 2 else (x - (c - 0.5)) / (w - 1) + 0.5
    if kind == "LINEAR_EXACT":
        if x <= c - w / 2:
            return 0.0
        return 1.0 if x > c + w / 2 else (x - c) / w + 0.5
    return 1 / (1 + math.exp(-4 * (x - c) / w))


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(("slope", "intercept"), [(None, None), (2, -1000), (0.37, 12.5), (-1, 4095)])
@pytest.mark.parametrize("kind", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_follow_the_standard(kind: str, slope: float | None, intercept: float | None, inverted: bool) -> None:
    dataset = wrap(STORED, WindowCenter=1802.31, WindowWidth=1091.97, VOILUTFunction=kind)
    if slope is not None:
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    if inverted:
        dataset.PhotometricInterpretation = "MONOCHROME1"
    rescaled = [x * (slope or 1) + (intercept or 0) for x in range(4096)]
    expected = np.array([window_by_the_letter(kind, x, 1802.31, 1091.97) for x in rescaled])
    expected = 1 - expected if inverted else expected
    composed = compose(dataset, describe(dataset), raw=False)
    assert np.abs(composed.lut / 4095 - expected).max() <= 1 / 65535
    assert composed.voi == f"{kind}#1"


def test_a_width_of_one_is_a_threshold() -> None:
    lut = gray(wrap(STORED, WindowCenter=100, WindowWidth=1))
    assert lut[99] == 0
    assert lut[100] == 4095


def test_the_first_window_with_a_meaning_is_used_and_named() -> None:
    dataset = wrap(STORED, WindowCenter=[5, 2000], WindowWidth=[-3, 500], VOILUTFunction="LINEAR")
    composed = compose(dataset, describe(dataset), raw=False)
    assert (composed.voi, composed.flags) == ("LINEAR#2", ("voi_invalid",))
    np.testing.assert_array_equal(composed.lut, gray(wrap(STORED, WindowCenter=2000, WindowWidth=500)))


@pytest.mark.parametrize("first", [0, 1000])
def test_voi_lut_sequence_goes_before_the_window(first: int) -> None:
    entries = (np.linspace(0, 1, 500) ** 2 * 65535).astype(np.uint16)
    item = Dataset()
    item.LUTDescriptor = [500, first, 16]
    item.LUTData = entries.tobytes()
    item["LUTData"].VR = "OW"
    dataset = wrap(STORED, VOILUTSequence=[item])
    composed = compose(dataset, describe(dataset), raw=False)
    expected = [entries[min(max(x - first, 0), 499)] / 65535 * 4095 for x in range(4096)]
    assert np.abs(composed.lut - np.array(expected)).max() <= 4095 / 65535
    assert composed.voi == "VOILUT#1"


def test_a_modality_lut_takes_the_place_of_rescale() -> None:
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 12]
    item.LUTData = list(range(4095, -1, -1))
    item["LUTData"].VR = "US"
    dataset = wrap(STORED, ModalityLUTSequence=[item], WindowCenter=2048, WindowWidth=4096, RescaleSlope=7)
    np.testing.assert_array_equal(gray(dataset), gray(wrap(STORED))[::-1])


def test_an_empty_lut_is_flagged_and_passed_over() -> None:
    item = Dataset()
    item.LUTDescriptor = [256, 0, 12]
    item.LUTData = []
    item["LUTData"].VR = "US"
    dataset = wrap(STORED, VOILUTSequence=[item])
    composed = compose(dataset, describe(dataset), raw=False)
    assert (composed.voi, composed.flags) == ("LINEAR#1", ("voi_invalid",))


def test_monochrome1_is_the_twin_of_monochrome2_by_the_declared_range() -> None:
    values = np.minimum(STORED, 3000)  # the picture's own maximum is not the declared one
    window = {"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "LINEAR_EXACT"}
    one = wrap(4095 - values, PhotometricInterpretation="MONOCHROME1", **(window | {"WindowCenter": 2047}))
    two = wrap(values, **window)
    found = [compose(d, describe(d), raw=False).table(v.dtype)[v] for d, v in ((one, 4095 - values), (two, values))]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(("value", "limit"), [(0, None), (4095, None), (10, 20), (20, 10), (4000, 4095)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_air_whatever_the_tables_say(photometric: str, value: int, limit: int | None) -> None:
    dataset = wrap(STORED, PhotometricInterpretation=photometric, PixelPaddingValue=value, PixelPaddingRangeLimit=limit)
    plain = gray(wrap(STORED, PhotometricInterpretation=photometric))
    low, high = sorted((value, value if limit is None else limit))
    lut = gray(dataset)
    assert not lut[low : high + 1].any()
    np.testing.assert_array_equal(np.delete(lut, range(low, high + 1)), np.delete(plain, range(low, high + 1)))


def test_signed_values() -> None:
    values = np.arange(-2048, 2048, dtype=np.int16).reshape(64, 64)
    dataset = wrap(values, WindowCenter=0, WindowWidth=4096, PixelPaddingValue=-2000)
    composed = compose(dataset, describe(dataset), raw=False)
    expected = [
        round(window_by_the_letter("LINEAR", x, 0, 4096) * 4095) if x != -2000 else 0 for x in range(-2048, 2048)
    ]
    shown = composed.table(values.dtype)[values.view(np.uint16)].ravel()
    assert np.abs(shown - expected).max() <= 1
    assert shown[48] == 0


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_the_table_has_every_bit_pattern_and_clamps_what_the_header_does_not_allow(dtype: str) -> None:
    kind = np.dtype(dtype)
    values = np.arange(16, dtype=kind).reshape(4, 4) - (8 if kind.kind == "i" else 0)
    dataset = wrap(values.astype(kind), bits=4, WindowCenter=8, WindowWidth=5)
    composed = compose(dataset, describe(dataset), raw=False)
    table = composed.table(kind)
    assert (len(table), composed.lowest) == (256**kind.itemsize, -8 if kind.kind == "i" else 0)
    for value in range(np.iinfo(kind).min, np.iinfo(kind).max + 1, 1 if kind.itemsize == 1 else 97):
        pattern = int(np.array(value, kind).view(f"u{kind.itemsize}"))
        assert table[pattern] == composed.lut[min(max(value - composed.lowest, 0), 15)]


def test_without_window_the_declared_range_or_the_breasts_own() -> None:
    dataset = wrap(STORED, WindowCenter=None, WindowWidth=None)
    composed = compose(dataset, describe(dataset), raw=False, breast_range=(500, 3000))
    assert (composed.voi, composed.flags) == ("NONE", ("voi_missing",))
    np.testing.assert_allclose(composed.lut, np.arange(4096), atol=1e-3)
    narrow = compose(dataset, describe(dataset), raw=False, breast_range=(500, 900))
    assert (narrow.voi, narrow.lut[500], narrow.lut[700], narrow.lut[900]) == ("BREAST_RANGE", 0, 2047.5, 4095)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_for_processing_is_squared_log_attenuation(photometric: str) -> None:
    sign = 1 if photometric == "MONOCHROME1" else -1
    elements = {"PixelIntensityRelationship": "LIN", "PixelIntensityRelationshipSign": sign}
    dataset = wrap(STORED, PhotometricInterpretation=photometric, **elements)
    exposure = np.arange(1, 4096) if sign == 1 else 4095 - np.arange(4095)
    air = math.log(4096 / 3900)
    lut = gray(dataset, raw=True, air=air)
    thickness = np.clip(math.log(3900) - np.log(exposure), 0, THICKEST)
    expected = (thickness / THICKEST) ** 2 * 4095
    assert np.abs((lut[1:] if sign == 1 else lut[:-1]) - expected).max() <= 0.5 + 1e-6


def test_the_signal_rises_with_tissue_in_both_polarities() -> None:
    one = wrap(STORED, PhotometricInterpretation="MONOCHROME1")
    assert (np.diff(read_signal(one, describe(one), raw=False).rising) < 0).all()
    assert (np.diff(read_signal(wrap(STORED), describe(wrap(STORED)), raw=False).rising) > 0).all()


def test_contradicting_presentation_lut_shape_is_flagged() -> None:
    dataset = wrap(STORED, PresentationLUTShape="INVERSE")
    assert "presentation_lut_contradiction" in compose(dataset, describe(dataset), raw=False).flags

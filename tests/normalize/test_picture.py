"""The standard picture: geometry, spacing, what is outside the breast; from the object to the row's facts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.normalize.breast import Breast
from pipelines.normalize.mammogram import NormalizeSettings, Outcome, normalize, normalize_file
from pipelines.normalize.picture import STRIP, place, resample, source_spacing
from pipelines.normalize.weights import resized
from pipelines.storage.digests import sha256_of_bytes
from tests.normalize.drawing import draw_breast, wrap

SETTINGS = NormalizeSettings()


def flags(outcome: Outcome) -> set[str]:
    return set(json.loads(outcome.facts["flags"]))


def kept(dataset: object) -> Outcome:
    outcome = normalize(dataset, SETTINGS)  # type: ignore[arg-type]
    assert outcome.status == "kept", outcome.reason
    assert outcome.picture is not None
    return outcome


def test_left_and_right_twins_give_the_same_picture() -> None:
    left = draw_breast()
    one = kept(wrap(left, ImageLaterality="L"))
    two = kept(wrap(np.ascontiguousarray(left[:, ::-1]), ImageLaterality="R"))
    np.testing.assert_array_equal(one.picture, two.picture)
    assert one.facts["picture_sha256"] == two.facts["picture_sha256"]
    assert one.facts["pixel_digest"] != two.facts["pixel_digest"]


def test_monochrome1_and_monochrome2_twins_give_the_same_picture() -> None:
    left = draw_breast()
    window = {"VOILUTFunction": "LINEAR_EXACT", "WindowWidth": 4096}
    one = kept(wrap(left, WindowCenter=2048, **window))
    two = kept(wrap(4095 - left, PhotometricInterpretation="MONOCHROME1", WindowCenter=2047, **window))
    np.testing.assert_array_equal(one.picture, two.picture)


def test_the_picture_has_the_standards_form() -> None:
    outcome = kept(wrap(draw_breast()))
    picture = outcome.picture
    assert (picture.dtype, picture.shape, int(picture.max()) <= 4095) == (np.uint16, (1280, 1024), True)
    assert (picture[:, 0] > 0).mean() > 0.9  # the chest wall stands on the left edge …
    assert not picture[:, -30:].any()  # … and air is 0
    assert outcome.facts["picture_sha256"] == sha256_of_bytes(picture.tobytes())
    histogram = np.array(outcome.facts["breast_histogram"])
    assert len(histogram) == 4096
    assert abs(histogram.sum() / picture.size - outcome.facts["breast_fraction"]) < 1e-5
    np.testing.assert_array_equal(histogram[1:], np.bincount(picture.ravel(), minlength=4096)[1:])


@pytest.mark.parametrize("laterality", ["L", "R"])
def test_the_affine_leads_back_to_the_source(laterality: str) -> None:
    source = draw_breast(2000, 1600)
    source[900:912, 300:312] = 4095  # a calcification to be found again
    source = source if laterality == "L" else np.ascontiguousarray(source[:, ::-1])
    outcome = kept(wrap(source, ImageLaterality=laterality))
    a, b, c, d, e, f = outcome.facts["affine"]
    rows, columns = np.nonzero(outcome.picture > 3900)
    row, column = rows.mean(), columns.mean()
    assert abs(a * row + b * column + c - 905.5) < 0.3
    assert abs(d * row + e * column + f - (305.5 if laterality == "L" else 1599 - 305.5)) < 0.3
    assert outcome.facts["spacing"] == pytest.approx(0.07 * a, abs=1e-5)


def test_gray_values_are_the_composed_tables_area_means() -> None:
    source = draw_breast(2560, 2048)
    outcome = kept(wrap(source, WindowCenter=2048, WindowWidth=4096, VOILUTFunction="LINEAR_EXACT"))
    a, _, c, _, e, f = outcome.facts["affine"]
    gray = source.astype(float) / 4096 * 4095
    row, column = 640, 200
    top, left = a * row + c + 0.5 - a / 2, e * column + f + 0.5 - e / 2
    rows, columns = np.arange(int(top) - 1, int(top + a) + 2), np.arange(int(left) - 1, int(left + e) + 2)
    down = np.clip(np.minimum(rows + 1, top + a) - np.maximum(rows, top), 0, 1)
    across = np.clip(np.minimum(columns + 1, left + e) - np.maximum(columns, left), 0, 1)
    expected = down @ gray[np.ix_(rows, columns)] @ across / (down.sum() * across.sum())
    assert abs(expected - int(outcome.picture[row, column])) <= 0.51


def test_a_plate_is_not_in_the_picture() -> None:
    source = draw_breast()
    plain = kept(wrap(source)).picture
    source[90:150, 400:470] = 4095  # within the box around the breast
    np.testing.assert_array_equal(kept(wrap(source)).picture, plain)


def test_padding_does_not_matter() -> None:
    source = draw_breast()
    source[source == 0] = 4000
    outcome = kept(wrap(source, PixelPaddingValue=4000))
    assert not outcome.picture[:, -30:].any()
    assert int(outcome.picture.max()) < 3950


def test_for_processing_shows_tissue_bright() -> None:
    brightness = draw_breast().astype(float) / 4095
    noise = np.random.default_rng(1).normal(1, 0.01, brightness.shape)
    exposure = np.clip(3800 * np.exp(-4 * brightness) * noise, 1, 4095).astype(np.uint16)
    raw = {
        "PresentationIntentType": "FOR PROCESSING",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1",
        "PhotometricInterpretation": "MONOCHROME1",
        "PixelIntensityRelationship": "LIN",
        "PixelIntensityRelationshipSign": 1,
        "WindowCenter": None,
        "WindowWidth": None,
    }
    outcome = kept(wrap(exposure, **raw))
    assert outcome.facts["voi"] == "RAW_LOG_SQUARED"
    shown = kept(wrap(draw_breast())).picture
    inside = (shown > 0) & (outcome.picture > 0)
    assert inside.sum() > 0.95 * (shown > 0).sum()
    assert np.corrcoef(shown[inside], outcome.picture[inside])[0, 1] > 0.9


def test_wrong_sides_are_flagged_and_the_pixels_are_believed() -> None:
    right_way = kept(wrap(draw_breast(), PatientOrientation=["A", "R"]))
    assert not any("contradict" in flag for flag in flags(right_way))
    wrong = kept(wrap(draw_breast(), ImageLaterality="R"))
    assert "laterality_contradicts_pixels" in flags(wrong)
    np.testing.assert_array_equal(wrong.picture, right_way.picture)
    disputed = kept(wrap(draw_breast(), ImageLaterality="R", PatientOrientation=["A", "R"]))
    assert {"laterality_contradicts_pixels", "orientation_contradicts_laterality"} <= flags(disputed)
    turned = kept(wrap(np.ascontiguousarray(draw_breast()[:, ::-1]), PatientOrientation=["P", "R"]))
    assert not any("contradict" in flag for flag in flags(turned))


def test_a_flip_that_the_header_states_is_no_contradiction() -> None:
    mirrored = np.ascontiguousarray(draw_breast()[:, ::-1])
    assert "laterality_contradicts_pixels" in flags(kept(wrap(mirrored)))
    told = kept(wrap(mirrored, FieldOfViewHorizontalFlip="YES"))
    assert not any("contradict" in flag for flag in flags(told))


def area_mean(gray: np.ndarray, top: float, bottom: float, left: float, right: float) -> float:
    """Mean over a rectangle whose sides run through pixels, in float64, one pixel after another."""
    total = 0.0
    for row in range(int(top), min(gray.shape[0], int(np.ceil(bottom)))):
        for column in range(int(left), min(gray.shape[1], int(np.ceil(right)))):
            high = min(bottom, row + 1) - max(top, row)
            wide = min(right, column + 1) - max(left, column)
            total += float(gray[row, column]) * high * wide
    return total / ((bottom - top) * (right - left))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_resampling_is_the_area_mean_or_linear(rows: int, columns: int, height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, table = rng.integers(0, 256, (rows, columns), np.uint8), rng.uniform(0, 65535, 256).astype(np.float32)
    inside = rng.random((height, width)) < 0.8
    made, mirrored = np.zeros((2, height, width), np.uint16)
    resample(values, table, inside, made)
    resample(values, table, np.ascontiguousarray(inside[:, ::-1]), mirrored, flipped=True)
    np.testing.assert_array_equal(made, mirrored[:, ::-1])
    assert not made[~inside].any()
    gray = table[values]
    if height <= rows and width <= columns:
        down, across = rows / height, columns / width
        expected = [
            [area_mean(gray, r * down, (r + 1) * down, c * across, (c + 1) * across) for c in range(width)]
            for r in range(height)
        ]
        np.testing.assert_allclose(made[inside], np.array(expected)[inside], atol=0.55)  # of 65535, rounded
    elif height > rows and width > columns:
        y, x = ((np.arange(new) + 0.5) * old / new - 0.5 for new, old in ((height, rows), (width, columns)))
        one = np.stack([np.interp(x, np.arange(columns), row) for row in gray])
        expected = np.stack([np.interp(y, np.arange(rows), column) for column in one.T], 1)
        np.testing.assert_allclose(made[inside], expected[inside], atol=0.55)


def test_strips_leave_no_trace() -> None:
    """A picture of many strips is the same as one made whole, to the bit."""
    rng = np.random.default_rng(0)
    values, table = rng.integers(0, 4096, (1500, 700), np.uint16), rng.uniform(0, 4095, 65536).astype(np.float32)
    inside = cv2.circle(np.zeros((600, 300), np.uint8), (0, 300), 250, 1, cv2.FILLED).astype(bool)
    made = np.zeros(inside.shape, np.uint16)
    resample(values, table, inside, made)
    gray = resized(1500, 600) @ table[values]
    whole = (resized(700, 300) @ np.ascontiguousarray(gray.T)).T
    assert values.size > 10 * STRIP
    np.testing.assert_array_equal(made, np.where(inside, np.rint(whole), 0))


def test_at_a_fixed_spacing_breasts_keep_their_size() -> None:
    fixed = NormalizeSettings(mode="fixed_spacing", spacing=0.24)
    small, large = draw_breast(1000, 800), draw_breast(2000, 1600)
    heights = []
    for source, spacing in ((small, [0.2, 0.2]), (large, [0.1, 0.1]), (small, [0.1, 0.1])):
        outcome = normalize(wrap(source, ImagerPixelSpacing=spacing), fixed)
        assert outcome.picture is not None
        assert outcome.facts["spacing"] == pytest.approx(0.24, rel=2e-3)
        heights.append(np.ptp(np.flatnonzero(outcome.picture.any(1))) + 1)
    millimeters = 0.84 * 1000 * 0.2  # the drawn ellipse's height
    assert heights[0] * 0.24 == pytest.approx(millimeters, rel=0.03)
    assert abs(heights[0] - heights[1]) <= 3
    assert heights[2] == pytest.approx(heights[0] / 2, abs=3)


def test_what_is_larger_than_the_picture_is_cut_and_flagged() -> None:
    fixed = NormalizeSettings(mode="fixed_spacing", spacing=0.05)
    outcome = normalize(wrap(draw_breast(1000, 800), ImagerPixelSpacing=[0.1, 0.1]), fixed)
    assert outcome.picture is not None
    assert "larger_than_picture" in flags(outcome)
    a, _, c, d, _, f = outcome.facts["affine"]
    middle = (a * 639.5 + c, d * 639.5 + f)
    assert middle == pytest.approx((500, -0.25), abs=3)  # the breast's middle row, the chest wall's first column
    assert outcome.picture[:, 0].all()


def test_without_spacing_there_is_no_fixed_size() -> None:
    outcome = normalize(wrap(draw_breast(), ImagerPixelSpacing=None), NormalizeSettings(mode="fixed_spacing"))
    assert (outcome.status, outcome.reason) == ("excluded", "spacing_unknown")
    assert "spacing_unknown" in flags(kept(wrap(draw_breast(), ImagerPixelSpacing=None)))


@pytest.mark.parametrize("wrong", [{"mode": "stretch"}, {"rows": 0}, {"spacing": 0.0}, {"spacing": float("nan")}])
def test_settings_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        NormalizeSettings(**wrong)  # type: ignore[arg-type]


def test_anisotropic_pixels_are_made_square() -> None:
    source = draw_breast(1600, 1280)
    wide = source[:, ::2].copy()
    square, squeezed = kept(wrap(source)), kept(wrap(wide, ImagerPixelSpacing=[0.07, 0.14]))
    told = kept(wrap(wide, ImagerPixelSpacing=None, PixelAspectRatio=[1, 2]))
    widths = [int(np.flatnonzero((o.picture > 0).any(0))[-1]) for o in (square, squeezed, told)]
    assert max(widths) - min(widths) <= 12
    np.testing.assert_array_equal(squeezed.picture, told.picture)


@pytest.mark.parametrize(
    ("elements", "spacing"),
    [
        ({}, (0.07, 0.07)),
        ({"EstimatedRadiographicMagnificationFactor": 1.4}, (0.05, 0.05)),
        ({"ImagerPixelSpacing": None, "PixelSpacing": [0.1, 0.1]}, (0.1, 0.1)),
        ({"ImagerPixelSpacing": [-1, 0]}, None),
        ({"ImagerPixelSpacing": [0, 0], "PixelSpacing": [0.05, 0.05]}, (0.05, 0.05)),
    ],
)
def test_spacing_in_the_breasts_plane(elements: dict[str, object], spacing: tuple[float, float] | None) -> None:
    assert source_spacing(wrap(draw_breast(100, 100), **elements)) == (spacing and pytest.approx(spacing))


def test_spacing_that_is_no_number_is_none() -> None:
    dataset = wrap(draw_breast(100, 100), ImagerPixelSpacing=None)
    dataset.add_new("PixelSpacing", "LO", ["nan", "nan"])
    assert source_spacing(dataset) is None


@pytest.mark.parametrize("shape", [(3000, 100), (100, 3000), (37, 41)])
def test_a_placement_fits_whatever_the_shape(shape: tuple[int, int]) -> None:
    mask = np.zeros((max(1, shape[0] // 10), max(1, shape[1] // 10)), bool)
    mask[1:-1, 0:-1] = True
    placed = place(Breast(mask, "left", 2.0, False), shape, chest_wall="left")
    assert placed.height in range(1, 1281)
    assert placed.width in range(1, 1025)
    assert placed.first_row + placed.height <= 1280


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.full((1000, 800), 500, np.uint16), "flat"),
        (np.random.default_rng(0).integers(0, 4096, (1000, 800)).astype(np.uint16), "breast_not_found"),
    ],
)
def test_pictures_without_a_breast_are_excluded(pixels: np.ndarray, reason: str) -> None:
    outcome = normalize(wrap(pixels), SETTINGS)
    assert (outcome.status, outcome.reason, outcome.picture) == ("excluded", reason, None)


def test_quality_flags_follow_what_was_done_to_the_picture() -> None:
    import cv2

    clean = draw_breast(2000, 1600)
    assert not flags(kept(wrap(clean))) & {"blurred", "saturated", "noisy", "low_contrast", "skin_line_clipped"}
    assert "blurred" in flags(kept(wrap(cv2.GaussianBlur(clean, (0, 0), 12))))
    noise = np.where(clean > 0, np.random.default_rng(0).normal(0, 600, clean.shape), 0)
    assert "noisy" in flags(kept(wrap(np.clip(clean + noise, 0, 4095).astype(np.uint16))))
    assert "saturated" in flags(kept(wrap(clean, WindowCenter=1200, WindowWidth=800)))
    assert "skin_line_clipped" in flags(kept(wrap(clean, WindowCenter=2400, WindowWidth=1200)))
    assert "low_contrast" in flags(kept(wrap(clean, WindowCenter=2000, WindowWidth=600000)))


@pytest.mark.parametrize(
    ("name", "status", "reason", "voi"),
    [
        ("ge_essential_DXm.1459541791X2.dcm", "failed", "size_mismatch", None),
        ("ge_essential_GH133.dcm", "kept", None, "VOILUT#1"),
        ("nema_MG1_JPLY", "kept", None, "LINEAR#1"),
        ("rsna_10006_1864590858_tagged.dcm", "kept", None, "SIGMOID#1"),
        ("rsna_10006_462822612.dcm", "kept", None, "SIGMOID#1"),
    ],
)
def test_real_mammograms(name: str, status: str, reason: str | None, voi: str | None, shared: Path) -> None:
    outcome = normalize_file(shared / "data" / "dicom-mg" / name, SETTINGS)
    assert (outcome.status, outcome.reason, outcome.facts.get("voi")) == (status, reason, voi)
    if outcome.picture is not None:
        assert not any("contradict" in flag or "uncertain" in flag for flag in flags(outcome))
        assert (outcome.picture[:, 0] > 0).mean() > 0.5
        assert 0.15 < outcome.facts["breast_fraction"] < 0.75

"""Four vendors' drawn breasts, normalized: looks go and density stays, on patients that no curve was fitted on."""

from typing import Any

import pytest

from pipelines.evaluate.harmonization import measure_harmonization
from pipelines.normalize.mammogram import NormalizeSettings
from pipelines.normalize.vendor_curves import fit_vendor_curves
from pipelines.phantom.vendors import FUJIFILM, GE, HOLOGIC, PHILIPS
from pipelines.storage.tables import CURVE_IMAGES, HARMONIZATION, IMAGES, VENDOR_CURVES, read_table
from tests.evaluate.exams import normalized, subject

CASES = {HOLOGIC: "AABBBCCCDD", GE: "ABBBBCCCCD", PHILIPS: "AABBBBCCCD", FUJIFILM: "ABBBCCCCDD"}
"""The vendors, and the densities that they see: one sees dense breasts more often than the other."""

WOMEN = 110
TRAINING = 60

Figures = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """What was measured on held-out patients, by figure and vendor group."""
    folder = tmp_path_factory.mktemp("harmonization")
    rows, density_of, training = [], {}, set()
    for place, (vendor, densities) in enumerate(CASES.items()):
        for n in range(WOMEN):
            density = densities[n % len(densities)]
            who = subject(vendor, place * WOMEN + n, {"R": density, "L": density})
            for row in normalized(who, 0.06, 1, NormalizeSettings(320, 256)):
                rows.append(row)
                density_of[row["image_id"]] = density
                training |= {row["patient"]} if n < TRAINING else set()
    images = IMAGES.build(rows)
    summary = fit_vendor_curves(images, density_of, training.__contains__, folder=folder)
    assert set(summary.groups.values()) == {"group"}
    curves = read_table(folder / "vendor_curves.parquet", VENDOR_CURVES)
    learned = read_table(folder / "curve_images.parquet", CURVE_IMAGES)
    measure_harmonization(images, curves, learned, folder=folder)
    table = read_table(folder / "harmonization.parquet", HARMONIZATION).to_pylist()
    return {(row["figure"], row["vendor_group"]): row for row in table if row["measured_on"] == "held_out"}


def test_vendor_is_told_before_and_hidden_afterwards(figures: Figures) -> None:
    row = figures["vendor_accuracy", "*"]
    assert (row["chance"], row["at_common_mix"], row["images"]) == (0.25, True, 4 * (WOMEN - TRAINING))
    assert row["before"] > 0.6
    assert row["after"] <= row["chance"] + 0.1
    assert figures["vendor_by_brightness", "*"]["after"] <= 0.35 < figures["vendor_by_brightness", "*"]["before"]


def test_density_is_kept_within_a_vendor_and_becomes_one_scale_across_them(figures: Figures) -> None:
    within, across = figures["density_within", "*"], figures["density_across", "*"]
    assert within["before"] > 0.7
    assert within["change"] >= -0.03
    assert across["change_low"] > 0
    assert across["after"] > within["after"] - 0.05

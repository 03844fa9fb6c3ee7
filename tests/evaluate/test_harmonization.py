"""The harmonization report: which pictures it measures, what its rows say, and that it is the same every time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipelines.evaluate.harmonization import measure_harmonization
from pipelines.storage.tables import CURVE_IMAGES, HARMONIZATION, IMAGES, VENDOR_CURVES, read_table

GROUPS = {"GE|a|FOR PRESENTATION|lossless": 1300, "Hologic|b|FOR PRESENTATION|lossless": 1900}
"""Vendor groups, and the mean gray of their fat."""

IDENTITY = np.arange(4096)
DARKER = np.clip(np.arange(4096) - 600, 0, 4095)


def world(
    counts: dict[str, int], per_patient: int = 2, labeled: bool = True
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of IMAGES and CURVE_IMAGES; two patients of three are training; density A to D in turn of patients."""
    rng = np.random.default_rng(0)
    images, known = [], []
    for name, count in counts.items():
        base = next(gray for group, gray in GROUPS.items() if name[0] == group[0])
        for n in range(count):
            patient = n // per_patient
            values = rng.normal(base + 150 * (patient % 4) + rng.normal(0, 40), 250, 2000).clip(1, 4095).astype(int)
            key = f"{name}{n:03d}"
            images.append(
                {
                    "image_id": key,
                    "file_id": f"F{key}",
                    "delivery": "D-1",
                    "object_sha256": "0",
                    "status": "kept",
                    "vendor_group": name,
                    "picture_sha256": f"sha{key}",
                    "breast_histogram": np.bincount(values, minlength=4096).tolist(),
                }
            )
            known.append(
                {
                    "file_id": f"F{key}",
                    "image_id": key,
                    "patient": f"P{name}{patient}",
                    "vendor_group": name,
                    "density": "ABCD"[patient % 4] if labeled else None,
                    "training": patient % 3 > 0,
                    "fitted": patient % 3 > 0,
                }
            )
    return images, known


def curves(**luts: np.ndarray) -> list[dict[str, Any]]:
    """Rows of VENDOR_CURVES by the groups' first letter."""
    names = {name[0]: name for name in GROUPS}
    return [
        {
            "vendor_group": names.get(letter, letter),
            "images": 1,
            "training_images": 1,
            "labeled_images": 1,
            "fitted_on": "group",
            "lut": lut.tolist(),
            "version": "v",
        }
        for letter, lut in luts.items()
    ]


def measure(
    folder: Path, images: list[dict[str, Any]], known: list[dict[str, Any]], luts: list[dict[str, Any]]
) -> dict[tuple[str, str, str], dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    tables = IMAGES.build(images), VENDOR_CURVES.build(luts), CURVE_IMAGES.build(known)
    [row] = measure_harmonization(*tables, folder=folder)
    assert (row.output, row.path, row.operation) == (
        "harmonization", "harmonization.parquet", "measure_harmonization",
    )  # fmt: skip
    table = read_table(folder / "harmonization.parquet", HARMONIZATION).to_pylist()
    return {(r["measured_on"], r["figure"], r["vendor_group"]): r for r in table}


BOTH = {"G": IDENTITY, "H": DARKER}


def test_far_vendors_are_told_and_a_curve_hides_them(tmp_path: Path) -> None:
    images, known = world(dict.fromkeys(GROUPS, 120))
    found = measure(tmp_path, images, known, curves(**BOTH))
    for whose, count in (("held_out", 80), ("everyone", 240)):
        told = found[whose, "vendor_accuracy", "*"]
        assert (told["images"], told["chance"], told["at_common_mix"]) == (count, 0.5, True)
        assert told["before"] > 0.9
        assert told["after"] < 0.7
        assert told["change_low"] <= told["change"] == pytest.approx(told["after"] - told["before"], abs=1e-5)
        bright = found[whose, "vendor_by_brightness", "*"]
        assert (bright["images"], bright["chance"], bright["at_common_mix"]) == (count, 0.5, True)
        assert bright["before"] > 0.8 > 0.7 > bright["after"]
        seen = found[whose, "density_across", "*"]
        assert seen["after"] > seen["before"] + 0.1
        assert found[whose, "density_within", "*"]["change"] == pytest.approx(0, abs=0.02)
    assert {group for _, _, group in found} == {*GROUPS, "*"}


def test_mean_gray_is_what_it_says(tmp_path: Path) -> None:
    """A curve that leaves two grays alone spoils the density: its correlation falls to that of the share above one."""
    images, known = world(dict.fromkeys(GROUPS, 60))
    step = np.where(np.arange(4096) < 2600, 0, 4095)
    found = measure(tmp_path, images, known, curves(G=step, H=IDENTITY))
    spoiled = found["everyone", "density_within", next(iter(GROUPS))]
    of_group = [row for row in images if row["vendor_group"] == next(iter(GROUPS))]
    share = [sum(row["breast_histogram"][2600:]) for row in of_group]
    mean = [np.average(np.arange(4096), weights=row["breast_histogram"]) for row in of_group]
    ranks = ["ABCD".index(row["density"]) for row in known[:60]]
    assert spoiled["before"] == pytest.approx(spearmanr(mean, ranks)[0], abs=1e-5)
    assert spoiled["after"] == pytest.approx(spearmanr(share, ranks)[0], abs=1e-5)
    assert spoiled["change_high"] < 0


def test_brightness_does_not_see_what_quantiles_see(tmp_path: Path) -> None:
    """Two vendors of the same mean and spread, the one's grays in two humps: no more than chance by brightness."""
    images, known = world(dict.fromkeys(GROUPS, 60))
    rng = np.random.default_rng(1)
    for n, row in enumerate(images):
        humps = rng.choice([-1, 1], 4000) if n < 60 else rng.normal(0, 1, 4000)
        grays = (2000 + rng.normal(0, 100) + 400 * humps).clip(1, 4095).astype(int)
        row["breast_histogram"] = np.bincount(grays, minlength=4096).tolist()
    found = measure(tmp_path, images, known, curves(G=IDENTITY, H=IDENTITY))
    assert found["everyone", "vendor_accuracy", "*"]["after"] > 0.9
    assert found["everyone", "vendor_by_brightness", "*"]["after"] < 0.75


def test_held_out_patients_alone_where_curves_were_not_fitted(tmp_path: Path) -> None:
    images, known = world(dict.fromkeys(GROUPS, 120))
    spoil = [row | {"breast_histogram": None} if k["training"] else row for row, k in zip(images, known, strict=True)]
    one = measure(tmp_path / "one", images, known, curves(**BOTH))
    two = measure(tmp_path / "two", spoil, known, curves(**BOTH))
    for key in one:
        if key[0] == "held_out":
            assert one[key] == two[key]
    assert two["everyone", "vendor_accuracy", "*"]["images"] == 80


def test_too_little_is_not_measured(tmp_path: Path) -> None:
    first, second = GROUPS
    cases = {
        "nothing": ({}, {}),
        "one vendor": ({first: 90}, {"labeled": False}),
        "few images": ({first: 29, second: 28}, {}),
        "few patients": ({first: 42, second: 42}, {"per_patient": 7}),
    }
    for name, (counts, options) in cases.items():
        assert measure(tmp_path / name, *world(counts, **options), curves(**BOTH)) == {}
        assert (tmp_path / name / "harmonization.png").stat().st_size > 1000


def test_without_densities_vendors_are_compared_as_they_are(tmp_path: Path) -> None:
    found = measure(tmp_path, *world(dict.fromkeys(GROUPS, 90), labeled=False), curves(**BOTH))
    assert {figure for _, figure, _ in found} == {"vendor_accuracy", "vendor_by_brightness"}
    assert found["everyone", "vendor_accuracy", "*"]["at_common_mix"] is False


def test_one_vendor_shows_density_alone(tmp_path: Path) -> None:
    found = measure(tmp_path, *world({next(iter(GROUPS)): 90}), curves(**BOTH))
    assert {figure for _, figure, _ in found} == {"density_within", "density_across"}


def test_small_groups_are_measured_by_maker_and_intent(tmp_path: Path) -> None:
    names = [f"{maker}|{model}|FOR PRESENTATION|lossless" for maker in ("GE", "Hologic") for model in "xyz"]
    found = measure(tmp_path, *world(dict.fromkeys(names, 20)), curves(**dict.fromkeys(names, IDENTITY)))
    assert {group for _, _, group in found} == {"*", "GE|*|FOR PRESENTATION|*", "Hologic|*|FOR PRESENTATION|*"}
    assert found["everyone", "vendor_accuracy", "*"]["before"] > 0.9


def test_groups_without_a_curve_and_unknown_patients_are_left_out(tmp_path: Path) -> None:
    images, known = world(dict.fromkeys(GROUPS, 60))
    found = measure(tmp_path, images, known, curves(G=IDENTITY))
    assert {figure for _, figure, _ in found} == {"density_within", "density_across"}
    nobody = [row | {"patient": None} for row in known]
    assert measure(tmp_path, images, nobody, curves(**BOTH)) == {}


def test_same_bytes_twice(tmp_path: Path) -> None:
    made = world(dict.fromkeys(GROUPS, 60))
    for name in ("one", "two"):
        measure(tmp_path / name, *made, curves(**BOTH))
    for name in ("harmonization.parquet", "harmonization.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

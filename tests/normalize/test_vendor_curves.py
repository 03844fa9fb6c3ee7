"""Vendor curves: looks go, density stays, training patients alone are learned from."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.normalize.vendor_curves import CurvesSummary, apply_curve, fit_vendor_curves
from pipelines.storage.tables import IMAGES, VENDOR_CURVES, read_table

LOOKS = {
    "Hologic|A|FOR PRESENTATION|lossless": lambda x: x,
    "GE|B|FOR PRESENTATION|lossless": lambda x: x**1.8,
    "Siemens|C|FOR PRESENTATION|lossless": lambda x: 0.15 + 0.7 * x,
}
"""Vendors' gray curves on 0…1."""

GROUPS = list(LOOKS)
SHARE_DENSE = {"A": 0.1, "B": 0.25, "C": 0.5, "D": 0.75}


def draw(group: str, density: str, seed: int) -> np.ndarray:
    """Gray values (uint16) of a breast's pixels as the vendor shows them."""
    rng = np.random.default_rng(seed)
    dense = rng.random(40000) < SHARE_DENSE[density] + rng.normal(0, 0.03)
    tissue = np.clip(np.where(dense, rng.normal(0.65, 0.06, 40000), rng.normal(0.35, 0.06, 40000)), 0.02, 0.98)
    look = LOOKS.get(group, LOOKS[GROUPS[1]])
    return np.rint(look(tissue) * 4095).astype(np.uint16)


def archive(mixes: dict[str, str], each: int = 6) -> tuple[pa.Table, dict[str, str], dict[str, np.ndarray]]:
    """Images of each group, ``each`` for every letter of its mix; densities and pixels by image id."""
    rows: list[dict[str, Any]] = []
    density_of, pixels = {}, {}
    for group, mix in mixes.items():
        for number, density in enumerate(mix * each):
            image_id = f"{group.split('|')[1]}{number:03d}{density}"
            values = draw(group, density, len(rows))
            density_of[image_id], pixels[image_id] = density, values
            rows.append(
                {
                    "image_id": image_id,
                    "file_id": image_id,
                    "delivery": "D",
                    "object_sha256": "0",
                    "status": "kept",
                    "patient": f"P-{image_id}",
                    "vendor_group": group,
                    "picture_sha256": image_id,
                    "breast_histogram": np.bincount(values, minlength=4096).tolist(),
                }
            )
    return IMAGES.build(rows), density_of, pixels


def fit(folder: Path, *arguments: Any, **keywords: Any) -> tuple[CurvesSummary, dict[str, dict[str, Any]]]:
    folder.mkdir()
    summary = fit_vendor_curves(*arguments, folder=folder, **keywords)
    rows = read_table(folder / "vendor_curves.parquet", VENDOR_CURVES).to_pylist()
    return summary, {row["vendor_group"]: row for row in rows}


def everyone(patient: str) -> bool:
    return True


def test_curves_rise_from_zero_and_are_recorded(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    summary, rows = fit(tmp_path / "out", images, density_of, everyone)
    assert summary.groups == dict.fromkeys(GROUPS, "group")
    for row in rows.values():
        lut = np.array(row["lut"])
        assert (lut[0], lut[-1]) == (0, 4095)
        assert (np.diff(lut) >= 0).all()
        assert (row["training_images"], row["images"], row["version"]) == (24, 24, summary.version)
    assert (tmp_path / "out" / "curves.png").read_bytes()[:4] == b"\x89PNG"
    fit_row, *curves = summary.ledger
    assert (fit_row.output, fit_row.sha256, len(fit_row.inputs)) == ("vendor_curves", summary.version, 72)
    assert [row.output for row in curves] == [f"vendor_curve:{group}" for group in sorted(GROUPS)]
    assert {row.inputs for row in curves} == {(("vendor_curves", summary.version),)}


def test_vendors_look_alike_afterwards_and_density_stays(tmp_path: Path) -> None:
    """Even though one vendor sees mostly dense and another mostly fatty breasts."""
    images, density_of, pixels = archive({GROUPS[0]: "AABBCD", GROUPS[1]: "ABCCDD", GROUPS[2]: "ABCD"})
    _, rows = fit(tmp_path / "out", images, density_of, everyone)
    groups = dict(zip(images["image_id"].to_pylist(), images["vendor_group"].to_pylist(), strict=True))
    means: dict[str, dict[str, list[float]]] = {}
    for image_id, values in pixels.items():
        gray = apply_curve(values, np.array(rows[groups[image_id]]["lut"]))
        means.setdefault(density_of[image_id], {}).setdefault(groups[image_id], []).append(float(gray.mean()))
    by_density = {density: {g: float(np.mean(m)) for g, m in of.items()} for density, of in means.items()}
    for of in by_density.values():
        assert max(of.values()) - min(of.values()) < 60  # of 4095; before: several hundred
    for group in GROUPS:
        levels = [by_density[density][group] for density in "ABCD"]
        assert levels == sorted(levels)
        assert levels[3] - levels[0] > 400


def test_a_group_without_a_class_is_compared_at_the_mix_that_it_has(tmp_path: Path) -> None:
    full = archive(dict.fromkeys(GROUPS, "ABCD"))
    partial = archive({GROUPS[0]: "ABCD", GROUPS[1]: "AB", GROUPS[2]: "ABCD"})
    curves = [
        np.array(fit(tmp_path / str(i), *a[:2], everyone)[1][GROUPS[1]]["lut"]) for i, a in enumerate((full, partial))
    ]
    seen = slice(300, 1900)  # gray values that this group's pictures hold
    assert np.abs(curves[0][seen].astype(int) - curves[1][seen].astype(int)).max() < 150


def test_only_training_patients_count(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"), each=12)

    def is_training(patient: str) -> bool:
        return int(patient[3:6]) % 2 == 0

    training = images.filter(pa.array([is_training(p) for p in images["patient"].to_pylist()]))
    one, rows = fit(tmp_path / "one", images, density_of, is_training)
    two, _ = fit(tmp_path / "two", training, density_of, everyone)
    assert one.version == two.version
    assert {row["images"] for row in rows.values()} == {48}
    assert {row["training_images"] for row in rows.values()} == {24}


def test_small_groups_take_a_parents_curve_or_none(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    close, far, lone = (
        "GE|New|FOR PRESENTATION|lossless",
        "Fujifilm|New|FOR PRESENTATION|lossless",
        "GE|B|FOR PROCESSING|lossy",
    )
    donor = images.to_pylist()[0]
    rows = images.to_pylist() + [
        donor | {"vendor_group": name, "file_id": name, "image_id": name, "patient": "P-x"}
        for name in (close, far, lone)
    ]
    summary, curves = fit(tmp_path / "out", IMAGES.build(rows), density_of, everyone)
    assert summary.groups == dict.fromkeys(GROUPS, "group") | {close: "parent", far: "parent", lone: "identity"}
    assert curves[lone]["lut"] == list(range(4096))
    assert [curves[name]["training_images"] for name in (close, far, lone)] == [25, 74, 0]
    assert distance(curves[close], curves[GROUPS[1]]) < 200  # the same maker's
    assert distance(curves[far], curves[lone]) < 200  # all makers' together: hardly a change


def distance(one: dict[str, Any], two: dict[str, Any]) -> int:
    return int(np.abs(np.array(one["lut"], int) - np.array(two["lut"], int)).max())


def test_groups_that_share_no_class_are_compared_as_they_are(tmp_path: Path) -> None:
    images, density_of, _ = archive({GROUPS[0]: "AB", GROUPS[1]: "CD"}, each=8)
    summary, rows = fit(tmp_path / "out", images, density_of, everyone)
    assert summary.groups == dict.fromkeys(GROUPS[:2], "group")
    for row in rows.values():
        assert (np.diff(row["lut"]) >= 0).all()


def test_a_parent_that_shares_no_class_with_the_reference(tmp_path: Path) -> None:
    models = [f"GE|{name}|FOR PRESENTATION|lossless" for name in ("New", "Old")]
    looks = {GROUPS[0]: "ABAB"} | dict.fromkeys(models, "CD")
    images, density_of, _ = archive(looks, each=4)
    summary, rows = fit(tmp_path / "out", images, density_of, everyone)
    assert (np.diff(rows[models[0]]["lut"]) >= 0).all()
    assert summary.groups == {GROUPS[0]: "group"} | dict.fromkeys(models, "parent")


@pytest.mark.parametrize("known", [True, False])
def test_same_bytes_twice_and_without_densities(known: bool, tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"), each=3)
    for name in ("one", "two"):
        fit(tmp_path / name, images, density_of if known else {}, everyone)
    for name in ("vendor_curves.parquet", "curves.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_images_no_curves(tmp_path: Path) -> None:
    summary, rows = fit(tmp_path / "out", IMAGES.build([]), {}, everyone)
    assert (summary.groups, rows) == ({}, {})


def test_a_curve_is_a_table_look_up() -> None:
    picture = np.array([[0, 1, 4095]], np.uint16)
    lut = np.arange(4096)[::-1]
    np.testing.assert_array_equal(apply_curve(picture, lut), np.array([[4095, 4094, 0]], np.uint16))

"""Vendor curves: looks go, density stays, training patients alone are learned from."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.normalize.vendor_curves import CurvesSummary, fit_vendor_curves
from pipelines.storage.tables import CURVE_IMAGES, IMAGES, VENDOR_CURVES, read_table

LOOKS = {
    "Hologic|A|FOR PRESENTATION|lossless": lambda x: x,
    "GE|B|FOR PRESENTATION|lossless": lambda x: x**1.8,
    "Siemens|C|FOR PRESENTATION|lossless": lambda x: 0.15 + 0.7 * x,
}
"""Vendors' gray curves on 0…1."""

GROUPS = list(LOOKS)
PIXELS = 10000
SHARE_DENSE = {"A": 0.1, "B": 0.25, "C": 0.5, "D": 0.75}


def draw(group: str, density: str, seed: int) -> np.ndarray:
    """Gray values (uint16) of a breast's pixels as the vendor shows them."""
    rng = np.random.default_rng(seed)
    dense = rng.random(PIXELS) < SHARE_DENSE[density] + rng.normal(0, 0.03)
    tissue = np.clip(np.where(dense, rng.normal(0.65, 0.06, PIXELS), rng.normal(0.35, 0.06, PIXELS)), 0.02, 0.98)
    look = LOOKS.get(group, LOOKS[GROUPS[1]])
    return np.rint(look(tissue) * 4095).astype(np.uint16)


def archive(mixes: dict[str, str], each: int = 13) -> tuple[pa.Table, dict[str, str], dict[str, np.ndarray]]:
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


def learned(folder: Path) -> dict[str, dict[str, Any]]:
    rows = read_table(folder / "curve_images.parquet", CURVE_IMAGES).to_pylist()
    return {row["image_id"]: row for row in rows}


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
        assert [row[n] for n in ("training_images", "images", "labeled_images")] == [52, 52, 52]
        assert row["version"] == summary.version
    assert (tmp_path / "out" / "curves.png").read_bytes()[:4] == b"\x89PNG"
    fit_row, *curves = summary.ledger
    assert (fit_row.output, fit_row.sha256, len(fit_row.inputs)) == ("vendor_curves", summary.version, 156)
    assert [row.output for row in curves] == [f"vendor_curve:{group}" for group in sorted(GROUPS)]
    assert {row.inputs for row in curves} == {(("vendor_curves", summary.version),)}
    known = learned(tmp_path / "out")
    assert {image_id: row["density"] for image_id, row in known.items()} == density_of
    assert all(row["training"] and row["fitted"] for row in known.values())


def test_vendors_look_alike_afterwards_and_density_stays(tmp_path: Path) -> None:
    """Even though one vendor sees mostly dense and another mostly fatty breasts."""
    images, density_of, pixels = archive({GROUPS[0]: "AABBCD", GROUPS[1]: "ABCCDD", GROUPS[2]: "ABCD"})
    _, rows = fit(tmp_path / "out", images, density_of, everyone)
    groups = dict(zip(images["image_id"].to_pylist(), images["vendor_group"].to_pylist(), strict=True))
    means: dict[str, dict[str, list[float]]] = {}
    for image_id, values in pixels.items():
        gray = np.array(rows[groups[image_id]]["lut"])[values]
        means.setdefault(density_of[image_id], {}).setdefault(groups[image_id], []).append(float(gray.mean()))
    by_density = {density: {g: float(np.mean(m)) for g, m in of.items()} for density, of in means.items()}
    for of in by_density.values():
        assert max(of.values()) - min(of.values()) < 60  # of 4095; before: several hundred
    for group in GROUPS:
        levels = [by_density[density][group] for density in "ABCD"]
        assert levels == sorted(levels)
        assert levels[3] - levels[0] > 400


def test_only_training_patients_count(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"), each=25)

    def is_training(patient: str) -> bool:
        return int(patient[3:6]) % 2 == 0

    flags = [is_training(p) for p in images["patient"].to_pylist()]
    one, rows = fit(tmp_path / "one", images, density_of, is_training)
    two, _ = fit(tmp_path / "two", images.filter(pa.array(flags)), density_of, everyone)
    assert one.version == two.version
    assert {row["images"] for row in rows.values()} == {100}
    assert {row["training_images"] for row in rows.values()} == {50}
    known = learned(tmp_path / "one")
    for image_id, flag in zip(images["image_id"].to_pylist(), flags, strict=True):
        assert known[image_id]["training"] == known[image_id]["fitted"] == flag


def test_small_groups_take_a_parents_curve_or_none(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    close, far, lone = (
        "GE|New|FOR PRESENTATION|lossless",
        "Fujifilm|New|FOR PRESENTATION|lossless",
        "GE|B|FOR PROCESSING|lossy",
    )
    summary, curves = fit(tmp_path / "out", with_copies(images, {close: 1, far: 1, lone: 11}), density_of, everyone)
    assert summary.groups == dict.fromkeys(GROUPS, "group") | {close: "parent", far: "parent", lone: "identity"}
    assert curves[lone]["lut"] == list(range(4096))
    assert [curves[name]["training_images"] for name in (close, far, lone)] == [53, 158, 0]
    assert distance(curves[close], curves[GROUPS[1]]) < 200  # the same maker's
    assert distance(curves[far], curves[lone]) < 500  # all makers' together: not much of a change


@pytest.mark.parametrize(("images", "fitted_on"), [(49, "parent"), (50, "group")])
def test_fifty_images_make_a_curve_of_ones_own(images: int, fitted_on: str, tmp_path: Path) -> None:
    others, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    name = "GE|New|FOR PRESENTATION|lossless"
    summary, _ = fit(tmp_path / "out", with_copies(others, {name: images}), density_of, everyone)
    assert summary.groups[name] == fitted_on


def test_without_large_groups_the_makers_are_compared(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"), each=4)
    summary, rows = fit(tmp_path / "out", images, density_of, everyone)
    assert summary.groups == dict.fromkeys(GROUPS, "parent")
    mean = 4095 * np.mean([LOOKS[group](0.35) for group in GROUPS])
    for group in GROUPS:
        fat = round(4095 * LOOKS[group](0.35))
        assert abs(rows[group]["lut"][fat] - mean) < 60


def with_copies(images: pa.Table, groups: dict[str, int]) -> pa.Table:
    """As many more images of each group, of one patient, that show what the first images of the table show."""
    rows = images.to_pylist()
    donors = [row for row in rows if row["vendor_group"] == GROUPS[1]]
    for name, count in groups.items():
        for number, donor in enumerate(donors[:count]):
            changed = {"vendor_group": name, "patient": f"P-{name}", "image_id": f"{name}{number}"}
            rows.append(donor | changed | {"file_id": f"{name}{number}"})
    return IMAGES.build(rows)


def distance(one: dict[str, Any], two: dict[str, Any]) -> int:
    return int(np.abs(np.array(one["lut"], int) - np.array(two["lut"], int)).max())


def test_groups_that_share_no_class_keep_their_grays(tmp_path: Path) -> None:
    images, density_of, _ = archive({GROUPS[0]: "AB", GROUPS[1]: "CD"}, each=25)
    summary, rows = fit(tmp_path / "out", images, density_of, everyone)
    assert summary.groups == dict.fromkeys(GROUPS[:2], "identity")
    assert {tuple(row["lut"]) for row in rows.values()} == {tuple(range(4096))}


def test_a_group_of_one_patient_and_groups_without_density(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    name = "Planmed|X|FOR PRESENTATION|lossless"
    known = {image_id: d for image_id, d in density_of.items() if not image_id.startswith("B")}
    summary, rows = fit(tmp_path / "out", with_copies(images, {name: 4}), known, everyone)
    assert summary.groups == dict.fromkeys(GROUPS, "group") | {name: "parent"}
    assert [rows[name]["labeled_images"] for name in GROUPS] == [52, 0, 52]
    fat = [rows[group]["lut"][round(4095 * LOOKS[group](0.35))] for group in GROUPS]
    assert max(fat) - min(fat) < 60  # all saw the same mix, so as they are is as well


@pytest.mark.parametrize("histogram", [[0] * 4096, None, [52] + [0] * 4095, [1, 2, 3]])
def test_pictures_that_show_nothing_are_not_learned_from(histogram: list[int] | None, tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    rows = images.to_pylist()
    blank = "P-blank"
    more = rows[0] | {"image_id": blank, "file_id": blank, "patient": blank, "breast_histogram": histogram}
    one, _ = fit(tmp_path / "one", images, density_of, everyone)
    two, curves = fit(tmp_path / "two", IMAGES.build([*rows, more]), density_of, everyone)
    assert one.version == two.version
    assert (curves[GROUPS[0]]["images"], curves[GROUPS[0]]["training_images"]) == (53, 52)
    assert learned(tmp_path / "two")[blank] | {"density": None} == {
        "file_id": blank,
        "image_id": blank,
        "patient": blank,
        "vendor_group": GROUPS[0],
        "density": None,
        "training": True,
        "fitted": False,
    }


def test_an_image_that_was_delivered_twice_counts_once(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    again = [row | {"file_id": f"again {row['file_id']}", "delivery": "E"} for row in images.to_pylist()[:40]]
    one, _ = fit(tmp_path / "one", images, density_of, everyone)
    two, rows = fit(tmp_path / "two", IMAGES.build(images.to_pylist() + again), density_of, everyone)
    assert one.version == two.version
    assert {row["images"] for row in rows.values()} == {52}


def test_what_is_not_kept_or_of_no_vendor_has_no_curve(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    first, second, *rest = images.to_pylist()
    rows = [first | {"status": "excluded", "reason": "spot"}, second | {"vendor_group": None}, *rest]
    _, curves = fit(tmp_path / "out", IMAGES.build(rows), density_of, everyone)
    assert sum(row["images"] for row in curves.values()) == 154
    assert len(learned(tmp_path / "out")) == 154


def test_an_unknown_patient_is_not_learned_from(tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"))
    first, *rest = images.to_pylist()
    _, _ = fit(tmp_path / "out", IMAGES.build([first | {"patient": None}, *rest]), density_of, everyone)
    row = learned(tmp_path / "out")[first["image_id"]]
    assert (row["patient"], row["training"], row["fitted"]) == (None, False, False)


@pytest.mark.parametrize("known", [True, False])
def test_same_bytes_twice_and_without_densities(known: bool, tmp_path: Path) -> None:
    images, density_of, _ = archive(dict.fromkeys(GROUPS, "ABCD"), each=3)
    for name in ("one", "two"):
        fit(tmp_path / name, images, density_of if known else {}, everyone)
    for name in ("vendor_curves.parquet", "curve_images.parquet", "curves.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_images_no_curves(tmp_path: Path) -> None:
    summary, rows = fit(tmp_path / "out", IMAGES.build([]), {}, everyone)
    assert (summary.groups, rows) == ({}, {})

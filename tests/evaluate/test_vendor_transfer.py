"""Vendor transfer on drawn breasts of two vendors, whose ways to a common look are known to be good, useless or bad."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from pipelines.evaluate.vendor_transfer import Cases, Way, assess_transfer, similarity, verdict_of
from pipelines.storage.tables import TRANSFER, read_table

SHAPE = (40, 32)
EACH = 48


def drawn(rng: np.random.Generator, density: int) -> np.ndarray:
    """A half disc with smooth grain, brighter the denser, 0…1; air 0."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = (y - 20) ** 2 / 17**2 + x**2 / 26**2 < 1
    grain = gaussian_filter(rng.standard_normal(SHAPE), 1.5)
    return np.where(inside, np.clip(0.3 + 0.1 * density + 0.3 * grain / grain.std() * 0.3, 0.05, 0.95), 0)


@pytest.fixture(scope="module")
def cases() -> tuple[Cases, np.ndarray]:
    """Pictures of vendor X, and of vendor Y by a darker curve; and all of them as vendor X would show them."""
    rng = np.random.default_rng(0)
    rows, came, wanted = [], [], []
    for vendor in ("X", "Y"):
        for n in range(EACH):
            true = drawn(rng, n % 4)
            wanted.append(np.rint(4095 * true).astype(np.uint16))
            came.append(np.rint(4095 * (true if vendor == "X" else true**4)).astype(np.uint16))
            rows.append(
                {
                    **{"image_id": f"I-{vendor}{n}", "vendor_group": vendor, "patient": f"P-{vendor}{n // 2}"},
                    **{"density": "ABCD"[n % 4] if n % 5 else None, "picture_sha256": "0" * 64},
                }
            )
    return Cases(np.stack(came), pd.DataFrame(rows).astype(object)), np.stack(wanted)


def assessed(folder: Path, cases: Cases, *ways: Way) -> tuple[pd.DataFrame, dict[str, str]]:
    assess_transfer(cases, ways, folder=folder)
    table = TRANSFER.frame(read_table(folder / "transfer.parquet", TRANSFER))
    return table, json.loads((folder / "transfer.json").read_text())["verdicts"]


def of_all(table: pd.DataFrame, way: str, figure: str) -> pd.Series:
    [row] = table[(table["way"] == way) & (table["figure"] == figure) & (table["vendor_group"] == "*")].to_dict(
        "records"
    )
    return row


def test_the_true_curve_is_to_be_used_and_nothing_is_not(cases, tmp_path):
    came, wanted = cases
    everyone = range(2 * EACH)
    ways = Way("curve", everyone, wanted), Way("nothing", everyone, came.pictures)
    table, verdicts = assessed(tmp_path, came, *ways)
    vendor = of_all(table, "curve", "vendor_accuracy")
    assert vendor["before"] > 0.9
    assert vendor["after"] < 0.7
    assert vendor["change_high"] < 0
    assert vendor["chance"] == 0.5
    assert of_all(table, "curve", "structure")["after"] > 0.97
    density = of_all(table, "curve", "density_within")
    assert abs(density["change"]) < 0.03
    assert density["images"] == 2 * EACH - 20
    assert verdicts["curve"].startswith("curve: use it")
    assert of_all(table, "nothing", "structure")["after"] == 1
    assert of_all(table, "nothing", "vendor_accuracy")["change"] == 0
    assert "do not use it, it hides the vendor no better than nothing does: " in verdicts["nothing"]
    assert (tmp_path / "transfer.png").stat().st_size > 1000


def test_other_peoples_pictures_hide_the_vendor_and_are_not_to_be_used(cases, tmp_path):
    came, wanted = cases
    others = wanted[np.random.default_rng(1).permutation(2 * EACH)]
    table, verdicts = assessed(tmp_path, came, Way("others", range(2 * EACH), others))
    assert of_all(table, "others", "vendor_accuracy")["after"] < 0.7
    assert of_all(table, "others", "structure")["after"] < 0.6
    assert of_all(table, "others", "density_within")["change"] < -0.3
    assert "it costs density and it changes what the breast looks like" in verdicts["others"]


def test_the_same_cases_give_the_same_table(cases, tmp_path):
    came, wanted = cases
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assess_transfer(came, [Way("curve", range(2 * EACH), wanted)], folder=tmp_path / name)
    assert (tmp_path / "one/transfer.parquet").read_bytes() == (tmp_path / "two/transfer.parquet").read_bytes()


def test_too_few_pictures_are_not_assessed(cases, tmp_path):
    came, wanted = cases
    few = list(range(20)) + list(range(EACH, EACH + 40))
    table, verdicts = assessed(tmp_path, came, Way("curve", few, wanted[few]))
    assert set(table["figure"]) == {"density_within", "structure"}
    assert set(table["vendor_group"]) == {"Y", "*"}
    assert verdicts["curve"] == "curve: not assessed, fewer than two vendors have enough pictures."
    nobody = Cases(came.pictures[:0], came.facts.iloc[:0])
    (tmp_path / "nobody").mkdir()
    table, verdicts = assessed(tmp_path / "nobody", nobody, Way("curve", [], wanted[:0]))
    assert table.empty
    assert not (tmp_path / "nobody/transfer.png").exists()


def test_similarity_does_not_mind_a_change_of_gray_and_minds_a_blur(cases):
    picture = cases[1][0]
    curved = np.rint(4095 * (picture / 4095) ** 3).astype(np.uint16)
    assert similarity(picture, curved) > 0.98
    blurred = gaussian_filter(picture.astype(float), 2).astype(np.uint16)
    assert similarity(picture, blurred) < 0.8
    assert similarity(picture, picture) == pytest.approx(1)
    assert similarity(np.zeros_like(picture), picture) == 1


def test_a_verdict_without_density_says_so():
    change = {"before": 0.9, "after": 0.55, "change": -0.35, "change_low": -0.4, "change_high": -0.3, "chance": 0.5}
    rows = [
        {"figure": "vendor_accuracy", "vendor_group": "*", **change},
        {"figure": "structure", "vendor_group": "*", "after": 0.99},
    ]
    assert verdict_of("curve", rows).endswith("structural similarity is 0.99, density was not measured.")
    rows[0]["after"] = 0.7
    assert verdict_of("curve", rows).startswith("curve: use it, though the vendor can still be told: ")

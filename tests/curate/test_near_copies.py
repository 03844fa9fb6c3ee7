"""Copies put among drawn and real mammograms in six ways, through level B's own normalization."""

import numpy as np
import pytest
from PIL import Image

from pipelines.curate.hashes import MOST
from pipelines.curate.joining import write_splits
from pipelines.curate.near_copies import Likeness, compare, find_copies, turn
from pipelines.curate.pair_sheet import choose_pairs, write_pairs
from pipelines.normalize.mammogram import NormalizeSettings, normalize
from pipelines.phantom.breast import draw_breast, grow
from pipelines.storage.shards import PictureSource, ShardWriter
from pipelines.storage.tables import COPIES, IMAGES, LABELS, PATIENT_SPLITS, read_table
from tests.curate.changing import KINDS
from tests.normalize.drawing import wrap

SETTINGS = NormalizeSettings(320, 256)


def level_b(pictures):
    """Rows and pictures from (name, patient, stored values)."""
    rows, kept = [], []
    for name, patient, values in pictures:
        bits = 8 if values.itemsize == 1 else 12
        outcome = normalize(wrap(values, bits=bits, SOPInstanceUID=f"2.25.{len(rows) + 1}"), SETTINGS)
        assert outcome.status == "kept", (name, outcome.reason)
        row = {"image_id": name, "file_id": f"F-{name}", "delivery": "D-1", "object_sha256": "0", "status": "kept"}
        row |= {"patient": patient, "shard": "shard-00000.arrow", "shard_row": len(rows)}
        rows.append(row | outcome.facts)
        kept.append(outcome.picture)
    return rows, lambda delivery, shard, row: kept[row]


def drawn(women):
    """Both breasts in both views of women, 12 bits with noise: look-alikes that are no copies are among them."""
    rng = np.random.default_rng(0)
    for n in range(women):
        for side in "LR":
            for view in ("CC", "MLO"):
                breast = draw_breast(grow("ABCD"[n % 4], n), side, view, shape=(480, 384), spacing=0.5)
                noisy = np.rint(breast.picture * 3500 + rng.normal(0, 15, breast.picture.shape)).clip(1, 4095)
                yield f"{n}{side}{view}", f"P-{n}", np.where(breast.breast, noisy, 0).astype(np.uint16)


@pytest.fixture(scope="module")
def found():
    originals = list(drawn(5))
    rng = np.random.default_rng(1)
    copies = [
        (f"{name}#{kind}", f"P-{name}-{kind}", change(values, rng))
        for name, _, values in originals
        for kind, change in KINDS.items()
    ]
    rows, picture = level_b(originals + copies)
    return rows, picture, find_copies(rows, picture)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_each_kind_are_found(found, kind):
    rows, _, copies = found
    pairs = {frozenset((r["copy_of"], r["image_id"])) for r in copies.to_pylist()}
    names = [row["image_id"] for row in rows if "#" not in row["image_id"]]
    missed = [name for name in names if frozenset((name, f"{name}#{kind}")) not in pairs]
    assert len(names) == 20
    assert len(missed) <= (kind == "cropped")


def test_of_all_copies_99_in_100_are_found(found):
    rows, _, copies = found
    pairs = {frozenset((r["copy_of"], r["image_id"])) for r in copies.to_pylist()}
    made = [frozenset((row["image_id"].split("#")[0], row["image_id"])) for row in rows if "#" in row["image_id"]]
    near = [pair for pair in made if not any(name.endswith("#exact") for name in pair)]
    assert sum(pair in pairs for pair in near) / len(near) >= 0.99


def test_nothing_else_is_found(found):
    for row in found[2].to_pylist():
        assert row["copy_of"].split("#")[0] == row["image_id"].split("#")[0]


def test_what_is_told_of_a_pair(found):
    rows, picture, copies = found
    patient = {row["image_id"]: row["patient"] for row in rows}
    place = {row["image_id"]: row["shard_row"] for row in rows}
    for row in copies.to_pylist():
        assert row["same_patient"] is (patient[row["image_id"]] == patient[row["copy_of"]])
        if row["kind"] == "exact":
            assert row["bits"] is None
            continue
        assert row["bits"] <= MOST
        one, other = (picture("D-1", "", place[row[name]]) for name in ("copy_of", "image_id"))
        again = compare(one, turn(other, row["orientation"]))
        assert (again.correlation, again.detail) == pytest.approx((row["correlation"], row["detail"]), abs=1e-4)


def test_films_at_two_sizes_are_all_found(shared):
    folder = shared / "data" / "mammograms"
    names = sorted(path.name for path in (folder / "mini-mias-1024").glob("*.png"))
    pictures = [
        (f"{size}/{name}", f"P-{name}-{size}", np.asarray(Image.open(folder / f"mini-mias-{size}" / name).convert("L")))
        for size in (1024, 512)
        for name in names
    ]
    rows, picture = level_b(pictures)
    pairs = {(r["copy_of"], r["image_id"]) for r in find_copies(rows, picture).to_pylist()}
    assert len(names) == 48
    assert pairs == {(f"1024/{name}", f"512/{name}") for name in names}


def test_pictures_of_nothing_are_no_copies():
    empty = np.zeros((80, 64), np.uint16)
    assert not compare(empty, empty).is_copy
    flat = np.full((80, 64), 7, np.uint16)
    assert not compare(flat, flat).is_copy
    assert not Likeness(0.99, 0.9, 0.5).is_copy
    assert not Likeness(0.97, 0.85, 0.9).is_copy
    assert Likeness(0.97, 0.95, 0.9).is_copy


def test_a_saturated_picture_is_its_own_copy():
    values = np.zeros((320, 256), np.uint16)
    y, x = np.mgrid[:320, :256]
    inside = ((y - 160) / 150) ** 2 + (x / 200) ** 2 <= 1
    values[inside] = np.minimum(4095, 4095 * (1.4 - x[inside] / 200)).astype(np.uint16)
    values[inside] -= (np.random.default_rng(0).random(inside.sum()) < 0.05).astype(np.uint16) * 900
    assert (values[inside] == 4095).mean() > 0.3
    assert compare(values, values).is_copy


def test_rows_without_a_hash_have_no_near_copies_but_exact_ones():
    rows = [
        {"image_id": f"2.25.{n}", "patient": None, "pixel_digest": "x", "picture_hash": None, "shard": None}
        for n in range(3)
    ]
    found = find_copies(rows, lambda *place: np.zeros((1, 1))).to_pylist()
    assert [(r["copy_of"], r["image_id"], r["kind"], r["same_patient"]) for r in found] == [
        ("2.25.0", "2.25.1", "exact", None),
        ("2.25.0", "2.25.2", "exact", None),
    ]


def test_patients_who_share_a_near_copy_share_a_split_that_stands(tmp_path):
    originals = list(drawn(2))
    rng = np.random.default_rng(2)
    name, _, values = originals[0]
    rows, picture = level_b([*originals, ("copy", "P-9", KINDS["resized"](values, rng))])
    folder = tmp_path / "images"
    with ShardWriter(folder, "shard", (320, 256)) as shards:
        for row in rows:
            assert shards.append(row["image_id"], picture("", "", row["shard_row"])) == (row["shard"], row["shard_row"])
    source = PictureSource({"D-1": folder})
    images, labels = IMAGES.build(rows), LABELS.build([])
    for at, standing in (("one", {}), ("two", {}), ("three", {"P-0": "test", "P-9": "validation", "P-1": "test"})):
        (tmp_path / at).mkdir()
        summary = write_splits(images, labels, picture=source, folder=tmp_path / at, standing=standing)
        assert summary.copies == {"near": 1}
    for file in ("copies.parquet", "splits.parquet", "pairs.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    [pair] = read_table(tmp_path / "one" / "copies.parquet", COPIES).to_pylist()
    assert {pair["image_id"], pair["copy_of"]} == {name, "copy"}
    splits = {r["patient"]: r for r in read_table(tmp_path / "three" / "splits.parquet", PATIENT_SPLITS).to_pylist()}
    assert {p: r["cluster"] for p, r in splits.items()} == {"P-0": "P-0", "P-1": "P-1", "P-9": "P-0"}
    assert {p: r["split"] for p, r in splits.items()} == {"P-0": "validation", "P-1": "test", "P-9": "validation"}
    assert {output.output for output in summary.ledger} == {"copies", "splits"}


def test_the_sheet_shows_the_least_alike_first(found, tmp_path):
    rows, picture, copies = found
    chosen = choose_pairs(copies, 5)
    details = sorted(r["detail"] for r in copies.to_pylist() if r["kind"] == "near")
    assert [r["detail"] for r in chosen] == details[:5]
    places = {row["image_id"]: (row["delivery"], row["shard"], row["shard_row"]) for row in rows}
    write_pairs(tmp_path / "pairs.png", copies, places, picture)
    with Image.open(tmp_path / "pairs.png") as sheet:
        assert sheet.size[1] > 1000
        assert np.asarray(sheet).std() > 10
    write_pairs(tmp_path / "none.png", COPIES.build([]), {}, picture)
    assert (tmp_path / "none.png").exists()

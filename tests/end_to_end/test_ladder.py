"""The demo's own output: every file accounted for, every rung reached, synthetic breasts whose density follows."""

import html
import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pydicom
import pytest

from pipelines.readiness.criteria import load_criteria
from pipelines.readiness.page import PAGE
from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import (
    AUGMENTED,
    CURVE_IMAGES,
    DATASET,
    HARMONIZATION,
    IMAGES,
    INVENTORY,
    NOVELTY,
    OBJECTS,
    PLAN,
    SCREENING,
    SYNTHETIC,
    TRANSFER,
    Table,
    read_table,
)
from tests.end_to_end.runs import Ran, midar

pytestmark = pytest.mark.xdist_group("demo")


def frame(folder, name: str, contract: Table) -> pd.DataFrame:
    return contract.frame(read_table(folder / name, contract))


def all_partitions(root, name: str, contract: Table) -> pd.DataFrame:
    return pd.concat([frame(folder, name, contract) for folder in sorted(root.glob("D-*"))], ignore_index=True)


def test_every_file_is_accounted_for(demo: Ran) -> None:
    inventory = all_partitions(demo.data / "restricted/level_d/inventory", "inventory.parquet", INVENTORY)
    on_disk = [p for p in demo.inbox.rglob("*") if p.is_file()]
    assert (inventory["container"].isna()).sum() == len(on_disk)
    assert set(inventory["status"]) == {"accepted", "duplicate", "quarantined"}
    quarantined = inventory[inventory["status"] == "quarantined"]
    assert quarantined["reason"].notna().all()
    assert {"empty", "truncated", "not_dicom"} <= set(quarantined["reason"])
    objects = all_partitions(demo.research / "level_c/objects", "objects.parquet", OBJECTS)
    dicom = inventory[(inventory["status"] == "accepted") & (inventory["kind"] == "dicom")]
    assert sorted(objects["file_id"]) == sorted(dicom["file_id"])
    written = objects[objects["status"] == "written"]
    images = all_partitions(demo.research / "level_b/images", "images.parquet", IMAGES)
    assert sorted(images["file_id"]) == sorted(written["file_id"])
    assert images.loc[images["status"] != "kept", "reason"].notna().all()


def test_level_a_is_reached_and_written_down(demo: Ran) -> None:
    certificate = json.loads((demo.research / "evaluation/readiness_report/readiness.json").read_text())
    assert certificate["level"] == "A"
    assert "level A" in demo.printed


def test_the_page_for_auditors_is_named_and_tells_what_the_climb_cost(demo: Ran) -> None:
    page = html.unescape((demo.research / "evaluation/readiness_report" / PAGE).read_text())
    assert all(c.statement in page for c in load_criteria())
    assert "readiness page" in demo.printed
    cost = page[page.index('<section id="cost"') :]
    assert all(group in cost for group in ("Level D", "Level C", "Level B", "Level A", "pGAN", "Synthetic"))
    assert "not recorded" not in cost
    assert page.count("data:image/png;base64,") >= 3


def test_vendors_are_harder_to_tell_with_the_curves_and_the_certificate_says_so(demo: Ran) -> None:
    table = frame(demo.research / "level_b/harmonization", "harmonization.parquet", HARMONIZATION)
    total = table[table["vendor_group"] == "*"].set_index("figure")
    assert total.loc["vendor_accuracy", "before"] > total.loc["vendor_accuracy", "after"]
    certificate = json.loads((demo.research / "evaluation/readiness_report/readiness.json").read_text())
    assert certificate["figures"]["b_vendor_accuracy"] == total.loc["vendor_accuracy", "after"]
    assert certificate["figures"]["b_density"] == total.loc["density_within", "after"]
    assert {"vendor_hidden", "density_kept"} <= {c["id"] for c in certificate["criteria"] if c["holds"]}


def test_curves_are_fitted_on_training_patients_alone(demo: Ran) -> None:
    dataset = frame(demo.research / "level_a/dataset", "dataset.parquet", DATASET).set_index("image_id")
    learned = frame(demo.research / "level_b/vendor_curves", "curve_images.parquet", CURVE_IMAGES).set_index("image_id")
    split = dataset["split"].reindex(learned.index)
    assert set(split[learned["fitted"]].dropna()) == {"train"}
    assert not set(split[~learned["training"]].dropna()) & {"train"}


def test_no_patient_or_cluster_is_in_two_splits(demo: Ran) -> None:
    dataset = frame(demo.research / "level_a/dataset", "dataset.parquet", DATASET)
    assert dataset.groupby("patient")["split"].nunique().max() == 1
    assert dataset.groupby("cluster")["split"].nunique().max() == 1
    assert set(dataset["split"]) == {"train", "validation", "test"}


def test_deficit_is_filled_and_synthetic_is_in_training_alone(demo: Ran) -> None:
    plan = frame(demo.research / "level_a/dataset", "plan.parquet", PLAN)
    synthetic = frame(demo.research / "synthetic/images", "synthetic.parquet", SYNTHETIC)
    kept = synthetic[synthetic["verdict"] == "kept"]
    assert plan["deficit"].sum() > 0
    made = kept.groupby(["density", "view"]).size()
    for row in plan.itertuples():
        assert made.get((row.density, row.view), 0) == row.deficit
    augmented = frame(demo.research / "synthetic/augmented_dataset", "augmented.parquet", AUGMENTED)
    assert set(augmented.loc[augmented["is_synthetic"], "split"]) == {"train"}
    assert augmented["is_synthetic"].sum() == len(kept)


def test_every_verdict_has_its_grounds_and_the_set_its_figures(demo: Ran) -> None:
    folder = demo.research / "synthetic/images"
    synthetic, grounds = frame(folder, "synthetic.parquet", SYNTHETIC), frame(folder, "screening.parquet", SCREENING)
    assert set(grounds["synthetic_id"]) == set(synthetic["synthetic_id"])
    failed = set(grounds.loc[~grounds["passed"], "synthetic_id"])
    assert failed == set(synthetic.loc[synthetic["verdict"] == "rejected", "synthetic_id"])
    assert {"features", "critic", "standing_out", "authenticity", "breast_grid"} <= set(grounds["test"])
    quality = json.loads((folder / "quality.json").read_text())
    assert set(quality["set"]) == {"pictures", "sliced_wasserstein", "ms_ssim", "neighborhood", "frechet"}
    assert quality["density"]["generated"]["percent_density"]["pictures"] > 0


def test_the_vendor_curves_are_assessed_and_keep_structure(demo: Ran) -> None:
    folder = demo.research / "evaluation/vendor_transfer"
    table = frame(folder, "transfer.parquet", TRANSFER)
    of_all = table[table["vendor_group"] == "*"].set_index("figure")
    assert set(of_all["way"]) == {"harmonization"}
    assert of_all.loc["structure", "after"] > 0.98
    assert of_all.loc["vendor_accuracy", "change"] < 0
    verdict = json.loads((folder / "transfer.json").read_text())["verdicts"]["harmonization"]
    assert verdict.startswith("harmonization: use it") == bool(of_all.loc["vendor_accuracy", "change_high"] < 0)


def test_real_images_are_ranked_by_how_far_out_of_the_ordinary_they_are(demo: Ran) -> None:
    folder = demo.research / "evaluation/novelty"
    ranked = frame(folder, "novelty.parquet", NOVELTY)
    images = all_partitions(demo.research / "level_b/images", "images.parquet", IMAGES)
    assert sorted(ranked["image_id"]) == sorted(images.loc[images["status"] == "kept", "image_id"])
    assert ranked["oddness"].is_monotonic_decreasing
    assert (folder / "novelty.png").exists()


def test_synthetic_density_rises_from_fatty_to_dense(demo: Ran) -> None:
    """Neighboring classes may come close: the demo learns A and D from a dozen images each, in minutes."""
    folder = demo.research / "synthetic/images"
    kept = frame(folder, "synthetic.parquet", SYNTHETIC).query("verdict == 'kept'")
    reader = ShardReader(folder)
    pictures = [reader.read(row.shard, row.shard_row) for row in kept.itertuples()]
    gray = pd.Series([float(p[p > 200].mean()) for p in pictures], index=kept["density"].to_numpy())
    means = gray.groupby(level=0).mean()
    assert len(means) >= 2
    assert all(after > 0.9 * before for before, after in pairwise(means)), means.to_dict()
    assert means[means.index.isin(["A", "B"])].max() < means[means.index.isin(["C", "D"])].min(), means.to_dict()
    assert gray.rank().corr(pd.Series(["ABCD".index(d) for d in gray.index], index=gray.index).rank()) > 0.5


def test_synthetic_pictures_are_breasts_not_noise(demo: Ran) -> None:
    folder = demo.research / "synthetic/images"
    kept = frame(folder, "synthetic.parquet", SYNTHETIC).query("verdict == 'kept'")
    reader = ShardReader(folder)
    for row in kept.itertuples():
        picture = reader.read(row.shard, row.shard_row)
        inside = picture > 200
        assert 0.1 < inside.mean() < 0.9
        assert inside[:, :3].mean() > inside[:, -3:].mean()
        neighbours = np.corrcoef(picture[:, 1:].ravel(), picture[:, :-1].ravel())[0, 1]
        assert neighbours > 0.9


def test_synthetic_dicom_is_marked(demo: Ran) -> None:
    files = sorted((demo.research / "synthetic/images/dicom").glob("*.dcm"))
    assert files
    for file in files[:20]:
        dataset = pydicom.dcmread(file)
        assert dataset[0x0008001C].value == "YES"
        assert dataset.ImageType[0] == "DERIVED"


def test_trace_of_a_synthetic_image_leads_to_the_sources(demo: Ran) -> None:
    kept = frame(demo.research / "synthetic/images", "synthetic.parquet", SYNTHETIC).query("verdict == 'kept'")
    dataset = frame(demo.research / "level_a/dataset", "dataset.parquet", DATASET).query("split == 'train'")
    inventory = all_partitions(demo.data / "restricted/level_d/inventory", "inventory.parquet", INVENTORY)
    printed = midar(
        "trace", kept["synthetic_id"].iloc[0], "--data", demo.data, "--all", temporary=demo.temporary
    ).stdout
    assert kept["model_sha256"].iloc[0] in printed
    assert all(image_id in printed for image_id in dataset["image_id"])
    sources = inventory.set_index("file_id")["sha256"]
    images = all_partitions(demo.research / "level_b/images", "images.parquet", IMAGES).set_index("image_id")
    for image_id in dataset["image_id"]:
        rows = images.loc[[image_id]]
        assert any(sources[file_id] in printed for file_id in rows["file_id"])


def test_everything_verifies(demo: Ran) -> None:
    assert midar("verify", "--data", demo.data, temporary=demo.temporary).stdout.strip().endswith("0 problems")
    assert "pgan/model" in midar("status", "--data", demo.data, temporary=demo.temporary).stdout

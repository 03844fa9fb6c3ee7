"""Figures that the criteria measure, from the tables of each rung: pure functions to name and number.

Figures that count offences are 0 where all is well. None means not measured.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from pipelines.storage.tables import (
    AUGMENTED,
    DATASET,
    DELIVERED_LABELS,
    DENSITIES,
    EXCLUSIONS,
    HARMONIZATION,
    IMAGES,
    INVENTORY,
    LABELS,
    OBJECTS,
    PATIENT_SPLITS,
    PIXELS_CAP,
    PLAN,
    REPORTS,
    SCREENING,
    SPLITS,
    SYNTHETIC,
    VIEWS,
)

LEAST_BREAST = 0.01
"""A picture with a smaller share of breast shows none."""

LEAST_IDENTIFIER = 6
"""Shorter patient IDs and accession numbers are sought as whole cells alone, not as words of a text."""

_ID_COLUMNS = ("patient", "accession", "study_instance_uid", "series_instance_uid", "sop_instance_uid")

MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
"""Root of the Digital Mammography X-Ray Image Storage SOP classes."""

STANDARD_UIDS = "1.2.840.10008."
"""Root of the UIDs that the standard defines (PS3.5 section 9)."""

Figures = dict[str, float | None]


def inventory_figures(inventory: pa.Table, files_found: int | None = None) -> Figures:
    """Level D: accounting of files. ``files_found`` is an independent count of the delivery's files, if there is one.

    Members of archives are rows of their own and do not count as files found in the delivery.
    """
    frame = INVENTORY.frame(inventory)
    accepted = set(frame.loc[frame["status"] == "accepted", "file_id"])
    duplicates = frame[frame["status"] == "duplicate"]
    silent = (frame["status"] == "quarantined") & frame["reason"].isna()
    overlooked = 0 if files_found is None else abs(files_found - int(frame["container"].isna().sum()))
    return {
        "d_found": len(frame),
        **{
            f"d_{status}": int((frame["status"] == status).sum()) for status in ("accepted", "duplicate", "quarantined")
        },
        "d_unaccounted": int(silent.sum()) + overlooked,
        "d_duplicates_astray": sum(original not in accepted for original in duplicates["duplicate_of"]),
        "d_unhashed": int((frame["file_id"].isin(accepted) & (frame["sha256"] == "")).sum()),
    }


def objects_figures(
    inventory: pa.Table,
    objects: pa.Table,
    *,
    survivors: int | None = None,
    unmarked: int | None = None,
    unsearched: int | None = None,
    unknown: int | None = None,
    uids_retained: bool = False,
) -> Figures:
    """Level C, objects: accounting, consistency of new UIDs, studies of two patients, identifiers in the table.

    ``survivors`` is the number of written objects in which a scan of all bytes found an identifier of the source, and
    ``unmarked`` of those that do not say how they were de-identified, ``unsearched`` of those with pictures that were
    not searched for text, and ``unknown`` of those with a pseudonym that the crosswalk does not know, where that was
    measured. With ``uids_retained`` UIDs are no identifiers.
    """
    source, made = INVENTORY.frame(inventory), OBJECTS.frame(objects)
    expected = set(source.loc[(source["status"] == "accepted") & (source["kind"] == "dicom"), "file_id"])
    silent = (made["status"] == "refused") & made["reason"].isna()
    both = source.merge(made[made["status"] == "written"], on="file_id", suffixes=("_old", "_new"))
    uids = ("sop_instance_uid", "series_instance_uid", "study_instance_uid")
    ids = {cell for name in _ID_COLUMNS for cell in made[name].dropna()}
    ids |= {part for path in made["path"].dropna() for part in path.removesuffix(".dcm").split("/")}
    return {
        "c_written": int((made["status"] == "written").sum()),
        "c_refused": int((made["status"] == "refused").sum()),
        "c_unaccounted": len(expected ^ set(made["file_id"])) + int(silent.sum()),
        "c_identifiers_in_table": len(identifiers(source, uids=not uids_retained) & ids),
        "c_studies_of_two_patients": int((made.groupby("study_instance_uid")["patient"].nunique() > 1).sum()),
        "c_not_in_crosswalk": unknown,
        "c_uid_breaks": sum(_breaks(both[f"{u}_old"].str.strip("\0 "), both[f"{u}_new"]) for u in uids),
        "c_survivors": survivors,
        "c_unmarked": unmarked,
        "c_unsearched": unsearched,
    }


def texts_figures(inventory: pa.Table, reports: pa.Table, labels: pa.Table) -> Figures:
    """Level C, texts: accounting of rows, and identifiers of the delivery found as words of texts or as label cells."""
    source = INVENTORY.frame(inventory)
    texts, rows = REPORTS.frame(reports), DELIVERED_LABELS.frame(labels)
    accepted = source[source["status"] == "accepted"]
    unaccounted = 0
    for kind, frame in (("reports", texts), ("labels", rows)):
        known = set(accepted.loc[accepted["kind"] == kind, "file_id"])
        silent = (frame["status"] == "refused") & frame["reason"].isna()
        unaccounted += int(silent.sum()) + int((~frame["file_id"].isin(known)).sum())
    known = {name for name in identifiers(source) if len(name) >= LEAST_IDENTIFIER and re.search(r"\d", name)}
    words = (set(re.findall(r"[\w.\-/^]*\w", text)) for text in texts["text"].dropna())
    cells = {cell for name in rows.columns if rows[name].dtype == "string" for cell in rows[name].dropna()}
    return {
        "c_reports": int((texts["status"] == "written").sum()),
        "c_labels": int((rows["status"] == "written").sum()),
        "c_texts_unaccounted": unaccounted,
        "c_identifiers_in_texts": sum(bool(known & found) for found in words) + len(known & cells),
    }


def identifiers(source: pd.DataFrame, *, uids: bool = True) -> set[str]:
    """UIDs (if ``uids``), patient IDs and accession numbers of an inventory, without padding; no other facts of it.

    UIDs that the standard itself defines (PS3.6 Annex A: color palettes are instances with such UIDs) identify nobody.
    """
    names = ["accession_number", "patient_id"]
    if uids:
        names += ["sop_instance_uid", "series_instance_uid", "study_instance_uid"]
    values = {value.strip("\0 ") for name in names for value in source[name].dropna()}
    return {value for value in values if value and not value.startswith(STANDARD_UIDS)}


def _breaks(old: pd.Series, new: pd.Series) -> int:
    """How many old values have several new ones, and new values several old ones."""
    pairs = pd.DataFrame({"old": old, "new": new}).dropna().drop_duplicates()
    pairs = pairs[pairs["old"] != ""]
    return int(pairs["old"].duplicated().sum() + pairs["new"].duplicated().sum())


def images_figures(objects: pa.Table, images: pa.Table) -> Figures:
    """Level B, images of one delivery: accounting of mammograms, pictures, facts and breasts."""
    source, made = OBJECTS.frame(objects), IMAGES.frame(images)
    written = source[source["status"] == "written"]
    is_mammogram = (written["modality"] == "MG") | written["sop_class_uid"].str.startswith(MAMMOGRAPHY)
    lost = set(written.loc[is_mammogram.fillna(False), "file_id"]) - set(made["file_id"])
    kept = made[made["status"] == "kept"]
    silent = (made["status"] != "kept") & made["reason"].isna()
    without = kept["shard"].isna() | kept["shard_row"].isna() | kept["picture_sha256"].isna()
    unknown = kept["view"].isna() | kept["laterality"].isna() | kept["manufacturer"].isna()
    unflagged = kept["flags"].fillna("[]").map(lambda text: not json.loads(text)).astype(bool)
    return {
        **{f"b_{status}": int((made["status"] == status).sum()) for status in ("kept", "excluded", "failed")},
        "b_unaccounted": len(lost) + int((~made["file_id"].isin(written["file_id"])).sum()) + int(silent.sum()),
        "b_without_picture": int(without.sum()),
        "b_unknown_unflagged": int((unknown & unflagged).sum()),
        "b_without_breast": int((kept["breast_fraction"].fillna(0.0) < LEAST_BREAST).sum()),
    }


def splits_figures(images: pa.Table, splits: pa.Table) -> Figures:
    """Level B, splits: pictures that could not be looked for among copies, and patients without one split."""
    frame, kept = PATIENT_SPLITS.frame(splits), _kept(images)
    asked = set(kept["patient"].dropna())
    return {
        "b_pictures_without_hash": int(kept["picture_hash"].isna().sum()),
        "b_split_errors": len(asked ^ set(frame["patient"])) + _in_two_splits(frame, "cluster"),
        "b_joined_patients": int(frame["cluster"].duplicated(keep=False).sum()),
    }


def curves_figures(images: pa.Table, curves: pa.Table) -> Figures:
    """Level B, vendor curves: coverage, and order of grays."""
    groups = {
        g for g, s in zip(images["vendor_group"].to_pylist(), images["status"].to_pylist(), strict=True) if s == "kept"
    }
    rows = curves.to_pylist()
    falling = sum(len(r["lut"]) != 4096 or any(b < a for a, b in pairwise(r["lut"])) for r in rows)
    return {
        "b_groups": len(groups - {None}),
        "b_groups_without_curve": len(groups - {None} - {r["vendor_group"] for r in rows}),
        "b_curves_falling": falling,
    }


def harmonization_figures(harmonization: pa.Table) -> Figures:
    """Level B, harmonization: how well the vendor is hidden and density kept, on held-out patients where measured."""
    frame = HARMONIZATION.frame(harmonization)
    total = frame[frame["vendor_group"] == "*"].sort_values("measured_on", ascending=False)
    rows = {row["figure"]: row for row in total.drop_duplicates("figure").to_dict("records")}

    def told(figure: str, name: str) -> float | None:
        return float(rows[figure][name]) if figure in rows else None

    def less(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one - other

    chance, loss = told("vendor_accuracy", "chance"), told("density_within", "change")
    return {
        "b_vendor_accuracy_before": told("vendor_accuracy", "before"),
        "b_vendor_accuracy": told("vendor_accuracy", "after"),
        "b_vendor_chance": chance,
        "b_vendor_excess_low": less(told("vendor_accuracy", "after_low"), chance),
        "b_density_before": told("density_within", "before"),
        "b_density": told("density_within", "after"),
        "b_density_loss": less(0.0, loss),
        "b_density_loss_low": less(0.0, told("density_within", "change_high")),
    }


def labels_figures(images: pa.Table, labels: pa.Table) -> Figures:
    """Level A, labels: coverage, provenance and agreement."""
    frame, kept = LABELS.frame(labels), _kept(images)
    spoken = frame[frame["density"].notna()]
    several = spoken[spoken["evidence"].map(lambda text: len(json.loads(text)) > 1).astype(bool)]
    asked = set(kept.loc[kept["patient"].notna(), "image_id"])
    unread = spoken["sources"] == '["pixels"]'
    return {
        "a_labels_of_pixels_alone": int(unread.sum()),
        "a_pixels_too_sure": int((spoken.loc[unread, "confidence"] > PIXELS_CAP).sum()),
        "a_labelled": len(spoken),
        "a_label_rows_missing": len(asked - set(frame["image_id"])),
        "a_labels_without_evidence": int(spoken["evidence"].map(lambda text: not json.loads(text)).astype(bool).sum()),
        "a_labels_of_several_statements": len(several),
        "a_conflict_share": float(spoken["conflict"].mean()) if len(spoken) else None,
    }


def dataset_figures(images: pa.Table, dataset: pa.Table, exclusions: pa.Table, plan: pa.Table) -> Figures:
    """Level A, data set: accounting, leakage between splits, copies, and the deficit plan."""
    frame, out, kept = DATASET.frame(dataset), EXCLUSIONS.frame(exclusions), _kept(images)
    pixels = kept.drop_duplicates("image_id").set_index("image_id")["pixel_digest"].reindex(frame["image_id"]).dropna()
    strangers = ~frame["image_id"].isin(set(kept["image_id"]))
    train = frame[frame["split"] == "train"]
    real = train.groupby(["density", "view"]).size()
    rows = {(r["density"], r["view"]): r for r in PLAN.frame(plan).to_dict("records")}
    wrong = [
        cell
        for cell in ((d, v) for d in DENSITIES for v in VIEWS)
        if cell not in rows
        or rows[cell]["real"] != real.get(cell, 0)
        or rows[cell]["deficit"] > max(0, _short(rows[cell]))
    ]
    return {
        "a_images": len(frame),
        "a_excluded": len(out),
        "a_unaccounted": abs(len(kept) - len(frame) - len(out)) + int(strangers.sum()),
        "a_patients_in_two_splits": _in_two_splits(frame, "patient"),
        "a_clusters_in_two_splits": _in_two_splits(frame, "cluster"),
        "a_copies": int(pixels.duplicated().sum()),
        "a_empty_splits": len(set(SPLITS) - set(frame["split"])),
        "a_training_densities": train["density"].nunique(),
        "a_plan_errors": len(wrong),
        "a_deficit": sum(int(r["deficit"]) for r in rows.values()),
    }


def _kept(images: pa.Table) -> pd.DataFrame:
    frame = IMAGES.frame(images.drop_columns(["breast_histogram", "affine"]))
    return frame[frame["status"] == "kept"]


def _in_two_splits(frame: pd.DataFrame, name: str) -> int:
    return int((frame.groupby(name)["split"].nunique() > 1).sum())


def _short(row: Mapping[Any, Any]) -> int:
    return int(row["target"]) - int(row["real"])


def model_figures(folder: Path) -> Figures:
    """pGAN: losses, diversity, distance, recall, classes, course, from losses.json and report.json of a model's folder.

    All None where the folder holds no trained model. ``pgan_membership_auc``: how well the critic tells training
    pictures from held-back ones, 0.5 for not at all.
    """
    names = (
        "pgan_nonfinite_losses", "pgan_diversity", "pgan_distance_ratio", "pgan_density_correlation", "pgan_recall",
        "pgan_recall_of_real", "pgan_class_recovered", "pgan_rollbacks", "pgan_membership_auc",
    )  # fmt: skip
    if not (folder / "report.json").exists():
        return dict.fromkeys(names)
    report = json.loads((folder / "report.json").read_text())
    losses = json.loads((folder / "losses.json").read_text())

    def told(*path: str) -> float | None:
        found: Any = {**report, "last": report["levels"][-1] if report["levels"] else {}}
        for name in path:
            found = (found or {}).get(name)
        return _number(found)

    generated, real = (told("last", "sliced_wasserstein", part, "mean") for part in ("generated", "real"))
    values = (
        sum(not math.isfinite(v) for row in losses for v in row.values() if v is not None),
        told("last", "diversity", "mean"),
        generated / real if generated is not None and real else None,
        told("density", "generated", "spearman"),
        told("last", "neighborhood", "generated", "recall"),
        told("last", "neighborhood", "real", "recall"),
        told("last", "fidelity", "generated", "recovered"),
        len(report.get("rollbacks", [])),
        told("critic_scores", "membership_auc"),
    )
    return dict(zip(names, values, strict=True))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def synthetic_figures(plan: pa.Table, synthetic: pa.Table, screening: pa.Table | None = None) -> Figures:
    """Synthetic images: the quota, copies, strangers, whether the density seen follows the one asked for, and whether
    every verdict has its grounds in ``screening`` (SCREENING), where that is given."""
    frame = SYNTHETIC.frame(synthetic)
    kept = frame[frame["verdict"] == "kept"]
    made = kept.groupby(["density", "view"]).size()
    missing = sum(max(0, r["deficit"] - int(made.get((r["density"], r["view"]), 0))) for r in plan.to_pylist())
    return {
        "synthetic_kept": len(kept),
        "synthetic_rejected": len(frame) - len(kept),
        "synthetic_missing": missing,
        "synthetic_copies": int((kept["nearest_distance"] < kept["nearest_low"]).sum()),
        "synthetic_outside": int((kept["critic_score"] < kept["critic_low"]).sum()),
        "synthetic_density_correlation": _rank_correlation(kept["density"], kept["dense_fraction"]),
        "synthetic_unaccounted": None if screening is None else _unaccounted(frame, SCREENING.frame(screening)),
        **_percent_density(frame),
    }


def _percent_density(frame: pd.DataFrame) -> Figures:
    """Of all generated: rank correlation of percent density with the density asked for, how often its mean falls."""
    seen = frame[frame["percent_density"].notna() & frame["requested_density"].notna()]
    means = seen.groupby("requested_density")["percent_density"].mean().sort_index()
    return {
        "synthetic_percent_density_correlation": _rank_correlation(seen["requested_density"], seen["percent_density"]),
        "synthetic_percent_density_falls": int((means.diff().iloc[1:] <= 0).sum()) if len(means) > 1 else None,
    }


def _unaccounted(synthetic: pd.DataFrame, screening: pd.DataFrame) -> int:
    """Images whose verdict their tests do not bear out. A picture that was re-labeled may pass all tests and yet be
    rejected: nobody wanted it."""
    passed = screening.groupby("synthetic_id")["passed"].all().reindex(synthetic["synthetic_id"])
    kept = (synthetic["verdict"] == "kept").to_numpy()
    relabeled = (synthetic["density"] != synthetic["requested_density"].fillna(synthetic["density"])).to_numpy()
    sound = passed.eq(True).to_numpy()
    return int((passed.isna().to_numpy() | (kept & ~sound) | (~kept & sound & ~relabeled)).sum())


def _rank_correlation(densities: Iterable[str], values: Iterable[float]) -> float | None:
    """Spearman's rank correlation of densities A to D with values; None where either does not vary."""
    frame = pd.DataFrame({"rank": [float(DENSITIES.index(d)) for d in densities], "value": list(map(float, values))})
    if frame["rank"].nunique() < 2 or frame["value"].nunique() < 2:
        return None
    return float(frame["rank"].rank().corr(frame["value"].rank()))


def augmented_figures(dataset: pa.Table, augmented: pa.Table) -> Figures:
    """The augmented set: synthetic images in training alone, real ones as they were."""
    real, frame = DATASET.frame(dataset), AUGMENTED.frame(augmented)
    synthetic = frame[frame["is_synthetic"]]
    kept = frame[~frame["is_synthetic"]]
    before = set(zip(real["image_id"], real["split"], strict=True))
    after = set(zip(kept["image_id"], kept["split"], strict=True))
    return {
        "augmented_synthetic": len(synthetic),
        "synthetic_outside_training": int((synthetic["split"] != "train").sum()),
        "augmented_real_changed": len(before ^ after),
    }


def worth_figures(downstream: pa.Table) -> Figures:
    """What synthetic images beside real ones add to a classifier's quadratic kappa, at all training patients."""
    told = {(r["arm"], r["fraction"], r["measure"]): r["over_real"] for r in downstream.to_pylist()}
    return {"worth_kappa_difference": told.get(("mixed", 1.0, "quadratic_kappa"))}


def transfer_figures(transfer: pa.Table) -> Figures:
    """Structure that the vendor curves keep; None where it was not measured."""
    kept = [
        r["after"]
        for r in transfer.to_pylist()
        if (r["way"], r["figure"], r["vendor_group"]) == ("harmonization", "structure", "*")
    ]
    return {"transfer_structure": kept[0] if kept else None}


def novelty_figures(novelty: pa.Table, oddities: pa.Table) -> Figures:
    """Real images outside of normal feature space, and how well oddities are told; None where it was not measured."""
    told = [
        r["auroc"] for r in oddities.to_pylist() if r["chosen"] and r["kind"] == "*" and r["measured_on"] == "measuring"
    ]
    beyond = novelty["is_novel"].to_pylist()
    return {
        "novelty_auroc": told[0] if told else None,
        "novelty_share": sum(beyond) / len(beyond) if beyond else None,
    }

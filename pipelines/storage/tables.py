"""The tables: the one place that says what a rung hands on.

Each contract names its columns with their Arrow type, unit, allowed values and meaning. What a stage computes for
itself alone does not belong here.
"""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from pipelines.storage.contracts import Column, ContractError, Table, read_table, write_table

__all__ = [
    "AGREEMENT", "ARMS", "ASSOCIATION", "AUGMENTED", "BALANCE", "CONTRACTS", "COPIES", "CURVE_IMAGES", "DATASET",
    "DELIVERED_LABELS", "DENSITIES", "DENSITY_SETS", "DOWNSTREAM", "EXCLUSIONS", "HARMONIZATION", "IMAGES",
    "INVENTORY", "LABELS", "LATERALITIES", "NOVELTY", "OBJECTS", "ODDITIES", "ORIGINS", "PATIENT_SPLITS", "PIXELS_CAP",
    "PLAN", "POWER", "PREDICTIONS", "REPORTS", "REVIEWS", "REVIEW_QUEUE", "SCREENING", "SPLITS", "SYNTHETIC",
    "SYNTHETIC_PATIENTS", "TRANSFER", "VENDOR_CURVES", "VIEWS", "VOTES",
    "ContractError", "Table", "read_table", "write_table",
]  # fmt: skip

DENSITIES = ("A", "B", "C", "D")
"""BI-RADS 5th edition breast composition categories a to d, in order."""

DENSITY_SETS = (*DENSITIES, "AB", "BC", "CD", "ABC", "BCD")
"""What a source can say: a density, or neighboring ones where its own scale is coarser than BI-RADS."""

PIXELS_CAP = 0.6
"""The most that a density is trusted which no reader settled, but a model that looked at the pixels."""

LATERALITIES = ("L", "R")
VIEWS = ("CC", "MLO")
"""The two standard screening views; other views are kept out of level B's pictures with a reason."""

SPLITS = ("train", "validation", "test")

ARMS = ("real", "classical", "mixed", "pretrained", "synthetic")
"""What a classifier is taught by: real pictures; these changed classically; real and synthetic; synthetic, then real;
synthetic alone."""

ORIGINS = ("clinical", "deidentified", "synthetic")
"""What an object says that it is: a patient's as the hospital took it, de-identified before, or of no patient."""


def _text(name: str, meaning: str, nullable: bool = False, allowed: tuple[str, ...] = ()) -> Column:
    return Column(name, pa.string(), meaning, allowed=allowed, nullable=nullable)


def _count(name: str, meaning: str, unit: str = "", nullable: bool = False) -> Column:
    return Column(name, pa.int64(), meaning, unit=unit, nullable=nullable, at_least=0)


def _number(name: str, meaning: str, unit: str = "", **bounds: Any) -> Column:
    return Column(name, pa.float64(), meaning, unit=unit, **bounds)


def _estimate(name: str, meaning: str, most: float) -> tuple[Column, ...]:
    """A figure with the ends of its interval, none beyond ``most`` either way."""
    ends = (("", meaning), ("_low", f"{meaning}: lower end"), ("_high", f"{meaning}: upper end"))
    return tuple(_number(name + end, words, at_least=-most, at_most=most) for end, words in ends)


INVENTORY = Table(
    "level_d.inventory",
    "One row per file found in a delivery, members of archives among them. Restricted: holds identifiers.",
    (
        _text("file_id", "keyed id of the file within its delivery (F-…)"),
        _text("location", "where to open it: inbox:<percent-encoded path below the delivery> or unpacked:<file_id>"),
        _text("container", "file_id of the archive that it came from", nullable=True),
        _text("member", "its path within that archive, percent-encoded", nullable=True),
        _count("size", "size", "bytes"),
        _text("sha256", "SHA-256 of its bytes; empty where it could not be read"),
        _text(
            "kind",
            "what it is, by content",
            allowed=("dicom", "dicomdir", "archive", "reports", "labels", "other"),
        ),
        _text("status", "what became of it", allowed=("accepted", "duplicate", "quarantined")),
        _text("reason", "why it was quarantined: a short code such as truncated, not_dicom", nullable=True),
        _text("duplicate_of", "file_id of the first file with the same content or SOP Instance UID", nullable=True),
        _text("transfer_syntax_uid", "(0002,0010), or what was recognized", nullable=True),
        _text("sop_class_uid", "(0008,0016)", nullable=True),
        _text("sop_instance_uid", "(0008,0018)", nullable=True),
        _text("study_instance_uid", "(0020,000D)", nullable=True),
        _text("series_instance_uid", "(0020,000E)", nullable=True),
        _text("accession_number", "(0008,0050)", nullable=True),
        _text("patient_id", "(0010,0020)", nullable=True),
        _text("modality", "(0008,0060)", nullable=True),
    ),
    ("file_id",),
)

OBJECTS = Table(
    "level_c.objects",
    "One row per accepted DICOM object of a delivery: written de-identified, or refused with a reason.",
    (
        _text("file_id", "keyed id of the source file"),
        _text("status", "what became of it", allowed=("written", "refused")),
        _text("reason", "why it was refused: a short code", nullable=True),
        _text("path", "file below the publication's folder", nullable=True),
        _text("sha256", "SHA-256 of the written file", nullable=True),
        _count("size", "size of the written file", "bytes", nullable=True),
        _text("patient", "patient pseudonym (P-…)", nullable=True),
        _text("accession", "pseudonym of the accession number (A-…), joins reports and labels", nullable=True),
        _text("study_instance_uid", "new (0020,000D)", nullable=True),
        _text("series_instance_uid", "new (0020,000E)", nullable=True),
        _text("sop_instance_uid", "new (0008,0018)", nullable=True),
        _text("sop_class_uid", "(0008,0016)", nullable=True),
        _text("origin", "what the source was before", nullable=True, allowed=ORIGINS),
        _text("modality", "(0008,0060)", nullable=True),
        _text("manufacturer", "(0008,0070)", nullable=True),
        _text("model", "(0008,1090)", nullable=True),
        _count("text_boxes", "burned-in text boxes blanked", nullable=True),
        _text("text_box_list", "JSON list of the boxes [frame, top, left, bottom, right] in pixels", nullable=True),
        _count("review_boxes", "places in the pixels that a person should look at: they may be text", nullable=True),
        _text("actions", "JSON object: action code (X, Z, D, U, C, …) to the count of elements", nullable=True),
        _text("actions_by_tag", "JSON object: tag (ggggeeee) to action code and count", nullable=True),
        _text("profile_sha256", "digest of the profile's settings that it was de-identified under", nullable=True),
        _text("edition", "edition of PS3.15 that the profile follows", nullable=True),
        _text("key_fingerprint", "fingerprint of the pseudonym key", nullable=True),
    ),
    ("file_id",),
)

REPORTS = Table(
    "level_c.reports",
    "De-identified report texts of a delivery.",
    (
        _text("report_id", "keyed id of the row (R-…)"),
        _text("file_id", "keyed id of the source file"),
        _text("status", "what became of it", allowed=("written", "refused")),
        _text("reason", "why it was refused: a short code", nullable=True),
        _text("accession", "pseudonym of the accession number (A-…)", nullable=True),
        _text("patient", "patient pseudonym (P-…), where a DICOM object of the delivery gives it", nullable=True),
        _text("text", "cleaned report text", nullable=True),
        _count("replacements", "pieces of text replaced", nullable=True),
    ),
    ("report_id",),
)

DELIVERED_LABELS = Table(
    "level_c.labels",
    "Rows of a delivery's labels tables, with pseudonyms in place of identifiers.",
    (
        _text("label_id", "keyed id of the row (L-…)"),
        _text("file_id", "keyed id of the source file"),
        _text("status", "what became of it", allowed=("written", "refused")),
        _text("reason", "why it was refused: a short code", nullable=True),
        _text("accession", "pseudonym (A-…)", nullable=True),
        _text("study_instance_uid", "new study UID", nullable=True),
        _text("sop_instance_uid", "new SOP Instance UID", nullable=True),
        _text("patient", "patient pseudonym (P-…)", nullable=True),
        _text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        _text("view", "view, as given", nullable=True),
        _text("density", "density as given: a value of a density scale or of the column map", nullable=True),
        _text("column_map", "the column map that the table was read by; null where it has our columns", nullable=True),
        _text("densities", "what the map takes the density for; null where for none", True, DENSITY_SETS),
        _text("reader", "pseudonym of the reader", nullable=True),
    ),
    ("label_id",),
)

IMAGES = Table(
    "level_b.images",
    "One row per frame-bearing object of level C: its normalized picture, or why there is none.",
    (
        _text("image_id", "new SOP Instance UID, or file_id where the object has none"),
        _text("delivery", "partition"),
        _text("file_id", "keyed id of the source file"),
        _text("object_sha256", "SHA-256 of the level C file"),
        _text("status", "what became of it", allowed=("kept", "excluded", "failed")),
        _text("reason", "why it was excluded or failed: a short code such as not_mammography, tomosynthesis", True),
        _text("patient", "patient pseudonym", nullable=True),
        _text("accession", "accession pseudonym", nullable=True),
        _text("study_instance_uid", "new study UID", nullable=True),
        _text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        _text("view", "view", nullable=True, allowed=VIEWS),
        _text("manufacturer", "canonical manufacturer name", nullable=True),
        _text("model", "(0008,1090)", nullable=True),
        _text("presentation_intent", "FOR PRESENTATION or FOR PROCESSING", nullable=True),
        Column("lossy", pa.bool_(), "was it ever compressed with loss", nullable=True),
        _text("vendor_group", "manufacturer|model|intent|lossiness: the group that shares a gray curve", nullable=True),
        Column("patient_age", pa.float64(), "patient's age", "years", nullable=True, at_least=0, at_most=130),
        _text("voi", "which VOI transformation was applied, e.g. LINEAR#1, SIGMOID#1, VOILUT#1, NONE", nullable=True),
        _text("flags", "JSON list of quality and consistency flags", nullable=True),
        _text("quality", "JSON object of quality figures by name", nullable=True),
        _text("shard", "shard file below the publication's folder", nullable=True),
        Column("shard_row", pa.int32(), "row in the shard", nullable=True, at_least=0),
        _text("picture_sha256", "SHA-256 of the normalized picture's bytes (uint16, row by row)", nullable=True),
        _text("pixel_digest", "BLAKE3 of the canonical decoded stored pixels: finds exact copies", nullable=True),
        _text(
            "picture_hash",
            "nine 256-bit hashes of the picture's gray ranks in frames around its tissue, as hex: finds near copies. "
            "Bits by vertical and horizontal frequency (u, v) in the order of u + v, u, v; the plain frame first",
            nullable=True,
        ),
        Column("source_rows", pa.int32(), "rows of the source", "pixels", nullable=True, at_least=1),
        Column("source_columns", pa.int32(), "columns of the source", "pixels", nullable=True, at_least=1),
        _number("spacing", "pixel spacing of the normalized picture", "mm", nullable=True, at_least=0),
        Column(
            "affine",
            pa.list_(pa.float64()),
            "a, b, c, d, e, f: source row = a·row + b·column + c, source column = d·row + e·column + f",
            "pixels",
            nullable=True,
        ),
        _number("breast_fraction", "share of the picture that is breast", nullable=True, at_least=0, at_most=1),
        Column(
            "breast_histogram",
            pa.list_(pa.int64()),
            "4,096-bin histogram of the gray values inside the breast",
            "pixels",
            nullable=True,
        ),
    ),
    ("file_id",),
)

COPIES = Table(
    "level_b.copies",
    "Pairs of kept images that are one picture: exact copies, and near ones that were changed on the way.",
    (
        _text("image_id", "image_id of the copy, as in level_b.images"),
        _text("copy_of", "image_id of the one that came first"),
        _text(
            "kind",
            "exact: the same stored pixels; near: found by hash, confirmed on the pictures",
            False,
            ("exact", "near"),
        ),
        Column("same_patient", pa.bool_(), "are both of one patient; null where one is unknown", nullable=True),
        _count("bits", "bits of 256 by which the nearest hashes differ (near)", nullable=True),
        _number("correlation", "correlation of gray ranks, laid over one another (near)", nullable=True, at_most=1),
        _number("detail", "correlation of fine detail (near)", nullable=True, at_most=1),
        _text("orientation", "how the copy lies (near)", True, ("same", "left_right", "up_down", "turned")),
    ),
    ("image_id", "copy_of"),
)

PATIENT_SPLITS = Table(
    "level_b.splits",
    "Every patient with a kept image: whom a shared image joins to whom, and the split, which stands once given.",
    (
        _text("patient", "patient pseudonym"),
        _text("cluster", "smallest pseudonym of the patients joined by shared images"),
        _text("split", "split", allowed=SPLITS),
        Column("by_hash", pa.bool_(), "is it the split that the cluster's hash gives; else lent or joined"),
    ),
    ("patient",),
)

VENDOR_CURVES = Table(
    "level_b.vendor_curves",
    "One gray curve per vendor group.",
    (
        _text("vendor_group", "as in level_b.images"),
        _count("images", "kept images of the group"),
        _count("training_images", "images that the curve was fitted on (training patients only)"),
        _count("labeled_images", "those among them whose density was known: compared at one mix of densities"),
        _text(
            "fitted_on",
            "group, parent (same maker and intent, else same intent) or identity",
            allowed=("group", "parent", "identity"),
        ),
        Column("lut", pa.list_(pa.uint16()), "4,096 output gray values 0…4095, rising", "gray"),
        _text("version", "SHA-256 of all curves of this fit together"),
    ),
    ("vendor_group",),
)

CURVE_IMAGES = Table(
    "level_b.curve_images",
    "The kept images of a known vendor group, each once: what the vendor curves knew of them.",
    (
        _text("file_id", "as in level_b.images"),
        _text("image_id", "as in level_b.images"),
        _text("patient", "patient pseudonym", nullable=True),
        _text("vendor_group", "as in level_b.images"),
        _text("density", "density by tables, SR and reports", nullable=True, allowed=DENSITIES),
        Column("training", pa.bool_(), "does the patient belong to the training split"),
        Column("fitted", pa.bool_(), "was a curve fitted on it"),
    ),
    ("image_id",),
)

HARMONIZATION = Table(
    "level_b.harmonization",
    "How well the vendor can be told and density be seen before and after the vendor curves, with 95 % intervals.",
    (
        _text(
            "measured_on",
            "whose pictures: held_out (of patients that no curve was fitted on) or everyone",
            allowed=("held_out", "everyone"),
        ),
        _text(
            "figure",
            "vendor_accuracy: balanced accuracy (of one vendor: recall) of telling the vendor by quantiles of gray; "
            "vendor_by_brightness: the same by mean and spread of gray alone; "
            "density_within: rank correlation of mean gray with density among one vendor's pictures; density_across: "
            "the same among all vendors' pictures together",
            allowed=("vendor_accuracy", "vendor_by_brightness", "density_within", "density_across"),
        ),
        _text("vendor_group", "vendor group, or maker|*|intent|* where groups are small; * for all together"),
        _count("images", "images measured"),
        _count("patients", "patients measured"),
        Column("at_common_mix", pa.bool_(), "were all vendors given one mix of densities (vendor_…)", nullable=True),
        _number("chance", "accuracy of a guess (vendor_…)", nullable=True, at_least=0, at_most=1),
        *_estimate("before", "the figure without the curves", 1),
        *_estimate("after", "the figure with the curves applied", 1),
        *_estimate("change", "after less before", 2),
        _text("version", "version of the vendor curves"),
    ),
    ("measured_on", "figure", "vendor_group"),
)

VOTES = Table(
    "level_a.votes",
    "One row per statement of density about a breast, a study or an image, before fusion.",
    (
        _text("vote_id", "id of the statement"),
        _text("source", "channel", allowed=("table", "sr", "text", "review", "pixels")),
        _text("evidence_id", "label_id, report_id, the SR object's SOP Instance UID, or the image that was measured"),
        _text("rule", "what said it: a column map, a code, a sentence rule or a model; never the text itself"),
        _text("reader", "pseudonym of the reader", nullable=True),
        _text("patient", "patient pseudonym", nullable=True),
        _text("accession", "accession pseudonym", nullable=True),
        _text("study_instance_uid", "new study UID", nullable=True),
        _text("sop_instance_uid", "the one image that it speaks of", nullable=True),
        _text("laterality", "breast; null speaks of both", nullable=True, allowed=LATERALITIES),
        _text("densities", "the density, or the neighboring ones that it may be: B, BC", allowed=DENSITY_SETS),
        _number("confidence", "the source's own confidence, where it has one", nullable=True, at_least=0, at_most=1),
    ),
    ("vote_id",),
)

_CHANCES = tuple(
    _number(f"p_{d.lower()}", f"chance of density {d}; empty where nothing spoke", nullable=True, at_least=0, at_most=1)
    for d in DENSITIES
)

LABELS = Table(
    "level_a.labels",
    "One density per kept image's breast, with its sources.",
    (
        _text("image_id", "as in level_b.images"),
        _text("patient", "patient pseudonym"),
        _text("study_instance_uid", "new study UID", nullable=True),
        _text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        _text("breast_id", "the breast in this examination (B-…): its images share a label", nullable=True),
        _text("exam_id", "the examination (E-…)", nullable=True),
        _text(
            "density", "fused density; empty where nothing spoke or it was left open", nullable=True, allowed=DENSITIES
        ),
        _number("confidence", "calibrated chance that the density is right", nullable=True, at_least=0, at_most=1),
        *_CHANCES,
        _text("exam_density", "density of the examination: of the denser breast", nullable=True, allowed=DENSITIES),
        _number("exam_confidence", "chance that it is right", nullable=True, at_least=0, at_most=1),
        _count("readings", "readers who spoke, by whatever channel (unnamed ones together are one)", nullable=True),
        _text("sources", 'JSON list of the channels that spoke, e.g. ["table", "text"]'),
        _text("evidence", "JSON list of vote ids"),
        Column("conflict", pa.bool_(), "do people's statements contradict one another, unsettled by a reviewer"),
        _text(
            "review_reasons",
            "JSON list, why a human should look: reading (one reading contradicts itself), readers, reviewers (they "
            "contradict one another), open (several densities left), pixels or sides (two categories apart)",
            nullable=True,
        ),
    ),
    ("image_id",),
)

REVIEW_QUEUE = Table(
    "level_a.review_queue",
    "Breasts whose density a human should decide, the most rewarding first.",
    (
        _count("place", "place in the queue, from 1"),
        _text("breast_id", "as in level_a.labels"),
        _text("patient", "patient pseudonym"),
        _text("study_instance_uid", "new study UID", nullable=True),
        _text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        _text("image_ids", "JSON list of its images"),
        _text("reasons", "JSON list, as review_reasons in level_a.labels"),
        _text("statements", "JSON list of what was said: source, reader (pseudonym or null), densities"),
        _text("density", "fused density", nullable=True, allowed=DENSITIES),
        *_CHANCES,
        _number("entropy", "what is not known of the density", "bits", at_least=0, at_most=2),
        _number("rarity", "how rare the densities are that it may be: 1 at an even mix", at_least=0),
        _number("priority", "entropy times rarity", at_least=0),
    ),
    ("place",),
)

REVIEWS = Table(
    "level_a.reviews",
    "One row per row of a reviewer's file: taken as a statement, or refused with a reason.",
    (
        _text("review_id", "id of the row (Q-…): by the file's content and the row's number"),
        _text("file_sha256", "SHA-256 of the file"),
        _count("row", "number of the row in the file, from 1; 0 speaks of the file"),
        _text("status", "what became of it", allowed=("taken", "refused")),
        _text(
            "reason",
            "why it was refused",
            nullable=True,
            allowed=("unreadable", "no_density", "bad_density", "no_reviewer", "unknown_breast", "contradictory"),
        ),
        _text("breast_id", "as in level_a.labels", nullable=True),
        _text("density", "the reviewer's decision", nullable=True, allowed=DENSITIES),
        _text("reviewer", "pseudonym of the reviewer", nullable=True),
    ),
    ("review_id",),
)

AGREEMENT = Table(
    "level_a.agreement",
    "Agreement of readers, and of channels, on the same breasts: kappa with 95 % intervals (bootstrap over patients).",
    (
        _text(
            "between", "readers (by whatever channel), or sources (whoever the reader)", allowed=("readers", "sources")
        ),
        _text("first", "reader's pseudonym or channel; * for all pairs of readers together"),
        _text("second", "the other one"),
        _count("cases", "breasts (both of one statement are one) on which each said one density"),
        _count("patients", "their patients"),
        _number("exact", "share of the same density", at_least=0, at_most=1),
        *(replace(c, nullable=True) for c in _estimate("linear", "linear-weighted kappa", 1)),
        *(replace(c, nullable=True) for c in _estimate("quadratic", "quadratic-weighted kappa", 1)),
    ),
    ("between", "first", "second"),
)

DATASET = Table(
    "level_a.dataset",
    "One row per image of the level A set.",
    (
        _text("image_id", "as in level_b.images"),
        _text("delivery", "partition"),
        _text("patient", "patient pseudonym"),
        _text("cluster", "patients joined by a shared image split together: id of the cluster"),
        _text("study_instance_uid", "new study UID", nullable=True),
        _text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        _text("view", "view", allowed=VIEWS),
        _text("density", "density", allowed=DENSITIES),
        _number("confidence", "confidence of the density", at_least=0, at_most=1),
        _text("vendor_group", "as in level_b.images"),
        Column("patient_age", pa.float64(), "patient's age", "years", nullable=True, at_least=0, at_most=130),
        _text("split", "split", allowed=SPLITS),
        _text("picture_sha256", "SHA-256 of the harmonized picture's bytes"),
        _text("shard", "shard file below the publication's folder"),
        Column("shard_row", pa.int32(), "row in the shard", at_least=0),
        Column("pyramid_row", pa.int32(), "row in every level of the pyramid", at_least=0),
    ),
    ("image_id",),
)

EXCLUSIONS = Table(
    "level_a.exclusions",
    "Kept images of level B that are not in the level A set, with the reason.",
    (
        _text("image_id", "as in level_b.images"),
        _text("reason", "short code: no_density, duplicate, view_unknown, …"),
        _text("duplicate_of", "image_id that stands for it", nullable=True),
    ),
    ("image_id",),
)

PLAN = Table(
    "level_a.plan",
    "The deficit plan: training images per density and view, and how many synthetic ones would even them out.",
    (
        _text("density", "density", allowed=DENSITIES),
        _text("view", "view", allowed=VIEWS),
        _count("real", "real training images"),
        _count("target", "training images wanted"),
        _count("deficit", "synthetic images to make"),
    ),
    ("density", "view"),
)

BALANCE = Table(
    "level_a.balance",
    "How evenly the splits are made: each value of each variable, its share of a split's images, and how far that lies "
    "from its share of the training images.",
    (
        _text(
            "variable",
            "what is counted; the cell is density, view, laterality, manufacturer and age_band together",
            allowed=("density", "view", "laterality", "manufacturer", "age_band", "source", "confidence", "cell"),
        ),
        _text("value", "its value; * for all values of the variable together"),
        _text("split", "split", allowed=SPLITS),
        _count("images", "images of the split that have it"),
        _count("patients", "patients of the split that have it"),
        _number(
            "share", "share of the split's images; null where the split is empty", nullable=True, at_least=0, at_most=1
        ),
        _number(
            "difference",
            "standardized difference from the training split (Austin 2009; of all values together: Yang & Dalton "
            "2012); null where one is empty or neither varies",
            nullable=True,
        ),
    ),
    ("variable", "value", "split"),
)

ASSOCIATION = Table(
    "level_a.association",
    "How far the label can be told from the vendor: Cramer's V of density and manufacturer, 0 none to 1 wholly.",
    (
        _text("split", "split, or * for all together", allowed=(*SPLITS, "*")),
        _count("images", "images"),
        _count("clusters", "patient clusters"),
        _number(
            "v",
            "Cramer's V over clusters, corrected for bias (Bergsma 2013); null where one of the two does not vary",
            nullable=True,
            at_least=0,
            at_most=1,
        ),
        _number("v_low", "lower end of its 95 % interval over patient clusters", nullable=True, at_least=0, at_most=1),
        _number("v_high", "upper end of its 95 % interval over patient clusters", nullable=True, at_least=0, at_most=1),
    ),
    ("split",),
)

POWER = Table(
    "level_a.power",
    "What a split can show: the patients of each density, and the difference of two proportions that they detect.",
    (
        _text("split", "split", allowed=SPLITS),
        _text("density", "density", allowed=DENSITIES),
        _count("patients", "patient clusters with an image of the density"),
        _count("needed", "clusters in each of two groups that detect the wanted difference"),
        _number(
            "detectable",
            "smallest difference that so many detect; null where even the largest is not",
            "",
            nullable=True,
            at_least=0,
            at_most=1,
        ),
        Column("enough", pa.bool_(), "are there as many as needed"),
    ),
    ("split", "density"),
)

SYNTHETIC = Table(
    "synthetic.images",
    "One row per generated image: kept, or rejected by the screen with figure and threshold.",
    (
        _text("synthetic_id", "id (S-…): a hash of model, seed, number, density, view and truncation"),
        _count("number", "running number within density and view: with the seed it fixes the latent"),
        _count("seed", "seed of the run"),
        _text("density", "density that it is labeled with: the requested one, unless re-labeled", allowed=DENSITIES),
        _text("requested_density", "density asked for: with seed and number it fixes the latent", True, DENSITIES),
        _text("judged_density", "likeliest density by an independent estimator", True, DENSITIES),
        _text("view", "requested view", allowed=VIEWS),
        _number("truncation", "ψ: 1 leaves pictures as they are, less draws them to their class' mean", at_most=1),
        _text("verdict", "what the screen said", allowed=("kept", "rejected")),
        _text("reason", "why rejected: copy, breast_<figure>, features, critic, class; see synthetic.screening", True),
        _number("critic_score", "critic's score"),
        _number("critic_low", "least score accepted: a quantile over held-back real images"),
        _number("nearest_distance", "distance to the nearest training image"),
        _number("nearest_low", "least distance accepted: a quantile of real-to-real distances", at_least=0),
        _text("nearest_image_id", "the training image that it is nearest to"),
        _number("dense_fraction", "share of the breast that is dense", at_least=0, at_most=1),
        _number("expected_density", "mean of A (0) … D (3) by that estimator", nullable=True, at_least=0, at_most=3),
        _number("percent_density", "percent density by the label rung", nullable=True, at_least=0, at_most=1),
        _text("model_sha256", "SHA-256 of the generator's weights"),
        _text("picture_sha256", "SHA-256 of the picture's bytes", nullable=True),
        _text("shard", "shard file below the publication's folder", nullable=True),
        Column("shard_row", pa.int32(), "row in the shard", nullable=True, at_least=0),
        _text("dicom", "DICOM file below the publication's folder", nullable=True),
    ),
    ("synthetic_id",),
)

SYNTHETIC_PATIENTS = Table(
    "synthetic.patients",
    "Whole pretend patients, four rows each: CC and MLO of both breasts, in one DICOM study. In no training set.",
    (
        _text("synthetic_id", "id of the picture (S-…): a hash of all that fixes it"),
        _text("synthetic_patient", "the pretend patient (W-…) whose breast it shows"),
        _count("number", "running number of the patient within her density: with the seed it fixes her latents"),
        _count("seed", "seed of the run"),
        _text("density", "requested density", allowed=DENSITIES),
        _text("laterality", "side of the breast", allowed=LATERALITIES),
        _text("view", "requested view", allowed=VIEWS),
        _number("truncation", "ψ: 1 leaves pictures as they are, less draws them to their class' mean", at_most=1),
        _number("likeness", "cosine of the two breasts' latents", at_least=0, at_most=1),
        _text("verdict", "kept where the screen kept all four pictures", allowed=("kept", "rejected")),
        _text("reason", "why the screen rejected this picture, or another_picture", nullable=True),
        _number("critic_score", "critic's score"),
        _number("nearest_distance", "distance to the nearest training image"),
        _number("dense_fraction", "share of the breast that is dense", at_least=0, at_most=1),
        _number("breast_fraction", "share of the picture that is breast", at_least=0, at_most=1),
        _text("model_sha256", "SHA-256 of the generator's weights"),
        _text("study_instance_uid", "Study Instance UID, the same for the four", nullable=True),
        _text("sop_instance_uid", "SOP Instance UID", nullable=True),
        _text("picture_sha256", "SHA-256 of the picture's bytes, chest wall on the left", nullable=True),
        _text("dicom", "DICOM file below the publication's folder", nullable=True),
    ),
    ("synthetic_id",),
)

SCREENING = Table(
    "synthetic.screening",
    "One row per generated image and test of the screen: the figure beside its threshold.",
    (
        _text("synthetic_id", "id (S-…) of synthetic.images"),
        _text(
            "test",
            "nearest_distance, standing_out, authenticity, feature_authenticity (copies), breast_<figure>, features, "
            "critic, class",
        ),
        _number("figure", "what was measured"),
        _number("low", "least figure accepted; null where there is none", nullable=True),
        _number("high", "greatest figure accepted; null where there is none", nullable=True),
        Column("passed", pa.bool_(), "within both"),
    ),
    ("synthetic_id", "test"),
)

AUGMENTED = Table(
    "synthetic.augmented_dataset",
    "The level A set and the synthetic images together, for training.",
    (
        _text("image_id", "image_id of level A, or synthetic_id"),
        Column("is_synthetic", pa.bool_(), "made by the pGAN"),
        _text("patient", "patient pseudonym; null for synthetic images", nullable=True),
        _text("density", "density", allowed=DENSITIES),
        _text("view", "view", allowed=VIEWS),
        _text("split", "split: synthetic images are in train alone", allowed=SPLITS),
        _number("weight", "sampling weight within its split", at_least=0),
        _text("picture_sha256", "SHA-256 of the picture's bytes"),
        _text("publication", "publication that holds the picture, below the research zone"),
        _text("shard", "shard file below that publication"),
        Column("shard_row", pa.int32(), "row in the shard", at_least=0),
    ),
    ("image_id",),
)

TRANSFER = Table(
    "evaluation.vendor_transfer",
    "What a way to transfer pictures from vendor to vendor does, with 95 % intervals over patients.",
    (
        _text("way", "harmonization (the vendor curves), or projection (through the generator)"),
        _text(
            "figure",
            "vendor_accuracy: balanced accuracy (of one vendor: recall) of telling the vendor by quantiles of gray; "
            "density_within: rank correlation of mean gray with density among a vendor's pictures; structure: mean "
            "structural similarity with the original, grays matched",
            allowed=("vendor_accuracy", "density_within", "structure"),
        ),
        _text("vendor_group", "vendor group; * for all together"),
        _count("images", "images measured"),
        _count("patients", "patients measured"),
        _number("chance", "accuracy of a guess (vendor_accuracy)", nullable=True, at_least=0, at_most=1),
        *_estimate("before", "the figure of the pictures as they came", 1),
        *_estimate("after", "the figure of what became of them", 1),
        *_estimate("change", "after less before", 2),
    ),
    ("way", "figure", "vendor_group"),
)

NOVELTY = Table(
    "evaluation.novelty",
    "One row per kept image of level B: how far out of normal feature space it lies, the farthest first.",
    (
        _count("rank", "1 for the oddest"),
        _text("image_id", "image_id of level B"),
        _text("delivery", "delivery that it came in"),
        _text("vendor_group", "vendor group", nullable=True),
        _text("view", "view", nullable=True),
        _text("density", "density, where it is known", True, DENSITIES),
        _text("split", "split, where the image is in level A; the detectors learned from train", True, SPLITS),
        _text("detector", "detector that ranks"),
        _number("oddness", "what it says: a distance, or the negative score of the critic"),
        _number("threshold", "greatest value that is not novel, from held-back images"),
        Column("is_novel", pa.bool_(), "beyond the threshold"),
    ),
    ("rank",),
)

ODDITIES = Table(
    "evaluation.oddities",
    "How well each detector tells pictures made odd on purpose from held-back real ones.",
    (
        _text("detector", "critic, critic_features or features"),
        _text("kind", "kind of oddity, or * for the mean over the kinds"),
        _text(
            "measured_on",
            "held-back patients: those on whom the detector is chosen, or others",
            allowed=("choosing", "measuring"),
        ),
        _count("images", "held-back images, and as many odd ones"),
        _number("auroc", "area under the ROC curve", at_least=0, at_most=1),
        Column("chosen", pa.bool_(), "the detector that ranks: the best on average where it is chosen"),
    ),
    ("detector", "kind", "measured_on"),
)

DOWNSTREAM = Table(
    "evaluation.downstream",
    "What training sets are worth: figures of a density classifier on real test patients, with 95 % intervals.",
    (
        _text("arm", "what the classifier was taught by", allowed=ARMS),
        _number("fraction", "share of the real training patients that it learned from", at_least=0, at_most=1),
        _text(
            "measure",
            "quadratic-weighted kappa, balanced accuracy, or the recall of one density",
            allowed=("quadratic_kappa", "balanced_accuracy", "recall_A", "recall_B", "recall_C", "recall_D"),
        ),
        *(replace(c, nullable=True) for c in _estimate("value", "the figure, the mean over repetitions", 1)),
        *(replace(c, nullable=True) for c in _estimate("over_real", "paired difference from real pictures alone", 2)),
        *(
            replace(c, nullable=True)
            for c in _estimate("over_classical", "paired difference from classical augmentation", 2)
        ),
        _count("seeds", "repetitions with other seeds"),
        _count("images", "test images"),
        _count("patients", "test patients, those who share an image counted as one"),
    ),
    ("arm", "fraction", "measure"),
)

PREDICTIONS = Table(
    "evaluation.predictions",
    "What each training told of each test image.",
    (
        _text("arm", "what the classifier was taught by", allowed=ARMS),
        _number("fraction", "share of the real training patients that it learned from", at_least=0, at_most=1),
        _count("seed", "the repetition"),
        _text("image_id", "as in level_a.dataset"),
        _text("density", "density by its label", allowed=DENSITIES),
        _text("predicted", "density by the classifier", allowed=DENSITIES),
    ),
    ("arm", "fraction", "seed", "image_id"),
)

CONTRACTS = (
    INVENTORY, OBJECTS, REPORTS, DELIVERED_LABELS, IMAGES, COPIES, PATIENT_SPLITS, VENDOR_CURVES, CURVE_IMAGES,
    HARMONIZATION, VOTES, LABELS, REVIEW_QUEUE, REVIEWS, AGREEMENT, DATASET, EXCLUSIONS, PLAN, BALANCE, ASSOCIATION,
    POWER, SYNTHETIC, SYNTHETIC_PATIENTS, SCREENING, AUGMENTED, NOVELTY, ODDITIES, TRANSFER, DOWNSTREAM,
    PREDICTIONS,
)  # fmt: skip

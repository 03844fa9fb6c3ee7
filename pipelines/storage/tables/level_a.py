"""Tables of level A: statements of density, labels and their review, the set and its balance."""

from dataclasses import replace

import pyarrow as pa

from pipelines.storage.contracts import Column, Table
from pipelines.storage.tables.columns import count, estimate, number, text
from pipelines.storage.tables.vocabulary import DENSITIES, DENSITY_SETS, LATERALITIES, SPLITS, VIEWS

VOTES = Table(
    "level_a.votes",
    "One row per statement of density about a breast, a study or an image, before fusion.",
    (
        text("vote_id", "id of the statement"),
        text("source", "channel", allowed=("table", "sr", "text", "review", "pixels")),
        text("evidence_id", "label_id, report_id, the SR object's SOP Instance UID, or the image that was measured"),
        text("rule", "what said it: a column map, a code, a sentence rule or a model; never the text itself"),
        text("reader", "pseudonym of the reader", nullable=True),
        text("patient", "patient pseudonym", nullable=True),
        text("accession", "accession pseudonym", nullable=True),
        text("study_instance_uid", "new study UID", nullable=True),
        text("sop_instance_uid", "the one image that it speaks of", nullable=True),
        text("laterality", "breast; null speaks of both", nullable=True, allowed=LATERALITIES),
        text("densities", "the density, or the neighboring ones that it may be: B, BC", allowed=DENSITY_SETS),
        number("confidence", "the source's own confidence, where it has one", nullable=True, at_least=0, at_most=1),
    ),
    ("vote_id",),
)

_CHANCES = tuple(
    number(f"p_{d.lower()}", f"chance of density {d}; empty where nothing spoke", nullable=True, at_least=0, at_most=1)
    for d in DENSITIES
)

LABELS = Table(
    "level_a.labels",
    "One density per kept image's breast, with its sources.",
    (
        text("image_id", "as in level_b.images"),
        text("patient", "patient pseudonym"),
        text("study_instance_uid", "new study UID", nullable=True),
        text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        text("breast_id", "the breast in this examination (B-…): its images share a label", nullable=True),
        text("exam_id", "the examination (E-…)", nullable=True),
        text(
            "density", "fused density; empty where nothing spoke or it was left open", nullable=True, allowed=DENSITIES
        ),
        number("confidence", "calibrated chance that the density is right", nullable=True, at_least=0, at_most=1),
        *_CHANCES,
        text("exam_density", "density of the examination: of the denser breast", nullable=True, allowed=DENSITIES),
        number("exam_confidence", "chance that it is right", nullable=True, at_least=0, at_most=1),
        count("readings", "readers who spoke, by whatever channel (unnamed ones together are one)", nullable=True),
        text("sources", 'JSON list of the channels that spoke, e.g. ["table", "text"]'),
        text("evidence", "JSON list of vote ids"),
        Column("conflict", pa.bool_(), "do people's statements contradict one another, unsettled by a reviewer"),
        text(
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
        count("place", "place in the queue, from 1"),
        text("breast_id", "as in level_a.labels"),
        text("patient", "patient pseudonym"),
        text("study_instance_uid", "new study UID", nullable=True),
        text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        text("image_ids", "JSON list of its images"),
        text("reasons", "JSON list, as review_reasons in level_a.labels"),
        text("statements", "JSON list of what was said: source, reader (pseudonym or null), densities"),
        text("density", "fused density", nullable=True, allowed=DENSITIES),
        *_CHANCES,
        number("entropy", "what is not known of the density", "bits", at_least=0, at_most=2),
        number("rarity", "how rare the densities are that it may be: 1 at an even mix", at_least=0),
        number("priority", "entropy times rarity", at_least=0),
    ),
    ("place",),
)

REVIEWS = Table(
    "level_a.reviews",
    "One row per row of a reviewer's file: taken as a statement, or refused with a reason.",
    (
        text("review_id", "id of the row (Q-…): by the file's content and the row's number"),
        text("file_sha256", "SHA-256 of the file"),
        count("row", "number of the row in the file, from 1; 0 speaks of the file"),
        text("status", "what became of it", allowed=("taken", "refused")),
        text(
            "reason",
            "why it was refused",
            nullable=True,
            allowed=("unreadable", "no_density", "bad_density", "no_reviewer", "unknown_breast", "contradictory"),
        ),
        text("breast_id", "as in level_a.labels", nullable=True),
        text("density", "the reviewer's decision", nullable=True, allowed=DENSITIES),
        text("reviewer", "pseudonym of the reviewer", nullable=True),
    ),
    ("review_id",),
)

AGREEMENT = Table(
    "level_a.agreement",
    "Agreement of readers, and of channels, on the same breasts: kappa with 95 % intervals (bootstrap over patients).",
    (
        text(
            "between", "readers (by whatever channel), or sources (whoever the reader)", allowed=("readers", "sources")
        ),
        text("first", "reader's pseudonym or channel; * for all pairs of readers together"),
        text("second", "the other one"),
        count("cases", "breasts (both of one statement are one) on which each said one density"),
        count("patients", "their patients"),
        number("exact", "share of the same density", at_least=0, at_most=1),
        *(replace(c, nullable=True) for c in estimate("linear", "linear-weighted kappa", 1)),
        *(replace(c, nullable=True) for c in estimate("quadratic", "quadratic-weighted kappa", 1)),
    ),
    ("between", "first", "second"),
)

DATASET = Table(
    "level_a.dataset",
    "One row per image of the level A set.",
    (
        text("image_id", "as in level_b.images"),
        text("delivery", "partition"),
        text("patient", "patient pseudonym"),
        text("cluster", "patients joined by a shared image split together: id of the cluster"),
        text("study_instance_uid", "new study UID", nullable=True),
        text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        text("view", "view", allowed=VIEWS),
        text("density", "density", allowed=DENSITIES),
        number("confidence", "confidence of the density", at_least=0, at_most=1),
        text("vendor_group", "as in level_b.images"),
        Column("patient_age", pa.float64(), "patient's age", "years", nullable=True, at_least=0, at_most=130),
        text("split", "split", allowed=SPLITS),
        text("picture_sha256", "SHA-256 of the harmonized picture's bytes"),
        text("shard", "shard file below the publication's folder"),
        Column("shard_row", pa.int32(), "row in the shard", at_least=0),
        Column("pyramid_row", pa.int32(), "row in every level of the pyramid", at_least=0),
    ),
    ("image_id",),
)

EXCLUSIONS = Table(
    "level_a.exclusions",
    "Kept images of level B that are not in the level A set, with the reason.",
    (
        text("image_id", "as in level_b.images"),
        text("reason", "short code: no_density, duplicate, view_unknown, …"),
        text("duplicate_of", "image_id that stands for it", nullable=True),
    ),
    ("image_id",),
)

PLAN = Table(
    "level_a.plan",
    "The deficit plan: training images per density and view, and how many synthetic ones would even them out.",
    (
        text("density", "density", allowed=DENSITIES),
        text("view", "view", allowed=VIEWS),
        count("real", "real training images"),
        count("target", "training images wanted"),
        count("deficit", "synthetic images to make"),
    ),
    ("density", "view"),
)

BALANCE = Table(
    "level_a.balance",
    "How evenly the splits are made: each value of each variable, its share of a split's images, and how far that lies "
    "from its share of the training images.",
    (
        text(
            "variable",
            "what is counted; the cell is density, view, laterality, manufacturer and age_band together",
            allowed=("density", "view", "laterality", "manufacturer", "age_band", "source", "confidence", "cell"),
        ),
        text("value", "its value; * for all values of the variable together"),
        text("split", "split", allowed=SPLITS),
        count("images", "images of the split that have it"),
        count("patients", "patients of the split that have it"),
        number(
            "share", "share of the split's images; null where the split is empty", nullable=True, at_least=0, at_most=1
        ),
        number(
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
        text("split", "split, or * for all together", allowed=(*SPLITS, "*")),
        count("images", "images"),
        count("clusters", "patient clusters"),
        number(
            "v",
            "Cramer's V over clusters, corrected for bias (Bergsma 2013); null where one of the two does not vary",
            nullable=True,
            at_least=0,
            at_most=1,
        ),
        number("v_low", "lower end of its 95 % interval over patient clusters", nullable=True, at_least=0, at_most=1),
        number("v_high", "upper end of its 95 % interval over patient clusters", nullable=True, at_least=0, at_most=1),
    ),
    ("split",),
)

POWER = Table(
    "level_a.power",
    "What a split can show: the patients of each density, and the difference of two proportions that they detect.",
    (
        text("split", "split", allowed=SPLITS),
        text("density", "density", allowed=DENSITIES),
        count("patients", "patient clusters with an image of the density"),
        count("needed", "clusters in each of two groups that detect the wanted difference"),
        number(
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

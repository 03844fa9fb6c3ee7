"""Tables of level B: pictures, copies, splits, vendor curves, and what the curves did."""

import pyarrow as pa

from pipelines.storage.contracts import Column, Table
from pipelines.storage.tables.columns import count, estimate, number, text
from pipelines.storage.tables.vocabulary import DENSITIES, LATERALITIES, SPLITS, VIEWS

IMAGES = Table(
    "level_b.images",
    "One row per frame-bearing object of level C: its normalized picture, or why there is none.",
    (
        text("image_id", "new SOP Instance UID, or file_id where the object has none"),
        text("delivery", "partition"),
        text("file_id", "keyed id of the source file"),
        text("object_sha256", "SHA-256 of the level C file"),
        text("status", "what became of it", allowed=("kept", "excluded", "failed")),
        text("reason", "why it was excluded or failed: a short code such as not_mammography, tomosynthesis", True),
        text("patient", "patient pseudonym", nullable=True),
        text("accession", "accession pseudonym", nullable=True),
        text("study_instance_uid", "new study UID", nullable=True),
        text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        text("view", "view", nullable=True, allowed=VIEWS),
        text("manufacturer", "canonical manufacturer name", nullable=True),
        text("model", "(0008,1090)", nullable=True),
        text("presentation_intent", "FOR PRESENTATION or FOR PROCESSING", nullable=True),
        Column("lossy", pa.bool_(), "was it ever compressed with loss", nullable=True),
        text("vendor_group", "manufacturer|model|intent|lossiness: the group that shares a gray curve", nullable=True),
        Column("patient_age", pa.float64(), "patient's age", "years", nullable=True, at_least=0, at_most=130),
        text("voi", "which VOI transformation was applied, e.g. LINEAR#1, SIGMOID#1, VOILUT#1, NONE", nullable=True),
        text("flags", "JSON list of quality and consistency flags", nullable=True),
        text("quality", "JSON object of quality figures by name", nullable=True),
        text("shard", "shard file below the publication's folder", nullable=True),
        Column("shard_row", pa.int32(), "row in the shard", nullable=True, at_least=0),
        text("picture_sha256", "SHA-256 of the normalized picture's bytes (uint16, row by row)", nullable=True),
        text("pixel_digest", "BLAKE3 of the canonical decoded stored pixels: finds exact copies", nullable=True),
        text(
            "picture_hash",
            "nine 256-bit hashes of the picture's gray ranks in frames around its tissue, as hex: finds near copies. "
            "Bits by vertical and horizontal frequency (u, v) in the order of u + v, u, v; the plain frame first",
            nullable=True,
        ),
        Column("source_rows", pa.int32(), "rows of the source", "pixels", nullable=True, at_least=1),
        Column("source_columns", pa.int32(), "columns of the source", "pixels", nullable=True, at_least=1),
        number("spacing", "pixel spacing of the normalized picture", "mm", nullable=True, at_least=0),
        Column(
            "affine",
            pa.list_(pa.float64()),
            "a, b, c, d, e, f: source row = a·row + b·column + c, source column = d·row + e·column + f",
            "pixels",
            nullable=True,
        ),
        number("breast_fraction", "share of the picture that is breast", nullable=True, at_least=0, at_most=1),
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
        text("image_id", "image_id of the copy, as in level_b.images"),
        text("copy_of", "image_id of the one that came first"),
        text(
            "kind",
            "exact: the same stored pixels; near: found by hash, confirmed on the pictures",
            False,
            ("exact", "near"),
        ),
        Column("same_patient", pa.bool_(), "are both of one patient; null where one is unknown", nullable=True),
        count("bits", "bits of 256 by which the nearest hashes differ (near)", nullable=True),
        number("correlation", "correlation of gray ranks, laid over one another (near)", nullable=True, at_most=1),
        number("detail", "correlation of fine detail (near)", nullable=True, at_most=1),
        text("orientation", "how the copy lies (near)", True, ("same", "left_right", "up_down", "turned")),
    ),
    ("image_id", "copy_of"),
)

PATIENT_SPLITS = Table(
    "level_b.splits",
    "Every patient with a kept image: whom a shared image joins to whom, and the split, which stands once given.",
    (
        text("patient", "patient pseudonym"),
        text("cluster", "smallest pseudonym of the patients joined by shared images"),
        text("split", "split", allowed=SPLITS),
        Column("by_hash", pa.bool_(), "is it the split that the cluster's hash gives; else lent or joined"),
    ),
    ("patient",),
)

VENDOR_CURVES = Table(
    "level_b.vendor_curves",
    "One gray curve per vendor group.",
    (
        text("vendor_group", "as in level_b.images"),
        count("images", "kept images of the group"),
        count("training_images", "images that the curve was fitted on (training patients only)"),
        count("labeled_images", "those among them whose density was known: compared at one mix of densities"),
        text(
            "fitted_on",
            "group, parent (same maker and intent, else same intent) or identity",
            allowed=("group", "parent", "identity"),
        ),
        Column("lut", pa.list_(pa.uint16()), "4,096 output gray values 0…4095, rising", "gray"),
        text("version", "SHA-256 of all curves of this fit together"),
    ),
    ("vendor_group",),
)

CURVE_IMAGES = Table(
    "level_b.curve_images",
    "The kept images of a known vendor group, each once: what the vendor curves knew of them.",
    (
        text("file_id", "as in level_b.images"),
        text("image_id", "as in level_b.images"),
        text("patient", "patient pseudonym", nullable=True),
        text("vendor_group", "as in level_b.images"),
        text("density", "density by tables, SR and reports", nullable=True, allowed=DENSITIES),
        Column("training", pa.bool_(), "does the patient belong to the training split"),
        Column("fitted", pa.bool_(), "was a curve fitted on it"),
    ),
    ("image_id",),
)

HARMONIZATION = Table(
    "level_b.harmonization",
    "How well the vendor can be told and density be seen before and after the vendor curves, with 95 % intervals.",
    (
        text(
            "measured_on",
            "whose pictures: held_out (of patients that no curve was fitted on) or everyone",
            allowed=("held_out", "everyone"),
        ),
        text(
            "figure",
            "vendor_accuracy: balanced accuracy (of one vendor: recall) of telling the vendor by quantiles of gray; "
            "vendor_by_brightness: the same by mean and spread of gray alone; "
            "density_within: rank correlation of mean gray with density among one vendor's pictures; density_across: "
            "the same among all vendors' pictures together",
            allowed=("vendor_accuracy", "vendor_by_brightness", "density_within", "density_across"),
        ),
        text("vendor_group", "vendor group, or maker|*|intent|* where groups are small; * for all together"),
        count("images", "images measured"),
        count("patients", "patients measured"),
        Column("at_common_mix", pa.bool_(), "were all vendors given one mix of densities (vendor_…)", nullable=True),
        number("chance", "accuracy of a guess (vendor_…)", nullable=True, at_least=0, at_most=1),
        *estimate("before", "the figure without the curves", 1),
        *estimate("after", "the figure with the curves applied", 1),
        *estimate("change", "after less before", 2),
        text("version", "version of the vendor curves"),
    ),
    ("measured_on", "figure", "vendor_group"),
)

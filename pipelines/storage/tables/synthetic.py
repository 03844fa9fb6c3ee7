"""Tables of synthetic pictures: what was made, what the screen saw, and the augmented set."""

import pyarrow as pa

from pipelines.storage.contracts import Column, Table
from pipelines.storage.tables.columns import count, number, text
from pipelines.storage.tables.vocabulary import DENSITIES, LATERALITIES, SPLITS, VIEWS

SYNTHETIC = Table(
    "synthetic.images",
    "One row per generated image: kept, or rejected by the screen with figure and threshold.",
    (
        text("synthetic_id", "id (S-…): a hash of model, seed, number, density, view and truncation"),
        count("number", "running number within density and view: with the seed it fixes the latent"),
        count("seed", "seed of the run"),
        text("density", "density that it is labeled with: the requested one, unless re-labeled", allowed=DENSITIES),
        text("requested_density", "density asked for: with seed and number it fixes the latent", True, DENSITIES),
        text("judged_density", "likeliest density by an independent estimator", True, DENSITIES),
        text("view", "requested view", allowed=VIEWS),
        number("truncation", "ψ: 1 leaves pictures as they are, less draws them to their class' mean", at_most=1),
        text("verdict", "what the screen said", allowed=("kept", "rejected")),
        text("reason", "why rejected: copy, breast_<figure>, features, critic, class; see synthetic.screening", True),
        number("critic_score", "critic's score"),
        number("critic_low", "least score accepted: a quantile over held-back real images"),
        number("nearest_distance", "distance to the nearest training image"),
        number("nearest_low", "least distance accepted: a quantile of real-to-real distances", at_least=0),
        text("nearest_image_id", "the training image that it is nearest to"),
        number("dense_fraction", "share of the breast that is dense", at_least=0, at_most=1),
        number("expected_density", "mean of A (0) … D (3) by that estimator", nullable=True, at_least=0, at_most=3),
        number("percent_density", "percent density by the label rung", nullable=True, at_least=0, at_most=1),
        text("model_sha256", "SHA-256 of the generator's weights"),
        text("picture_sha256", "SHA-256 of the picture's bytes", nullable=True),
        text("shard", "shard file below the publication's folder", nullable=True),
        Column("shard_row", pa.int32(), "row in the shard", nullable=True, at_least=0),
        text("dicom", "DICOM file below the publication's folder", nullable=True),
    ),
    ("synthetic_id",),
)

SYNTHETIC_PATIENTS = Table(
    "synthetic.patients",
    "Whole pretend patients, four rows each: CC and MLO of both breasts, in one DICOM study. In no training set.",
    (
        text("synthetic_id", "id of the picture (S-…): a hash of all that fixes it"),
        text("synthetic_patient", "the pretend patient (W-…) whose breast it shows"),
        count("number", "running number of the patient within her density: with the seed it fixes her latents"),
        count("seed", "seed of the run"),
        text("density", "requested density", allowed=DENSITIES),
        text("laterality", "side of the breast", allowed=LATERALITIES),
        text("view", "requested view", allowed=VIEWS),
        number("truncation", "ψ: 1 leaves pictures as they are, less draws them to their class' mean", at_most=1),
        number("likeness", "cosine of the two breasts' latents", at_least=0, at_most=1),
        text("verdict", "kept where the screen kept all four pictures", allowed=("kept", "rejected")),
        text("reason", "why the screen rejected this picture, or another_picture", nullable=True),
        number("critic_score", "critic's score"),
        number("nearest_distance", "distance to the nearest training image"),
        number("dense_fraction", "share of the breast that is dense", at_least=0, at_most=1),
        number("breast_fraction", "share of the picture that is breast", at_least=0, at_most=1),
        text("model_sha256", "SHA-256 of the generator's weights"),
        text("study_instance_uid", "Study Instance UID, the same for the four", nullable=True),
        text("sop_instance_uid", "SOP Instance UID", nullable=True),
        text("picture_sha256", "SHA-256 of the picture's bytes, chest wall on the left", nullable=True),
        text("dicom", "DICOM file below the publication's folder", nullable=True),
    ),
    ("synthetic_id",),
)

SCREENING = Table(
    "synthetic.screening",
    "One row per generated image and test of the screen: the figure beside its threshold.",
    (
        text("synthetic_id", "id (S-…) of synthetic.images"),
        text(
            "test",
            "nearest_distance, nearness, standing_out, authenticity, feature_authenticity (copies), breast_<figure>, "
            "features, critic, class",
        ),
        number("figure", "what was measured"),
        number("low", "least figure accepted; null where there is none", nullable=True),
        number("high", "greatest figure accepted; null where there is none", nullable=True),
        Column("passed", pa.bool_(), "within both"),
    ),
    ("synthetic_id", "test"),
)

AUGMENTED = Table(
    "synthetic.augmented_dataset",
    "The level A set and the synthetic images together, for training.",
    (
        text("image_id", "image_id of level A, or synthetic_id"),
        Column("is_synthetic", pa.bool_(), "made by the pGAN"),
        text("patient", "patient pseudonym; null for synthetic images", nullable=True),
        text("density", "density", allowed=DENSITIES),
        text("view", "view", allowed=VIEWS),
        text("split", "split: synthetic images are in train alone", allowed=SPLITS),
        number("weight", "sampling weight within its split", at_least=0),
        text("picture_sha256", "SHA-256 of the picture's bytes"),
        text("publication", "publication that holds the picture, below the research zone"),
        text("shard", "shard file below that publication"),
        Column("shard_row", pa.int32(), "row in the shard", at_least=0),
    ),
    ("image_id",),
)

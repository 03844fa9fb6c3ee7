"""Tables of evaluation: transfer between vendors, novelty, and what synthetic pictures are worth."""

from dataclasses import replace

import pyarrow as pa

from pipelines.storage.contracts import Column, Table
from pipelines.storage.tables.columns import count, estimate, number, text
from pipelines.storage.tables.vocabulary import ARMS, DENSITIES, SPLITS

TRANSFER = Table(
    "evaluation.vendor_transfer",
    "What a way to transfer pictures from vendor to vendor does, with 95 % intervals over patients.",
    (
        text("way", "harmonization (the vendor curves), or projection (through the generator)"),
        text(
            "figure",
            "vendor_accuracy: balanced accuracy (of one vendor: recall) of telling the vendor by quantiles of gray; "
            "density_within: rank correlation of mean gray with density among a vendor's pictures; structure: mean "
            "structural similarity with the original, grays matched",
            allowed=("vendor_accuracy", "density_within", "structure"),
        ),
        text("vendor_group", "vendor group; * for all together"),
        count("images", "images measured"),
        count("patients", "patients measured"),
        number("chance", "accuracy of a guess (vendor_accuracy)", nullable=True, at_least=0, at_most=1),
        *estimate("before", "the figure of the pictures as they came", 1),
        *estimate("after", "the figure of what became of them", 1),
        *estimate("change", "after less before", 2),
    ),
    ("way", "figure", "vendor_group"),
)

NOVELTY = Table(
    "evaluation.novelty",
    "One row per kept image of level B: how far out of normal feature space it lies, the farthest first.",
    (
        count("rank", "1 for the oddest"),
        text("image_id", "image_id of level B"),
        text("delivery", "delivery that it came in"),
        text("vendor_group", "vendor group", nullable=True),
        text("view", "view", nullable=True),
        text("density", "density, where it is known", True, DENSITIES),
        text("split", "split, where the image is in level A; the detectors learned from train", True, SPLITS),
        text("detector", "detector that ranks"),
        number("oddness", "what it says: a distance, or the negative score of the critic"),
        number("threshold", "greatest value that is not novel, from held-back images"),
        Column("is_novel", pa.bool_(), "beyond the threshold"),
    ),
    ("rank",),
)

ODDITIES = Table(
    "evaluation.oddities",
    "How well each detector tells pictures made odd on purpose from held-back real ones.",
    (
        text("detector", "critic, critic_features, features or features_and_extremes"),
        text("kind", "kind of oddity, or * for the mean over the kinds"),
        text(
            "measured_on",
            "held-back patients: those on whom the detector is chosen, or others",
            allowed=("choosing", "measuring"),
        ),
        count("images", "held-back images, and as many odd ones"),
        number("auroc", "area under the ROC curve", at_least=0, at_most=1),
        Column("chosen", pa.bool_(), "the detector that ranks: the best on average where it is chosen"),
    ),
    ("detector", "kind", "measured_on"),
)

DOWNSTREAM = Table(
    "evaluation.downstream",
    "What training sets are worth: figures of a density classifier on real test patients, with 95 % intervals.",
    (
        text("arm", "what the classifier was taught by", allowed=ARMS),
        number("fraction", "share of the real training patients that it learned from", at_least=0, at_most=1),
        text(
            "measure",
            "quadratic-weighted kappa, balanced accuracy, or the recall of one density",
            allowed=("quadratic_kappa", "balanced_accuracy", "recall_A", "recall_B", "recall_C", "recall_D"),
        ),
        *(replace(c, nullable=True) for c in estimate("value", "the figure, the mean over repetitions", 1)),
        *(replace(c, nullable=True) for c in estimate("over_real", "paired difference from real pictures alone", 2)),
        *(
            replace(c, nullable=True)
            for c in estimate("over_classical", "paired difference from classical augmentation", 2)
        ),
        count("seeds", "repetitions with other seeds"),
        count("images", "test images"),
        count("patients", "test patients, those who share an image counted as one"),
    ),
    ("arm", "fraction", "measure"),
)

PREDICTIONS = Table(
    "evaluation.predictions",
    "What each training told of each test image.",
    (
        text("arm", "what the classifier was taught by", allowed=ARMS),
        number("fraction", "share of the real training patients that it learned from", at_least=0, at_most=1),
        count("seed", "the repetition"),
        text("image_id", "as in level_a.dataset"),
        text("density", "density by its label", allowed=DENSITIES),
        text("predicted", "density by the classifier", allowed=DENSITIES),
    ),
    ("arm", "fraction", "seed", "image_id"),
)

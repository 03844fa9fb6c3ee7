"""The tables: the one place that says what a rung hands on.

Each contract names its columns with their Arrow type, unit, allowed values and meaning. What a stage computes for
itself alone does not belong here.
"""

from pipelines.storage.contracts import ContractError, Table, read_table, write_table
from pipelines.storage.tables.evaluation import DOWNSTREAM, NOVELTY, ODDITIES, PREDICTIONS, TRANSFER
from pipelines.storage.tables.level_a import (
    AGREEMENT,
    ASSOCIATION,
    BALANCE,
    DATASET,
    EXCLUSIONS,
    LABELS,
    PLAN,
    POWER,
    REVIEW_QUEUE,
    REVIEWS,
    VOTES,
)
from pipelines.storage.tables.level_b import COPIES, CURVE_IMAGES, HARMONIZATION, IMAGES, PATIENT_SPLITS, VENDOR_CURVES
from pipelines.storage.tables.level_d_c import DELIVERED_LABELS, INVENTORY, OBJECTS, REPORTS
from pipelines.storage.tables.synthetic import AUGMENTED, SCREENING, SYNTHETIC, SYNTHETIC_PATIENTS
from pipelines.storage.tables.vocabulary import (
    ARMS,
    DENSITIES,
    DENSITY_SETS,
    LATERALITIES,
    ORIGINS,
    PIXELS_CAP,
    SPLITS,
    VIEWS,
)

__all__ = [
    "AGREEMENT", "ARMS", "ASSOCIATION", "AUGMENTED", "BALANCE", "CONTRACTS", "COPIES", "CURVE_IMAGES", "DATASET",
    "DELIVERED_LABELS", "DENSITIES", "DENSITY_SETS", "DOWNSTREAM", "EXCLUSIONS", "HARMONIZATION", "IMAGES",
    "INVENTORY", "LABELS", "LATERALITIES", "NOVELTY", "OBJECTS", "ODDITIES", "ORIGINS", "PATIENT_SPLITS", "PIXELS_CAP",
    "PLAN", "POWER", "PREDICTIONS", "REPORTS", "REVIEWS", "REVIEW_QUEUE", "SCREENING", "SPLITS", "SYNTHETIC",
    "SYNTHETIC_PATIENTS", "TRANSFER", "VENDOR_CURVES", "VIEWS", "VOTES",
    "ContractError", "Table", "read_table", "write_table",
]  # fmt: skip

CONTRACTS = (
    INVENTORY, OBJECTS, REPORTS, DELIVERED_LABELS, IMAGES, COPIES, PATIENT_SPLITS, VENDOR_CURVES, CURVE_IMAGES,
    HARMONIZATION, VOTES, LABELS, REVIEW_QUEUE, REVIEWS, AGREEMENT, DATASET, EXCLUSIONS, PLAN, BALANCE, ASSOCIATION,
    POWER, SYNTHETIC, SYNTHETIC_PATIENTS, SCREENING, AUGMENTED, NOVELTY, ODDITIES, TRANSFER, DOWNSTREAM,
    PREDICTIONS,
)  # fmt: skip

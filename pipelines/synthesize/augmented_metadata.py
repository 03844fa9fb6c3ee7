"""Croissant metadata of the augmented set: which records are synthetic, where from, and what they are good for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.storage import croissant
from pipelines.storage.curriculum import INDEX
from pipelines.storage.curriculum import NAME as CURRICULUM
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.tables import AUGMENTED, SYNTHETIC
from pipelines.synthesize.augmented import REAL_PUBLICATION, SYNTHETIC_PUBLICATION, AugmentedError, AugmentedSummary

TITLE = "augmented with synthetic images"
_TABLE = f"{SYNTHETIC_PUBLICATION}/synthetic.parquet"


@dataclass(frozen=True)
class PublishedFile:
    """A file of another publication: its path below the research zone, where it lies, and its SHA-256."""

    name: str
    path: Path
    sha256: str


def write_metadata(
    folder: Path, summary: AugmentedSummary, *, title: str, stated: Mapping[str, Any], files: Sequence[PublishedFile]
) -> None:
    """Write ``folder/croissant.json`` over the index and curriculum in it and over ``files`` of other publications.

    ``files``: the shards that the index points to, and ``synthetic/images/synthetic.parquet``; they are named by their
    place in the research zone, two folders above. ``title`` and ``stated`` are what the hospital says of the real set:
    license, citation, creator, publisher, version. Raises AugmentedError where mlcroissant finds the result invalid.
    """
    own = [croissant.file_object(folder / n, sha256_of_file(folder / n), url=n) for n in (INDEX, CURRICULUM)]
    others = [
        croissant.file_object(file.path, file.sha256, url=f"../../{file.name}", name=file.name)
        for file in sorted(files, key=lambda file: file.name)
    ]
    leading = {"split": "splits/name", "density": "densities/name"}
    record_sets = [croissant.splits(), croissant.densities(), croissant.record_set("images", INDEX, AUGMENTED, leading)]
    if any(file.name == _TABLE for file in files):
        record_sets.append(croissant.record_set("synthetic", _TABLE, SYNTHETIC, {"density": "densities/name"}))
    croissant.write_description(
        folder,
        name=f"{title}, {TITLE}",
        description=_in_one_sentence(summary),
        keywords=["mammography", "breast density", "BI-RADS", "synthetic data", "medical imaging data readiness"],
        properties={**stated, **_rai(summary)},
        distribution=[*own, *others],
        record_sets=record_sets,
    )
    errors = croissant.croissant_errors(folder)
    if errors:
        raise AugmentedError(f"the metadata are invalid in {len(errors)} places")


def _in_one_sentence(summary: AugmentedSummary) -> str:
    return (
        f"{summary.real} mammograms of patients, split into training, validation and test, and {summary.synthetic} "
        "synthetic mammograms of nobody in the training split alone; images/is_synthetic tells them apart."
    )


def _rai(summary: AugmentedSummary) -> dict[str, Any]:
    """What a user must know of the synthetic records, in the RAI vocabulary."""
    models = ", ".join(summary.models) or "none"
    by_density = ", ".join(
        f"{density} {real} real and {made} synthetic" for density, (real, made) in summary.training_by_density.items()
    )
    return {
        "rai:dataCollection": (
            f"Records with images/is_synthetic false ({summary.real}) are those of {REAL_PUBLICATION}, unchanged, in "
            f"their splits. Records with images/is_synthetic true ({summary.synthetic}) were drawn by a progressive "
            f"GAN (SHA-256 of the generator's weights: {models}) that had seen the real training records alone, and "
            "kept by a screen; the record set synthetic has seed, number and every figure of the screen for each."
        ),
        "rai:dataCollectionType": ["Secondary Data Analysis", "Others"],
        "rai:dataAnnotationProtocol": [
            "Real records: density as readers, reports and tables gave it, fused to one label a breast.",
            "Synthetic records: the density that the generator was asked for. It is a weak label; nobody has read the "
            "picture.",
        ],
        "rai:machineAnnotationTools": [f"progressive GAN, generator {model}" for model in summary.models],
        "rai:dataBiases": [f"Training records by density: {by_density or 'none'}."],
        "rai:dataLimitations": [
            "Synthetic records repeat what the generator learned from the real training records: they hold no finding "
            "that these lack, and their errors. They are in no validation or test split, and nothing is to be "
            "reported on them.",
        ],
        "rai:dataUseCases": [
            "Training of classifiers of breast density, by the weights of the index or by curriculum.json: first on "
            "synthetic records, then on real ones.",
            "Not for: diagnosis, evaluation on synthetic records, statements about a population.",
        ],
        "rai:personalSensitiveInformation": [
            "Real records: health data of patients under keyed pseudonyms. Synthetic records: no patient was imaged."
        ],
    }

"""A small data set of two deliveries that stands on the highest rung; each test breaks one thing in it."""

import json
from dataclasses import dataclass, field

import pytest

from pipelines.readiness import figures
from pipelines.storage.tables import (
    AUGMENTED,
    DATASET,
    DELIVERED_LABELS,
    DOWNSTREAM,
    EXCLUSIONS,
    HARMONIZATION,
    IMAGES,
    INVENTORY,
    LABELS,
    OBJECTS,
    PATIENT_SPLITS,
    PLAN,
    REPORTS,
    SCREENING,
    SYNTHETIC,
    VENDOR_CURVES,
)

DELIVERIES = ("D-1", "D-2")
GROUPS = ("Hologic|x|FOR PRESENTATION|lossless", "GE|y|FOR PRESENTATION|lossless")
RISING = list(range(4096))


@dataclass
class World:
    """Rows of every table, and what was measured beside them."""

    inventory: dict = field(default_factory=dict)
    objects: dict = field(default_factory=dict)
    reports: dict = field(default_factory=dict)
    delivered: dict = field(default_factory=dict)
    images: dict = field(default_factory=dict)
    splits: list = field(default_factory=list)
    curves: list = field(default_factory=list)
    harmonization: list = field(default_factory=list)
    labels: list = field(default_factory=list)
    dataset: list = field(default_factory=list)
    exclusions: list = field(default_factory=list)
    plan: list = field(default_factory=list)
    synthetic: list = field(default_factory=list)
    screening: list = field(default_factory=list)
    novelty: dict = field(default_factory=lambda: {"novelty_auroc": 0.95, "novelty_share": 0.01})
    transfer: dict = field(default_factory=lambda: {"transfer_structure": 0.99})
    augmented: list = field(default_factory=list)
    downstream: list = field(default_factory=list)
    survivors: dict = field(default_factory=lambda: dict.fromkeys(DELIVERIES, 0))
    unknown: dict = field(default_factory=lambda: dict.fromkeys(DELIVERIES, 0))
    unmarked: dict = field(default_factory=lambda: dict.fromkeys(DELIVERIES, 0))
    unsearched: dict = field(default_factory=lambda: dict.fromkeys(DELIVERIES, 0))
    files_found: int | None = 7
    model: dict | None = None
    losses: list = field(default_factory=lambda: [{"images": 1, "critic": 0.5}])
    export: dict = field(
        default_factory=lambda: {
            "a_export_unlike_manifest": 0,
            "a_export_unaccounted": 0,
            "a_export_croissant_errors": 0,
            "a_export_identifiers": 0,
        }
    )

    def delivery_figures(self, name):
        inventory, objects = INVENTORY.build(self.inventory[name]), OBJECTS.build(self.objects[name])
        texts = REPORTS.build(self.reports[name]), DELIVERED_LABELS.build(self.delivered[name])
        return {
            **figures.inventory_figures(inventory, self.files_found),
            **figures.objects_figures(
                inventory,
                objects,
                survivors=self.survivors[name],
                unknown=self.unknown[name],
                unmarked=self.unmarked[name],
                unsearched=self.unsearched[name],
            ),
            **figures.texts_figures(inventory, *texts),
            **figures.images_figures(objects, IMAGES.build(self.images[name])),
        }

    def all_images(self):
        return IMAGES.build([row for name in DELIVERIES for row in self.images[name]])

    def set_figures(self, folder):
        images, dataset, plan = self.all_images(), DATASET.build(self.dataset), PLAN.build(self.plan)
        folder.mkdir(exist_ok=True)
        if self.model is not None:
            (folder / "report.json").write_text(json.dumps(self.model))
            (folder / "losses.json").write_text(json.dumps(self.losses))
        return {
            **figures.splits_figures(images, PATIENT_SPLITS.build(self.splits)),
            **figures.curves_figures(images, VENDOR_CURVES.build(self.curves)),
            **self.novelty,
            **self.transfer,
            **figures.harmonization_figures(HARMONIZATION.build(self.harmonization)),
            **figures.labels_figures(images, LABELS.build(self.labels)),
            **figures.dataset_figures(images, dataset, EXCLUSIONS.build(self.exclusions), plan),
            **figures.model_figures(folder),
            **figures.synthetic_figures(plan, SYNTHETIC.build(self.synthetic), SCREENING.build(self.screening)),
            **figures.augmented_figures(dataset, AUGMENTED.build(self.augmented)),
            **figures.worth_figures(DOWNSTREAM.build(self.downstream)),
            **self.export,
        }


def _add_delivery(world, d):
    files = [f"F-{d}{n}" for n in range(7)]
    sources = world.inventory[DELIVERIES[d]] = [
        {
            "file_id": file_id,
            "location": f"inbox:{n}",
            "size": 1,
            "sha256": f"{d}{n}",
            "kind": "dicom",
            "status": "accepted",
            "sop_instance_uid": f"1.2.{d}.{n}",
            "series_instance_uid": f"1.3.{d}.{n // 2}",
            "study_instance_uid": f"1.4.{d}.{n // 4}",
            "accession_number": f"ACC1234{d}{n // 4}",
            "patient_id": f"PAT5678{d}{n // 4}",
        }
        for n, file_id in enumerate(files)
    ]
    sources[4] |= {"status": "duplicate", "duplicate_of": files[0]}
    sources[5] |= {"status": "quarantined", "reason": "truncated"}
    sources[6] |= {"kind": "reports", "sop_instance_uid": None, "patient_id": None}
    world.objects[DELIVERIES[d]] = [
        {
            "file_id": files[n],
            "status": "written",
            "path": f"P-{d}/2.25.{d}{n}.dcm",
            "sha256": "0",
            "patient": f"P-{d}",
            "accession": f"A-{d}",
            "sop_instance_uid": f"2.25.{d}{n}",
            "series_instance_uid": f"2.26.{d}{n // 2}",
            "study_instance_uid": f"2.27.{d}",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2",
            "modality": "MG",
        }
        for n in range(4)
    ]
    world.reports[DELIVERIES[d]] = [
        {"report_id": f"R-{d}", "file_id": files[6], "status": "written", "text": "ACR b.", "accession": f"A-{d}"}
    ]
    world.delivered[DELIVERIES[d]] = []
    images = world.images[DELIVERIES[d]] = []
    for n in range(4):
        image = {
            "image_id": f"2.25.{d}{n}",
            "delivery": DELIVERIES[d],
            "file_id": files[n],
            "object_sha256": "0",
            "status": "kept",
            "patient": f"P-{d}",
            "laterality": "LR"[n // 2],
            "view": ("CC", "MLO")[n % 2],
            "manufacturer": GROUPS[d].split("|")[0],
            "vendor_group": GROUPS[d],
            "flags": "[]",
            "shard": "shard-00000.arrow",
            "shard_row": n,
            "picture_sha256": f"pic{d}{n}",
            "pixel_digest": f"pix{d}{n}",
            "picture_hash": "0",
            "breast_fraction": 0.4,
        }
        images.append(image)
        # Three patients are feigned, so that each split has one.
        patient = f"P-{d}" if (d, n) not in ((1, 2), (1, 3)) else "P-9"
        image["patient"] = patient
        split = {"P-0": "train", "P-1": "validation", "P-9": "test"}[patient]
        if all(patient != row["patient"] for row in world.splits):
            world.splits.append({"patient": patient, "cluster": patient, "split": split, "by_hash": True})
        density = "BBCC"[n]
        world.labels.append(
            {
                "image_id": image["image_id"],
                "patient": patient,
                "density": density,
                "confidence": 1.0,
                "sources": '["text"]',
                "evidence": '["V-1", "V-2"]',
                "conflict": n == 0,
            }
        )
        world.dataset.append(
            {
                "image_id": image["image_id"],
                "delivery": DELIVERIES[d],
                "patient": patient,
                "cluster": patient,
                "view": image["view"],
                "density": density,
                "confidence": 1.0,
                "vendor_group": GROUPS[d],
                "split": split,
                "picture_sha256": "0",
                "shard": "shard-00000.arrow",
                "shard_row": 4 * d + n,
                "pyramid_row": 4 * d + n,
            }
        )


def _add_synthetic(world):
    training = [r for r in world.dataset if r["split"] == "train"]
    for density in "ABCD":
        for view in ("CC", "MLO"):
            real = sum(r["density"] == density and r["view"] == view for r in training)
            world.plan.append(
                {"density": density, "view": view, "real": real, "target": 2, "deficit": 1 if real else 0}
            )
    made = [(d, v, n) for d in "BC" for v in ("CC", "MLO") for n in (0, 1)]
    world.synthetic = [
        {
            "synthetic_id": f"S-{density}{view}{n}",
            "number": n,
            "seed": 1,
            "density": density,
            "requested_density": density,
            "percent_density": {"B": 0.15, "C": 0.35}[density],
            "view": view,
            "truncation": 1.0,
            "verdict": "kept" if n == 0 else "rejected",
            "reason": None if n == 0 else "critic",
            "critic_score": 1.0 - 2 * n,
            "critic_low": 0.0,
            "nearest_distance": 3.0,
            "nearest_low": 2.0,
            "nearest_image_id": "2.25.00",
            "dense_fraction": {"B": 0.2, "C": 0.4}[density],
            "model_sha256": "m",
        }
        for density, view, n in made
    ]
    world.screening = [
        {"synthetic_id": row["synthetic_id"], "test": test, "figure": figure, "low": 0.0, "passed": figure >= 0}
        for row in world.synthetic
        for test, figure in (("critic", row["critic_score"]), ("nearest_distance", 3.0))
    ]
    real = [{**r, "is_synthetic": False} for r in world.dataset]
    extra = [
        {**s, "image_id": s["synthetic_id"], "is_synthetic": True, "split": "train", "shard": "s", "shard_row": 0}
        | {"picture_sha256": "0"}
        for s in world.synthetic
        if s["verdict"] == "kept"
    ]
    names = ("image_id", "is_synthetic", "density", "view", "split", "picture_sha256", "shard", "shard_row")
    world.augmented = [{**{n: r[n] for n in names}, "weight": 1.0, "publication": "p"} for r in real + extra]
    kappa = {"measure": "quadratic_kappa", "fraction": 1.0, "seeds": 5, "images": 8, "patients": 2, "value": 0.5}
    world.downstream = [kappa | {"arm": "mixed", "over_real": -0.1}, kappa | {"arm": "real"}]


def estimated(figure, measured_on, before, after, vendor_group="*"):
    """A row of HARMONIZATION whose intervals reach 0.02 to both sides."""
    row = {"figure": figure, "measured_on": measured_on, "vendor_group": vendor_group, "images": 9, "patients": 3}
    row |= {"version": "v", "chance": 0.5 if figure == "vendor_accuracy" else None}
    for name, value in (("before", before), ("after", after), ("change", after - before)):
        row |= {name: value, f"{name}_low": value - 0.02, f"{name}_high": value + 0.02}
    return row


@pytest.fixture
def world():
    world = World()
    for d in range(2):
        _add_delivery(world, d)
    world.curves = [
        {
            "vendor_group": g,
            "images": 4,
            "training_images": 4,
            "labeled_images": 4,
            "fitted_on": "group",
            "lut": RISING,
            "version": "v",
        }
        for g in GROUPS
    ]
    world.harmonization = [
        estimated("vendor_accuracy", "everyone", 0.9, 0.7),
        estimated("vendor_accuracy", "held_out", 0.9, 0.55),
        estimated("density_within", "held_out", 0.60, 0.59),
        estimated("vendor_accuracy", "held_out", 0.8, 0.95, GROUPS[0]),
    ]
    _add_synthetic(world)
    world.model = {
        "levels": [
            {
                "sliced_wasserstein": {"generated": {"mean": 30.0}, "real": {"mean": 10.0}},
                "diversity": {"mean": 0.8},
                "neighborhood": {"generated": {"recall": 0.7}, "real": {"recall": 0.9}},
                "fidelity": {"generated": {"recovered": 0.85}},
            }
        ],
        "rollbacks": [{"reason": "collapse"}],
        "critic_scores": {"membership_auc": 0.6},
        "density": {"generated": {"spearman": 0.7}},
    }
    return world

"""Pretend exams of several vendors, normalized: rows of level_b.images with their densities, without any file."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pipelines.normalize.mammogram import NormalizeSettings, normalize
from pipelines.phantom.acquisition import Subject, take_exam
from pipelines.phantom.breast import grow
from pipelines.phantom.objects import image_object
from pipelines.phantom.patients import invent_exam, invent_person
from pipelines.phantom.pictures import RealPatient
from pipelines.phantom.vendors import EXPLICIT, Vendor

Row = dict[str, Any]


def subject(vendor: Vendor, number: int, density: Mapping[str, str], real: RealPatient | None = None) -> Subject:
    """A pretend patient; ``density`` by laterality. Her breasts are drawn (of the right one's density), or ``real``."""
    exam = invent_exam(1, invent_person(1, number, None), vendor.name)
    anatomy = grow(density["R"], number) if real is None else None
    return Subject(1, exam, vendor, vendor.models[0], EXPLICIT, False, dict(density), anatomy, real)


def normalized(who: Subject, scale: float, pictures: int, settings: NormalizeSettings) -> Iterator[Row]:
    """The rows of a patient's first ``pictures`` that are kept, as the level B asset would write them."""
    for number, taken in enumerate(islice(take_exam(who, scale, 0), pictures)):
        outcome = normalize(image_object(taken.shot), settings)
        image_id = f"{who.vendor.name}-{who.exam.person.number:05d}-{number}"
        if outcome.status == "kept":
            row = {"image_id": image_id, "file_id": image_id, "delivery": "D-1", "object_sha256": "0"}
            yield row | {"status": "kept", "patient": f"P-{who.exam.person.number:05d}"} | outcome.facts

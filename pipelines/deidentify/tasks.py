"""What a worker does with one object of a delivery.

A worker imports no more than this needs: the tables of the parent, with pandas and Arrow, would double its memory.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from pipelines.deidentify.identifiers import HeaderIdentifiers
from pipelines.deidentify.objects import CleanedPixels, Written, deidentify_object
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.refusals import RefusedError
from pipelines.deidentify.text_settings import TextSettings
from pipelines.storage.keys import Key


@dataclass(frozen=True)
class Task:
    """One object: where it lies, how people named the place, the reason to refuse it unread, its patient's pseudonym
    where that is known better than from its header, and what the headers of its study name."""

    file_id: str
    source: Path
    location: str
    refused: str | None
    patient: str | None
    study: HeaderIdentifiers | None


@dataclass(frozen=True)
class Outcome:
    """Of one object in a worker: what was written, or the reason code for its refusal."""

    written: Written | None = None
    reason: str | None = None


def deidentify_one(task: Task, *, key: Key, profile: Profile, staged: Path) -> Outcome:
    """One object in a worker. Exceptions that are no refusal become reason codes of their class's name alone."""
    if task.refused:
        return Outcome(reason=task.refused)
    target = staged / task.file_id
    try:
        written = deidentify_object(
            task.source,
            target,
            file_id=task.file_id,
            location=task.location,
            profile=profile,
            pseudonyms=Pseudonyms(key),
            patient=task.patient,
            study=task.study,
            clean_pixels=partial(_clean_pixels, settings=profile.pixels) if profile.is_on("clean_pixel_data") else None,
        )
        return Outcome(written)
    except RefusedError as refused:
        return Outcome(reason=refused.reason)
    except Exception as error:  # noqa: BLE001 - the boundary of bad input: a status row in place of a lost night
        target.unlink(missing_ok=True)
        return Outcome(reason=f"error_{type(error).__name__}")


def _clean_pixels(dataset: Dataset, settings: TextSettings) -> CleanedPixels:
    from pipelines.deidentify import burned_in

    try:
        return burned_in.clean_pixels(dataset, settings)
    except burned_in.DetectorError as error:
        raise RefusedError(error.reason) from None

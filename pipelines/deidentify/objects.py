"""One object, from level D to level C: read, refused or cleaned, marked, written, and scanned for what may remain."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from pipelines.deidentify import dates, residual
from pipelines.deidentify.deny import deny_list_of
from pipelines.deidentify.elements import text_of
from pipelines.deidentify.engine import Cleaning, clean
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet, read_raw, transfer_syntax_of
from pipelines.deidentify.refusals import reason_to_refuse
from pipelines.deidentify.structured import clean_content

IMPLEMENTATION_CLASS_UID = UID("2.25.265911413164213917432113911532402106")
IMPLEMENTATION_VERSION_NAME = "MIDAR_0_1"
_UNKNOWN_PATIENT = "patient_unknown"
_PIXEL_DATA = (0x7FE00008, 0x7FE00009, 0x7FE00010)


class RefusedError(ValueError):
    """An object cannot be passed on; ``reason`` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Written:
    """What is known of an object that was written."""

    patient: str
    accession: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uid: str
    sop_class_uid: str
    modality: str | None
    manufacturer: str | None
    model: str | None
    boxes: list[list[int]]
    actions: dict[str, int]
    actions_by_tag: dict[str, dict[str, int]]


def deidentify_object(
    source: Path,
    target: Path,
    *,
    file_id: str,
    location: str,
    profile: Profile,
    pseudonyms: Pseudonyms,
    clean_pixels: Callable[[Dataset], list[Any]] | None = None,
) -> Written:
    """Read ``source``, clean it under the profile, write it to ``target`` (Part 10) and scan what was written.

    ``location`` is the inventory's: words of the path are searched for too. ``clean_pixels`` blanks text in an object's
    pixel data in place and returns the boxes. Raises RefusedError, and leaves no file, where an object cannot pass.
    """
    with quiet():
        dataset = _read(source)
        syntax = transfer_syntax_of(dataset)
        if syntax is None:
            raise RefusedError("transfer_syntax_unknown")
        sop_class_uid = text_of(dataset, 0x00080016) or str(dataset.file_meta.get("MediaStorageSOPClassUID", "") or "")
        reason = reason_to_refuse(dataset, sop_class_uid)
        if reason:
            raise RefusedError(reason)
        patient, unknown = _patient(dataset, pseudonyms, file_id)
        cleaning = Cleaning(profile, pseudonyms, patient, deny_list_of(dataset), sop_class_uid, clean_content)
        identifiers = residual.identifiers_of(dataset, profile, location, cleaning.days)
        age = _age(dataset, profile)
        boxes = clean_pixels(dataset) if clean_pixels and any(tag in dataset for tag in _PIXEL_DATA) else []
        if boxes:
            syntax = str(dataset.file_meta.TransferSyntaxUID)
        clean(dataset, cleaning)
        _complete(dataset, cleaning, file_id, age)
        _mark(dataset, profile, pseudonyms, boxes)
        _write(dataset, target, syntax)
    if residual.scan(target, identifiers):
        target.unlink()
        raise RefusedError("residual_identifier")
    if unknown:
        cleaning.actions[0, _UNKNOWN_PATIENT] += 1
    return _described(dataset, cleaning, boxes)


def _read(source: Path) -> Dataset:
    try:
        dataset = read_raw(source)
    except OSError as error:
        if error.errno is not None:
            raise
        raise RefusedError("unreadable") from None
    except Exception:  # noqa: BLE001 - whatever a damaged file does to the parser, it is that file's refusal
        raise RefusedError("unreadable") from None
    if not len(dataset):
        raise RefusedError("no_data_set")
    return dataset


def _patient(dataset: Dataset, pseudonyms: Pseudonyms, file_id: str) -> tuple[str, bool]:
    """The patient's pseudonym, and whether the object does not say whose it is."""
    patient_id = text_of(dataset, 0x00100020).strip(" \0")
    if patient_id:
        return pseudonyms.patient(patient_id, text_of(dataset, 0x00100021)), False
    return pseudonyms.unknown_patient(text_of(dataset, 0x0020000D), file_id), True


def _age(dataset: Dataset, profile: Profile) -> str | None:
    """The age on the day of the study, acquisition or content, where the header gives a birth date but no age."""
    if not profile.is_on("retain_patient_characteristics") or text_of(dataset, 0x00101010).strip():
        return None
    birth = dates.day_of(text_of(dataset, 0x00100030))
    days = (dates.day_of(text_of(dataset, tag)) for tag in (0x00080020, 0x00080022, 0x00080023))
    day = next((d for d in days if d is not None), None)
    if birth is None or day is None:
        return None
    age = dates.age_at(birth, day)
    return dates.capped_age(age, profile.oldest) if age else None


def _complete(dataset: Dataset, cleaning: Cleaning, file_id: str, age: str | None) -> None:
    """Add what an object must have, and the age that its birth date told."""
    dataset.PatientName = dataset.PatientID = cleaning.patient
    if not text_of(dataset, 0x00080016):
        dataset.SOPClassUID = cleaning.sop_class_uid
    if not text_of(dataset, 0x00080018):
        dataset.SOPInstanceUID = cleaning.pseudonyms.uid(f"file {file_id}")
    if age:
        dataset.PatientAge = age


def _mark(dataset: Dataset, profile: Profile, pseudonyms: Pseudonyms, boxes: list[Any]) -> None:
    """State what was done (PS3.15 section E.1.1, PS3.3 sections C.7.1.1 and C.12.1)."""
    moved, full = (profile.is_on(f"retain_longitudinal_{kind}_dates") for kind in ("modified", "full"))
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [
        f"DICOM PS3.15 {profile.edition} Basic Profile and options",
        f"MIDaR profile {profile.sha256[:12]} key {pseudonyms.key.fingerprint}",
    ]
    dataset.DeidentificationMethodCodeSequence = Sequence([_code(*code) for code in profile.codes])
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if moved else "UNMODIFIED" if full else "REMOVED"
    if boxes:
        dataset.BurnedInAnnotation = "NO"
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = Sequence([_code("109104", "De-identifying Equipment")])
    equipment.Manufacturer = equipment.ManufacturerModelName = "MIDaR"
    equipment.SoftwareVersions = IMPLEMENTATION_VERSION_NAME
    dataset.ContributingEquipmentSequence = Sequence([equipment])


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _write(dataset: Dataset, target: Path, syntax: str) -> None:
    """Write a Part 10 file: preamble of zeros, its own meta information, nothing behind the pixel data."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        dataset.save_as(target, enforce_file_format=True)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _described(dataset: Dataset, cleaning: Cleaning, boxes: list[Any]) -> Written:
    actions: Counter[str] = Counter()
    by_tag: dict[str, dict[str, int]] = {}
    for (tag, action), count in sorted(cleaning.actions.items()):
        actions[action] += count
        if tag:
            by_tag.setdefault("private" if tag == 0x00010001 else f"{tag:08X}", {})[action] = count

    def value(tag: int) -> str | None:
        return text_of(dataset, tag).strip() or None

    return Written(
        patient=cleaning.patient,
        accession=value(0x00080050),
        study_instance_uid=value(0x0020000D),
        series_instance_uid=value(0x0020000E),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        modality=value(0x00080060),
        manufacturer=value(0x00080070),
        model=value(0x00081090),
        boxes=[_box(box) for box in boxes],
        actions=dict(actions),
        actions_by_tag=by_tag,
    )


def _box(box: Any) -> list[int]:
    """A box as [frame, top, left, bottom, right]."""
    return [int(getattr(box, name, 0) or 0) for name in ("frame", "top", "left", "bottom", "right")]

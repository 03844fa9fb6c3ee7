"""One object, from level D to level C: read, refused or cleaned, marked, written, and scanned for what may remain."""

from collections import Counter
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Sequenced
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from pipelines.deidentify import dates, residual
from pipelines.deidentify.carried import Carried, look_at_pixels
from pipelines.deidentify.cleaning import Cleaning
from pipelines.deidentify.elements import items_of, set_value, text_of
from pipelines.deidentify.engine import clean
from pipelines.deidentify.identifiers import HeaderIdentifiers, deny_list_from, identifiers_in, kept_texts
from pipelines.deidentify.origin import SYNTHETIC, earlier_codes, origin_of, temporal_information
from pipelines.deidentify.pixel_extent import drop_false_offsets
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.raw_elements import tag_of
from pipelines.deidentify.reading import CutOffError, Header, TooLargeError, quiet, read_header, transfer_syntax_of
from pipelines.deidentify.refusals import RefusedError, reason_to_refuse
from pipelines.deidentify.structured import clean_content
from pipelines.deidentify.writing import IMPLEMENTATION_VERSION_NAME, encoded_items, write

_UNKNOWN_PATIENT = "patient_unknown"
_EQUIPMENT, _MANUFACTURER, _MANUFACTURER_NAME = 0x0018A001, 0x00080070, "MIDaR"


class CleanedPixels(Protocol):
    """What cleaning pixel data did: boxes blanked, how many strokes a person should look at, whether bytes changed."""

    @property
    def boxes(self) -> Sequenced[Any]:  # noqa: D102
        ...

    @property
    def review(self) -> int:  # noqa: D102
        ...

    @property
    def changed(self) -> bool:  # noqa: D102
        ...


@dataclass(frozen=True)
class Written:
    """What is known of an object that was written; ``sha256`` and ``size`` are the file's."""

    patient: str
    accession: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uid: str
    sop_class_uid: str
    origin: str
    modality: str | None
    manufacturer: str | None
    model: str | None
    boxes: list[list[int]]
    review_boxes: int | None
    sha256: str
    size: int
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
    patient: str | None = None,
    study: HeaderIdentifiers | None = None,
    clean_pixels: Callable[[Dataset], CleanedPixels] | None = None,
) -> Written:
    """Read ``source``, clean it under the profile, write it to ``target`` (Part 10) and scan what was written.

    ``location`` is the inventory's: words of the path are searched for too. ``patient`` is the patient's pseudonym
    where more is known of whose the object is than its own header tells; ``study`` is what the headers of its study
    name, its own among them; None: it is read from this object alone. ``clean_pixels`` blanks text in an object's pixel
    data in place. Raises RefusedError, and leaves no file, where an object cannot pass.
    """
    with quiet(), _no_deeper_than_can_be():
        header = _read(source)
        dataset = header.dataset
        syntax = transfer_syntax_of(dataset)
        if syntax is None:
            raise RefusedError("transfer_syntax_unknown")
        sop_class_uid = text_of(dataset, 0x00080016) or str(dataset.file_meta.get("MediaStorageSOPClassUID", "") or "")
        reason = reason_to_refuse(dataset, sop_class_uid, profile.options)
        if reason:
            raise RefusedError(reason)
        carried = look_at_pixels(source, header, syntax)
        patient, unknown = (patient, False) if patient else _patient(dataset, pseudonyms, file_id)
        origin = origin_of(dataset)
        if study is None or study.cut:
            study = identifiers_in(dataset, profile) | (study or HeaderIdentifiers())
        cleaning = Cleaning(profile, pseudonyms, patient, deny_list_from(study), sop_class_uid, clean_content)
        identifiers = residual.terms_of(study, cleaning.days) | residual.terms_of_path(
            location, uids=not profile.is_on("retain_uids")
        )
        age = _age(dataset, profile)
        pixels = None
        if clean_pixels and carried:
            pixels, carried = _cleaned_pixels(dataset, carried, clean_pixels)
        boxes = list(pixels.boxes) if pixels else []
        if pixels and pixels.changed:
            syntax = str(dataset.file_meta.TransferSyntaxUID)
        drop_false_offsets(dataset, carried.fragments if carried else ())
        clean(dataset, cleaning)
        identifiers = identifiers.without_uids(cleaning.retained_uids).without_dates(cleaning.moved_dates)
        _complete(dataset, cleaning, file_id, age)
        _mark(dataset, profile, pseudonyms, boxes, profile.codes_of(pixels_cleaned=pixels is not None), origin)
        _count_behind(cleaning, carried)
        bytes_written = _write(dataset, target, syntax, carried if carried and carried.pixels.tag in dataset else None)
    _scan(source, target, identifiers, profile)
    if unknown:
        cleaning.actions[0, _UNKNOWN_PATIENT] += 1
    return _described(dataset, cleaning, boxes, pixels.review if pixels else None, origin, bytes_written)


@contextmanager
def _no_deeper_than_can_be() -> Iterator[None]:
    """Refuse an object whose sequences nest deeper than Python's stack."""
    try:
        yield
    except RecursionError:
        raise RefusedError("nested_too_deeply") from None


def _read(source: Path) -> Header:
    try:
        header = read_header(source)
    except CutOffError:
        raise RefusedError("truncated") from None
    except TooLargeError:
        raise RefusedError("inflates_too_large") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise RefusedError("unreadable") from None
    except Exception:  # noqa: BLE001 - whatever a damaged file does to the parser, it is that file's refusal
        raise RefusedError("unreadable") from None
    if not len(header.dataset):
        raise RefusedError("no_data_set")
    return header


def _cleaned_pixels(
    dataset: Dataset, carried: Carried, clean_pixels: Callable[[Dataset], CleanedPixels]
) -> tuple[CleanedPixels, Carried | None]:
    """Let pixel data be cleaned in memory. Where nothing was changed it is dropped again, and carried over as it is."""
    tag = BaseTag(carried.pixels.tag)
    stand_in = dataset._dict[tag]
    dataset._dict[tag] = stand_in._replace(value=carried.value())  # type: ignore[union-attr]
    pixels = clean_pixels(dataset)
    if pixels.changed:
        return pixels, None
    dataset._dict[tag] = stand_in
    return pixels, carried


def _count_behind(cleaning: Cleaning, carried: Carried | None) -> None:
    """Count the elements behind the pixel data, which are not read, among those that were removed."""
    for tag in carried.behind if carried else ():
        cleaning.count(tag, "private" if (tag >> 16) % 2 else "X")


def _write(dataset: Dataset, target: Path, syntax: str, carried: Carried | None) -> tuple[str, int]:
    try:
        return write(dataset, target, syntax, carried)
    except (OSError, RefusedError):
        raise
    except Exception:  # noqa: BLE001 - what a damaged value does to the encoder; its messages repeat values
        raise RefusedError("not_encodable") from None


def _scan(source: Path, target: Path, identifiers: residual.Identifiers, profile: Profile) -> None:
    """Search what was written; where an identifier is left, or it cannot be searched, it does not stay."""

    def kept() -> frozenset[str]:
        with quiet():
            return kept_texts(read_header(source).dataset, profile)

    try:
        left = residual.scan(target, identifiers, kept)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError) or not isinstance(error, Exception):
            raise
        raise RefusedError("written_unreadable") from None
    if left:
        target.unlink()
        raise RefusedError("residual_identifier")


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
    set_value(dataset, 0x00100010, "PN", cleaning.patient)
    set_value(dataset, 0x00100020, "LO", cleaning.patient)
    if not text_of(dataset, 0x00080016):
        set_value(dataset, 0x00080016, "UI", cleaning.sop_class_uid)
    if not text_of(dataset, 0x00080018):
        set_value(dataset, 0x00080018, "UI", cleaning.pseudonyms.uid(f"file {file_id}"))
    if age:
        set_value(dataset, 0x00101010, "AS", age)


def _mark(
    dataset: Dataset,
    profile: Profile,
    pseudonyms: Pseudonyms,
    boxes: list[Any],
    codes: list[tuple[str, str]],
    origin: str,
) -> None:
    """State what was done (PS3.15 section E.1.1, PS3.3 sections C.7.1.1 and C.12.1), now and by others before."""
    moved, full = (profile.is_on(f"retain_longitudinal_{kind}_dates") for kind in ("modified", "full"))
    earlier = earlier_codes(dataset, codes)
    implicit, little = (bool(each) for each in dataset.original_encoding)
    set_value(dataset, 0x00120062, "CS", "YES")
    method = [
        f"DICOM PS3.15 {profile.edition}",
        *(meaning for _, meaning in codes),
        f"MIDaR profile {profile.sha256[:12]} key {pseudonyms.key.fingerprint}",
    ]
    set_value(dataset, 0x00120063, "LO", method)
    if earlier:
        dataset.DeidentificationMethodCodeSequence = Sequence([*(_code(*code) for code in codes), *earlier])
    else:
        _put_items(dataset, 0x00120064, _our_codes(tuple(codes), implicit, little), implicit, little)
    set_value(dataset, 0x00280303, "CS", temporal_information(dataset, moved=moved, kept=full))
    if origin == SYNTHETIC:
        set_value(dataset, 0x0008001C, "CS", "YES")
    if boxes:
        set_value(dataset, 0x00280301, "CS", "NO")
    before = [item for item in _equipment(dataset) if text_of(item, _MANUFACTURER) != _MANUFACTURER_NAME]
    if before:
        set_value(dataset, _EQUIPMENT, "SQ", Sequence([*before, _our_equipment()]))
    else:
        _put_items(dataset, _EQUIPMENT, _our_equipment_as_bytes(implicit, little), implicit, little)


def _equipment(dataset: Dataset) -> Sequenced[Dataset]:
    """The equipment that worked on an object before, itself cleaned by now."""
    return (items_of(dataset, _EQUIPMENT) if _EQUIPMENT in dataset else None) or ()


def _put_items(dataset: Dataset, tag: int, items: bytes, implicit: bool, little: bool) -> None:
    known = tag_of(tag)
    dataset._dict[known] = RawDataElement(known, "SQ", len(items), items, 0, implicit, little)


@lru_cache(maxsize=32)
def _our_codes(codes: tuple[tuple[str, str], ...], implicit: bool, little: bool) -> bytes:
    return encoded_items([_code(*code) for code in codes], implicit=implicit, little=little)


def _our_equipment() -> Dataset:
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = Sequence([_code("109104", "De-identifying Equipment")])
    equipment.Manufacturer = equipment.ManufacturerModelName = _MANUFACTURER_NAME
    equipment.SoftwareVersions = IMPLEMENTATION_VERSION_NAME
    return equipment


@lru_cache(maxsize=4)
def _our_equipment_as_bytes(implicit: bool, little: bool) -> bytes:
    return encoded_items([_our_equipment()], implicit=implicit, little=little)


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _described(
    dataset: Dataset,
    cleaning: Cleaning,
    boxes: list[Any],
    review: int | None,
    origin: str,
    bytes_written: tuple[str, int],
) -> Written:
    actions, by_tag = _counted(tuple(sorted(cleaning.actions.items())))

    def value(tag: int) -> str | None:
        return text_of(dataset, tag).strip() or None

    return Written(
        patient=cleaning.patient,
        accession=value(0x00080050),
        study_instance_uid=value(0x0020000D),
        series_instance_uid=value(0x0020000E),
        sop_instance_uid=text_of(dataset, 0x00080018),
        sop_class_uid=text_of(dataset, 0x00080016),
        origin=origin,
        modality=value(0x00080060),
        manufacturer=value(0x00080070),
        model=value(0x00081090),
        boxes=[_box(box) for box in boxes],
        review_boxes=review,
        sha256=bytes_written[0],
        size=bytes_written[1],
        actions=actions,
        actions_by_tag=by_tag,
    )


@lru_cache(maxsize=256)
def _counted(counts: tuple[tuple[tuple[int, str], int], ...]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Counts of actions, in all and by tag; held, since most objects of a series have the same."""
    actions: Counter[str] = Counter()
    by_tag: dict[str, dict[str, int]] = {}
    for (tag, action), count in counts:
        actions[action] += count
        if tag:
            by_tag.setdefault("private" if tag == 0x00010001 else f"{tag:08X}", {})[action] = count
    return dict(actions), by_tag


def _box(box: Any) -> list[int]:
    """A box as [frame, top, left, bottom, right]."""
    return [int(getattr(box, name, 0) or 0) for name in ("frame", "top", "left", "bottom", "right")]

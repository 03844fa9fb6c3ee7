"""The acquisition room: a subject's breasts, drawn or real, become the exposures of her exam."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.phantom.annotation import Box, find_room, lead_marker, text_block
from pipelines.phantom.breast import Anatomy, draw_breast
from pipelines.phantom.grayscale import Stored, curve, expose, present
from pipelines.phantom.objects import Shot
from pipelines.phantom.patients import Exam, derive_uid, plain
from pipelines.phantom.pictures import RealPatient, content, nipple_points_left
from pipelines.phantom.texture import Field, weave
from pipelines.phantom.vendors import Format, Vendor

SCREENING = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))

_BURN_EVERY = 10
_MARKER_MM = 17.0


@dataclass(frozen=True)
class Subject:
    """One patient with her exam, and where her pictures come from: ``anatomy`` (drawn) or ``real``.

    ``raw``: FOR PROCESSING; ``density``: A…D by laterality, as far as known.
    """

    seed: int
    exam: Exam
    vendor: Vendor
    model: str
    syntax: str
    raw: bool
    density: dict[str, str]
    anatomy: Anatomy | None
    real: RealPatient | None


@dataclass(frozen=True)
class Taken:
    """An exposure with what only the truth knows: the density that was drawn, the text that was burned in and where,
    and where the lead marker lies."""

    shot: Shot
    density: str | None
    dense_fraction: float | None
    text: str
    box: Box | None
    marker: Box | None


@dataclass(frozen=True)
class _Scene:
    """One picture before the vendor's processing: brightness, attenuation (drawn ones alone), and covered pixels."""

    laterality: str
    view: str
    picture: Field
    attenuation: Field | None
    taken: NDArray[np.bool_]
    nipple_left: bool
    spacing: float
    dense_fraction: float | None
    marker: Box | None


def take_exam(subject: Subject, scale: float, first: int) -> Iterator[Taken]:
    """The exposures of a subject, one at a time; ``first`` is the archive's running number of her first picture.

    ``scale`` shrinks the detector matrix of drawn pictures; the pixel spacing grows by as much.
    """
    scenes = _drawn(subject, scale) if subject.anatomy is not None else _real(subject)
    for number, scene in enumerate(scenes):
        yield _expose(subject, scene, number, _is_burned(subject.seed, first + number), first + number)


def _drawn(subject: Subject, scale: float) -> Iterator[_Scene]:
    anatomy = subject.anatomy
    assert anatomy is not None
    detector = _detector(subject.vendor, anatomy)
    shape = round(detector.rows * scale), round(detector.columns * scale)
    spacing = detector.spacing / scale
    tissue = weave(anatomy.seed, 1.5 * spacing)
    for laterality, view in SCREENING:
        drawing = draw_breast(anatomy, laterality, view, shape=shape, spacing=spacing, tissue=tissue)
        covered = drawing.breast.copy()
        left = laterality == "R"
        plate = lead_marker(laterality, view, max(14, round(_MARKER_MM / spacing)))
        box = find_room(covered, plate.shape, (f"top {'left' if left else 'right'}",), round(6 / spacing))
        picture, attenuation = drawing.picture, drawing.attenuation
        if box is not None:
            inside = np.s_[box[0] : box[2], box[1] : box[3]]
            picture[inside] = np.maximum(picture[inside], 0.97 * plate)
            attenuation[inside] = np.maximum(attenuation[inside], 1.1 * plate)
            covered[inside] = True
        yield _Scene(laterality, view, picture, attenuation, covered, left, spacing, drawing.dense_fraction, box)


def _detector(vendor: Vendor, anatomy: Anatomy) -> Format:
    """The smallest detector that holds the breast, else the largest there is."""
    height, width = anatomy.needs
    fitting = [f for f in vendor.formats if f.size[0] >= height and f.size[1] >= width]
    return min(fitting or vendor.formats[-1:], key=lambda f: f.rows)


def _real(subject: Subject) -> Iterator[_Scene]:
    assert subject.real is not None
    for found in subject.real.pictures:
        picture = found.load()
        shown = content(picture)
        yield _Scene(
            found.laterality,
            found.view,
            picture,
            None,
            shown,
            nipple_points_left(shown),
            found.spacing(picture.shape[0]),
            None,
            None,
        )


def _expose(subject: Subject, scene: _Scene, number: int, burn: bool, running: int) -> Taken:
    exam, vendor = subject.exam, subject.vendor
    rng = np.random.default_rng([subject.seed, exam.person.number, number, 0xE4])
    raw = subject.raw and scene.attenuation is not None
    if raw and scene.attenuation is not None:
        stored = expose(vendor.raw, scene.attenuation, rng)
    else:
        stored = present(vendor.gray, scene.picture, rng)
    nipple_left, text, box, marker = scene.nipple_left, "", None, scene.marker
    if raw and vendor.raw.mirrored:
        stored, nipple_left = np.ascontiguousarray(stored[:, ::-1]), not nipple_left
        if marker:
            top, left, bottom, right = marker
            marker = top, stored.shape[1] - right, bottom, stored.shape[1] - left
    elif burn and not raw:
        text, box = _burn_in(exam, vendor, stored, scene)
    shot = Shot(
        exam=exam,
        vendor=vendor,
        model=subject.model,
        syntax=subject.syntax,
        laterality=scene.laterality,
        view=scene.view,
        number=number + 1,
        raw=raw,
        stored=stored,
        spacing=scene.spacing,
        nipple_left=nipple_left,
        thickness=subject.anatomy.thickness if subject.anatomy else float(rng.uniform(40, 70)),
        burned_in="YES" if box and (running // _BURN_EVERY) % 2 else "NO",
        window_offset=float(np.clip(rng.normal(0, 0.012), -0.03, 0.03)),
        sop_uid=derive_uid(vendor.uid_root, subject.seed, exam.person.number, number, "sop"),
        series_uid=derive_uid(vendor.uid_root, subject.seed, exam.person.number, number, "series"),
    )
    density = subject.density.get(scene.laterality)
    return Taken(shot, density, scene.dense_fraction, text, box, marker)


def _is_burned(seed: int, running: int) -> bool:
    """One of every ten pictures, at a place among them that the seed decides."""
    return random.Random(f"burn:{seed}:{running // _BURN_EVERY}").randrange(_BURN_EVERY) == running % _BURN_EVERY


def _burn_in(exam: Exam, vendor: Vendor, stored: Stored, scene: _Scene) -> tuple[str, Box | None]:
    """Write the patient's name, id and dates into the air beside the breast; nothing where there is no room."""
    p = exam.person
    lines = (
        f"{plain(p.family)}, {plain(p.given)}".upper(),
        f"ID {p.patient_id}",
        f"*{p.birth_date:%d.%m.%Y}",
        f"{exam.date:%d.%m.%Y}",
    )
    side = "left" if scene.nipple_left else "right"
    corners = (f"bottom {side}", f"top {side}")
    largest = max(14, round(0.028 * stored.shape[0]))
    for size in range(largest, 9, -1):
        block = text_block(lines, size)
        box = find_room(scene.taken, block.shape, corners, max(4, size // 2))
        if box is None:
            continue
        part = stored[box[0] : box[2], box[1] : box[3]]
        white = curve(vendor.gray, 1.0)
        part[:] = np.rint(part * (1 - block) + white * block).astype(np.uint16)
        return "\n".join(lines), box
    return "", None

"""The truth about a pretend archive, kept apart from it: what each file is, and every string that identifies."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from pipelines.phantom.acquisition import Taken
from pipelines.phantom.answers import AnswerRow
from pipelines.phantom.patients import identifiers


@dataclass(frozen=True)
class FileTruth:
    """One file of the archive (or member of a zip in it: ``path`` is then that of the zip, ``member`` its name there).

    ``kind``: image, sr, text, empty, dicomdir, reports, labels, zip; ``role``: original, duplicate (of another file's
    bytes), other_delivery (duplicate in another delivery), truncated, dirt. ``box`` is "top left bottom right" of
    burned-in text in pixels; ``density`` what was drawn (A…D), or what the real picture's labels say.
    """

    path: str
    kind: str
    role: str
    member: str = ""
    patient_id: str = ""
    accession_number: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    laterality: str = ""
    view: str = ""
    density: str = ""
    dense_fraction: str = ""
    vendor: str = ""
    model: str = ""
    presentation_intent: str = ""
    transfer_syntax_uid: str = ""
    nipple_left: str = ""
    spacing: str = ""
    burned_in_text: str = ""
    box: str = ""
    burned_in_annotation: str = ""


@dataclass(frozen=True)
class PatientTruth:
    """One patient: her density by breast, and what each source says, as "R:B L:B", "B" (both breasts) or empty."""

    patient_id: str
    accession_number: str
    density_r: str
    density_l: str
    vendor: str
    report: str
    labels: str
    sr: str
    real_patient: str = ""


@dataclass
class Truth:
    """What is learned while the archive is written."""

    files: list[FileTruth] = field(default_factory=list)
    patients: list[PatientTruth] = field(default_factory=list)
    canaries: dict[tuple[str, str, str], None] = field(default_factory=dict)
    answers: list[AnswerRow] = field(default_factory=list)

    def tell_canaries(self, taken: Taken) -> None:
        """Note every identifying string of the picture's exam."""
        exam = taken.shot.exam
        owner = exam.person.patient_id
        for kind, value in identifiers(exam):
            self.canaries[(kind, owner, value)] = None
        for kind, value in (("sop_uid", taken.shot.sop_uid), ("series_uid", taken.shot.series_uid)):
            self.canaries[(kind, owner, value)] = None

    def tell_name(self, kind: str, owner: str, name: str) -> None:
        """Note a file's or folder's name that identifies a patient or the hospital."""
        self.canaries[(kind, owner, name)] = None

    def write(self, folder: Path) -> None:
        """Write truth.csv (files), patients.csv, canaries.csv (kind, owner, value) and answers.csv into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "truth.csv", [f.name for f in fields(FileTruth)], map(asdict, self.files))
        _write(folder / "patients.csv", [f.name for f in fields(PatientTruth)], map(asdict, self.patients))
        _write(folder / "answers.csv", [f.name for f in fields(AnswerRow)], map(asdict, self.answers))
        names = ("kind", "owner", "value")
        _write(folder / "canaries.csv", names, (dict(zip(names, row, strict=True)) for row in self.canaries))


def file_truth(path: str, role: str, taken: Taken, member: str = "") -> FileTruth:
    """The truth about a file that holds an exposure."""
    shot = taken.shot
    return FileTruth(
        path=path,
        kind="image",
        role=role,
        member=member,
        patient_id=shot.exam.person.patient_id,
        accession_number=shot.exam.accession,
        study_instance_uid=shot.exam.study_uid,
        series_instance_uid=shot.series_uid,
        sop_instance_uid=shot.sop_uid,
        laterality=shot.laterality,
        view=shot.view,
        density=taken.density or "",
        dense_fraction="" if taken.dense_fraction is None else f"{taken.dense_fraction:.4f}",
        vendor=shot.vendor.name,
        model=shot.model,
        presentation_intent="FOR PROCESSING" if shot.raw else "FOR PRESENTATION",
        transfer_syntax_uid=shot.syntax,
        nipple_left="yes" if shot.nipple_left else "no",
        spacing=f"{shot.spacing:.6g}",
        burned_in_text=taken.text,
        box=" ".join(map(str, taken.box)) if taken.box else "",
        burned_in_annotation=shot.burned_in,
    )


def _write(path: Path, names: Iterable[str], rows: Iterable[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

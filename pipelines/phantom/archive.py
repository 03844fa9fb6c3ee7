"""The pretend archive as a whole: who is in it, which delivery she comes with, and the dirt between the files.

Everything is derived from the seed: the same arguments give the same bytes under the same names.
"""

import datetime
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.phantom.acquisition import Subject, Taken, take_exam
from pipelines.phantom.answers import answers_of, answers_of_report
from pipelines.phantom.breast import grow
from pipelines.phantom.delivery import DeliveryFolder, dicomdir, image_path, letter
from pipelines.phantom.objects import Shot, image_object, to_bytes
from pipelines.phantom.papers import Papers, write_papers
from pipelines.phantom.patients import Exam, derive_uid, invent_exam, invent_person, plain
from pipelines.phantom.pictures import RealPatient, list_patients
from pipelines.phantom.reports import report_text, structured_report
from pipelines.phantom.truth import FileTruth, PatientTruth, Truth, file_truth
from pipelines.phantom.vendors import FILM, VENDORS, Vendor
from pipelines.storage.workers import Progress, silent

PREVALENCE = {"A": 0.10, "B": 0.40, "C": 0.40, "D": 0.10}
"""Share of women per BI-RADS density category in screening."""

_RAW_SHARE = 0.12


@dataclass(frozen=True)
class PhantomSummary:
    """What was written: counts of patients, deliveries, files of each kind, and patients per density."""

    deliveries: tuple[str, ...]
    patients: int
    images: int
    structured_reports: int
    reports: int
    labels: int
    burned_in: int
    files: int
    dirt: dict[str, int]
    densities: dict[str, int]


def write_archive(
    out: Path,
    *,
    patients: int | None,
    seed: int,
    scale: float = 0.25,
    pixels: Path | None = None,
    labels: Path | None = None,
    deliveries: int = 2,
    truth: Path | None = None,
    progress: Progress = silent,
) -> PhantomSummary:
    """Write a pretend hospital archive below ``out``, an inbox in which each folder is one delivery.

    ``patients``: how many; with real ``pixels`` (a folder) and their ``labels`` (a CSV table) None or 0 takes all of
    them, without pixels it must be at least 1. ``scale``: of the detector matrix (0.25: about 800 × 640 pixels); the
    physical size stays. ``truth``: a folder outside ``out`` for truth.csv, patients.csv, canaries.csv and answers.csv.
    Raises ValueError for arguments that make no sense and FileExistsError where ``out`` is not empty.
    """
    if (pixels is None) != (labels is None):
        raise ValueError("real pictures need both a folder and a table of labels")
    if not 0 < scale <= 1 or deliveries < 1 or (pixels is None and not patients):
        raise ValueError("scale must be in (0, 1], deliveries and patients at least 1")
    if truth is not None and truth.resolve().is_relative_to(out.resolve()):
        raise ValueError("the truth must not lie inside the archive")
    if out.is_dir() and any(out.iterdir()):
        raise FileExistsError("the folder for the archive is not empty")
    if pixels is not None and labels is not None:
        subjects = _real_subjects(seed, pixels, labels, patients)
    else:
        subjects = _drawn_subjects(seed, patients or 0)
    folders = _open_deliveries(out, seed, min(deliveries, len(subjects)))
    archive = _Archive(out, seed, scale, folders, _plan_dirt(seed, len(subjects), len(folders)))
    for number, subject in enumerate(subjects):
        archive.admit(subject, number, len(subjects))
        progress(number + 1, len(subjects))
    summary = archive.close(subjects)
    if truth is not None:
        archive.truth.write(truth)
    return summary


def _drawn_subjects(seed: int, count: int) -> list[Subject]:
    rng = random.Random(f"archive:{seed}")
    densities = _allot(PREVALENCE, count, rng)
    vendors = _allot({v: v.share for v in VENDORS}, count, rng)
    raws = _allot({True: _RAW_SHARE, False: 1 - _RAW_SHARE}, count, rng)
    subjects = []
    for number, (density, vendor, raw) in enumerate(zip(densities, vendors, raws, strict=True)):
        subject = _enroll(seed, number, vendor, None)
        anatomy = grow(density, random.Random(f"anatomy:{seed}:{number}").randrange(2**31))
        subjects.append(replace(subject, raw=raw, density={"R": density, "L": density}, anatomy=anatomy))
    return subjects


def _real_subjects(seed: int, pixels: Path, labels: Path, limit: int | None) -> list[Subject]:
    found = list_patients(pixels, labels)
    rng = random.Random(f"archive:{seed}")
    rng.shuffle(found)
    found = found[: limit or None]
    vendors = _allot({v: v.share for v in VENDORS}, len(found), rng)
    subjects = []
    for number, (patient, vendor) in enumerate(zip(found, vendors, strict=True)):
        unit = FILM if patient.pictures[0].is_film else vendor
        subjects.append(replace(_enroll(seed, number, unit, patient), density=patient.densities(), real=patient))
    return subjects


def _enroll(seed: int, number: int, vendor: Vendor, real: RealPatient | None) -> Subject:
    rng = random.Random(f"unit:{seed}:{number}")
    person = invent_person(seed, number, real.age if real else None)
    exam = invent_exam(seed, person, vendor.name)
    model, syntax = rng.choice(vendor.models), rng.choice(vendor.syntaxes)
    return Subject(seed, exam, vendor, model, syntax, raw=False, density={}, anatomy=None, real=None)


def _allot(shares: dict, count: int, rng: random.Random) -> list:
    """``count`` things in the given shares (largest remainder), in random order."""
    exact = {thing: share * count for thing, share in shares.items()}
    counts = {thing: int(quota) for thing, quota in exact.items()}
    order = sorted(exact, key=lambda thing: counts[thing] - exact[thing])
    for thing in order[: count - sum(counts.values())]:
        counts[thing] += 1
    things = [thing for thing, n in counts.items() for _ in range(n)]
    rng.shuffle(things)
    return things


def _open_deliveries(out: Path, seed: int, count: int) -> list[DeliveryFolder]:
    first = datetime.date(2026, 11, 18) + datetime.timedelta(days=seed % 5)
    names = ("PACS_export_RADIOLOGY", "Mammo_Screening_Export", "PACS_export_RADIOLOGY", "RIS_PACS_nightly")
    days = [first + datetime.timedelta(days=n) for n in range(count)]
    return [DeliveryFolder(out / f"{day:%Y-%m-%d}_{names[n % len(names)]}") for n, day in enumerate(days)]


@dataclass(frozen=True)
class _DirtPlan:
    """On which patients (by number) which dirt falls."""

    zipped: frozenset[int]
    duplicate: frozenset[int]
    other_delivery: frozenset[int]
    truncated: frozenset[int]


def _plan_dirt(seed: int, patients: int, deliveries: int) -> _DirtPlan:
    rng = random.Random(f"dirt:{seed}")
    everyone = range(patients)
    return _DirtPlan(
        zipped=frozenset(rng.sample(everyone, 1 + patients // 25)),
        duplicate=frozenset(rng.sample(everyone, 1 + patients // 15)),
        other_delivery=frozenset(rng.sample(everyone, 1 + patients // 20) if deliveries > 1 else ()),
        truncated=frozenset(rng.sample(everyone, 1 + patients // 40)),
    )


@dataclass
class _Archive:
    """The archive while it is being written, patient by patient."""

    out: Path
    seed: int
    scale: float
    deliveries: list[DeliveryFolder]
    plan: _DirtPlan
    truth: Truth = field(default_factory=Truth)
    images: int = 0

    def admit(self, subject: Subject, number: int, total: int) -> None:
        """Write one patient's exam, her papers, and the dirt that falls on her."""
        place = number * len(self.deliveries) // total
        delivery = self.deliveries[place]
        delivery.exams.append(subject.exam)
        rng = random.Random(f"admit:{self.seed}:{number}")
        style = rng.randrange(3)
        exposures = [(taken, self._develop(taken)) for taken in take_exam(subject, self.scale, self.images)]
        self.images += len(exposures)
        if number in self.plan.zipped:
            self._file_zip(delivery, exposures, style)
        else:
            for taken, data in exposures:
                self._note(delivery.put(image_path(taken, style), data), "original", taken)
        self._write_papers(delivery, subject, [taken for taken, _ in exposures], rng)
        self._soil(exposures[-1], number, place)

    def _develop(self, taken: Taken) -> bytes:
        """An exposure's file; the answers to it go to the truth."""
        dataset = image_object(taken.shot)
        self.truth.answers += answers_of(dataset, taken)
        return to_bytes(dataset)

    def _file_zip(self, delivery: DeliveryFolder, exposures: Sequence[tuple[Taken, bytes]], style: int) -> None:
        exam = exposures[0][0].shot.exam
        members = [(image_path(taken, style), data) for taken, data in exposures]
        path = delivery.put_zip(f"{exam.person.folder_name}_{exam.accession}.zip", members)
        self._tell(path, "zip", "original", exam)
        for (taken, _), (member, _) in zip(exposures, members, strict=True):
            self._note(path, "original", taken, member)

    def _write_papers(
        self, delivery: DeliveryFolder, subject: Subject, exposures: Sequence[Taken], rng: random.Random
    ) -> None:
        exam = subject.exam
        papers = write_papers(exam, subject.density, subject.real, rng)
        if papers.has_report:
            delivery.reports.append((exam.accession, report_text(exam, papers.report, rng)))
        delivery.labels += [(exam.accession, *row) for row in papers.labels]
        if papers.sr:
            self._write_sr(delivery, subject, papers, [taken.shot for taken in exposures])
        self.truth.patients.append(
            PatientTruth(
                patient_id=exam.person.patient_id,
                accession_number=exam.accession,
                density_r=subject.density.get("R", ""),
                density_l=subject.density.get("L", ""),
                vendor=subject.vendor.name,
                report=papers.report or "",
                labels=" ".join(f"{side}:{density}" for side, density, _ in papers.labels),
                sr=" ".join(f"{side or ''}:{density}" for side, density in papers.sr),
                real_patient=subject.real.patient if subject.real else "",
            )
        )

    def _write_sr(self, delivery: DeliveryFolder, subject: Subject, papers: Papers, shots: Sequence[Shot]) -> None:
        exam = subject.exam
        uids = [derive_uid("2.25.", self.seed, exam.person.number, part) for part in ("sr", "sr series")]
        ds = structured_report(
            exam,
            subject.vendor,
            papers.sr,
            [(shot.series_uid, shot.sop_class, shot.sop_uid) for shot in shots],
            cad=papers.cad,
            legacy=papers.legacy,
            sop_uid=uids[0],
            series_uid=uids[1],
        )
        self.truth.answers += answers_of_report(ds, exam)
        path = delivery.put(f"{exam.person.folder_name}/SR/{exam.accession}_SR.dcm", to_bytes(ds))
        self._tell(path, "sr", "original", exam, uids[0])
        for uid in uids:
            self.truth.tell_name("sop_uid", exam.person.patient_id, uid)

    def _soil(self, exposure: tuple[Taken, bytes], number: int, place: int) -> None:
        """The dirt that falls on a patient: her last picture again, elsewhere, or cut short."""
        taken, data = exposure
        exam = taken.shot.exam
        if number in self.plan.duplicate:
            name = f"{exam.person.folder_name}/COPY_OF_{taken.shot.laterality}{taken.shot.view}.dcm"
            self._note(self.deliveries[place].put(name, data), "duplicate", taken)
        if number in self.plan.other_delivery:
            other = self.deliveries[(place + 1) % len(self.deliveries)]
            self._note(other.put(f"RESEND/{exam.accession}/{number:05d}.dcm", data), "other_delivery", taken)
        if number in self.plan.truncated:
            name = f"{exam.person.folder_name}/RETRY_{number:05d}.dcm"
            self._note(self.deliveries[place].put(name, data[: len(data) * 6 // 10]), "truncated", taken)

    def close(self, subjects: Sequence[Subject]) -> PhantomSummary:
        """Write the tables and the dirt that belongs to no patient, and count."""
        for delivery in self.deliveries:
            self.truth.tell_name("delivery", "", delivery.path.name)
            for path, kind in delivery.close():
                self._tell(path, kind, "original")
        first, last = self.deliveries[0], self.deliveries[-1]
        exam = first.exams[0]
        uid = derive_uid("2.25.", self.seed, "dicomdir")
        self._tell(first.put("DICOMDIR", dicomdir(first.exams, uid)), "dicomdir", "dirt")
        self._tell(first.put(f"{exam.person.folder_name}/LETTER.dcm", letter(exam)), "text", "dirt", exam)
        exam = last.exams[-1]
        self._tell(last.put(f"{exam.person.folder_name}/IM999999.dcm", b""), "empty", "dirt", exam)
        self._tell(last.put("note.txt", letter(exam)), "text", "dirt", exam)
        return self._count(subjects)

    def _count(self, subjects: Sequence[Subject]) -> PhantomSummary:
        files = self.truth.files
        densities = Counter(max(s.density.values(), default="unknown") for s in subjects)
        dirt = Counter(f.kind if f.role == "dirt" else f.role for f in files if f.role != "original")
        return PhantomSummary(
            deliveries=tuple(delivery.path.name for delivery in self.deliveries),
            patients=len(subjects),
            images=self.images,
            structured_reports=sum(f.kind == "sr" for f in files),
            reports=sum(len(d.reports) for d in self.deliveries),
            labels=sum(len(d.labels) for d in self.deliveries),
            burned_in=sum(bool(f.box) and f.role == "original" for f in files),
            files=len({f.path for f in files}),
            dirt=dict(sorted(dirt.items())),
            densities=dict(sorted(densities.items())),
        )

    def _note(self, path: Path, role: str, taken: Taken, member: str = "") -> None:
        """Note the truth about a file that holds an exposure."""
        relative = path.relative_to(self.out).as_posix()
        self.truth.files.append(file_truth(relative, role, taken, member))
        self.truth.tell_canaries(taken)
        exam = taken.shot.exam
        telling = (exam.person.family, plain(exam.person.family).upper(), exam.accession, taken.shot.sop_uid)
        for part in Path(member or relative).parts:
            if any(word in part for word in telling):
                self.truth.tell_name("path", exam.person.patient_id, part)

    def _tell(self, path: Path, kind: str, role: str, exam: Exam | None = None, sop_uid: str = "") -> None:
        """Note the truth about any other file."""
        self.truth.files.append(
            FileTruth(
                path=path.relative_to(self.out).as_posix(),
                kind=kind,
                role=role,
                patient_id=exam.person.patient_id if exam else "",
                accession_number=exam.accession if exam else "",
                study_instance_uid=exam.study_uid if exam and kind == "sr" else "",
                sop_instance_uid=sop_uid,
            )
        )

"""A delivery as a hospital's export leaves it: folders with patients' names, tables, a directory file, and rubbish."""

import csv
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from pipelines.phantom.acquisition import Taken
from pipelines.phantom.objects import file_meta, to_bytes
from pipelines.phantom.patients import Exam, plain, spoken
from pipelines.phantom.vendors import EXPLICIT

_DICOMDIR = "1.2.840.10008.1.3.10"
_ZIP_TIME = (2024, 1, 1, 0, 0, 0)


@dataclass
class DeliveryFolder:
    """One delivery while it is being filled; ``reports`` and ``labels`` are written as tables when it is closed."""

    path: Path
    reports: list[tuple[str, str]] = field(default_factory=list)
    labels: list[tuple[str, str, str, str]] = field(default_factory=list)
    exams: list[Exam] = field(default_factory=list)

    def put(self, relative: str, data: bytes) -> Path:
        """Write a file below the delivery, in folders made as needed."""
        path = self.path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def put_zip(self, relative: str, members: list[tuple[str, bytes]]) -> Path:
        """Write a zip file with the given members; its time stamps are fixed."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members:
                archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), data, zipfile.ZIP_DEFLATED, 6)
        return self.put(relative, buffer.getvalue())

    def close(self) -> list[tuple[Path, str]]:
        """Write reports.csv and labels.csv where there are rows for them; gives each file with its kind."""
        written = []
        for name, header, rows in (
            ("reports", ("accession_number", "report_text"), self.reports),
            ("labels", ("accession_number", "laterality", "density", "reader"), self.labels),
        ):
            if rows:
                text = io.StringIO(newline="")
                writer = csv.writer(text, lineterminator="\n")
                writer.writerow(header)
                writer.writerows(rows)
                written.append((self.put(f"{name}.csv", text.getvalue().encode()), name))
        return written


def image_path(taken: Taken, style: int) -> str:
    """Where an export of the given style (0…2) puts an image: folders and names that tell who the patient is."""
    shot, exam = taken.shot, taken.shot.exam
    p = exam.person
    return (
        f"{p.folder_name}/{plain(p.family).upper()}_{shot.laterality}{shot.view}_{shot.number}.dcm",
        f"{p.patient_id}_{p.folder_name}/{exam.accession}/IM{shot.number:06d}",
        f"{p.family}^{p.given}/{exam.date:%Y%m%d}_{exam.accession}/MG.{shot.sop_uid}.dcm",
    )[style]


def letter(exam: Exam) -> bytes:
    """A letter about the patient, of the kind that is left lying in an export."""
    p = exam.person
    lines = (
        f"Dear colleague,\n\nplease find the mammograms of {spoken(p.dicom_name)} (born {p.birth_date:%d.%m.%Y}, "
        f"{p.address}, {p.town}, phone {p.phone}).",
        f"Accession number {exam.accession}, read by Dr. {spoken(exam.reader)}.\n\n{exam.institution}\n",
    )
    return "\n".join(lines).encode()


def dicomdir(exams: list[Exam], uid: str) -> bytes:
    """A DICOMDIR that lists the patients and their studies (PS3.3 F.3), without offsets to follow."""
    ds = Dataset()
    ds.FileSetID = "PACSEXPORT"
    ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    ds.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    ds.FileSetConsistencyFlag = 0
    ds.DirectoryRecordSequence = []
    for exam in exams:
        for kind in ("PATIENT", "STUDY"):
            record = Dataset()
            record.OffsetOfTheNextDirectoryRecord = record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
            record.RecordInUseFlag, record.DirectoryRecordType = 0xFFFF, kind
            record.SpecificCharacterSet = exam.person.charset
            if kind == "PATIENT":
                record.PatientName, record.PatientID = exam.person.dicom_name, exam.person.patient_id
            else:
                record.StudyDate, record.StudyTime = f"{exam.date:%Y%m%d}", f"{exam.time:%H%M%S}"
                record.StudyInstanceUID, record.StudyID = exam.study_uid, exam.study_id
                record.AccessionNumber, record.StudyDescription = exam.accession, "MAMMO SCREENING"
            ds.DirectoryRecordSequence.append(record)
    ds.file_meta = file_meta(_DICOMDIR, uid, EXPLICIT, "PACSEXPORT")
    return to_bytes(ds)

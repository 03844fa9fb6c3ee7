"""Whose an object is, by its header: patient and issuer, study, series, accession number."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from pipelines.deidentify.elements import text_of
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet, read_header

_ACCESSION, _PATIENT_ID, _ISSUER, _STUDY, _SERIES = 0x00080050, 0x00100020, 0x00100021, 0x0020000D, 0x0020000E
_PADDING = " \0\t\r\n"


@dataclass(frozen=True)
class Subject:
    """An object's patient (0010,0020) with issuer (0010,0021), study, series and accession number; empty where not
    stated. Restricted."""

    patient_id: str
    issuer: str
    study: str
    series: str
    accession: str

    def pseudonym(self, pseudonyms: Pseudonyms, file_id: str) -> tuple[str, dict[str, Any]]:
        """The patient's pseudonym, and the originals that stand behind it: of an object without Patient ID its study's
        UID, or where there is none either its file_id."""
        if self.patient_id:
            known = {"patient_id": self.patient_id, "issuer_of_patient_id": self.issuer}
            return pseudonyms.patient(self.patient_id, self.issuer), known
        known = {"study_instance_uid": self.study} if self.study else {"file_id": file_id}
        return pseudonyms.unknown_patient(self.study, file_id), known


NOBODY = Subject("", "", "", "", "")
"""Of an object that states nothing."""


def subject_of(path: Path) -> Subject:
    """Whose the object in a file is; nobody's where its header cannot be parsed.

    Raises OSError where the file cannot be read.
    """
    with quiet():
        try:
            return described(read_header(path).dataset)
        except OSError as error:
            if error.errno is not None:
                raise
            return NOBODY  # the parser's own, for data that end early
        except Exception:  # noqa: BLE001 - whatever a damaged header does to the parser, it names nobody
            return NOBODY


def described(dataset: Dataset) -> Subject:
    """Whose a data set is, as it states before it is cleaned."""
    patient, issuer, study, series, accession = (
        text_of(dataset, tag).strip(_PADDING) for tag in (_PATIENT_ID, _ISSUER, _STUDY, _SERIES, _ACCESSION)
    )
    return Subject(patient, issuer, study, series, accession)

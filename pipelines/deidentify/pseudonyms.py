"""Pseudonyms: what stands in place of a patient's id, an accession number, a UID, and how far a patient's dates move.

All are HMACs under the hospital's key: the same in any process, order and delivery, and not to be computed without it.
"""

from dataclasses import dataclass
from functools import lru_cache

from pipelines.storage.keys import Key


@dataclass(frozen=True)
class Pseudonyms:
    """The pseudonyms under a key."""

    key: Key

    def patient(self, patient_id: str, issuer: str = "") -> str:
        """P-<16 hex> of a Patient ID (0010,0020) within its issuer (0010,0021); surrounding spaces do not count."""
        return "P-" + self.key.identify("patient", _bare(issuer) + "\0" + _bare(patient_id))

    def unknown_patient(self, study_instance_uid: str, file_id: str) -> str:
        """P-<16 hex> where there is no Patient ID: one per study, or per file without one, so that none are merged."""
        study = _bare(study_instance_uid)
        scope, value = ("patient-of-study", study) if study else ("patient-of-file", file_id)
        return "P-" + self.key.identify(scope, value)

    def accession(self, accession_number: str) -> str:
        """A-<14 hex> of an Accession Number (0008,0050): 16 characters, as VR SH allows."""
        return "A-" + self.key.identify("accession", _bare(accession_number), 14)

    def uid(self, uid: str) -> str:
        """2.25.<128 bits> (PS3.5 B.2) in place of an instance UID; an empty UID stays empty."""
        bare = _bare(uid)
        return _uid(self.key, bare) if bare else ""

    def reader(self, name: str) -> str:
        """D-<12 hex> of a reader's name or id, in any case."""
        return "D-" + self.key.identify("reader", _bare(name).casefold(), 12)

    def source(self, file_id: str, sha256: str) -> tuple[str, str]:
        """A source file as it may be named outside the restricted zone: its id, and a keyed digest of its digest."""
        return file_id, "hmac:" + self.key.identify("source", sha256, 64)

    def days(self, patient: str, most: int) -> int:
        """By how many days (1…most) the dates of a patient, named by pseudonym, move into the past."""
        return 1 + self.key.integer("days", patient) % most


@lru_cache(maxsize=1 << 12)
def _uid(key: Key, uid: str) -> str:
    """Held, since the objects of a study name the same ones."""
    return f"2.25.{key.integer('uid', uid) >> 128}"


def _bare(value: str) -> str:
    return value.strip(" \0\t\r\n")

"""The crosswalk: which original stands behind each pseudonym, one encrypted file per delivery, in the vault alone.

It serves the hospital twice: to find a patient again whom research data speak of, and to notice a study that two
patients claim. ``vault/crosswalk/<delivery>.siv`` (mode 0600) is AES-SIV (RFC 5297) of canonical JSON under a key that
HKDF derives from the pseudonym key, with the delivery's name as associated data: the same content is the same bytes,
and a file in another's place does not open. Nothing of it is ever on disk in plain.

What is in it grows and is never taken back, so that what has left the hospital can always be found again; only what
the delivery claims now (``subjects``) follows the delivery.

A conflict is one Study Instance UID under two patients. Within a delivery all of that study's objects are refused:
which of the two it is cannot be told. Between deliveries the first one to arrive holds the study and the newcomer's
objects are refused. A delivery gets its number when it is first taken in and keeps it, so making it again, in whatever
order, decides the same; which of two deliveries came first is the only thing that depends on the order of arrival.
An object without Patient ID claims no study for anybody, and an id without an issuer agrees with the same id under any
issuer: devices of one hospital differ in what they state. Where a study's other objects in the delivery state one
patient, such objects are that patient's, since a study has one patient (PS3.3 A.1.2).

One Accession Number under two patients is counted, and no object is refused for it: hospitals without an issuer of
accession numbers, and several departments in one archive, use numbers twice, and an object's study says whose it is.
"""

import fcntl
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydicom.uid import UID_dictionary

from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.subjects import Subject, subject_of
from pipelines.storage.atomic import write_bytes
from pipelines.storage.keys import Key, VaultKeyError
from pipelines.storage.workers import Workers

STUDY_OF_TWO_PATIENTS = "study_of_two_patients"
"""The reason code of objects that are refused for a conflict."""

_FOLDER = "crosswalk"
_MAGIC = b"MIDARXW1"
_INFO = b"midar crosswalk v1"
_FINGERPRINT = 12

Originals = dict[str, dict[str, Any]]
"""By pseudonym, what stands behind it."""


class CrosswalkError(VaultKeyError):
    """A crosswalk is damaged, or was made under another key. The message names the delivery and nothing in it."""


@dataclass(frozen=True)
class Crosswalk:
    """The crosswalk of one delivery.

    ``number``: its place in the order of arrival, from 1. ``inventory``: digest of the inventory that ``subjects``
    (by file_id) were read for. ``patients``: P-… to patient_id, issuer and days (by how many its dates moved into the
    past; 0: they did not), or to what is known of a patient without an id. The others: pseudonym to original.
    """

    delivery: str
    number: int = 0
    inventory: str = ""
    subjects: dict[str, Subject] = field(default_factory=dict)
    patients: Originals = field(default_factory=dict)
    accessions: dict[str, str] = field(default_factory=dict)
    studies: dict[str, str] = field(default_factory=dict)
    series: dict[str, str] = field(default_factory=dict)

    def original(self, pseudonym: str) -> dict[str, Any] | None:
        """What stands behind a pseudonym of a patient, accession number, study or series; None where it is not known.

        A dictionary of kind and originals, as the command line prints it.
        """
        if pseudonym in self.patients:
            return {"kind": "patient", **self.patients[pseudonym]}
        for kind, name, table in (
            ("accession number", "accession_number", self.accessions),
            ("study", "study_instance_uid", self.studies),
            ("series", "series_instance_uid", self.series),
        ):
            if pseudonym in table:
                return {"kind": kind, name: table[pseudonym]}
        return None


@dataclass(frozen=True)
class Admission:
    """What taking a delivery into the crosswalk found.

    ``refuse``: file_id to reason code, for objects of a study in conflict and for files that could not be read;
    ``patients``: file_id to pseudonym, of the objects that are known to be somebody's. The counts are of this
    delivery's studies and accession numbers: of two patients within it, and of another patient than in an earlier
    delivery.
    """

    crosswalk: Crosswalk
    refuse: dict[str, str]
    patients: dict[str, str]
    studies_within: int
    studies_before: int
    accessions: int

    def unknown(self, objects: pa.Table) -> int:
        """How many of the written objects of level_c.objects have a pseudonym that the crosswalk does not know."""
        return sum(
            row["status"] == "written"
            and any(
                not known.keys() >= set(filter(None, (row[column] or "").split("\\")))
                for column, known in (
                    ("patient", self.crosswalk.patients),
                    ("accession", self.crosswalk.accessions),
                    ("study_instance_uid", self.crosswalk.studies),
                    ("series_instance_uid", self.crosswalk.series),
                )
            )
            for row in objects.to_pylist()
        )


def admit_delivery(
    vault: Path,
    delivery: str,
    inventory: pa.Table,
    *,
    inventory_sha256: str,
    source: Callable[[str], Path],
    key: Key,
    profile: Profile,
    workers: Workers,
) -> Admission:
    """Take a delivery's accepted objects into the crosswalk, and say which of them are in conflict.

    ``source`` opens an inventory's location; headers are read only where ``inventory_sha256`` is not that of the
    standing crosswalk. The delivery's file is written where its content is new, atomically, under a lock that holds
    for all deliveries. Raises CrosswalkError where a crosswalk in the vault is damaged or another key's.
    """
    accepted = {
        row["file_id"]: row["location"]
        for row in inventory.to_pylist()
        if row["status"] == "accepted" and row["kind"] == "dicom"
    }
    standing = read_crosswalk(vault, delivery, key)
    if standing is not None and standing.inventory == inventory_sha256 and set(standing.subjects) == set(accepted):
        subjects, lost = standing.subjects, dict[str, str]()
    else:
        subjects, lost = _subjects({file_id: source(accepted[file_id]) for file_id in sorted(accepted)}, workers)
    with _locked(vault):
        others = [_claimed(c, subjects) for c in read_crosswalks(vault, key) if c.delivery != delivery]
        standing = read_crosswalk(vault, delivery, key)
        grown = _grown(standing or Crosswalk(delivery), subjects, Pseudonyms(key), profile)
        number = grown.number or 1 + max((other.number for other in others), default=0)
        crosswalk = replace(grown, number=number, inventory=inventory_sha256, subjects=subjects)
        if crosswalk != standing:
            _write(vault, crosswalk, key)
    earlier = sorted((other for other in others if other.number < number), key=lambda other: other.number)
    admission = _judged(crosswalk, earlier, Pseudonyms(key))
    return replace(admission, refuse=admission.refuse | lost)


def read_crosswalk(vault: Path, delivery: str, key: Key) -> Crosswalk | None:
    """One delivery's crosswalk, or None where there is none. Raises CrosswalkError as ``read_crosswalks`` does."""
    path = vault / _FOLDER / f"{delivery}.siv"
    return _read(path, key) if path.exists() else None


def read_crosswalks(vault: Path, key: Key) -> Iterator[Crosswalk]:
    """All crosswalks of the vault, by delivery. Raises CrosswalkError where one is damaged or another key's."""
    for path in sorted((vault / _FOLDER).glob("[!.]*.siv")):
        yield _read(path, key)


def _subjects(files: Mapping[str, Path], workers: Workers) -> tuple[dict[str, Subject], dict[str, str]]:
    """By file_id whose each object is, and of files that could not be read the reason code."""
    results = list(zip(files, workers.spread(subject_of, list(files.values())), strict=True))
    read = {file_id: result.value for file_id, result in results if result.value is not None}
    lost = {file_id: result.failure for file_id, result in results if result.failure}
    claims = {study: found for study, found in _claims(read, "study").items() if _agree(found)}
    return {f: _completed(subject, claims.get(subject.study, set())) for f, subject in read.items()}, lost


def _completed(subject: Subject, claims: set[tuple[str, str]]) -> Subject:
    """A subject with the patient on whom its study's objects agree."""
    if not claims:
        return subject
    patient_id, issuer = max(claims, key=lambda claim: claim[1])
    return replace(subject, patient_id=patient_id, issuer=issuer)


def _grown(standing: Crosswalk, subjects: Mapping[str, Subject], pseudonyms: Pseudonyms, profile: Profile) -> Crosswalk:
    """The standing crosswalk with what these subjects add to it."""
    patients, accessions = dict(standing.patients), dict(standing.accessions)
    studies, series = dict(standing.studies), dict(standing.series)
    moved = profile.is_on("retain_longitudinal_modified_dates")
    for file_id, subject in sorted(subjects.items()):
        patient, known = subject.pseudonym(pseudonyms, file_id)
        days = pseudonyms.days(patient, profile.most_days) if moved else 0
        patients[patient] = {**known, "days": days}
        if subject.accession:
            accessions[pseudonyms.accession(subject.accession)] = subject.accession
        if subject.study:
            studies |= {_new_uid(uid, pseudonyms, profile): uid for uid in subject.study.split("\\")}
        if subject.series:
            series |= {_new_uid(uid, pseudonyms, profile): uid for uid in subject.series.split("\\")}
    return replace(standing, patients=patients, accessions=accessions, studies=studies, series=series)


_Claims = dict[str, set[tuple[str, str]]]
"""By study (or accession number), the patients (id, issuer) who claim it."""


def _claims(subjects: Mapping[str, Subject], what: str) -> _Claims:
    claims: _Claims = defaultdict(set)
    for subject in subjects.values():
        if getattr(subject, what) and subject.patient_id:
            claims[getattr(subject, what)].add((subject.patient_id, subject.issuer))
    return claims


def _new_uid(uid: str, pseudonyms: Pseudonyms, profile: Profile) -> str:
    """What stands in place of a UID: those that the standard defines stay, and all where the profile retains them."""
    return uid if profile.is_on("retain_uids") or uid in UID_dictionary else pseudonyms.uid(uid)


@dataclass(frozen=True)
class _Claimed:
    """What another delivery claims of the studies and accession numbers of one; the rest of it need not be held."""

    number: int
    studies: _Claims
    accessions: _Claims


def _claimed(other: Crosswalk, subjects: Mapping[str, Subject]) -> _Claimed:
    studies, accessions = {s.study for s in subjects.values()}, {s.accession for s in subjects.values()}
    return _Claimed(
        other.number,
        {name: claims for name, claims in _claims(other.subjects, "study").items() if name in studies},
        {name: claims for name, claims in _claims(other.subjects, "accession").items() if name in accessions},
    )


def _holders(earlier: Iterable[_Claims]) -> _Claims:
    """Who holds what, deliveries taken in order of arrival; a newcomer that was refused holds nothing."""
    holders: _Claims = {}
    for claimed in earlier:
        for name, claims in claimed.items():
            if name not in holders:
                holders[name] = set(claims)
            elif _agree(holders[name] | claims):
                holders[name] |= claims
    return holders


def _judged(crosswalk: Crosswalk, earlier: list[_Claimed], pseudonyms: Pseudonyms) -> Admission:
    studies = _claims(crosswalk.subjects, "study")
    holders = _holders(other.studies for other in earlier)
    within = {study for study, claims in studies.items() if not _agree(claims)}
    before = {s for s, claims in studies.items() if s in holders and not _agree(claims | holders[s])} - within
    numbers = _claims(crosswalk.subjects, "accession")
    used = _holders(other.accessions for other in earlier)
    return Admission(
        crosswalk=crosswalk,
        refuse={f: STUDY_OF_TWO_PATIENTS for f, s in crosswalk.subjects.items() if s.study in within | before},
        patients={f: s.pseudonym(pseudonyms, f)[0] for f, s in crosswalk.subjects.items() if s.patient_id},
        studies_within=len(within),
        studies_before=len(before),
        accessions=sum(not _agree(claims | used.get(number, set())) for number, claims in numbers.items()),
    )


def _agree(claims: set[tuple[str, str]]) -> bool:
    """Whether all claims can be one patient's: one id, and not more than one issuer stated."""
    return len({patient_id for patient_id, _ in claims}) <= 1 and len({issuer for _, issuer in claims if issuer}) <= 1


def _write(vault: Path, crosswalk: Crosswalk, key: Key) -> None:
    text = json.dumps(asdict(crosswalk), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    sealed = _cipher(key).encrypt(text.encode(), [_INFO, crosswalk.delivery.encode()])
    folder = vault / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    write_bytes(folder / f"{crosswalk.delivery}.siv", _MAGIC + key.fingerprint.encode() + sealed, 0o600)


def _read(path: Path, key: Key) -> Crosswalk:
    from cryptography.exceptions import InvalidTag

    data, delivery = path.read_bytes(), path.stem
    start = len(_MAGIC) + _FINGERPRINT
    fingerprint = data[len(_MAGIC) : start]
    if not data.startswith(_MAGIC) or not re.fullmatch(rb"[0-9a-f]{12}", fingerprint):
        raise CrosswalkError(f"the crosswalk of {delivery} in the vault is damaged")
    if fingerprint != key.fingerprint.encode():
        raise CrosswalkError(
            f"the crosswalk of {delivery} in the vault was made under another key ({fingerprint.decode()}) than the "
            f"vault's ({key.fingerprint}): put that key back, or begin a new data root"
        )
    try:
        content = json.loads(_cipher(key).decrypt(data[start:], [_INFO, delivery.encode()]))
        content["subjects"] = {name: Subject(**subject) for name, subject in content["subjects"].items()}
        return Crosswalk(**content)
    except (InvalidTag, ValueError, TypeError, KeyError):
        raise CrosswalkError(f"the crosswalk of {delivery} in the vault is damaged, or another file's") from None


def _cipher(key: Key) -> Any:
    """AES-256-SIV under a key of its own, so that the pseudonym key serves one purpose alone."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return AESSIV(HKDF(algorithm=SHA256(), length=64, salt=None, info=_INFO).derive(key.secret))


@contextmanager
def _locked(vault: Path) -> Iterator[None]:
    with (vault / f".{_FOLDER}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

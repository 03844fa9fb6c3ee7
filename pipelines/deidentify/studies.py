"""What the headers of a delivery's objects say of its studies: whose they are, and whom they name."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.elements import text_of
from pipelines.deidentify.identifiers import HeaderIdentifiers, deny_list_from, identifiers_in, merged
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet, read_header


class Studies:
    """The studies of a delivery by the raw identifiers that report and label tables use. Headers are read late.

    ``patients``: file_id to pseudonym, where it is known better than from the object's own header.
    """

    def __init__(
        self,
        inventory: pa.Table,
        source: Callable[[str], Path],
        pseudonyms: Pseudonyms,
        profile: Profile,
        patients: Mapping[str, str] | None = None,
    ) -> None:
        self._source, self._pseudonyms, self._patients = source, pseudonyms, patients or {}
        self._by: dict[str, dict[str, list[dict[str, Any]]]] = {name: defaultdict(list) for name in _KEYS}
        self._named: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(inventory.to_pylist(), key=lambda r: r["file_id"]):
            if row["kind"] == "dicom" and row["status"] == "accepted":
                for name in _KEYS:
                    if row[name]:
                        self._by[name][row[name].strip()].append(row)
                for name in _file_names(row["member"] or row["location"]):
                    self._named[name].append(row)
        self._profile = profile
        self._header = lru_cache(maxsize=20_000)(self._read_header)
        self._study = lru_cache(maxsize=1024)(self._read_study)

    def patients(self, **identifiers: str) -> set[str | None]:
        """The pseudonyms of all whose the objects with these identifiers are; None stands for headers that cannot be
        read."""
        return {
            self._patients.get(row["file_id"]) or self._header(row["location"], row["file_id"])[0]
            for row in self._rows(identifiers)
        }

    def instances(self, file_name: str) -> set[str]:
        """The SOP Instance UIDs of the objects whose file has this name, or has it before the first "_" of its own.

        Folders, case and the usual endings do not count.
        """
        return {row["sop_instance_uid"] or "" for row in self._named.get(_stem(file_name), [])}

    def deny_list(self, **identifiers: str) -> DenyList:
        """The deny list of all objects with these identifiers and of their studies; empty where there are none."""
        rows = list(self._rows(identifiers))
        studies = sorted({(row["study_instance_uid"] or "").strip() for row in rows} - {""})
        alone = [self._header(row["location"], row["file_id"])[1] for row in rows if not row["study_instance_uid"]]
        return deny_list_from(merged([*map(self._study, studies), *alone]))

    def _read_study(self, study: str) -> HeaderIdentifiers:
        rows = self._by["study_instance_uid"][study]
        return merged(self._header(row["location"], row["file_id"])[1] for row in rows)

    def _rows(self, identifiers: dict[str, str]) -> Iterable[dict[str, Any]]:
        for name in _KEYS:
            value = identifiers.get(name, "").strip()
            if value and self._by[name].get(value):
                return self._by[name][value]
        return []

    def _read_header(self, location: str, file_id: str) -> tuple[str | None, HeaderIdentifiers]:
        with quiet():
            try:
                dataset = read_header(self._source(location)).dataset
                patient_id = text_of(dataset, 0x00100020).strip(" \0")
                study = text_of(dataset, 0x0020000D)
                named = identifiers_in(dataset, self._profile)
            except Exception:  # noqa: BLE001 - whatever a damaged file does to the parser, it tells of no study
                return None, HeaderIdentifiers()
        if not patient_id:
            return self._pseudonyms.unknown_patient(study, file_id), named
        return self._pseudonyms.patient(patient_id, text_of(dataset, 0x00100021)), named


_ENDINGS = (".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".pgm", ".tif", ".tiff")
"""What a picture's name may end in here and there: a UID as a name ends in no such thing."""


def _stem(path: str) -> str:
    name = PurePosixPath(path.replace("\\", "/").strip()).name.casefold()
    return next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)


def _file_names(location: str) -> list[str]:
    """What a file may be called by: its whole name, and the part before the first "_" of it."""
    name = _stem(unquote(location.rpartition(":")[2]))
    return sorted({name, name.partition("_")[0]} - {""})


_KEYS = ("sop_instance_uid", "study_instance_uid", "accession_number", "patient_id")
"""Identifiers from the most to the least specific: the first one that is known decides."""

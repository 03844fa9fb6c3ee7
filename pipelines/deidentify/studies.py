"""What the headers of a delivery's objects say of its studies: whose they are, and whom they name."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydicom

from pipelines.deidentify.deny import DenyList, deny_list_of
from pipelines.deidentify.elements import text_of
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet


class Studies:
    """The studies of a delivery by the raw identifiers that report and label tables use. Headers are read late."""

    def __init__(self, inventory: pa.Table, source: Callable[[str], Path], pseudonyms: Pseudonyms) -> None:
        self._source, self._pseudonyms = source, pseudonyms
        self._by: dict[str, dict[str, list[dict[str, Any]]]] = {name: defaultdict(list) for name in _KEYS}
        for row in sorted(inventory.to_pylist(), key=lambda r: r["file_id"]):
            if row["kind"] == "dicom" and row["status"] == "accepted":
                for name in _KEYS:
                    if row[name]:
                        self._by[name][row[name].strip()].append(row)
        self._header = lru_cache(maxsize=20_000)(self._read_header)

    def patient(self, **identifiers: str) -> str | None:
        """The pseudonym of the one patient whose the objects with these identifiers are; None if not one."""
        patients = {self._header(row["location"], row["file_id"])[0] for row in self._rows(identifiers)}
        return patients.pop() if len(patients) == 1 else None

    def deny_list(self, **identifiers: str) -> DenyList:
        """The deny list over all objects with these identifiers; empty where there are none."""
        deny = DenyList()
        for row in self._rows(identifiers):
            deny = deny | self._header(row["location"], row["file_id"])[1]
        return deny

    def _rows(self, identifiers: dict[str, str]) -> Iterable[dict[str, Any]]:
        for name in _KEYS:
            value = identifiers.get(name, "").strip()
            if value and self._by[name].get(value):
                return self._by[name][value]
        return []

    def _read_header(self, location: str, file_id: str) -> tuple[str | None, DenyList]:
        with quiet():
            try:
                dataset = pydicom.dcmread(self._source(location), force=True, stop_before_pixels=True)
                patient_id = text_of(dataset, 0x00100020).strip(" \0")
                study = text_of(dataset, 0x0020000D)
                deny = deny_list_of(dataset)
            except Exception:  # noqa: BLE001 - whatever a damaged file does to the parser, it tells of no study
                return None, DenyList()
        if not patient_id:
            return self._pseudonyms.unknown_patient(study, file_id), deny
        return self._pseudonyms.patient(patient_id, text_of(dataset, 0x00100021)), deny


_KEYS = ("sop_instance_uid", "study_instance_uid", "accession_number", "patient_id")
"""Identifiers from the most to the least specific: the first one that is known decides."""

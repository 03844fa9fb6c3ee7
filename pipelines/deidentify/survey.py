"""The first pass over a delivery: what the headers of each study name, before any of its objects is cleaned.

A name that one object of a study states may stand in another one's text, and a report's.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.deidentify.elements import text_of
from pipelines.deidentify.identifiers import HeaderIdentifiers, identifiers_in_elements, merged
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.raw_elements import tag_of
from pipelines.deidentify.raw_values import plain_values
from pipelines.deidentify.reading import quiet, read_header
from pipelines.storage.workers import Workers

_GROUP = 25
_STUDY = 0x0020000D

Source = tuple[str, Path]
"""A file's id and where it lies."""


@dataclass(frozen=True)
class Survey:
    """``study_of``: file_id to what its study is told by (the UID as the header has it, or the file's own id); files
    whose headers cannot be read are not in it. ``studies``: what the headers of each study name."""

    study_of: dict[str, str] = field(default_factory=dict)
    studies: dict[str, HeaderIdentifiers] = field(default_factory=dict)

    def of(self, file_id: str) -> HeaderIdentifiers | None:
        """What the headers of a file's study name; None where the file's own could not be read."""
        study = self.study_of.get(file_id)
        return None if study is None else self.studies[study]


def named_location(row: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> str:
    """Where a file of an inventory came from, by a path that people named: an archive member's is its archive's and,
    below it, its own within. ``by_id``: the inventory's rows by file_id."""
    members: list[str] = []
    while (container := by_id.get(row.get("container") or "")) is not None:
        members.append(row.get("member") or "")
        row = container
    return "/".join([str(row["location"]), *reversed(members)])


_Found = tuple[list[tuple[str, str]], dict[str, HeaderIdentifiers]]


def survey(sources: Sequence[Source], profile: Profile, workers: Workers) -> Survey:
    """Read the headers of a delivery's objects. What is held grows with the studies, not with the objects."""
    groups = [tuple(sources[i : i + _GROUP]) for i in range(0, len(sources), _GROUP)]
    function = partial(_headers, profile=profile)
    lost: list[tuple[Source, ...]] = []
    study_of: dict[str, str] = {}
    parts: dict[str, list[HeaderIdentifiers]] = defaultdict(list)

    def take(found: _Found) -> None:
        study_of.update(found[0])
        for study, identifiers in found[1].items():
            held = parts[study]
            held.append(identifiers)
            if len(held) > _GROUP:
                parts[study] = [merged(held)]

    for result in workers.spread(function, groups):
        if result.value is None:
            lost.append(result.item)
        else:
            take(result.value)
    singly: list[tuple[Source, ...]] = [(one,) for group in lost for one in group]
    for result in workers.spread(function, singly):
        if result.value is not None:
            take(result.value)
    return Survey(study_of, {study: merged(held) for study, held in sorted(parts.items())})


def _headers(group: tuple[Source, ...], profile: Profile) -> _Found:
    """In a worker: which study each file is of, and what the headers name by study."""
    study_of: list[tuple[str, str]] = []
    parts: dict[str, list[HeaderIdentifiers]] = defaultdict(list)
    with quiet():
        for file_id, path in group:
            try:
                header = read_header(path)
                stated = header.elements.get(tag_of(_STUDY))
                study = "\\".join(plain_values(stated) or (text_of(header.dataset, _STUDY),)).strip(" \0")
                identifiers = identifiers_in_elements(header.elements, profile)
            except Exception:  # noqa: BLE001 - whatever a damaged file does to the parser, it is refused in its turn
                continue
            study = study or f"file {file_id}"
            study_of.append((file_id, study))
            parts[study].append(identifiers)
    return study_of, {study: merged(held) for study, held in parts.items()}

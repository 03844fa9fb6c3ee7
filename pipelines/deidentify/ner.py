"""An optional language model: a spaCy pipeline from a local folder, whose persons and places count as found too."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

_LABELS = {"NAME": frozenset({"PERSON", "PER"}), "LOCATION": frozenset({"GPE", "LOC", "FAC", "ORG"})}


def load_model(folder: str) -> Any:
    """The pipeline in a folder. Raises FileNotFoundError where there is none: a model's name would be downloaded."""
    if not (Path(folder) / "meta.json").is_file():
        raise FileNotFoundError("the language model of the profile is no folder of a spaCy pipeline")
    import spacy

    return spacy.load(Path(folder))


def entities_by_kind(model: Any) -> dict[str, Callable[[str], Iterable[tuple[int, int]]]]:
    """A function for each kind (NAME, LOCATION) that gives start and end of what the pipeline finds in a text."""

    @lru_cache(maxsize=1)
    def found(text: str) -> list[tuple[int, int, str]]:
        return [(entity.start_char, entity.end_char, entity.label_) for entity in model(text).ents]

    def finder(labels: frozenset[str]) -> Callable[[str], Iterable[tuple[int, int]]]:
        return lambda text: [(start, end) for start, end, label in found(text) if label in labels]

    return {kind: finder(labels) for kind, labels in _LABELS.items()}

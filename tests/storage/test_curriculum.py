"""Curricula: written, read, and refused where nobody should follow them."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.storage.curriculum import (
    Curriculum,
    CurriculumError,
    Stage,
    even_weights,
    read_curriculum,
    write_curriculum,
)

STAGES = (
    Stage(
        "pre-train", {"split": "train", "is_synthetic": True}, "weak", 0.5, 1.0, {"D": {"CC": 3}}, {"D": {"CC": 1.0}}
    ),
    Stage(
        "fine-tune", {"split": "train", "is_synthetic": False}, "read", 0.5, 0.5, {"A": {"CC": 2}}, {"A": {"CC": 1.0}}
    ),
)
GOOD = Curriculum(
    STAGES, {"split": "validation", "is_synthetic": False}, {"split": "test", "is_synthetic": False}
)  # fmt: skip


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_curriculum(tmp_path, GOOD)
    assert read_curriculum(tmp_path / "curriculum.json") == GOOD
    content = json.loads((tmp_path / "curriculum.json").read_text())
    assert (content["format"], content["index"], content["label"]) == (1, "augmented.parquet", "density")
    assert content["stages"][0]["records"] == {"split": "train", "is_synthetic": True}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"report": {"split": "test"}}, "real records alone"),
        ({"select": {"split": "train", "is_synthetic": True}}, "real records alone"),
        ({"stages": [vars(STAGES[0])]}, "add up to 1"),
        ({"format": 2}, "another format"),
        ({"stages": [{"name": "x"}]}, "missing or damaged"),
        ({"more": 1}, "missing or damaged"),
    ],
)
def test_what_nobody_should_follow_is_refused(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    write_curriculum(tmp_path, GOOD)
    path = tmp_path / "curriculum.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CurriculumError, match=why):
        read_curriculum(path)


@pytest.mark.parametrize("text", [None, "", "[]", "{"])
def test_what_is_none_is_refused(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "curriculum.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CurriculumError, match="missing or damaged"):
        read_curriculum(path)


def test_weights_even_out_densities_and_views() -> None:
    cells = [("A", "CC")] * 6 + [("A", "MLO")] * 2 + [("D", "CC")] * 1
    weights = even_weights(cells)
    assert sum(weights[cell] for cell in cells) == pytest.approx(9)
    assert 6 * weights["A", "CC"] == pytest.approx(2 * weights["A", "MLO"])
    assert weights["D", "CC"] == pytest.approx(4.5)
    assert even_weights([]) == {}

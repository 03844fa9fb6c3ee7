"""Filling the plan: counts, rows, files, lineage, determinism, and what happens when it cannot be filled."""

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pydicom
import pytest

from pipelines.storage.digests import sha256_of_array, sha256_of_file
from pipelines.storage.shards import ShardReader, ShardWriter
from pipelines.storage.tables import PLAN, SYNTHETIC, SYNTHETIC_PATIENTS, read_table
from pipelines.synthesize.quota import SyntheticSummary, fill_quota
from pipelines.synthesize.settings import SynthesisSettings, SynthesisSettingsError
from tests.synthesize.cohort import Cohort

MODEL = "a1" * 32


class NovelConditionError(ValueError):
    pass


def plan(**deficits: int) -> pa.Table:
    """``D_CC=3``: three pictures of density D in CC are wanted; cells not named want none."""
    cells = [(density, view) for density in "ABCD" for view in ("CC", "MLO")]
    wanted = {(d, v): deficits.get(f"{d}_{v}", 0) for d, v in cells}
    return PLAN.build(
        {"density": d, "view": v, "real": 5, "target": 5 + wanted[d, v], "deficit": wanted[d, v]} for d, v in cells
    )


@pytest.fixture(scope="module")
def sampler(breast: Callable[..., np.ndarray], drawn: Cohort) -> Callable[..., np.ndarray]:
    """Draws women whom the cohort does not have; every fifth candidate is a copy, every seventh noise."""
    seen: dict[tuple[int, str, str], np.ndarray] = {}

    def one(seed: int, number: int, density: str, view: str) -> np.ndarray:
        key = (1000 * (seed + 1) + number, density, view)
        if number % 5 == 3:
            return drawn.training.pictures[number]
        if number % 7 == 2:
            return np.random.default_rng(number).integers(0, 4096, (80, 64)).astype(np.uint16)
        if key not in seen:
            seen[key] = breast(key[0], density, view)
        return seen[key]

    def sample(seed: int, numbers: Sequence[int], densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
        return np.stack([one(seed, n, d, v) for n, d, v in zip(numbers, densities, views, strict=True)])

    return sample


def score(pictures: np.ndarray, densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
    return -np.abs(pictures.reshape(len(pictures), -1).std(1) / 1000 - 0.8)


@pytest.fixture
def fill(sampler: Callable[..., np.ndarray], drawn: Cohort, tmp_path: Path) -> Callable[..., SyntheticSummary]:
    def call(wanted: pa.Table, folder: str = "out", **changes: Any) -> SyntheticSummary:
        (tmp_path / folder).mkdir()
        arguments: dict[str, Any] = {
            "sample": sampler,
            "score": score,
            "training": drawn.training,
            "held_back": drawn.held_back,
            "model_sha256": MODEL,
            "settings": SynthesisSettings(calibration_pictures=60),
            "folder": tmp_path / folder,
        }
        return fill_quota(wanted, **arguments | changes)

    return call


def test_the_quota_is_met_and_every_candidate_has_a_row(fill: Callable[..., SyntheticSummary], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    summary = fill(plan(A_CC=6, D_MLO=4), progress=lambda done, total: told.append((done, total)))
    rows = read_table(tmp_path / "out" / "synthetic.parquet", SYNTHETIC).to_pylist()
    kept = [r for r in rows if r["verdict"] == "kept"]
    assert Counter((r["density"], r["view"]) for r in kept) == {("A", "CC"): 6, ("D", "MLO"): 4}
    assert (summary.wanted, summary.kept, summary.looked_at) == (10, 10, len(rows))
    assert not summary.shortfalls
    for cell in (("A", "CC"), ("D", "MLO")):
        assert sorted(r["number"] for r in rows if (r["density"], r["view"]) == cell) == list(
            range(sum((r["density"], r["view"]) == cell for r in rows))
        )
    for row in rows:
        assert (row["reason"] is None) == (row["verdict"] == "kept") == (row["dicom"] is not None)
        if row["number"] % 5 == 3:
            assert row["reason"] == "copy"
            assert row["nearest_distance"] < row["nearest_low"]
        elif row["number"] % 7 == 2:
            assert row["reason"].startswith("breast_")
    assert all(r["nearest_distance"] >= r["nearest_low"] and r["critic_score"] >= r["critic_low"] for r in kept)
    assert sum(summary.reasons.values()) == len(rows) - 10
    assert told[-1] == (10, 10)
    assert told == sorted(told)


def test_files_rows_and_lineage_agree(fill: Callable[..., SyntheticSummary], tmp_path: Path) -> None:
    summary = fill(plan(B_MLO=3))
    folder = tmp_path / "out"
    shards = ShardReader(folder)
    stated = {row.output: row for row in summary.ledger}
    for row in read_table(folder / "synthetic.parquet", SYNTHETIC).to_pylist():
        if row["verdict"] != "kept":
            continue
        picture = shards.read(row["shard"], row["shard_row"])
        assert shards.shard(row["shard"]).ids[row["shard_row"]] == row["synthetic_id"]
        assert sha256_of_array(picture) == row["picture_sha256"] == stated[row["synthetic_id"]].sha256
        assert stated[row["synthetic_id"]].inputs == (("model", MODEL),)
        file = pydicom.dcmread(folder / row["dicom"])
        assert np.array_equal(file.pixel_array, picture)
        encoded = stated[file.SOPInstanceUID]
        assert encoded.inputs == ((row["synthetic_id"], row["picture_sha256"]),)
        assert encoded.sha256 == sha256_of_file(folder / encoded.path)
    assert len(stated) == len(summary.ledger) == 6


def test_no_header_names_a_training_picture(
    fill: Callable[..., SyntheticSummary], drawn: Cohort, tmp_path: Path
) -> None:
    fill(plan(B_CC=2, C_MLO=2))
    known = {*drawn.training.image_ids, *drawn.held_back.image_ids}
    files = sorted((tmp_path / "out").rglob("*.dcm"))
    assert len(files) == 4
    for path in files:
        values = {str(element.value) for element in pydicom.dcmread(path).iterall() if element.keyword != "PixelData"}
        assert not values & known
        header = path.read_bytes().split(b"\xe0\x7f\x10\x00")[0]
        assert not [name for name in known if len(name) > 3 and name.encode() in header]


def test_truncation_is_recorded_and_makes_another_picture(
    fill: Callable[..., SyntheticSummary], tmp_path: Path
) -> None:
    for folder, truncation in (("whole", 1.0), ("some", 0.7)):
        fill(plan(B_CC=1), folder, settings=SynthesisSettings(truncation=truncation, calibration_pictures=60))
    rows = [
        next(r for r in read_table(tmp_path / f / "synthetic.parquet", SYNTHETIC).to_pylist() if r["dicom"])
        for f in ("whole", "some")
    ]
    assert [row["truncation"] for row in rows] == [1.0, 0.7]
    assert rows[0]["synthetic_id"] != rows[1]["synthetic_id"]
    assert "truncation 0.7" in pydicom.dcmread(tmp_path / "some" / rows[1]["dicom"]).DerivationDescription


def test_a_model_of_both_views_gives_pretend_patients_too(
    fill: Callable[..., SyntheticSummary], breast: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    def women(seed: int, numbers: Sequence[int], densities: Sequence[str]) -> np.ndarray:
        both = [
            [[breast(900 + n, d, v, s) for v in ("CC", "MLO")] for s in "LR"]
            for n, d in zip(numbers, densities, strict=True)
        ]
        return np.array(both)

    settings = SynthesisSettings(patients=1, calibration_pictures=60)
    seen = {("B", "CC"), ("B", "MLO"), ("C", "CC")}
    summary = fill(plan(), women=women, conditions=seen, settings=settings)
    assert summary.patients is not None
    assert (summary.wanted, summary.patients.wanted, summary.patients.kept) == (0, 1, 1)
    rows = read_table(tmp_path / "out" / "patients.parquet", SYNTHETIC_PATIENTS).to_pylist()
    assert {row["density"] for row in rows} == {"B"}
    assert summary.ledger == summary.patients.ledger != ()
    fill(plan(B_CC=1), "single")
    assert not list((tmp_path / "single").glob("patients*"))


def test_batch_size_changes_no_byte_and_neither_does_time(
    fill: Callable[..., SyntheticSummary], tmp_path: Path
) -> None:
    wanted = plan(A_CC=5, C_MLO=2)
    for batch in (1, 4, 4, 32):
        name = f"{batch}-{len(list(tmp_path.iterdir()))}"
        fill(wanted, name, settings=SynthesisSettings(batch=batch, calibration_pictures=60))
    contents = [
        {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        for folder in sorted(tmp_path.iterdir())
    ]
    assert len(contents) == 4
    assert all(c == contents[0] for c in contents)
    assert {"synthetic.parquet", "screen.json", "sheet.png", "synthetic-00000.arrow"} < set(contents[0])


def test_another_seed_gives_other_pictures(fill: Callable[..., SyntheticSummary], tmp_path: Path) -> None:
    for seed in (0, 1):
        fill(plan(C_CC=2), f"seed{seed}", settings=SynthesisSettings(seed=seed, calibration_pictures=60))
    ids = [
        set(read_table(tmp_path / f"seed{s}" / "synthetic.parquet", SYNTHETIC)["synthetic_id"].to_pylist())
        for s in (0, 1)
    ]
    assert not ids[0] & ids[1]


def test_a_sampler_of_copies_ends_with_a_shortfall(
    fill: Callable[..., SyntheticSummary], drawn: Cohort, tmp_path: Path
) -> None:
    summary = fill(
        plan(A_CC=3, B_CC=1),
        sample=lambda seed, numbers, densities, views: drawn.training.pictures[: len(numbers)],
        settings=SynthesisSettings(tries=4, batch=5, calibration_pictures=60),
    )
    assert summary.kept == 0
    assert summary.looked_at == 16
    assert summary.reasons == {"copy": 16}
    assert [(s.density, s.view, s.wanted, s.kept, s.reason) for s in summary.shortfalls] == [
        ("A", "CC", 3, 0, "tries_exhausted"),
        ("B", "CC", 1, 0, "tries_exhausted"),
    ]
    assert not (tmp_path / "out" / "sheet.png").exists()
    assert not (tmp_path / "out" / "dicom").exists()


def test_conditions_that_the_model_never_saw(
    fill: Callable[..., SyntheticSummary], sampler: Callable[..., np.ndarray]
) -> None:
    def choosy(seed: int, numbers: Sequence[int], densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
        if "D" in densities:
            raise NovelConditionError("D")
        return sampler(seed, numbers, densities, views)

    wanted = plan(C_CC=1, D_CC=2)
    for folder, changes in (("raises", {"sample": choosy}), ("told", {"conditions": {("C", "CC")}, "sample": choosy})):
        summary = fill(wanted, folder, **changes)
        assert summary.kept == 1
        assert [(s.density, s.reason, s.kept) for s in summary.shortfalls] == [("D", "condition_unseen", 0)]

    def broken(*_: Any) -> np.ndarray:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        fill(wanted, "broken", sample=broken)


def test_nothing_wanted_nothing_made(fill: Callable[..., SyntheticSummary], tmp_path: Path) -> None:
    summary = fill(plan(), sample=None, score=None)
    assert (summary.wanted, summary.kept, summary.ledger, summary.shortfalls) == (0, 0, (), ())
    assert read_table(tmp_path / "out" / "synthetic.parquet", SYNTHETIC).num_rows == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["screening.parquet", "synthetic.parquet"]


def test_kept_pictures_do_not_pile_up(
    fill: Callable[..., SyntheticSummary],
    drawn: Cohort,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []
    append = ShardWriter.append

    def watched(writer: ShardWriter, image_id: str, picture: np.ndarray) -> tuple[str, int]:
        written.append(weakref.ref(picture))
        alive.append(sum(reference() is not None for reference in written))
        return append(writer, image_id, picture)

    def field(seed: int, numbers: Sequence[int], densities: Sequence[str], views: Sequence[str]) -> np.ndarray:
        return drawn.unseen.pictures[[2 * (n % 8) for n in numbers]]

    monkeypatch.setattr(ShardWriter, "append", watched)
    summary = fill(plan(B_CC=60), sample=field, settings=SynthesisSettings(batch=5, calibration_pictures=40))
    assert summary.kept == len(written) == 60
    assert max(alive) <= 2 * 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"tries": 0},
        {"odd_features": 0.6},
        {"odd_anatomy": -1},
        {"disagreement": "guess"},
        {"copy_quantile": -0.1},
        {"air_floor": 0},
        {"seed": -1},
        {"truncation": 0.0},
        {"truncation": 1.2},
        {"patients": -1},
        {"likeness": 1.1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SynthesisSettingsError):
        replace(SynthesisSettings(), **wrong)
